//! The append queue: what is in flight and in which order; without I/O and without a clock.
//!
//! One event of a room is in flight at a time: no later append can overtake one that was lost with a dead
//! leader and is retried. Rooms do not wait for each other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use roomcast_ports::back_off::BackOff;
use roomcast_ports::event_log::{Appended, LogError};
use roomcast_protocol::{EventId, MessageId, RoomId, Seq, Timestamp, UserId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::reader::seq;

/// How long an attempt may go without an answer before the next.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one waits whose stream takes no events yet.
const GATE_RETRY_DELAY: Duration = Duration::from_millis(20);
/// How long finding out why one was refused may take before it is simply tried again.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Delays after a refusal that may be over soon.
const REFUSED_AFTER: Duration = Duration::from_millis(5);
const REFUSED_MAX: Duration = Duration::from_millis(250);

/// An event to be stored, and who waits for its seq.
#[derive(Debug)]
pub(crate) struct QueuedAppend {
    pub(crate) room_id: RoomId,
    pub(crate) sender_id: UserId,
    pub(crate) event_id: EventId,
    pub(crate) sent_at: Timestamp,
    pub(crate) message_id: Option<MessageId>,
    pub(crate) body: Bytes,
    /// The head that the caller expects.
    pub(crate) expected_head: Option<Seq>,
    /// The head that the stream is asked to expect: another one once it has forgotten the caller's.
    pub(crate) asked_head: Option<u64>,
    pub(crate) asked: Instant,
    pub(crate) answer: oneshot::Sender<Result<Appended, LogError>>,
    /// Times it was sent.
    pub(crate) attempts: u32,
    /// Attempts that were certainly not stored.
    refused: u32,
    /// The partition's last seq that was known when it was sent first: it is stored behind that.
    pub(crate) floor: u64,
    /// Where it was stored in a stream that was restored from an older copy, and goes with it.
    pub(crate) void: Option<u64>,
    /// The stream knows the id from there: it is sent under another one.
    pub(crate) is_renamed: bool,
    /// Its seq and `prev`, if the live event arrived before the stream's ack.
    pub(crate) heard: Option<(u64, u64)>,
    /// When it is sent again.
    again_at: Instant,
}

impl QueuedAppend {
    /// Nothing has been sent yet.
    pub(crate) fn new(
        event: &roomcast_protocol::RoomEvent,
        body: Bytes,
        expected_head: Option<Seq>,
        answer: oneshot::Sender<Result<Appended, LogError>>,
        now: Instant,
    ) -> Self {
        Self {
            room_id: event.room_id.clone(),
            sender_id: event.sender_id.clone(),
            event_id: event.id.clone(),
            sent_at: event.sent_at,
            message_id: event.message_id(),
            body,
            expected_head,
            asked_head: expected_head.map(Seq::get),
            asked: now,
            answer,
            attempts: 0,
            refused: 0,
            floor: 0,
            void: None,
            is_renamed: false,
            heard: None,
            again_at: now,
        }
    }

    /// Attempts that may have been stored.
    pub(crate) const fn unanswered_attempts(&self) -> u32 {
        self.attempts.saturating_sub(self.refused)
    }

    /// Completes the append. The caller may have gone.
    pub(crate) fn stored(self, place: u64, prev: u64) {
        let _ = self.answer.send(Ok(Appended {
            seq: seq(place),
            prev: seq(prev),
            sent_at: self.sent_at,
            message_id: self.message_id,
            duplicate: false,
        }));
    }

    /// Fails the append: `Unavailable` if it was certainly not stored, else `Unconfirmed`.
    pub(crate) fn fail(self, now: Instant, why: &'static str) {
        if let Some((place, prev)) = self.heard {
            return self.stored(place, prev);
        }
        let error = if self.unanswered_attempts() > 0 {
            LogError::Unconfirmed(now.saturating_duration_since(self.asked))
        } else {
            LogError::Unavailable(why.into())
        };
        // Who asked may have gone.
        let _ = self.answer.send(Err(error));
    }
}

/// One message to send.
#[derive(Debug)]
pub(crate) struct PublishAttempt {
    pub(crate) number: u64,
    pub(crate) room_id: RoomId,
    pub(crate) event_id: EventId,
    pub(crate) body: Bytes,
    pub(crate) asked_head: Option<u64>,
    pub(crate) is_renamed: bool,
    pub(crate) attempt: u32,
}

/// Everything that waits.
#[derive(Debug)]
pub(crate) struct Queue {
    rooms: HashMap<RoomId, VecDeque<(u64, QueuedAppend)>>,
    /// By number, which is the order of the calls.
    by_number: BTreeMap<u64, RoomId>,
    ready: VecDeque<u64>,
    again: BinaryHeap<Reverse<(Instant, u64)>>,
    next: u64,
    bytes: usize,
    /// The delays of all events that were refused, each by its own count.
    back_off: BackOff,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            rooms: HashMap::new(),
            by_number: BTreeMap::new(),
            ready: VecDeque::new(),
            again: BinaryHeap::new(),
            next: 0,
            bytes: 0,
            back_off: BackOff::new(REFUSED_AFTER, REFUSED_MAX),
        }
    }
}

