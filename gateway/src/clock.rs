//! The gateway's coarse clock: ticks of 50 ms since it started.
//!
//! Every deadline of a connection is judged by it: four bytes each instead of sixteen, and 6.8 years
//! until it wraps. A deadline is rounded up to the next tick, so it never comes early; with the turn of
//! the [wheel](crate::timer_wheel) it comes at most two ticks late.

use std::time::{Duration, Instant};

use roomcast_protocol::Timestamp;

/// Ticks since the gateway started.
pub(crate) type Ticks = u32;

/// The name that callers in the hub still use.
pub(crate) type Seconds = Ticks;

/// The length of a tick.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// A duration on this clock, rounded up.
pub(crate) const fn ticks(duration: Duration) -> Ticks {
    let count = duration.as_nanos().div_ceil(TICK.as_nanos());
    if count > Ticks::MAX as u128 {
        return Ticks::MAX;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "compared with the maximum above"
    )]
    {
        count as Ticks
    }
}

/// The first tick at which `duration` has passed since a moment within the tick `since`.
pub(crate) const fn after(since: Ticks, duration: Duration) -> Ticks {
    since.saturating_add(ticks(duration)).saturating_add(1)
}

/// Copies have the same start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// The current tick.
    pub(crate) fn now(&self) -> Ticks {
        let passed = self.started.elapsed().as_millis() / TICK.as_millis();
        Ticks::try_from(passed).unwrap_or(Ticks::MAX)
    }

    /// The first tick at which the wall clock has reached `time`; a past one if it has already.
    pub(crate) fn at(&self, time: Timestamp) -> Ticks {
        let ahead_ms = time
            .as_millis()
            .saturating_sub(Timestamp::now().as_millis());
        ticks(self.started.elapsed() + Duration::from_millis(ahead_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_rounded_up_to_a_tick_and_never_comes_early() {
        assert_eq!(ticks(Duration::from_secs(1)), 20);
        assert_eq!(ticks(Duration::from_millis(1_001)), 21);
        // The moment may have been at the very end of its tick.
        assert_eq!(after(100, Duration::from_secs(5)), 201);
        assert_eq!(after(Ticks::MAX, Duration::from_secs(5)), Ticks::MAX);
    }
}
