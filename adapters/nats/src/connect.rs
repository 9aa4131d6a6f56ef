//! Errors of opening the log.

use std::time::Duration;

use roomcast_ports::BoxError;

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The region's name cannot be part of a subject.
    #[error("region {0:?} is not a name of letters, digits, - and _")]
    BadRegion(String),
    /// No server could be reached, or none took the key.
    #[error("no log server can be reached")]
    Unreachable(#[source] BoxError),
    /// The server lacks what the log needs.
    #[error("log server {found} is older than {needed}")]
    TooOld {
        /// Its version.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// A stream or consumer that does not exist yet.
    #[error("{what} was not there within {within:?}")]
    Missing {
        /// Which.
        what: String,
        /// How long was waited.
        within: Duration,
        /// The servers' last error.
        #[source]
        last: BoxError,
    },
    /// A stream or consumer is not as it should be, and may not or cannot be changed.
    #[error("{what} is not as it should be: {}", .differences.join(", "))]
    Mismatch {
        /// Which.
        what: String,
        /// Each setting that differs, with what it is and what it should be.
        differences: Vec<String>,
    },
    /// The stream ends before what was derived from it: it was put back from an older copy, and
    /// appending to it would give seqs again that other events have already.
    #[error(
        "{stream} ends at {last}, but {seen} was seen of it: delete the stream, and it is created anew above that"
    )]
    Older {
        /// Which.
        stream: String,
        /// Its last seq.
        last: u64,
        /// The seq that was seen.
        seen: u64,
    },
    /// How far the log has been derived from could not be asked.
    #[error("ask how far the log has been seen")]
    SeenTo(#[source] BoxError),
}
