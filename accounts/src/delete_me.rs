//! Ending one's account.

use roomcast_ports::access::Caller;
use roomcast_protocol::Refusal;

use crate::service::{Accounts, failed_to, no_account};

impl Accounts {
    /// Ends the caller's account and all its sessions; what they wrote stays under their id, and the
    /// name is free again.
    pub async fn delete_me(&self, caller: &Caller) -> Result<(), Refusal> {
        // Sessions first: failing halfway leaves an account to sign in to, never sessions of none.
        // And once more for whoever signed in meanwhile; see `sign_in`.
        self.end_all_sessions(&caller.user_id).await?;
        let deleted = self.accounts.delete(&caller.user_id).await;
        let deleted = deleted.map_err(failed_to("end an account"))?;
        self.end_all_sessions(&caller.user_id).await?;
        if deleted { Ok(()) } else { Err(no_account()) }
    }
}