impl Queue {
    /// Events that wait.
    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Bytes of them.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes an event; it is sent after all those taken before it for its room.
    pub(crate) fn push(&mut self, waiting: QueuedAppend) {
        let number = self.next;
        self.next += 1;
        self.bytes += waiting.body.len();
        self.by_number.insert(number, waiting.room_id.clone());
        let room = self.rooms.entry(waiting.room_id.clone()).or_default();
        room.push_back((number, waiting));
        if room.len() == 1 {
            self.ready.push_back(number);
        }
    }

    /// The next to send; its answer is expected from now on. `gate` gives the last seq known of the room's
    /// partition, or nothing while its stream takes no events: then the room's turn comes again a little later.
    pub(crate) fn next_to_send(
        &mut self,
        now: Instant,
        gate: impl Fn(&RoomId) -> Option<u64>,
    ) -> Option<PublishAttempt> {
        loop {
            let number = self.ready.pop_front()?;
            let Some(waiting) = self.front(number) else {
                continue;
            };
            let Some(floor) = gate(&waiting.room_id) else {
                self.send_again(number, now + GATE_RETRY_DELAY);
                continue;
            };
            if waiting.attempts == 0 {
                waiting.floor = floor;
            }
            waiting.attempts += 1;
            let again_at = now + ATTEMPT_TIMEOUT;
            waiting.again_at = again_at;
            let sending = PublishAttempt {
                number,
                room_id: waiting.room_id.clone(),
                event_id: waiting.event_id.clone(),
                body: waiting.body.clone(),
                asked_head: waiting.asked_head,
                is_renamed: waiting.is_renamed,
                attempt: waiting.attempts,
            };
            self.again.push(Reverse((again_at, number)));
            return Some(sending);
        }
    }

    /// Whether something can be sent.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// What was not answered by `now` becomes ready again; how many.
    pub(crate) fn requeue_expired(&mut self, now: Instant) -> u64 {
        let mut woken = 0;
        while let Some(Reverse((at, number))) = self.again.peek().copied() {
            if at > now {
                break;
            }
            self.again.pop();
            if self
                .front(number)
                .is_some_and(|waiting| waiting.again_at == at)
            {
                self.ready.push_back(number);
                woken += 1;
            }
        }
        woken
    }

    /// What is on its way may be lost: everything sent is sent again, as soon as it can be.
    pub(crate) fn requeue_all(&mut self) {
        let mut numbers: BTreeSet<u64> = self.ready.drain(..).collect();
        numbers.extend(self.again.drain().map(|Reverse((_, number))| number));
        numbers.retain(|number| self.front(*number).is_some());
        self.ready.extend(numbers);
    }

    /// The stream did not take this attempt, and something has to be found out before the next.
    pub(crate) fn rejected_pending_lookup(&mut self, number: u64, now: Instant) {
        if let Some(waiting) = self.front(number) {
            waiting.refused += 1;
            self.send_again(number, now + LOOKUP_TIMEOUT);
        }
    }

    /// The stream did not take this attempt, and may take the next one soon.
    pub(crate) fn rejected_retryable(&mut self, number: u64, now: Instant) {
        if let Some(waiting) = self.front(number) {
            let before = waiting.refused;
            waiting.refused += 1;
            let delay = self.back_off.delay_after(before);
            self.send_again(number, now + delay);
        }
    }

