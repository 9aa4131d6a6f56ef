//! The logical sends of a room: attempts and responses by sender and `clientMsgId`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use roomcast_protocol::ErrorCode;

use crate::history::event::{EventKind, View};
use crate::history::recording::{AttemptRecord, Response, ResponseRecord};
use crate::room::Room;

/// All sends in a room.
pub(crate) struct Sends {
    pub(crate) all: Vec<LogicalSend>,
    by_name: HashMap<(u32, u64), usize>,
    /// For operations on messages, the indices of equal sends.
    by_meaning: HashMap<SendKey, Vec<usize>>,
}

/// One logical send, in one or more attempts.
#[derive(Debug)]
pub(crate) struct LogicalSend {
    pub(crate) user: u32,
    pub(crate) kind: EventKind,
    pub(crate) client: u64,
    pub(crate) message: u64,
    pub(crate) content: u64,
    /// Indices of its attempts, in time order.
    pub(crate) attempts: Vec<usize>,
    /// Indices of its responses.
    pub(crate) responses: Vec<usize>,
    /// The seq of its event, from an observation or a conclusive `ACK`.
    pub(crate) seq: Option<u64>,
}

/// The key of an event without `clientMsgId`: user, kind, message, content.
type SendKey = (u32, EventKind, u64, u64);

impl Sends {
    /// Collects the sends in `room` from attempts and responses, and the responses that match no attempt.
    pub(crate) fn gather<'a>(room: &Room<'a>) -> (Self, Vec<&'a ResponseRecord>) {
        let mut sends = Self {
            all: Vec::new(),
            by_name: HashMap::new(),
            by_meaning: HashMap::new(),
        };
        let mut unmatched = Vec::new();
        let mut attempts: Vec<usize> = (0..room.attempts.len()).collect();
        attempts.sort_by_key(|number| room.attempts[*number].at_us);
        for number in attempts {
            let attempt = &room.attempts[number];
            let user = room.user(attempt.connection);
            match sends.by_name.entry((user, attempt.client)) {
                Entry::Occupied(known) => sends.all[*known.get()].attempts.push(number),
                Entry::Vacant(new) => {
                    new.insert(sends.all.len());
                    sends.all.push(LogicalSend::first(user, attempt, number));
                }
            }
        }
        for (number, response) in room.responses.iter().enumerate() {
            let name = (room.user(response.connection), response.client);
            match sends.by_name.get(&name) {
                Some(send) => sends.all[*send].responses.push(number),
                None => unmatched.push(response),
            }
        }
        for (number, send) in sends.all.iter().enumerate() {
            if send.kind != EventKind::Message {
                let alike = sends.by_meaning.entry(send.meaning()).or_default();
                alike.push(number);
            }
        }
        (sends, unmatched)
    }

    /// Whether a deletion of this message was sent and not refused.
    pub(crate) fn deletes(&self, room: &Room<'_>, message: u64) -> bool {
        let mut send = self.all.iter();
        send.any(|send| {
            (send.kind, send.message) == (EventKind::MessageDeleted, message)
                && !send.all_refused(room)
        })
    }

    /// Whether an edit to this content was sent: `None` if not, `Some(true)` if it may be stored without an
    /// observed event.
    pub(crate) fn edits(&self, room: &Room<'_>, message: u64, content: u64) -> Option<bool> {
        let meaning = |send: &&LogicalSend| {
            (send.kind, send.message, send.content) == (EventKind::MessageEdited, message, content)
        };
        let unseen = |send: &LogicalSend| send.seq.is_none() && !send.all_refused(room);
        self.all.iter().filter(meaning).map(unseen).max()
    }

    /// The send of this event, if it can be determined.
    pub(crate) fn match_send(&self, room: &Room<'_>, shown: &View) -> Option<usize> {
        if shown.kind == EventKind::Message {
            let send = self.by_name.get(&(shown.sender, shown.client)).copied();
            return send.filter(|send| self.all[*send].kind == EventKind::Message);
        }
        if shown.deleted {
            // A redacted edit: it matches any edit of that message by its sender.
            let key = (shown.sender, shown.kind, shown.subject);
            let mut send = self.all.iter();
            return send.position(|send| (send.user, send.kind, send.message) == key);
        }
        let meaning = (shown.sender, shown.kind, shown.subject, shown.content);
        let send = self.by_meaning.get(&meaning)?.iter().copied();
        // The one whose ACK names the place; or one without a place of its own, the likeliest first; or one
        // that has its place, which makes this one too many.
        send.max_by_key(|number| {
            let send = &self.all[*number];
            let acked = send.acked(room).map(|(_, _, seq)| seq);
            let open = send.seq.is_none();
            let refused = send.all_refused(room);
            let earliest = Reverse(*number);
            (
                acked == Some(shown.seq),
                open,
                acked.is_none() && !refused,
                !refused,
                earliest,
            )
        })
    }

    /// How many sends are equal to this one in sender, kind, message and content.
    pub(crate) fn equal_sends(&self, send: &LogicalSend) -> usize {
        self.by_meaning.get(&send.meaning()).map_or(1, Vec::len)
    }
}

impl LogicalSend {
    fn first(user: u32, attempt: &AttemptRecord, number: usize) -> Self {
        Self {
            user,
            kind: attempt.kind,
            client: attempt.client,
            message: attempt.message,
            content: attempt.content,
            attempts: vec![number],
            responses: Vec::new(),
            seq: None,
        }
    }

    /// Whether every attempt was refused as not stored.
    pub(crate) fn all_refused(&self, room: &Room<'_>) -> bool {
        let refused = |response: &usize| match room.responses[*response].outcome {
            Response::Refused(code) => {
                !matches!(code, ErrorCode::Unconfirmed | ErrorCode::Internal)
            }
            Response::Acked { .. } => false,
        };
        self.responses.len() >= self.attempts.len() && self.responses.iter().all(refused)
    }

    fn meaning(&self) -> SendKey {
        (self.user, self.kind, self.message, self.content)
    }

    /// The earliest `ACK`: its index, message and seq. A duplicate of an operation (a second deletion, for
    /// example) names another event's seq, so it is no evidence.
    pub(crate) fn acked(&self, room: &Room<'_>) -> Option<(usize, u64, u64)> {
        let acks = self.responses.iter().filter_map(|number| {
            let response = &room.responses[*number];
            match response.outcome {
                Response::Acked {
                    message,
                    seq,
                    duplicate,
                } if self.kind == EventKind::Message || !duplicate => {
                    Some((response.at_us, *number, message, seq))
                }
                _ => None,
            }
        });
        let (_, number, message, seq) = acks.min()?;
        Some((number, message, seq))
    }
}
