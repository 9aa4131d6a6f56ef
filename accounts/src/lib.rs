//! Accounts, sign-ins and tokens, for products that bring none of their own; and the judging of every
//! access token, whoever made it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::access::{Authenticator, Caller, TokenError};
use roomcast_ports::accounts::{AccountStore, SessionStore};
use roomcast_ports::signals::Signals;
use roomcast_protocol::api::{TokensView, UserView, UserViews};
use roomcast_protocol::{Refusal, SessionId, UserId};

/// The verbs of accounts and sign-ins.
#[derive(Clone)]
pub struct Accounts;

/// What a user may change about their account; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountPatch {
    /// What others see.
    pub display_name: Option<String>,
    /// What one signs in with.
    pub password: Option<String>,
}

#[expect(clippy::unused_async, reason = "signatures first: the bodies follow")]
impl Accounts {
    /// The service over its ports.
    pub fn new(
        _accounts: Arc<dyn AccountStore>,
        _sessions: Arc<dyn SessionStore>,
        _signals: Arc<dyn Signals>,
        _issuer: Arc<Issuer>,
    ) -> Self {
        Self
    }
    /// Makes an account.
    pub async fn register(
        &self,
        _name: &str,
        _password: &str,
        _display_name: Option<&str>,
    ) -> Result<UserView, Refusal> {
        Err(Refusal::internal())
    }
    /// Signs in.
    pub async fn sign_in(&self, _name: &str, _password: &str) -> Result<TokensView, Refusal> {
        Err(Refusal::internal())
    }
    /// Rotates.
    pub async fn refresh(&self, _refresh_token: &str) -> Result<TokensView, Refusal> {
        Err(Refusal::internal())
    }
    /// Signs out.
    pub async fn sign_out(&self, _caller: &Caller) -> Result<(), Refusal> {
        Err(Refusal::internal())
    }
    /// The caller's profile.
    pub async fn me(&self, _caller: &Caller) -> Result<UserView, Refusal> {
        Err(Refusal::internal())
    }
    /// Changes it.
    pub async fn change_me(
        &self,
        _caller: &Caller,
        _patch: AccountPatch,
    ) -> Result<UserView, Refusal> {
        Err(Refusal::internal())
    }
    /// Ends the account.
    pub async fn delete_me(&self, _caller: &Caller) -> Result<(), Refusal> {
        Err(Refusal::internal())
    }
    /// Another's profile.
    pub async fn user(&self, _user_id: &UserId) -> Result<UserView, Refusal> {
        Err(Refusal::internal())
    }
    /// Users whose name begins so.
    pub async fn find(
        &self,
        _name_prefix: &str,
        _cursor: Option<&str>,
        _limit: usize,
    ) -> Result<UserViews, Refusal> {
        Err(Refusal::internal())
    }
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("key")]
pub struct KeyError;

/// The signing key of the data directory.
pub struct Issuer;

/// What an access token is to say.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// For whom it speaks.
    pub user_id: UserId,
    /// The name it gives them.
    pub name: Option<String>,
    /// The sign-in it comes from.
    pub session_id: Option<SessionId>,
    /// Whether it is the host product's server.
    pub admin: bool,
    /// How long it holds.
    pub lifetime: Duration,
}

impl Issuer {
    /// Opens the key of `data_dir`, or makes it.
    pub fn open(_data_dir: &Path) -> Result<Self, KeyError> {
        Err(KeyError)
    }
    /// Signs an access token.
    pub fn mint(&self, _request: &TokenRequest) -> String {
        String::new()
    }
}

/// Whose tokens are taken beside those of the generated key.
#[derive(Debug, Clone)]
pub struct KeySource;

impl KeySource {
    /// Reads a `--token-key`, and the file it names.
    pub fn parse(_text: &str) -> Result<Self, String> {
        Err(String::new())
    }
}

/// Judges access tokens.
pub struct KeyRing;

impl KeyRing {
    /// Call it inside a Tokio runtime.
    pub fn open(
        _issuer: &Issuer,
        _sources: &[KeySource],
        _sessions: Arc<dyn SessionStore>,
    ) -> Result<Self, KeyError> {
        Err(KeyError)
    }
}

#[async_trait]
impl Authenticator for KeyRing {
    async fn authenticate(&self, _token: &str) -> Result<Caller, TokenError> {
        Err(TokenError::Refused("not yet"))
    }
    async fn session_holds(&self, _caller: &Caller) -> Result<bool, TokenError> {
        Ok(true)
    }
}
