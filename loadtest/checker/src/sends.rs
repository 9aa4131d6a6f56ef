//! The logical sends of a room: attempts and responses by sender and `clientMsgId`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use roomcast_protocol::ErrorCode;

use crate::history::event::{EventKind, View};
use crate::history::recording::{Answer, Response, Tried};
use crate::room::Room;

/// All sends in a room.
pub(crate) struct Sends {
    pub(crate) said: Vec<LogicalSend>,
    by_name: HashMap<(u32, u64), usize>,
    /// For commands that are no messages, the numbers of equal sends.
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
    /// Numbers of its tries, in the order of their time.
    pub(crate) tries: Vec<usize>,
    /// Numbers of its answers.
    pub(crate) answers: Vec<usize>,
    /// Its place, when its event was seen or its `ACK` names one that counts.
    pub(crate) seq: Option<u64>,
}

/// Events without a `clientMsgId` are known by what they do: who, what, to which message, with what.
type SendKey = (u32, EventKind, u64, u64);

impl Sends {
    /// Collects the sends in `room` from attempts and responses, and the responses that match no attempt.
    pub(crate) fn gather<'a>(room: &Room<'a>) -> (Self, Vec<&'a Answer>) {
        let mut speech = Self {
            said: Vec::new(),
            by_name: HashMap::new(),
            by_meaning: HashMap::new(),
        };
        let mut unmatched = Vec::new();
        let mut tries: Vec<usize> = (0..room.tries.len()).collect();
        tries.sort_by_key(|number| room.tries[*number].at_us);
        for number in tries {
            let tried = &room.tries[number];
            let user = room.user(tried.connection);
            match speech.by_name.entry((user, tried.client)) {
                Entry::Occupied(known) => speech.said[*known.get()].tries.push(number),
                Entry::Vacant(new) => {
                    new.insert(speech.said.len());
                    speech.said.push(LogicalSend::first(user, tried, number));
                }
            }
        }
        for (number, answer) in room.answers.iter().enumerate() {
            let name = (room.user(answer.connection), answer.client);
            match speech.by_name.get(&name) {
                Some(said) => speech.said[*said].answers.push(number),
                None => unmatched.push(answer),
            }
        }
        for (number, said) in speech.said.iter().enumerate() {
            if said.kind != EventKind::Message {
                let alike = speech.by_meaning.entry(said.meaning()).or_default();
                alike.push(number);
            }
        }
        (speech, unmatched)
    }

    /// Whether a client asked to delete this message, and was not refused.
    pub(crate) fn deletes(&self, room: &Room<'_>, message: u64) -> bool {
        let mut said = self.said.iter();
        said.any(|said| {
            (said.kind, said.message) == (EventKind::MessageDeleted, message)
                && !said.all_refused(room)
        })
    }

    /// Whether a client asked for this content, and how: nothing if none did, otherwise whether
    /// that may be so without its event having been seen.
    pub(crate) fn edits(&self, room: &Room<'_>, message: u64, content: u64) -> Option<bool> {
        let meaning = |said: &&LogicalSend| {
            (said.kind, said.message, said.content) == (EventKind::MessageEdited, message, content)
        };
        let unseen = |said: &LogicalSend| said.seq.is_none() && !said.all_refused(room);
        self.said.iter().filter(meaning).map(unseen).max()
    }

    /// The send of this event, if it can be determined.
    pub(crate) fn match_send(&self, room: &Room<'_>, shown: &View) -> Option<usize> {
        if shown.kind == EventKind::Message {
            let said = self.by_name.get(&(shown.sender, shown.client)).copied();
            return said.filter(|said| self.said[*said].kind == EventKind::Message);
        }
        if shown.deleted {
            // An edit that lost its content: any edit of that message by its sender may be it.
            let key = (shown.sender, shown.kind, shown.subject);
            let mut said = self.said.iter();
            return said.position(|said| (said.user, said.kind, said.message) == key);
        }
        let meaning = (shown.sender, shown.kind, shown.subject, shown.content);
        let said = self.by_meaning.get(&meaning)?.iter().copied();
        // The one whose ACK names the place; or one without a place of its own, the likeliest first; or one
        // that has its place, which makes this one too many.
        said.max_by_key(|number| {
            let said = &self.said[*number];
            let acked = said.acked(room).map(|(_, _, seq)| seq);
            let open = said.seq.is_none();
            let refused = said.all_refused(room);
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
    pub(crate) fn equal_sends(&self, said: &LogicalSend) -> usize {
        self.by_meaning.get(&said.meaning()).map_or(1, Vec::len)
    }
}

impl LogicalSend {
    fn first(user: u32, tried: &Tried, number: usize) -> Self {
        Self {
            user,
            kind: tried.kind,
            client: tried.client,
            message: tried.message,
            content: tried.content,
            tries: vec![number],
            answers: Vec::new(),
            seq: None,
        }
    }

    /// Whether every try was answered as not stored.
    pub(crate) fn all_refused(&self, room: &Room<'_>) -> bool {
        let refused = |answer: &usize| match room.answers[*answer].says {
            Response::Refused(code) => {
                !matches!(code, ErrorCode::Unconfirmed | ErrorCode::Internal)
            }
            Response::Acked { .. } => false,
        };
        self.answers.len() >= self.tries.len() && self.answers.iter().all(refused)
    }

    fn meaning(&self) -> SendKey {
        (self.user, self.kind, self.message, self.content)
    }

    /// The earliest `ACK`: its number, message and seq. Of what only confirms that something is so already
    /// (deleting again, for example) the seq is another event's, so it is no evidence.
    pub(crate) fn acked(&self, room: &Room<'_>) -> Option<(usize, u64, u64)> {
        let acks = self.answers.iter().filter_map(|number| {
            let answer = &room.answers[*number];
            match answer.says {
                Response::Acked {
                    message,
                    seq,
                    duplicate,
                } if self.kind == EventKind::Message || !duplicate => {
                    Some((answer.at_us, *number, message, seq))
                }
                _ => None,
            }
        });
        let (_, number, message, seq) = acks.min()?;
        Some((number, message, seq))
    }
}
