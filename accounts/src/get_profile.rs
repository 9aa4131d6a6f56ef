//! The caller's own profile.

use roomcast_ports::access::Caller;
use roomcast_protocol::Refusal;
use roomcast_protocol::api::UserView;

use crate::service::{Accounts, failed_to, view_of};

impl Accounts {
    /// The caller's account; of a host product's user, the id and the name their token gives.
    pub async fn get_profile(&self, caller: &Caller) -> Result<UserView, Refusal> {
        let account = self.accounts.by_id(&caller.user_id).await;
        let account = account.map_err(failed_to("look for an account"))?;
        Ok(account.map_or_else(|| of_host(caller), view_of))
    }
}

fn of_host(caller: &Caller) -> UserView {
    UserView {
        user_id: caller.user_id.clone(),
        name: caller.name.clone(),
        display_name: None,
    }
}
