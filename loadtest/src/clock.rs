//! The run's clock: microseconds since its beginning, the same in every process of one machine.

use std::time::Duration;

use roomcast_protocol::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The beginning of a run on the clocks of the machine; times of the run are microseconds since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunClock {
    monotonic_us: u64,
    wall_ms: u64,
}

impl RunClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            monotonic_us: read(ClockId::Monotonic),
            wall_ms: Timestamp::now().as_millis(),
        }
    }

    /// Microseconds since the run's beginning.
    pub fn now(&self) -> u64 {
        read(ClockId::Monotonic).saturating_sub(self.monotonic_us)
    }

    /// The wall clock at the run's beginning, in milliseconds since 1970.
    pub fn began_ms(&self) -> u64 {
        self.wall_ms
    }

    /// The time until `at`; zero when it has passed.
    pub fn until(&self, at: u64) -> Duration {
        Duration::from_micros(at.saturating_sub(self.now()))
    }
}

/// The processor time this process has used, in microseconds.
pub fn cpu_us() -> u64 {
    read(ClockId::ProcessCPUTime)
}

/// A duration in whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let whole = |number: i64| u64::try_from(number).unwrap_or_default();
    whole(time.tv_sec) * 1_000_000 + whole(time.tv_nsec) / 1_000
}
