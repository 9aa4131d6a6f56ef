//! Another user's profile.

use roomcast_protocol::api::UserView;
use roomcast_protocol::{Refusal, UserId};

use crate::service::{Accounts, failed_to, view_of};

impl Accounts {
    /// The account of this id; what the host product knows of its users is not known here: `NOT_FOUND`.
    pub async fn user(&self, user_id: &UserId) -> Result<UserView, Refusal> {
        let account = self.accounts.by_id(user_id).await;
        let account = account.map_err(failed_to("look for an account"))?;
        account
            .map(view_of)
            .ok_or_else(|| Refusal::not_found("there is no account of this id"))
    }
}