    /// Sends it again at `at`, and not before.
    pub(crate) fn send_again(&mut self, number: u64, at: Instant) {
        if let Some(waiting) = self.front(number) {
            waiting.again_at = at;
            self.again.push(Reverse((at, number)));
        }
    }

    /// It was stored at a seq that was given before: that event goes with its stream, and this one is sent again
    /// once there is a new incarnation. Until then it may have been stored.
    pub(crate) fn void(&mut self, number: u64, place: u64, now: Instant) {
        if let Some(waiting) = self.front(number) {
            waiting.void = Some(place);
            waiting.heard = None;
            self.send_again(number, now + GATE_RETRY_DELAY);
        }
    }

    /// Asks the stream for another head from now on.
    pub(crate) fn set_expected_seq(&mut self, number: u64, head: u64) {
        if let Some(waiting) = self.front(number) {
            waiting.asked_head = Some(head);
        }
    }

    /// It has been answered, or is given up: the room's next one may go.
    pub(crate) fn take(&mut self, number: u64) -> Option<QueuedAppend> {
        self.front(number)?;
        let room_id = self.by_number.remove(&number)?;
        let room = self.rooms.get_mut(&room_id)?;
        let (_, waiting) = room.pop_front()?;
        match room.front() {
            Some((next, _)) => self.ready.push_back(*next),
            None => {
                self.rooms.remove(&room_id);
            }
        }
        self.bytes -= waiting.body.len();
        Some(waiting)
    }

    /// The oldest, if it was taken before `before`, or however young it is, and behind it all that its
    /// sender has put into its room since: stored, those would come before a resend of the first.
    pub(crate) fn evict_oldest(&mut self, before: Option<Instant>) -> Vec<QueuedAppend> {
        let Some((&number, _)) = self.by_number.first_key_value() else {
            return Vec::new();
        };
        let is_young =
            |oldest: &mut QueuedAppend| before.is_some_and(|before| oldest.asked > before);
        if self.front(number).is_none_or(is_young) {
            return Vec::new();
        }
        let mut taken: Vec<QueuedAppend> = self.take(number).into_iter().collect();
        // A live event proves that it is stored; the ack follows.
        if let Some(oldest) = taken.first().filter(|oldest| oldest.heard.is_none()) {
            let (room_id, sender_id) = (oldest.room_id.clone(), oldest.sender_id.clone());
            taken.extend(self.take_all_of(&room_id, &sender_id));
        }
        taken
    }

    /// Everything of this sender that waits in the room. Of none of it has an attempt been made, unless
    /// it is the room's first.
    fn take_all_of(&mut self, room_id: &RoomId, sender_id: &UserId) -> Vec<QueuedAppend> {
        let Some(room) = self.rooms.get_mut(room_id) else {
            return Vec::new();
        };
        let first = room.front().map(|(number, _)| *number);
        let (taken, left): (VecDeque<_>, VecDeque<_>) = std::mem::take(room)
            .into_iter()
            .partition(|(_, waiting)| waiting.sender_id == *sender_id);
        *room = left;
        match room.front() {
            Some((next, _)) if Some(*next) != first => self.ready.push_back(*next),
            Some(_) => {}
            None => {
                self.rooms.remove(room_id);
            }
        }
        for (number, waiting) in &taken {
            self.by_number.remove(number);
            self.bytes -= waiting.body.len();
        }
        taken.into_iter().map(|(_, waiting)| waiting).collect()
    }

    /// Records the live event; returns whether its append still waits for the ack.
    pub(crate) fn heard(
        &mut self,
        room_id: &RoomId,
        event_id: &EventId,
        place: u64,
        prev: u64,
    ) -> bool {
        let front = self.rooms.get_mut(room_id).and_then(VecDeque::front_mut);
        match front {
            Some((_, waiting)) if waiting.event_id == *event_id => {
                waiting.heard = Some((place, prev));
                true
            }
            _ => false,
        }
    }

    /// What it is about, for who has to look something up before answering.
    pub(crate) fn front(&mut self, number: u64) -> Option<&mut QueuedAppend> {
        let room_id = self.by_number.get(&number)?;
        match self.rooms.get_mut(room_id)?.front_mut() {
            Some((front, waiting)) if *front == number => Some(waiting),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
