//! Close codes, and whether a client should reconnect.

/// A close code of the contract with its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The gateway is leaving.
    GoingAway,
    /// The peer broke RFC 6455.
    ProtocolError,
    /// A binary frame came.
    Binary,
    /// A text frame was not UTF-8.
    NotUtf8,
    /// A frame passed [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX).
    TooLarge,
    /// The client broke the contract too often.
    BadFrames,
    /// The token is missing, bad, expired or revoked.
    Unauthorized,
    /// The account is refused.
    AccountRefused,
    /// Nothing came for too long.
    Silent,
    /// The user has too many connections; the new one goes.
    TooManyConnections,
    /// Far over the rate limit.
    FarOverRate,
    /// The gateway lost what it needs to keep its promises.
    StateLost,
    /// The outbound queue passed its bound.
    TooSlow,
}

impl CloseCode {
    /// Every close, in the order of its code.
    pub const ALL: [Self; 13] = [
        Self::GoingAway,
        Self::ProtocolError,
        Self::Binary,
        Self::NotUtf8,
        Self::TooLarge,
        Self::BadFrames,
        Self::Unauthorized,
        Self::AccountRefused,
        Self::Silent,
        Self::TooManyConnections,
        Self::FarOverRate,
        Self::StateLost,
        Self::TooSlow,
    ];

    /// The WebSocket close code.
    pub const fn code(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::ProtocolError => 1002,
            Self::Binary => 1003,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
            Self::BadFrames => 4400,
            Self::Unauthorized => 4401,
            Self::AccountRefused => 4403,
            Self::Silent => 4408,
            Self::TooManyConnections => 4409,
            Self::FarOverRate => 4429,
            Self::StateLost => 4500,
            Self::TooSlow => 4508,
        }
    }

    /// The close's reason for people, at most 123 bytes.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::GoingAway => "the gateway is leaving",
            Self::ProtocolError => "protocol error",
            Self::Binary => "binary frames are not taken",
            Self::NotUtf8 => "not UTF-8",
            Self::TooLarge => "frame too large",
            Self::BadFrames => "too many bad frames",
            Self::Unauthorized => "token missing, bad, expired or revoked",
            Self::AccountRefused => "account refused",
            Self::Silent => "silent for too long",
            Self::TooManyConnections => "too many connections for this user",
            Self::FarOverRate => "far over the rate limit",
            Self::StateLost => "this gateway cannot keep its promises; resume elsewhere",
            Self::TooSlow => "too slow; resume from the last seq",
        }
    }

    /// A short name for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GoingAway => "going_away",
            Self::ProtocolError => "protocol_error",
            Self::Binary => "binary",
            Self::NotUtf8 => "not_utf8",
            Self::TooLarge => "too_large",
            Self::BadFrames => "bad_frames",
            Self::Unauthorized => "unauthorized",
            Self::AccountRefused => "account_refused",
            Self::Silent => "silent",
            Self::TooManyConnections => "too_many_connections",
            Self::FarOverRate => "far_over_rate",
            Self::StateLost => "promises_lost",
            Self::TooSlow => "too_slow",
        }
    }
}
