//! Authentication and membership, implemented by the accounts and rooms services.

use async_trait::async_trait;
use roomcast_protocol::{MemberRole, RoomId, RoomKind, Seq, SessionId, Timestamp, UserId};

use crate::timeline::ReadError;

/// Who a good token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user_id: UserId,
    /// The name the token gives them.
    pub name: Option<String>,
    /// The sign-in it came from, for tokens of our own making.
    pub session_id: Option<SessionId>,
    /// It is the host product's server.
    pub admin: bool,
    /// When the token ends.
    pub expires_at: Timestamp,
}

/// Why a token is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Malformed, badly signed, expired, not yet valid, of an unknown key, or signed out. The reason
    /// is for people and names no secret.
    #[error("token refused: {0}")]
    Invalid(&'static str),
    /// The account has been ended or barred.
    #[error("account refused")]
    AccountDisabled,
    /// It could not be judged now; nothing is known of the token.
    #[error("token cannot be judged now")]
    Unavailable(#[source] crate::BoxError),
}

/// Judges access tokens.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Who `token` speaks for at this moment: its signature, its times with the contract's leeway,
    /// and that its sign-in has not ended.
    async fn authenticate(&self, token: &str) -> Result<Caller, TokenError>;

    /// Whether a sign-in still holds, for connections whose token was judged before.
    async fn is_session_active(&self, caller: &Caller) -> Result<bool, TokenError>;
}

/// What a user is in a room, at a seq of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// What kind of room it is, unless there is none or it has ended.
    pub room: Option<RoomKind>,
    /// The user's role, if they are a member.
    pub role: Option<MemberRole>,
    /// The seq of the log up to which this is so.
    pub as_of: Seq,
}

/// Answers who may do what where, from the store and the log's tail: what a call has answered is
/// already in it.
#[async_trait]
pub trait Memberships: Send + Sync {
    /// What `user_id` is in `room_id` now.
    async fn membership(&self, room_id: &RoomId, user_id: &UserId)
    -> Result<Membership, ReadError>;
}
