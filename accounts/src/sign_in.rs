//! Sign-in: a name and a password for a session and its first tokens.

use roomcast_ports::accounts::{Account, Session};
use roomcast_protocol::api::TokensView;
use roomcast_protocol::limits::{SESSION_LIFETIME, USER_AGENT_BYTES_MAX};
use roomcast_protocol::{Refusal, SessionId};
use tracing::error;

use crate::client::Client;
use crate::fields;
use crate::refresh_token::random;
use crate::service::{Accounts, failed_to, unauthorized};

impl Accounts {
    /// Begins a session. An unknown name and a wrong password get the same answer after the same work,
    /// and count alike towards the limits of failed sign-ins.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &str,
        client: &Client,
    ) -> Result<TokensView, Refusal> {
        self.check_failures(name, client)?;
        let account = self.account_of_name(name).await?;
        let kept = account
            .as_ref()
            .map(|account| account.password_hash.as_str());
        let holds = self.is_right(name, password, kept, client).await?;
        let Some(account) = account.filter(|_| holds) else {
            return Err(wrong());
        };
        let session = self.begin_session(&account, client).await?;

        // A concurrent `delete_account` or `update_profile` first changes the account, then ends the sessions it
        // finds: either it finds this session, or this read returns the changed account.
        let still = self.accounts.by_id(&account.user_id).await;
        let still = still.map_err(failed_to("look for an account"))?;
        if still.is_none_or(|still| still.password_hash != account.password_hash) {
            self.end_session(&account.user_id, &session.session_id)
                .await?;
            return Err(wrong());
        }
        self.end_oldest_sessions(&account.user_id).await?;
        Ok(self.tokens(&account, &session, session.generation))
    }

    /// Refuses early what would be refused anyway, before the store is asked.
    pub(crate) fn check_failures(&self, name: &str, client: &Client) -> Result<(), Refusal> {
        if client.exempt {
            return Ok(());
        }
        self.throttle.check(name, client.address, self.now())
    }

    /// Whether `password` is the one of `kept`. A wrong one counts as a failed sign-in for `name`.
    pub(crate) async fn is_right(
        &self,
        name: &str,
        password: &str,
        kept: Option<&str>,
        client: &Client,
    ) -> Result<bool, Refusal> {
        let turn = self.passwords.turn(client.address).await?;
        if client.exempt {
            return self.passwords.verify(turn, password, kept).await;
        }
        let (address, now) = (client.address, self.now());
        let attempt = self.throttle.attempt(name, address, now).await?;
        let holds = self.passwords.verify(turn, password, kept).await?;
        if holds {
            attempt.forgive();
        }
        Ok(holds)
    }

    async fn account_of_name(&self, name: &str) -> Result<Option<Account>, Refusal> {
        if !fields::may_be_name(name) {
            return Ok(None);
        }
        let account = self.accounts.by_name(name).await;
        account.map_err(failed_to("look for a name"))
    }

    async fn begin_session(&self, account: &Account, client: &Client) -> Result<Session, Refusal> {
        let now = self.now();
        let Some(token_salt) = random() else {
            error!("failed to draw random bytes for a session");
            return Err(Refusal::internal());
        };
        let session = Session {
            session_id: SessionId::generate(),
            user_id: account.user_id.clone(),
            created_at: now,
            user_agent: client
                .user_agent
                .as_deref()
                .map(shown)
                .filter(|text| !text.is_empty()),
            token_salt,
            generation: 0,
            replaced: Vec::new(),
            used_at: now,
            expires_at: now.plus(SESSION_LIFETIME),
            ended: false,
        };
        let kept = self.sessions.create(&session).await;
        kept.map_err(failed_to("keep a session"))?;
        Ok(session)
    }
}

/// A client's name for itself without control characters, cut at its bound.
fn shown(user_agent: &str) -> String {
    let mut shown = String::new();
    for character in user_agent.chars().filter(|it| !it.is_control()) {
        if shown.len() + character.len_utf8() > USER_AGENT_BYTES_MAX {
            break;
        }
        shown.push(character);
    }
    shown
}

fn wrong() -> Refusal {
    unauthorized("unknown name or wrong password")
}
