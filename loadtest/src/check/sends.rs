//! Matches sends with events: each acknowledged send is in the room once, unchanged, at the seq of its
//! `ACK`, and the room holds nothing else.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use roomcast_protocol::ErrorCode;

use super::explain::{short, time, who};
use super::findings::Findings;
use super::result::{Checked, ViolationKind};
use super::room::Room;
use super::send_order;
use super::total_order::{OrderedEvent, TotalOrder};
use crate::history::Disconnect;
use crate::history::event::{EventKind, View};
use crate::history::recording::{Response, Tried};

/// All sends in a room.
pub(super) struct Sends {
    pub(super) said: Vec<LogicalSend>,
    by_name: HashMap<(u32, u64), usize>,
    /// For commands that are no messages, the numbers of equal sends.
    by_meaning: HashMap<SendKey, Vec<usize>>,
}

/// One logical send, in one or more attempts.
#[derive(Debug)]
pub(super) struct LogicalSend {
    pub(super) user: u32,
    pub(super) kind: EventKind,
    pub(super) client: u64,
    pub(super) message: u64,
    pub(super) content: u64,
    /// Numbers of its tries, in the order of their time.
    pub(super) tries: Vec<usize>,
    /// Numbers of its answers.
    pub(super) answers: Vec<usize>,
    /// Its place, when its event was seen or its `ACK` names one that counts.
    pub(super) seq: Option<u64>,
}

/// Events without a `clientMsgId` are known by what they do: who, what, to which message, with what.
type SendKey = (u32, EventKind, u64, u64);

/// A try that has waited this long has been forgotten, in microseconds; the fleet answers within ten seconds.
const REPLY_TIMEOUT_US: u64 = 15_000_000;

impl Sends {
    /// Collects and checks the sends in `room`. Seqs known only from an `ACK` are added to `order`.
    pub(super) fn of(
        room: &Room<'_>,
        order: &mut TotalOrder,
        checked: &mut Checked,
        findings: &mut Findings,
    ) -> Self {
        let mut speech = Self::gather(room, findings);
        speech.place(room, order, findings);
        order.add(speech.unseen(room, order));
        for said in 0..speech.said.len() {
            speech.check_answers(room, order, said, findings);
            speech.check_refusal(room, order, said, findings);
        }
        send_order::check(room, order, &speech, findings);
        check_unanswered(room, findings);
        speech.count(room, checked);
        speech
    }

    /// Whether a client asked to delete this message, and was not refused.
    pub(super) fn deletes(&self, room: &Room<'_>, message: u64) -> bool {
        let mut said = self.said.iter();
        said.any(|said| {
            (said.kind, said.message) == (EventKind::MessageDeleted, message)
                && !said.all_refused(room)
        })
    }

    /// Whether a client asked for this content, and how: nothing if none did, otherwise whether
    /// that may be so without its event having been seen.
    pub(super) fn edits(&self, room: &Room<'_>, message: u64, content: u64) -> Option<bool> {
        let meaning = |said: &&LogicalSend| {
            (said.kind, said.message, said.content) == (EventKind::MessageEdited, message, content)
        };
        let unseen = |said: &LogicalSend| said.seq.is_none() && !said.all_refused(room);
        self.said.iter().filter(meaning).map(unseen).max()
    }

