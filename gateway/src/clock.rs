//! The gateway's coarse clock: whole seconds since it started.
//!
//! Heartbeats, silence and token ends are judged by it; four bytes a deadline instead of sixteen.

use std::time::{Duration, Instant};

use roomcast_protocol::Timestamp;

/// Seconds since the gateway started.
pub(crate) type Seconds = u32;

/// A duration on this clock, whole seconds of it.
pub(crate) fn seconds(duration: Duration) -> Seconds {
    Seconds::try_from(duration.as_secs()).unwrap_or(Seconds::MAX)
}

#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Seconds {
        seconds(self.started.elapsed())
    }

    /// When a point of the wall clock will be, on this clock; at once if it has passed.
    pub(crate) fn at(&self, time: Timestamp) -> Seconds {
        let ahead_ms = time
            .as_millis()
            .saturating_sub(Timestamp::now().as_millis());
        self.now()
            .saturating_add(u32::try_from(ahead_ms / 1_000).unwrap_or(u32::MAX))
    }
}
