//! Errors of requests to the servers.

use std::time::Duration;

use roomcast_ports::BoxError;
use roomcast_ports::event_log::LogError;
use serde::Deserialize;

/// The streams' answer to what they will not do.
#[derive(Debug, Clone, thiserror::Error, Deserialize)]
#[error("{description} ({err_code})")]
pub(crate) struct ApiError {
    /// As HTTP has it.
    #[serde(default)]
    pub(crate) code: u16,
    /// Which refusal.
    #[serde(default)]
    pub(crate) err_code: u32,
    /// For people.
    #[serde(default)]
    pub(crate) description: String,
}

/// Refusals by number.
pub(crate) mod refusal {
    /// No message there.
    pub(crate) const NO_MESSAGE: u32 = 10_037;
    /// The consumer is not there.
    pub(crate) const NO_CONSUMER: u32 = 10_014;
    /// The stream is not there.
    pub(crate) const NO_STREAM: u32 = 10_059;
    /// The stream is there, with another configuration.
    pub(crate) const NAME_IN_USE: u32 = 10_058;
    /// The subject's last message has another number.
    pub(crate) const WRONG_LAST: u32 = 10_071;
    /// The stream's last message has another id.
    pub(crate) const WRONG_LAST_ID: u32 = 10_070;
    /// Another message of the subject is on its way.
    pub(crate) const LAST_IN_FLIGHT: u32 = 10_164;
    /// A message of the same id is on its way.
    pub(crate) const SAME_ID_IN_FLIGHT: u32 = 10_158;
    /// Larger than the stream takes.
    pub(crate) const TOO_LARGE: u32 = 10_054;
    /// The stream has all the bytes that it may have.
    pub(crate) const FULL: u32 = 10_077;
    /// A single server has no copies.
    pub(crate) const NOT_CLUSTERED: u32 = 10_074;
    /// The cluster has too few servers for so many copies, or they are away.
    pub(crate) const NO_PEERS: u32 = 10_005;
}

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NatsError {
    /// No responders: the stream has no leader, or is gone.
    #[error("nobody answers {0}")]
    NoResponders(String),
    /// No answer in time.
    #[error("{subject} was not answered within {within:?}")]
    TimedOut {
        /// What was asked.
        subject: String,
        /// How long was waited.
        within: Duration,
    },
    /// The server refused the request.
    #[error("refused")]
    Refused(#[from] ApiError),
    /// An empty reply.
    #[error("read the answer")]
    Unreadable(#[source] BoxError),
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
    /// Every copy asked lacks what the log is known to hold.
    #[error("the copies that answer are behind")]
    ReplicaLagging,
    /// The partition's stream is read by another worker now.
    #[error("the partition has been given to another worker")]
    LeaseLost,
}

impl NatsError {
    /// Whether another try may have an answer: servers come and go.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::NoResponders(_) | Self::TimedOut { .. } | Self::ReplicaLagging
        )
    }

    /// Whether it is this refusal.
    pub(crate) fn is(&self, number: u32) -> bool {
        matches!(self, Self::Refused(refused) if refused.err_code == number)
    }
}

impl From<serde_json::Error> for NatsError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(Box::new(error))
    }
}

impl From<NatsError> for LogError {
    fn from(failure: NatsError) -> Self {
        Self::Unavailable(Box::new(failure))
    }
}
