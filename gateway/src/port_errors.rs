//! The refusal that a client gets when a port fails.

use roomcast_ports::event_log::LogError;
use roomcast_ports::timeline::ReadError;
use roomcast_protocol::{ErrorCode, Refusal};
use tracing::{debug, warn};

/// The refusal for a failed append.
pub(crate) fn log_error_to_refusal(error: &LogError) -> Refusal {
    match error {
        LogError::Unavailable(_) | LogError::HeadMismatch { .. } => {
            warn!(error = error as &dyn std::error::Error, "append to the log");
            Refusal::new(
                ErrorCode::LogUnavailable,
                "not stored; send it again with the same clientMsgId",
            )
        }
        LogError::Unconfirmed(_) => {
            warn!(error = error as &dyn std::error::Error, "append to the log");
            Refusal::new(
                ErrorCode::Unconfirmed,
                "perhaps stored; send it again with the same clientMsgId",
            )
        }
        LogError::TooLarge { .. } => {
            debug!(error = error as &dyn std::error::Error, "append to the log");
            content_too_large()
        }
    }
}

/// The refusal for a failed read.
pub(crate) fn read_error_to_refusal(error: &ReadError) -> Refusal {
    warn!(error = error as &dyn std::error::Error, "read a room");
    match error {
        ReadError::Log(_) => Refusal::new(
            ErrorCode::LogUnavailable,
            "the room cannot be read now; try again",
        ),
        ReadError::Store(_) => Refusal::internal(),
    }
}

/// The refusal of content over its bound.
pub(crate) fn content_too_large() -> Refusal {
    Refusal::new(ErrorCode::ContentTooLarge, "the content is over its bound")
}
