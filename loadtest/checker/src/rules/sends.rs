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

/// Response timeout of an attempt, in microseconds; the fleet responds within ten seconds.
const REPLY_TIMEOUT_US: u64 = 15_000_000;

/// Collects and checks the sends in `room`. Seqs known only from an `ACK` are added to `order`.
pub(crate) fn check(
    room: &Room<'_>,
    order: &mut TotalOrder,
    checked: &mut Checked,
    findings: &mut Findings,
) -> Sends {
    let (mut sends, unmatched) = Sends::gather(room);
    for response in unmatched {
        let kind = ViolationKind::Invented;
        findings.add(kind, room.name(), 0, response.at_us, || {
            let (at, who) = (
                time(response.at_us),
                who(room.recording, response.connection),
            );
            let client = short(response.client);
            vec![format!("{at}: {who} was answered for {client}, never sent")]
        });
    }
    match_events(room, order, &mut sends, findings);
    order.add(unseen(room, order, &mut sends));
    for send in 0..sends.all.len() {
        check_responses(room, order, &sends, send, findings);
        check_refusal(room, order, &sends, send, findings);
    }
    check_unanswered(room, findings);
    count(room, &sends, checked);
    sends
}

/// Finds the send of every observed event.
fn match_events(
    room: &Room<'_>,
    order: &mut TotalOrder,
    sends: &mut Sends,
    findings: &mut Findings,
) {
    for event in &mut order.events {
        let Some(shown) = event.view.map(|view| *room.view(view)) else {
            continue;
        };
        if !shown.kind.is_client_send() {
            continue;
        }
        let found = sends.match_send(room, &shown);
        let at_us = event.known_us;
        let Some(send) = found else {
            event.doubtful = true;
            findings.add(
                ViolationKind::Invented,
                room.name(),
                event.seq,
                at_us,
                || {
                    let described = event.view.map(|view| room.describe_observation(view));
                    described
                        .into_iter()
                        .chain(["expected: no event that no client of the run sent".to_owned()])
                        .collect()
                },
            );
            continue;
        };
        event.send = Some(send);
        if shown.deleted && shown.kind != EventKind::Message {
            continue;
        }
        check_seq(room, event, sends, send, findings);
    }
}

/// Compares an event with its send: once, and with the same content.
fn check_seq(
    room: &Room<'_>,
    event: &mut OrderedEvent,
    sends: &mut Sends,
    number: usize,
    findings: &mut Findings,
) {
    let send = &mut sends.all[number];
    let shown = event.view.map(|view| *room.view(view));
    let Some(shown) = shown else { return };
    if let Some(first) = send.seq {
        event.doubtful = true;
        let kind = ViolationKind::StoredTwice;
        findings.add(kind, room.name(), event.seq, event.known_us, || {
            let mut lines = room.describe_send(sends, number);
            lines.extend(event.view.map(|view| room.describe_observation(view)));
            lines.push(format!("expected: only the first, at seq {first}"));
            lines
        });
        return;
    }
    send.seq = Some(event.seq);
    let is_message = shown.kind == EventKind::Message && !event.state_only;
    if is_message && !shown.deleted && shown.content != send.content {
        let content = short(send.content);
        let kind = ViolationKind::ContentChanged;
        findings.add(kind, room.name(), event.seq, event.known_us, || {
            let mut lines = room.describe_send(sends, number);
            lines.extend(event.view.map(|view| room.describe_observation(view)));
            lines.push(format!("expected: content {content}, as it was sent"));
            lines
        });
    } else if is_message && shown.deleted && !sends.deletes(room, shown.subject) {
        let kind = ViolationKind::ContentChanged;
        findings.add(kind, room.name(), event.seq, event.known_us, || {
            let mut lines = room.describe_send(sends, number);
            lines.extend(event.view.map(|view| room.describe_observation(view)));
            lines.push("expected: its content, since no client deleted it".to_owned());
            lines
        });
    }
}

/// The acknowledged events without an observation.
fn unseen(room: &Room<'_>, order: &TotalOrder, sends: &mut Sends) -> Vec<OrderedEvent> {
    let mut unseen = Vec::new();
    for (number, send) in sends.all.iter_mut().enumerate() {
        let Some((response, _, seq)) = send.acked(room) else {
            continue;
        };
        if send.seq.is_none() && order.find(seq).is_none() {
            send.seq = Some(seq);
            unseen.push(OrderedEvent {
                seq,
                view: None,
                state_only: false,
                known_us: room.responses[response].at_us,
                send: Some(number),
                doubtful: false,
            });
        }
    }
    unseen
}

