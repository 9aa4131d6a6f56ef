//! Matches sends with events: each acknowledged send is in the room once, unchanged, at the seq of its
//! `ACK`, and the room holds nothing else.

use std::collections::HashMap;

use crate::explain::{short, time, who};
use crate::findings::Findings;
use crate::history::Disconnect;
use crate::history::event::EventKind;
use crate::history::recording::Response;
use crate::result::{Checked, ViolationKind};
use crate::room::Room;
use crate::sends::Sends;
use crate::total_order::{OrderedEvent, TotalOrder};

/// A try that has waited this long has been forgotten, in microseconds; the fleet answers within ten seconds.
const REPLY_TIMEOUT_US: u64 = 15_000_000;

/// Collects and checks the sends in `room`. Seqs known only from an `ACK` are added to `order`.
pub(crate) fn check(
    room: &Room<'_>,
    order: &mut TotalOrder,
    checked: &mut Checked,
    findings: &mut Findings,
) -> Sends {
    let (mut speech, unmatched) = Sends::gather(room);
    for answer in unmatched {
        let kind = ViolationKind::Invented;
        findings.add(kind, room.name(), 0, answer.at_us, || {
            let (at, who) = (time(answer.at_us), who(room.recording, answer.connection));
            let client = short(answer.client);
            vec![format!("{at}: {who} was answered for {client}, never sent")]
        });
    }
    place(room, order, &mut speech, findings);
    order.add(unseen(room, order, &mut speech));
    for said in 0..speech.said.len() {
        check_answers(room, order, &speech, said, findings);
        check_refusal(room, order, &speech, said, findings);
    }
    check_unanswered(room, findings);
    count(room, &speech, checked);
    speech
}

/// Finds the send of every observed event.
fn place(room: &Room<'_>, order: &mut TotalOrder, speech: &mut Sends, findings: &mut Findings) {
    for place in &mut order.places {
        let Some(shown) = place.view.map(|view| *room.view(view)) else {
            continue;
        };
        if !shown.kind.is_speech() {
            continue;
        }
        let found = speech.match_send(room, &shown);
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
        check_seq(room, place, speech, said, findings);
    }
}

/// Compares an event with its send: once, and with the same content.
fn check_seq(
    room: &Room<'_>,
    place: &mut OrderedEvent,
    speech: &mut Sends,
    number: usize,
    findings: &mut Findings,
) {
    let said = &mut speech.said[number];
    let shown = place.view.map(|view| *room.view(view));
    let Some(shown) = shown else { return };
    if let Some(first) = said.seq {
        place.doubtful = true;
        let kind = ViolationKind::StoredTwice;
        findings.add(kind, room.name(), place.seq, place.known_us, || {
            let mut lines = room.tell_said(speech, number);
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
            let mut lines = room.tell_said(speech, number);
            lines.extend(place.view.map(|view| room.tell_sighting(view)));
            lines.push(format!("expected: content {content}, as it was sent"));
            lines
        });
    } else if is_message && shown.deleted && !speech.deletes(room, shown.subject) {
        let kind = ViolationKind::ContentChanged;
        findings.add(kind, room.name(), place.seq, place.known_us, || {
            let mut lines = room.tell_said(speech, number);
            lines.extend(place.view.map(|view| room.tell_sighting(view)));
            lines.push("expected: its content, since nobody deleted it".to_owned());
            lines
        });
    }
}

/// The acknowledged seqs without an observation.
fn unseen(room: &Room<'_>, order: &TotalOrder, speech: &mut Sends) -> Vec<OrderedEvent> {
    let mut unseen = Vec::new();
    for (number, said) in speech.said.iter_mut().enumerate() {
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
    room: &Room<'_>,
    order: &mut TotalOrder,
    speech: &Sends,
    number: usize,
    findings: &mut Findings,
) {
    let said = &speech.said[number];
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
            let mut lines = room.tell_said(speech, number);
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
            let expected = "expected: the ACK to name the event's own seq and message".to_owned();
            found(ViolationKind::AcknowledgedOtherwise, at_us, expected);
        }
    }
}

/// What was refused as not stored, in every try, must not be there.
fn check_refusal(
    room: &Room<'_>,
    order: &TotalOrder,
    speech: &Sends,
    number: usize,
    findings: &mut Findings,
) {
    let said = &speech.said[number];
    let Some(seq) = said.seq else { return };
    if said.all_refused(room) && speech.equal_sends(said) == 1 {
        let at_us = order
            .find(seq)
            .map_or(0, |place| order.places[place].known_us);
        let kind = ViolationKind::RefusedButStored;
        findings.add(kind, room.name(), seq, at_us, || {
            let mut lines = match order.find(seq) {
                Some(place) => room.tell_place(order, speech, place),
                None => room.tell_said(speech, number),
            };
            lines.push("expected: not to be there".to_owned());
            lines
        });
    }
}

fn count(room: &Room<'_>, speech: &Sends, checked: &mut Checked) {
    checked.sends += speech.said.len() as u64;
    checked.resends += (room.tries.len() - speech.said.len()) as u64;
    for said in &speech.said {
        if said.acked(room).is_some() {
            checked.acknowledged += 1;
        } else if said.answers.len() >= said.tries.len() {
            checked.refused += 1;
        } else {
            checked.unconfirmed += 1;
        }
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
