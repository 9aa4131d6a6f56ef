//! Accounts and sessions, for products that have none of their own.

use std::time::Duration;

use async_trait::async_trait;
use roomcast_protocol::{RoomId, SessionId, Timestamp, UserId};

use crate::StoreError;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its permanent id.
    pub user_id: UserId,
    /// What one signs in with, as it was written; compared without case.
    pub name: String,
    /// What others see.
    pub display_name: String,
    /// In PHC form, never the password.
    pub password_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A partial update of an account: `None` leaves the field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountUpdate {
    /// What others see.
    pub display_name: Option<String>,
    /// In PHC form, never the password.
    pub password_hash: Option<String>,
}

/// The two steps of a user's end, each finished by another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndingStep {
    /// The accounts service ends the sessions and the account, then notes the departure.
    Account,
    /// The rooms service takes the user out of their groups.
    Departure,
}

impl EndingStep {
    /// The name under which stores keep it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Departure => "departure",
        }
    }
}

/// An account deletion that has started and must be finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Which service finishes it.
    pub step: EndingStep,
    /// Whose end.
    pub user_id: UserId,
    /// A group that may be left without members and is deleted then; `None` for the user as a whole.
    pub room_id: Option<RoomId>,
}

/// What became of a new account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It is kept.
    Made,
    /// Another account has the name.
    NameTaken,
}

/// Accounts, found by name and id.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Keeps the account unless its name is taken; of two concurrent calls, one gets it.
    async fn create(&self, account: &Account) -> Result<Registration, StoreError>;

    /// The account of this id.
    async fn by_id(&self, user_id: &UserId) -> Result<Option<Account>, StoreError>;

    /// The account of this name, compared without case.
    async fn by_name(&self, name: &str) -> Result<Option<Account>, StoreError>;

    /// Accounts whose name begins with `prefix`, compared without case, by name, after the name
    /// `after`, at most `limit`.
    async fn by_prefix(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError>;

    /// Writes the fields that `update` names and no others, so that concurrent updates of different
    /// fields all take effect. Returns the account after the update, `None` when there is no such account.
    async fn update(
        &self,
        user_id: &UserId,
        update: &AccountUpdate,
    ) -> Result<Option<Account>, StoreError>;

    /// Ends the account; its name is free again. Whether there was one.
    async fn delete(&self, user_id: &UserId) -> Result<bool, StoreError>;

    /// Notes what is to be finished after a crash; again, it changes nothing.
    async fn put_ending(&self, ending: &Ending) -> Result<(), StoreError>;

    /// At most `limit` of what was noted for this step and not forgotten.
    async fn endings(&self, step: EndingStep, limit: usize) -> Result<Vec<Ending>, StoreError>;

    /// Whether it was noted and not forgotten.
    async fn has_ending(&self, ending: &Ending) -> Result<bool, StoreError>;

    /// Forgets what is finished.
    async fn delete_ending(&self, ending: &Ending) -> Result<(), StoreError>;
}

/// A sign-in and all that was refreshed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name, in every token made from it.
    pub session_id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// What the client called itself when it signed in.
    pub user_agent: Option<String>,
    /// Goes into its refresh tokens; worth nothing without the key they are made with.
    pub token_salt: [u8; 32],
    /// The number of its latest refresh token, from zero.
    pub generation: u64,
    /// When the tokens before that one were replaced, as far back as the grace for a repeated refresh
    /// goes; oldest first.
    pub replaced: Vec<Replaced>,
    /// Its last use: the sign-in or the last refresh.
    pub used_at: Timestamp,
    /// When the session ends by itself.
    pub expires_at: Timestamp,
    /// It was signed out, or a used token came again too late.
    pub ended: bool,
}

/// Refresh tokens of consecutive numbers that were replaced within one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// The number of the first; the last is followed by the next entry's first, or the latest token.
    pub first: u64,
    /// When the last of them was replaced.
    pub at: Timestamp,
}

/// Sign-ins. What is ended stays ended over restarts, at least until `expires_at`.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Keeps a new sign-in.
    async fn create(&self, session: &Session) -> Result<(), StoreError>;

    /// The sign-in of this name.
    async fn session(&self, session_id: &SessionId) -> Result<Option<Session>, StoreError>;

    /// The user's sessions that have not ended, newest first.
    async fn of_user(&self, user_id: &UserId) -> Result<Vec<Session>, StoreError>;

    /// Replaces what changes with a refresh (`generation`, `replaced`, `used_at`, `expires_at`) by
    /// that of `next`, if the session has not ended and its generation is still `expected`; whether it
    /// was so. Of two concurrent calls with different generations, one succeeds.
    async fn rotate(&self, expected: u64, next: &Session) -> Result<bool, StoreError>;

    /// Ends one of the user's; whether it was there and had not ended.
    async fn end(&self, user_id: &UserId, session_id: &SessionId) -> Result<bool, StoreError>;

    /// Ends all of a user's but `kept`; gives those that had not ended.
    async fn end_all_but(
        &self,
        user_id: &UserId,
        kept: Option<&SessionId>,
    ) -> Result<Vec<SessionId>, StoreError>;

    /// Ends all of a user's sessions but the `kept` newest; returns those that had not ended.
    async fn end_oldest(&self, user_id: &UserId, kept: usize)
    -> Result<Vec<SessionId>, StoreError>;

    /// Forgets sessions that expired more than `older_than` ago.
    async fn delete_expired(&self, older_than: Duration) -> Result<u64, StoreError>;
}
