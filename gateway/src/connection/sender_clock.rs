//! What a connection's client message ids reveal about its client's clock.

use std::sync::atomic::{AtomicU8, Ordering};

/// One byte per connection.
#[derive(Debug, Default)]
pub(crate) struct SenderClock(AtomicU8);

/// What is known of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockState {
    /// No new id with a recent time has come yet.
    Unknown,
    /// One has.
    Plausible,
    /// An id was made in the future.
    Ahead,
}

impl SenderClock {
    const UNKNOWN: u8 = 0;
    const PLAUSIBLE: u8 = 1;
    const AHEAD: u8 = 2;

    /// A new id with a recent time was seen.
    pub(crate) fn mark_plausible(&self) {
        let (from, to) = (Self::UNKNOWN, Self::PLAUSIBLE);
        // One that was ahead stays so.
        let _ = self
            .0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    /// An id from the future was seen.
    pub(crate) fn mark_ahead(&self) {
        self.0.store(Self::AHEAD, Ordering::Release);
    }

    pub(crate) fn state(&self) -> ClockState {
        match self.0.load(Ordering::Acquire) {
            Self::PLAUSIBLE => ClockState::Plausible,
            Self::AHEAD => ClockState::Ahead,
            _ => ClockState::Unknown,
        }
    }
}
