//! Changing one's own account.

use roomcast_ports::access::Caller;
use roomcast_ports::accounts::AccountUpdate;
use roomcast_protocol::Refusal;
use roomcast_protocol::api::UserView;

use crate::fields;
use crate::service::{Accounts, failed_to, no_account, unauthorized, view_of};

/// What a user may change about their account; what is `None` stays.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccountPatch {
    /// What others see.
    pub display_name: Option<String>,
    /// What one signs in with.
    pub password: Option<PasswordChange>,
}

/// A new password, with the proof that the caller knows the old one.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordChange {
    /// The password until now.
    pub current: String,
    /// The password from now on.
    pub new: String,
}

impl Accounts {
    /// Changes the fields that `patch` names. A wrong current password is `UNAUTHORIZED` and changes
    /// nothing. A new password ends all sessions of the account but the caller's: another session may
    /// belong to a holder of the old password.
    pub async fn change_me(
        &self,
        caller: &Caller,
        patch: AccountPatch,
    ) -> Result<UserView, Refusal> {
        patch
            .display_name
            .as_deref()
            .map_or(Ok(()), fields::check_display_name)?;
        let password_hash = match &patch.password {
            Some(change) => Some(self.new_hash(caller, change).await?),
            None => None,
        };
        let changes_password = password_hash.is_some();
        let update = AccountUpdate {
            display_name: patch.display_name,
            password_hash,
        };
        let updated = self.accounts.update(&caller.user_id, &update).await;
        let account = updated
            .map_err(failed_to("change an account"))?
            .ok_or_else(no_account)?;
        if changes_password {
            self.end_other_sessions(caller).await?;
        }
        Ok(view_of(account))
    }

    /// The hash of the new password, if the current one is right.
    async fn new_hash(&self, caller: &Caller, change: &PasswordChange) -> Result<String, Refusal> {
        fields::check_password(&change.new)?;
        let account = self.accounts.by_id(&caller.user_id).await;
        let account = account
            .map_err(failed_to("look for an account"))?
            .ok_or_else(no_account)?;
        let kept = Some(account.password_hash.as_str());
        if !self.passwords.holds(&change.current, kept).await? {
            return Err(unauthorized("currentPassword is wrong"));
        }
        self.passwords.hash(&change.new).await
    }
}
