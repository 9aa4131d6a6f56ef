//! Maps failures of the log and store to refusals for callers and log lines for operators.

use roomcast_ports::StoreError;
use roomcast_ports::event_log::LogError;
use roomcast_ports::timeline::ReadError;
use roomcast_protocol::{ErrorCode, Refusal};
use tracing::{error, warn};

/// A read gave no answer.
pub(crate) fn read_failed(failure: impl Into<ReadError>) -> Refusal {
    log_read_error(&failure.into());
    Refusal::internal()
}

/// A change could not be judged, so nothing was appended.
pub(crate) fn precondition_unavailable(failure: ReadError) -> Refusal {
    log_read_error(&failure);
    match failure {
        ReadError::Store(StoreError::Corrupted(_)) => Refusal::internal(),
        _ => unavailable(),
    }
}

/// The log did not take an event.
pub(crate) fn append_failed(failure: LogError) -> Refusal {
    warn!(?failure, "failed to append a room's event");
    match failure {
        LogError::Unavailable(_) => unavailable(),
        LogError::Unconfirmed(_) => Refusal::new(
            ErrorCode::Unconfirmed,
            "this may have been stored: look before trying again",
        ),
        LogError::HeadMismatch { .. } => contention(),
        LogError::TooLarge { .. } => Refusal::new(ErrorCode::ContentTooLarge, "this is too large"),
    }
}

/// Others were faster every time.
pub(crate) fn contention() -> Refusal {
    Refusal::new(
        ErrorCode::LogUnavailable,
        "the room is too busy now; nothing was stored",
    )
}

fn unavailable() -> Refusal {
    Refusal::new(
        ErrorCode::LogUnavailable,
        "rooms cannot be changed now; nothing was stored",
    )
}

fn log_read_error(failure: &ReadError) {
    if matches!(failure, ReadError::Store(StoreError::Corrupted(_))) {
        error!(?failure, "failed to read a room: corrupted");
    } else {
        warn!(?failure, "failed to read a room");
    }
}
