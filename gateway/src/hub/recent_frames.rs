//! A ring of a room's last events as frames, for connections that subscribe or resume.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use roomcast_protocol::{EventBody, Seq, StoredEvent};

use crate::clock::{Seconds, after};

/// Frames kept at most; past it the oldest is evicted.
const FRAMES_MAX: usize = 64;
/// Bytes of frames kept at most; past it the oldest is evicted.
const BYTES_MAX: usize = 128 << 10;
/// How long without an event until the memory is given back.
const QUIET: Duration = Duration::from_secs(5);

/// Consecutive events, the newest last.
#[derive(Debug, Default)]
pub(super) struct RecentFrames {
    recent: VecDeque<RecentFrame>,
    bytes: usize,
    used_at: Seconds,
}

/// One event.
#[derive(Debug)]
pub(super) struct RecentFrame {
    pub(super) seq: Seq,
    /// Nothing is missing between this seq and the event. Not the event's own `prev`, which is zero
    /// when the log did not know it.
    follows: Seq,
    /// It deletes a message.
    pub(super) deletes: bool,
    pub(super) frame: Bytes,
}

impl RecentFrames {
    /// Keeps the frame of an event that follows the seq `follows` without a gap.
    pub(super) fn cache_frame(
        &mut self,
        event: &StoredEvent,
        follows: Seq,
        frame: Bytes,
        now: Seconds,
    ) {
        self.used_at = now;
        self.bytes += frame.len();
        self.recent.push_back(RecentFrame {
            seq: event.seq,
            follows,
            deletes: matches!(event.event.body, EventBody::MessageDeleted { .. }),
            frame,
        });
        while self.recent.len() > FRAMES_MAX || self.bytes > BYTES_MAX {
            let oldest = self.recent.pop_front().expect("the ring is over its bound");
            self.bytes -= oldest.frame.len();
        }
    }

    /// Every event after `place`; `None` when the ring does not reach back so far.
    pub(super) fn after(&self, place: Seq) -> Option<impl Iterator<Item = &RecentFrame> + Clone> {
        let start = self.recent.partition_point(|recent| recent.seq <= place);
        let first = self.recent.get(start)?;
        (first.follows <= place).then(|| self.recent.range(start..))
    }

    /// Gives back the memory when the room has been quiet.
    pub(super) fn evict_idle(&mut self, now: Seconds) {
        if now >= after(self.used_at, QUIET) && self.recent.capacity() > 0 {
            self.recent = VecDeque::new();
            self.bytes = 0;
        }
    }
}
