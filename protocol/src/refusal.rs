//! Refusals: error codes, and whether a retry can succeed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $wire:literal, $status:literal, $retryable:literal;)*) => {
        /// The name of a refusal, in `ERROR` frames and problem documents.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Code"))]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $wire)] $name,)*
        }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as it goes over the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Whether the same request may succeed later.
            pub const fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* }
            }
        }
    };
}

codes! {
    /// Not JSON, not an object, a missing or wrong field.
    BadFrame = "BAD_FRAME", 400, false;
    /// A frame type nobody knows.
    UnknownType = "UNKNOWN_TYPE", 400, false;
    /// The room is not one's own, or there is none.
    NotMember = "NOT_MEMBER", 403, false;
    /// The other member of the direct room has blocked the sender.
    Blocked = "BLOCKED", 403, false;
    /// The role is too low, or the message another's.
    Forbidden = "FORBIDDEN", 403, false;
    /// The message is not in this room; over HTTP also what does not exist.
    NotFound = "NOT_FOUND", 404, false;
    /// Content, event or body over its bound.
    ContentTooLarge = "CONTENT_TOO_LARGE", 413, false;
    /// A message needs content.
    ContentEmpty = "CONTENT_EMPTY", 400, false;
    /// Too fast, or too many at once.
    RateLimited = "RATE_LIMITED", 429, true;
    /// Too many rooms on one connection.
    TooManyRooms = "TOO_MANY_ROOMS", 400, false;
    /// Too many different reactions to one message.
    TooManyReactions = "TOO_MANY_REACTIONS", 400, false;
    /// Not stored, nothing kept.
    LogUnavailable = "LOG_UNAVAILABLE", 503, true;
    /// Perhaps stored: only a resend with the same client message id is safe.
    Unconfirmed = "UNCONFIRMED", 503, true;
    /// A fault of ours.
    Internal = "INTERNAL", 500, true;
    /// Only over HTTP: no token, or a bad one.
    Unauthorized = "UNAUTHORIZED", 401, false;
    /// Only over HTTP: the path knows other methods.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", 405, false;
    /// Only over HTTP: the name or id is taken.
    Conflict = "CONFLICT", 409, false;
    /// Only over HTTP: a body that is not JSON.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", 415, false;
    /// Only over HTTP: this process is draining or overloaded; nothing was done.
    Unavailable = "UNAVAILABLE", 503, true;
}

/// A refusal: its code, a sentence for people, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Refusal {
    /// The name by which programs know it.
    pub code: ErrorCode,
    /// A sentence for people, in English.
    pub message: Cow<'static, str>,
    /// When to try again, for refusals that pass.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A refusal with a sentence.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_ms: None,
        }
    }

    /// A field that is missing or wrong.
    pub fn bad_frame(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadFrame, message)
    }

    /// Not a member, or no such room: the same answer, so that callers cannot learn which.
    pub fn not_member() -> Self {
        Self::new(
            ErrorCode::NotMember,
            "you are not a member of this room, or it does not exist",
        )
    }

    /// A role too low.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    /// Nothing by that name here.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// A fault of ours; the cause belongs in the log where it was seen, not here.
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, "something failed on our side")
    }

    /// Draining or overloaded: nothing was done, and another process, or this one later, can do it.
    pub fn unavailable(message: impl Into<Cow<'static, str>>, retry_after_ms: u64) -> Self {
        Self {
            code: ErrorCode::Unavailable,
            message: message.into(),
            retry_after_ms: Some(retry_after_ms),
        }
    }

    /// Too fast.
    pub fn rate_limited(retry_after_ms: u64) -> Self {
        Self {
            code: ErrorCode::RateLimited,
            message: "too fast".into(),
            retry_after_ms: Some(retry_after_ms),
        }
    }
}