/// Compares the responses with each other and with the event.
fn check_responses(
    room: &Room<'_>,
    order: &mut TotalOrder,
    sends: &Sends,
    number: usize,
    findings: &mut Findings,
) {
    let send = &sends.all[number];
    let Some((first, message, seq)) = send.acked(room) else {
        return;
    };
    let at_us = room.responses[first].at_us;
    if let Some(event) = send.seq.and_then(|seq| order.find(seq)) {
        let event = &mut order.events[event];
        event.known_us = event.known_us.min(at_us);
    }
    let mut found = |kind, at_us, expected: String| {
        findings.add(kind, room.name(), seq, at_us, || {
            let mut lines = room.describe_send(sends, number);
            let event = send.seq.and_then(|seq| order.find(seq));
            let view = event.and_then(|event| order.events[event].view);
            lines.extend(view.map(|view| room.describe_observation(view)));
            lines.push(expected);
            lines
        });
    };
    let mut news = 0;
    for response in send
        .responses
        .iter()
        .map(|response| &room.responses[*response])
    {
        let Response::Acked {
            message: its_message,
            seq: its_seq,
            duplicate,
        } = response.outcome
        else {
            continue;
        };
        news += u32::from(!duplicate);
        if (its_message, its_seq) != (message, seq) {
            let expected = "expected: seq and message of the first answer".to_owned();
            found(ViolationKind::DuplicateDiffers, response.at_us, expected);
        } else if !duplicate && news == 2 {
            let expected = "expected: duplicate true from the second on".to_owned();
            found(ViolationKind::NotCalledDuplicate, response.at_us, expected);
        }
    }
    let event = order.find(seq).map(|event| &order.events[event]);
    let shown = event
        .and_then(|event| event.view)
        .map(|view| room.view(view));
    if send.kind == EventKind::Message || news > 0 {
        let at_its_place =
            shown.is_none_or(|shown| shown.kind == send.kind && shown.subject == message);
        if send.seq.is_some_and(|its_seq| its_seq != seq) || !at_its_place {
            let expected = "expected: the ACK to name the event's own seq and message".to_owned();
            found(ViolationKind::AcknowledgedOtherwise, at_us, expected);
        }
    }
}

/// Reports an event whose every attempt was refused as not stored.
fn check_refusal(
    room: &Room<'_>,
    order: &TotalOrder,
    sends: &Sends,
    number: usize,
    findings: &mut Findings,
) {
    let send = &sends.all[number];
    let Some(seq) = send.seq else { return };
    if send.all_refused(room) && sends.equal_sends(send) == 1 {
        let at_us = order
            .find(seq)
            .map_or(0, |event| order.events[event].known_us);
        let kind = ViolationKind::RefusedButStored;
        findings.add(kind, room.name(), seq, at_us, || {
            let mut lines = match order.find(seq) {
                Some(event) => room.describe_event(order, sends, event),
                None => room.describe_send(sends, number),
            };
            lines.push("expected: not to be there".to_owned());
            lines
        });
    }
}

fn count(room: &Room<'_>, sends: &Sends, checked: &mut Checked) {
    checked.sends += sends.all.len() as u64;
    checked.resends += (room.attempts.len() - sends.all.len()) as u64;
    for send in &sends.all {
        if send.acked(room).is_some() {
            checked.acknowledged += 1;
        } else if send.responses.len() >= send.attempts.len() {
            checked.refused += 1;
        } else {
            checked.unconfirmed += 1;
        }
    }
}
/// Reports attempts without a response on connections that lasted long enough.
fn check_unanswered(room: &Room<'_>, findings: &mut Findings) {
    let mut waiting: HashMap<(u32, u64), (usize, u64)> = HashMap::new();
    for attempt in room.attempts {
        let wait = waiting
            .entry((attempt.connection, attempt.client))
            .or_default();
        *wait = (wait.0 + 1, attempt.at_us);
    }
    for response in room.responses {
        if let Some(wait) = waiting.get_mut(&(response.connection, response.client)) {
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
