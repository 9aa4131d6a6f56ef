//! Changing one's own account.

use roomcast_ports::access::Caller;
use roomcast_protocol::Refusal;
use roomcast_protocol::api::UserView;

use crate::fields;
use crate::service::{Accounts, failed_to, no_account, view_of};

/// What a user may change about their account; what is `None` stays.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccountPatch {
    /// What others see.
    pub display_name: Option<String>,
    /// What one signs in with.
    pub password: Option<String>,
}

impl Accounts {
    /// Changes the caller's account. A new password ends every session of the account, the caller's
    /// too, for whoever had the old password may hold one of them: they sign in again with the new one.
    pub async fn change_me(
        &self,
        caller: &Caller,
        patch: AccountPatch,
    ) -> Result<UserView, Refusal> {
        patch
            .display_name
            .as_deref()
            .map_or(Ok(()), fields::check_display_name)?;
        patch
            .password
            .as_deref()
            .map_or(Ok(()), fields::check_password)?;
        // Hashed before the account is read, so that reading and writing lie close together.
        let password_hash = match &patch.password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        let changes_password = password_hash.is_some();

        let account = self.accounts.by_id(&caller.user_id).await;
        let mut account = account
            .map_err(failed_to("look for an account"))?
            .ok_or_else(no_account)?;
        account.display_name = patch.display_name.unwrap_or(account.display_name);
        account.password_hash = password_hash.unwrap_or(account.password_hash);
        let updated = self.accounts.update(&account).await;
        if !updated.map_err(failed_to("change an account"))? {
            return Err(no_account());
        }
        if changes_password {
            self.end_all_sessions(&caller.user_id).await?;
        }
        Ok(view_of(account))
    }
}
