//! Signing in: a name and a password for a session and its first tokens.

use roomcast_ports::accounts::{Account, Session};
use roomcast_protocol::api::TokensView;
use roomcast_protocol::{Refusal, SessionId};
use tracing::error;

use crate::fields;
use crate::refresh_token::{RefreshToken, random};
use crate::service::{Accounts, SESSION_LIFETIME, failed_to, unauthorized};

impl Accounts {
    /// Begins a session. An unknown name and a wrong password get the same answer after the same work.
    pub async fn sign_in(&self, name: &str, password: &str) -> Result<TokensView, Refusal> {
        let account = self.account_of_name(name).await?;
        let kept = account
            .as_ref()
            .map(|account| account.password_hash.as_str());
        let holds = self.passwords.holds(password, kept).await?;
        let Some(account) = account.filter(|_| holds) else {
            return Err(wrong());
        };
        let refresh_token = self.begin_session(&account).await?;

        // A concurrent `delete_me` or `change_me` first changes the account, then ends the sessions it
        // finds: either it finds this session, or this read returns the changed account.
        let still = self.accounts.by_id(&account.user_id).await;
        let still = still.map_err(failed_to("look for an account"))?;
        if still.is_none_or(|still| still.password_hash != account.password_hash) {
            self.end_session(refresh_token.session_id(), &account.user_id)
                .await?;
            return Err(wrong());
        }
        Ok(self.tokens(&account, refresh_token.session_id(), &refresh_token))
    }

    async fn account_of_name(&self, name: &str) -> Result<Option<Account>, Refusal> {
        if !fields::may_be_name(name) {
            return Ok(None);
        }
        let account = self.accounts.by_name(name).await;
        account.map_err(failed_to("look for a name"))
    }

    async fn begin_session(&self, account: &Account) -> Result<RefreshToken, Refusal> {
        let now = self.now();
        let token = RefreshToken::first(SessionId::generate());
        let (Some(token), Some(salt)) = (token, random()) else {
            error!("there is no randomness for a session");
            return Err(Refusal::internal());
        };
        let session = Session {
            session_id: token.session_id().clone(),
            user_id: account.user_id.clone(),
            token_hash: token.hash(),
            previous_hash: None,
            successor_salt: salt,
            rotated_at: now,
            expires_at: now.plus(SESSION_LIFETIME),
            ended: false,
        };
        let kept = self.sessions.create(&session).await;
        kept.map_err(failed_to("keep a session"))?;
        Ok(token)
    }
}

fn wrong() -> Refusal {
    unauthorized("unknown name or wrong password")
}
