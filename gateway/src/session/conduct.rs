//! What one connection has lately done too much of.
//!
//! Most connections do too much of nothing, so a [`Session`](super::Session) has this only while any of
//! it still counts.

use std::collections::VecDeque;
use std::time::Duration;

use roomcast_protocol::limits::{
    BAD_FRAMES_MAX, BAD_FRAMES_WINDOW, RATE_REFUSALS_MAX, RATE_REFUSALS_WINDOW,
};
use roomcast_protocol::{Close, Code};

use crate::clock::{Ticks, after};

#[derive(Debug, Default)]
pub(crate) struct Conduct {
    bad_frames: Recent,
    rate_refusals: Recent,
}

impl Conduct {
    /// Counts a refusal; the close that it brings, if it is one too many.
    pub(crate) fn refused(&mut self, code: Code, now: Ticks) -> Option<Close> {
        match code {
            Code::BadFrame => {
                let count = self.bad_frames.count(now, BAD_FRAMES_WINDOW);
                (count >= BAD_FRAMES_MAX).then_some(Close::BadFrames)
            }
            Code::RateLimited => {
                let count = self.rate_refusals.count(now, RATE_REFUSALS_WINDOW);
                (count >= RATE_REFUSALS_MAX).then_some(Close::FarOverRate)
            }
            _ => None,
        }
    }

    /// Whether nothing of it counts any more.
    pub(crate) fn is_forgotten(&mut self, now: Ticks) -> bool {
        self.bad_frames.is_over(now, BAD_FRAMES_WINDOW)
            && self.rate_refusals.is_over(now, RATE_REFUSALS_WINDOW)
    }
}

/// When something happened within the last span of time. Bounded by the count that closes.
#[derive(Debug, Default)]
struct Recent(VecDeque<Ticks>);

impl Recent {
    /// Counts one at `now`; how many there are within `span` with it.
    fn count(&mut self, now: Ticks, span: Duration) -> u32 {
        self.forget(now, span);
        self.0.push_back(now);
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn is_over(&mut self, now: Ticks, span: Duration) -> bool {
        self.forget(now, span);
        self.0.is_empty()
    }

    fn forget(&mut self, now: Ticks, span: Duration) {
        while self.0.front().is_some_and(|&at| now >= after(at, span)) {
            self.0.pop_front();
        }
    }
}
