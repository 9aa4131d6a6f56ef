//! The history of a partition's checkpoint: which position had been written at which time.
//!
//! A store that lost its last minutes needs what was written in them again. Events are older
//! than the minute they were written in, by as much as ingest was behind: so positions are remembered by
//! the time of the write.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

/// Positions remembered: five hours of them when one is kept every half a minute.
const CACHE_CAPACITY: usize = 600;

/// A partition's positions, by the time they were reached.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Reached>);

#[derive(Debug, Default)]
struct Reached {
    /// The last position of all.
    last: u64,
    /// Some of the positions, each with the time at which everything up to it was written.
    at: VecDeque<(Instant, u64)>,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, Reached> {
        self.0.lock()
    }

    /// The partition is written by this process from `position` on.
    pub(crate) fn begin(&self, position: u64) {
        *self.lock() = Reached {
            last: position,
            at: VecDeque::from([(Instant::now(), position)]),
        };
    }

    /// Everything up to `position` is written; remembered if the last one was `every` ago.
    pub(crate) fn reach(&self, position: u64, every: Duration) {
        let mut reached = self.lock();
        reached.last = reached.last.max(position);
        let is_due = reached
            .at
            .back()
            .is_none_or(|(at, _)| at.elapsed() >= every);
        if is_due {
            if reached.at.len() == CACHE_CAPACITY {
                reached.at.pop_front();
            }
            reached.at.push_back((Instant::now(), position));
        }
    }

    /// The last position reached.
    pub(crate) fn last(&self) -> u64 {
        self.lock().last
    }

    /// A position that had been reached at `time`; `None` when this process did not write it then.
    pub(crate) fn at(&self, time: Instant) -> Option<u64> {
        let reached = self.lock();
        let mut before = reached.at.iter().rev().filter(|(at, _)| *at <= time);
        before.next().map(|(_, position)| *position)
    }

    /// The position from which this process has written the partition.
    pub(crate) fn first(&self) -> Option<u64> {
        self.lock().at.front().map(|(_, position)| *position)
    }
}
