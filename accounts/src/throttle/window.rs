//! A one-minute window that counts attempts of one kind.

use std::time::Duration;

use roomcast_protocol::Timestamp;
use roomcast_protocol::limits::THROTTLE_WINDOW;

/// What was counted since the window's first attempt that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    begun_at: Timestamp,
    counted: u32,
    /// Attempts that are being judged.
    judging: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            begun_at: Timestamp::from_millis(0),
            counted: 0,
            judging: 0,
        }
    }
}

impl Window {
    /// How long every attempt is refused, when the limit is reached.
    pub(super) fn refused_for(&self, limit: u32, now: Timestamp) -> Option<Duration> {
        (self.current(now) >= limit).then(|| {
            let ends_at = self.begun_at.plus(THROTTLE_WINDOW).as_millis();
            Duration::from_millis(ends_at.saturating_sub(now.as_millis()).max(1))
        })
    }

    /// Whether the limit is reached if all that are being judged count.
    pub(super) fn may_reach(&self, limit: u32, now: Timestamp) -> bool {
        self.current(now) + self.judging >= limit
    }

    pub(super) fn begin(&mut self) {
        self.judging += 1;
    }

    pub(super) fn settle(&mut self, counts: bool, now: Timestamp) {
        self.judging = self.judging.saturating_sub(1);
        if !counts {
            return;
        }
        if self.current(now) == 0 {
            (self.begun_at, self.counted) = (now, 0);
        }
        self.counted += 1;
    }

    /// Nothing has been counted and nothing is being judged.
    pub(super) fn is_idle(&self) -> bool {
        self.counted == 0 && self.judging == 0
    }

    pub(super) fn is_judging(&self) -> bool {
        self.judging > 0
    }

    pub(super) fn is_needed(&self, now: Timestamp) -> bool {
        self.is_judging() || self.current(now) > 0
    }

    pub(super) fn begun_at(&self) -> Timestamp {
        self.begun_at
    }

    /// What counts at `now`: nothing once the minute is over, or when the clock was set back by more.
    fn current(&self, now: Timestamp) -> u32 {
        let set_back = self.begun_at > now.plus(THROTTLE_WINDOW);
        let is_over = now >= self.begun_at.plus(THROTTLE_WINDOW) || set_back;
        if is_over { 0 } else { self.counted }
    }
}
