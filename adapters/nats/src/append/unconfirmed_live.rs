//! Stored events whose live copy has not arrived yet.
//!
//! It usually has before the ack. If it does not, subscribers may be missing it: a leader that steps
//! down does not publish again what it had stored.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use roomcast_protocol::RoomId;
use tokio::time::Instant;

use super::queue::QueuedAppend;

/// How long the seq before it is waited for before it is asked for.
const PREV_TIMEOUT: Duration = Duration::from_millis(20);
/// When a head hint is published for it.
const REPUBLISH_TIMEOUT: Duration = Duration::from_millis(250);

/// A seq in a partition.
type PartitionSeq = (u16, u64);

/// Something stored that was not seen.
#[derive(Debug)]
struct Stored {
    room_id: RoomId,
    /// The append that still waits for its `prev`.
    waiting: Option<QueuedAppend>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct AwaitingRepublish {
    stored: HashMap<PartitionSeq, Stored>,
    prev_due: VecDeque<(Instant, PartitionSeq)>,
    seen_due: VecDeque<(Instant, PartitionSeq)>,
}

impl AwaitingRepublish {
    /// It was stored at `place`; `waiting` is answered once it is seen.
    pub(crate) fn insert(
        &mut self,
        place: PartitionSeq,
        room_id: RoomId,
        waiting: Option<QueuedAppend>,
        now: Instant,
    ) {
        if waiting.is_some() {
            self.prev_due.push_back((now + PREV_TIMEOUT, place));
        }
        self.seen_due.push_back((now + REPUBLISH_TIMEOUT, place));
        self.stored.insert(place, Stored { room_id, waiting });
    }

    /// It was seen; who waits for it still.
    pub(crate) fn seen(&mut self, place: PartitionSeq) -> Option<QueuedAppend> {
        self.stored.remove(&place)?.waiting
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen_due.is_empty()
    }

    /// Whether no append waits for its result any more.
    pub(crate) fn is_answered(&self) -> bool {
        self.prev_due.is_empty()
    }

    /// The next whose waiter should not wait any longer.
    pub(crate) fn next_without_prev(&mut self, now: Instant) -> Option<(u64, QueuedAppend)> {
        while let Some(place) = pop_due(&mut self.prev_due, now) {
            let stored = self.stored.get_mut(&place);
            if let Some(waiting) = stored.and_then(|stored| stored.waiting.take()) {
                return Some((place.1, waiting));
            }
        }
        None
    }

    /// The next event that needs a head hint.
    pub(crate) fn next_head_hint(&mut self, now: Instant) -> Option<(RoomId, u64)> {
        while let Some(place) = pop_due(&mut self.seen_due, now) {
            if let Some(stored) = self.stored.remove(&place) {
                return Some((stored.room_id, place.1));
            }
        }
        None
    }
}

fn pop_due(queue: &mut VecDeque<(Instant, PartitionSeq)>, now: Instant) -> Option<PartitionSeq> {
    let (due, place) = *queue.front()?;
    if due > now {
        return None;
    }
    queue.pop_front();
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_gets_one_head_hint_when_not_republished_in_time() {
        let (mut unseen, now) = (AwaitingRepublish::default(), Instant::now());
        let rooms = [RoomId::generate(), RoomId::generate()];
        unseen.insert((3, 7), rooms[0].clone(), None, now);
        unseen.insert((3, 8), rooms[1].clone(), None, now);
        assert!(unseen.seen((3, 7)).is_none());
        assert!(unseen.next_head_hint(now).is_none());
        let late = now + REPUBLISH_TIMEOUT;
        assert_eq!(unseen.next_head_hint(late), Some((rooms[1].clone(), 8)));
        assert!(unseen.next_head_hint(late).is_none());
        assert!(unseen.is_empty());
    }
}
