//! The caller's sessions: list them and end others.

use roomcast_ports::access::Caller;
use roomcast_ports::accounts::Session;
use roomcast_protocol::api::{SessionView, SessionViews};
use roomcast_protocol::{Refusal, SessionId};

use crate::service::{Accounts, failed_to};

impl Accounts {
    /// The caller's sessions, the last used first; of a host product's user, none.
    pub async fn sessions(&self, caller: &Caller) -> Result<SessionViews, Refusal> {
        let sessions = self.sessions.of_user(&caller.user_id).await;
        let mut sessions = sessions.map_err(failed_to("list a user's sessions"))?;
        let now = self.now();
        sessions.retain(|session| now < session.expires_at);
        sessions.sort_by_key(|session| std::cmp::Reverse(session.used_at));
        let current = caller.session_id.as_ref();
        Ok(SessionViews {
            sessions: sessions
                .into_iter()
                .map(|session| view_of(session, current))
                .collect(),
        })
    }

    /// Ends one of the caller's sessions; an unknown one and another user's are `NOT_FOUND`.
    pub async fn end_my_session(
        &self,
        caller: &Caller,
        session_id: &SessionId,
    ) -> Result<(), Refusal> {
        if self.end_session(&caller.user_id, session_id).await? {
            Ok(())
        } else {
            Err(Refusal::not_found("you have no session of this id"))
        }
    }

    /// Ends all of the caller's sessions but the one the call comes from.
    pub async fn end_my_other_sessions(&self, caller: &Caller) -> Result<(), Refusal> {
        self.end_other_sessions(caller).await
    }
}

fn view_of(session: Session, current: Option<&SessionId>) -> SessionView {
    SessionView {
        current: current == Some(&session.session_id),
        session_id: session.session_id,
        created_at: session.created_at,
        last_used_at: session.used_at,
        user_agent: session.user_agent,
    }
}