    fn gather(room: &Room<'_>, findings: &mut Findings) -> Self {
        let mut speech = Self {
            said: Vec::new(),
            by_name: HashMap::new(),
            by_meaning: HashMap::new(),
        };
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
                None => {
                    let kind = ViolationKind::Invented;
                    findings.add(kind, room.name(), 0, answer.at_us, || {
                        let (at, who) =
                            (time(answer.at_us), who(room.recording, answer.connection));
                        let client = short(answer.client);
                        vec![format!("{at}: {who} was answered for {client}, never sent")]
                    });
                }
            }
        }
        for (number, said) in speech.said.iter().enumerate() {
            if said.kind != EventKind::Message {
                let alike = speech.by_meaning.entry(said.meaning()).or_default();
                alike.push(number);
            }
        }
        speech
    }

    /// Finds the send of every observed event.
    fn place(&mut self, room: &Room<'_>, order: &mut TotalOrder, findings: &mut Findings) {
        for place in &mut order.places {
            let Some(shown) = place.view.map(|view| *room.view(view)) else {
                continue;
            };
            if !shown.kind.is_speech() {
                continue;
            }
            let found = self.match_send(room, &shown);
            let at_us = place.known_us;
            let Some(said) = found else {
                place.doubtful = true;
                findings.add(
                    ViolationKind::Invented,
                    room.name(),
                    place.seq,
                    at_us,
                    || {
                        let told = place.view.map(|view| room.tell_sighting(view));
                        told.into_iter()
                            .chain(["expected: no event that no client of the run sent".to_owned()])
                            .collect()
                    },
                );
                continue;
            };
            place.said = Some(said);
            if shown.deleted && shown.kind != EventKind::Message {
                continue;
            }
            self.check_seq(room, place, said, findings);
        }
    }

    /// The send of this event, if it can be determined.
    fn match_send(&self, room: &Room<'_>, shown: &View) -> Option<usize> {
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

    /// Compares an event with its send: once, and with the same content.
    fn check_seq(
        &mut self,
        room: &Room<'_>,
        place: &mut OrderedEvent,
        number: usize,
        findings: &mut Findings,
    ) {
        let said = &mut self.said[number];
        let shown = place.view.map(|view| *room.view(view));
        let Some(shown) = shown else { return };
        if let Some(first) = said.seq {
            place.doubtful = true;
            let kind = ViolationKind::StoredTwice;
            findings.add(kind, room.name(), place.seq, place.known_us, || {
                let mut lines = self.tell(room, number);
                lines.extend(place.view.map(|view| room.tell_sighting(view)));
                lines.push(format!("expected: only the first, at seq {first}"));
                lines
            });
            return;
        }
        said.seq = Some(place.seq);
        let is_message = shown.kind == EventKind::Message && !place.state_only;
        if is_message && !shown.deleted && shown.content != said.content {
            let content = short(said.content);
            let kind = ViolationKind::ContentChanged;
            findings.add(kind, room.name(), place.seq, place.known_us, || {
                let mut lines = self.tell(room, number);
                lines.extend(place.view.map(|view| room.tell_sighting(view)));
                lines.push(format!("expected: content {content}, as it was sent"));
                lines
            });
        } else if is_message && shown.deleted && !self.deletes(room, shown.subject) {
            let kind = ViolationKind::ContentChanged;
            findings.add(kind, room.name(), place.seq, place.known_us, || {
                let mut lines = self.tell(room, number);
                lines.extend(place.view.map(|view| room.tell_sighting(view)));
                lines.push("expected: its content, since nobody deleted it".to_owned());
                lines
            });
        }
    }

    /// The acknowledged seqs without an observation.
    fn unseen(&mut self, room: &Room<'_>, order: &TotalOrder) -> Vec<OrderedEvent> {
        let mut unseen = Vec::new();
        for (number, said) in self.said.iter_mut().enumerate() {
            let Some((answer, _, seq)) = said.acked(room) else {
                continue;
            };
            if said.seq.is_none() && order.find(seq).is_none() {
                said.seq = Some(seq);
                unseen.push(OrderedEvent {
                    seq,
                    view: None,
                    state_only: false,
                    known_us: room.answers[answer].at_us,
                    said: Some(number),
                    doubtful: false,
                });
            }
        }
        unseen
    }

    /// Holds the answers against each other and against the event.
    fn check_answers(
        &self,
        room: &Room<'_>,
        order: &mut TotalOrder,
        number: usize,
        findings: &mut Findings,
    ) {
        let said = &self.said[number];
        let Some((first, message, seq)) = said.acked(room) else {
            return;
        };
        let at_us = room.answers[first].at_us;
        if let Some(place) = said.seq.and_then(|seq| order.find(seq)) {
            let place = &mut order.places[place];
            place.known_us = place.known_us.min(at_us);
        }
        let mut found = |kind, at_us, expected: String| {
            findings.add(kind, room.name(), seq, at_us, || {
                let mut lines = self.tell(room, number);
                let place = said.seq.and_then(|seq| order.find(seq));
                let view = place.and_then(|place| order.places[place].view);
                lines.extend(view.map(|view| room.tell_sighting(view)));
                lines.push(expected);
                lines
            });
        };
        let mut news = 0;
        for answer in said.answers.iter().map(|answer| &room.answers[*answer]) {
            let Response::Acked {
                message: its_message,
                seq: its_seq,
                duplicate,
            } = answer.says
            else {
                continue;
            };
            news += u32::from(!duplicate);
            if (its_message, its_seq) != (message, seq) {
                let expected = "expected: seq and message of the first answer".to_owned();
                found(ViolationKind::DuplicateDiffers, answer.at_us, expected);
            } else if !duplicate && news == 2 {
                let expected = "expected: duplicate true from the second on".to_owned();
                found(ViolationKind::NotCalledDuplicate, answer.at_us, expected);
            }
        }
        let place = order.find(seq).map(|place| &order.places[place]);
        let shown = place
            .and_then(|place| place.view)
            .map(|view| room.view(view));
        if said.kind == EventKind::Message || news > 0 {
            let at_its_place =
                shown.is_none_or(|shown| shown.kind == said.kind && shown.subject == message);
            if said.seq.is_some_and(|its_seq| its_seq != seq) || !at_its_place {
                let expected =
                    "expected: the ACK to name the event's own seq and message".to_owned();
                found(ViolationKind::AcknowledgedOtherwise, at_us, expected);
            }
        }
    }

    /// What was refused as not stored, in every try, must not be there.
    fn check_refusal(
        &self,
        room: &Room<'_>,
        order: &TotalOrder,
        number: usize,
        findings: &mut Findings,
    ) {
        let said = &self.said[number];
        let Some(seq) = said.seq else { return };
        let alike = self.by_meaning.get(&said.meaning()).map_or(1, Vec::len);
        if said.all_refused(room) && alike == 1 {
            let at_us = order
                .find(seq)
                .map_or(0, |place| order.places[place].known_us);
            let kind = ViolationKind::RefusedButStored;
            findings.add(kind, room.name(), seq, at_us, || {
                let mut lines = match order.find(seq) {
                    Some(place) => room.tell_place(order, self, place),
                    None => self.tell(room, number),
                };
                lines.push("expected: not to be there".to_owned());
                lines
            });
        }
    }

    fn tell(&self, room: &Room<'_>, said: usize) -> Vec<String> {
        room.tell_said(self, said)
    }

    fn count(&self, room: &Room<'_>, checked: &mut Checked) {
        checked.sends += self.said.len() as u64;
        checked.resends += (room.tries.len() - self.said.len()) as u64;
        for said in &self.said {
            if said.acked(room).is_some() {
                checked.acknowledged += 1;
            } else if said.answers.len() >= said.tries.len() {
                checked.refused += 1;
            } else {
                checked.unconfirmed += 1;
            }
        }
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
    fn all_refused(&self, room: &Room<'_>) -> bool {
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
    pub(super) fn acked(&self, room: &Room<'_>) -> Option<(usize, u64, u64)> {
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

/// Whatever is asked is answered, where the connection lasts long enough.
fn check_unanswered(room: &Room<'_>, findings: &mut Findings) {
    let mut waiting: HashMap<(u32, u64), (usize, u64)> = HashMap::new();
    for tried in room.tries {
        let wait = waiting.entry((tried.connection, tried.client)).or_default();
        *wait = (wait.0 + 1, tried.at_us);
    }
    for answer in room.answers {
        if let Some(wait) = waiting.get_mut(&(answer.connection, answer.client)) {
            wait.0 = wait.0.saturating_sub(1);
        }
    }
    for ((connection, client), (open, at_us)) in waiting {
        let ended = room.recording.connections[connection as usize].ended;
        if let Some((ended_us, Disconnect::Finished)) = ended
            && open > 0
            && ended_us >= at_us + REPLY_TIMEOUT_US
        {
            findings.add(ViolationKind::Unanswered, room.name(), 0, at_us, || {
                let (who, client) = (who(room.recording, connection), short(client));
                vec![
                    format!("{}: {who} sent clientMsgId {client}", time(at_us)),
                    format!("{}: no answer had come, and the run ended", time(ended_us)),
                    "expected: ACK or ERROR".to_owned(),
                ]
            });
        }
    }
}
