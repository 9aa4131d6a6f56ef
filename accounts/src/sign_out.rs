//! Sign-out.

use roomcast_ports::access::Caller;
use roomcast_protocol::Refusal;

use crate::service::Accounts;

impl Accounts {
    /// Ends the session the caller's token comes from; again, it changes nothing. A host product's
    /// token comes from no session of ours, so there is none to end: `NOT_FOUND`.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), Refusal> {
        let Some(session_id) = &caller.session_id else {
            return Err(Refusal::not_found("this token comes from no session"));
        };
        self.end_session(&caller.user_id, session_id)
            .await
            .map(drop)
    }
}
