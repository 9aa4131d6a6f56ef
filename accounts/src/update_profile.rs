//! Profile updates of the caller's own account.

use roomcast_ports::access::Caller;
use roomcast_ports::accounts::{Account, AccountUpdate};
use roomcast_protocol::api::UserView;
use roomcast_protocol::{Refusal, text};

use crate::client::Client;
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
    pub async fn update_profile(
        &self,
        caller: &Caller,
        patch: AccountPatch,
        client: &Client,
    ) -> Result<UserView, Refusal> {
        let display_name = match &patch.display_name {
            Some(display_name) => Some(self.shown_name(caller, display_name).await?),
            None => None,
        };
        let password_hash = match &patch.password {
            Some(change) => Some(self.new_hash(caller, change, client).await?),
            None => None,
        };
        let changes_password = password_hash.is_some();
        let update = AccountUpdate {
            display_name,
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

    /// What others see from now on.
    async fn shown_name(&self, caller: &Caller, given: &str) -> Result<String, Refusal> {
        let display_name = text::display_name(given)?;
        if !display_name.is_empty() {
            return Ok(display_name);
        }
        let account = self.account_of(caller).await?;
        Ok(fields::shown_name(display_name, &account.name))
    }

    async fn account_of(&self, caller: &Caller) -> Result<Account, Refusal> {
        let account = self.accounts.by_id(&caller.user_id).await;
        account
            .map_err(failed_to("look for an account"))?
            .ok_or_else(no_account)
    }

    /// The hash of the new password, if the current one is right. A wrong one counts as a failed
    /// sign-in, and is refused like one at the limit.
    async fn new_hash(
        &self,
        caller: &Caller,
        change: &PasswordChange,
        client: &Client,
    ) -> Result<String, Refusal> {
        fields::check_password(&change.new)?;
        let account = self.account_of(caller).await?;
        let (name, kept) = (&account.name, Some(account.password_hash.as_str()));
        self.check_failures(name, client)?;
        if !self.is_right(name, &change.current, kept, client).await? {
            return Err(unauthorized("currentPassword is wrong"));
        }
        let turn = self.passwords.turn(client.address).await?;
        self.passwords.hash(turn, &change.new).await
    }
}
