//! Merges all observations of a room into its total order, and checks that they agree.

use std::collections::HashMap;

use crate::findings::Findings;
use crate::history::event::View;
use crate::history::recording::Response;
use crate::result::ViolationKind;
use crate::room::Room;
use crate::total_order::{OrderedEvent, TotalOrder};

/// Merges the views of `room` into one event per seq; reports readers that saw different events at one seq.
pub(crate) fn merge(room: &Room<'_>, findings: &mut Findings) -> TotalOrder {
    let acked = acked(room);
    let mut seen: Vec<usize> = room.views.to_vec();
    seen.sort_by_key(|view| room.view(*view).seq);
    let events = seen
        .chunk_by(|one, other| room.view(*one).seq == room.view(*other).seq)
        .filter_map(|same| merge_seq(room, same, &acked, findings))
        .collect();
    TotalOrder { events }
}

/// Merges the views observed at one seq.
fn merge_seq(
    room: &Room<'_>,
    same: &[usize],
    acked: &HashMap<u64, u64>,
    findings: &mut Findings,
) -> Option<OrderedEvent> {
    let seen = |view: &usize| room.observations.view(*view);
    let is_event = |view: &usize| seen(view).delivered > 0 || seen(view).paged > 0;
    let events: Vec<usize> = same.iter().copied().filter(is_event).collect();
    // Prefer the ACK, then views with content (a deletion redacts later ones), then the majority.
    let trust = |view: &&usize| {
        let shown = room.view(**view);
        let acked = acked.get(&shown.seq) == Some(&shown.subject);
        let votes = u64::from(seen(view).delivered) + u64::from(seen(view).paged);
        (acked, !shown.deleted, votes)
    };
    let best = *events.iter().max_by_key(trust).or_else(|| same.first())?;
    let seq = room.view(best).seq;
    for view in events.iter().filter(|view| **view != best) {
        if !same_event(room.view(best), room.view(*view)) {
            let at_us = seen(view).first_us;
            let kind = ViolationKind::OneSeqTwoEvents;
            findings.add(kind, room.name(), seq, at_us, || {
                vec![
                    room.describe_observation(best),
                    room.describe_observation(*view),
                    "expected: the same event at one seq for all readers".to_owned(),
                ]
            });
        }
    }
    Some(OrderedEvent {
        seq,
        view: Some(best),
        state_only: events.is_empty(),
        known_us: same.iter().map(|view| seen(view).first_us).min()?,
        send: None,
        doubtful: false,
    })
}

/// The message of each acknowledged seq. (A duplicate may only confirm an earlier state.)
fn acked(room: &Room<'_>) -> HashMap<u64, u64> {
    let mut acked = HashMap::new();
    for response in room.responses {
        if let Response::Acked {
            message,
            seq,
            duplicate: false,
        } = response.outcome
        {
            acked.entry(seq).or_insert(message);
        }
    }
    acked
}

/// Whether two views show one event. Views after a deletion have no content.
fn same_event(one: &View, other: &View) -> bool {
    let key = |view: &View| (view.kind, view.sender, view.subject, view.client);
    key(one) == key(other) && (one.content == other.content || one.deleted || other.deleted)
}

/// Checks that every `prev` is below the seq, and not below the event before it.
pub(crate) fn check_prevs(room: &Room<'_>, order: &TotalOrder, findings: &mut Findings) {
    for view in room.views {
        let (shown, seen) = (room.view(*view), room.observations.view(*view));
        if !shown.has_prev() || (seen.delivered == 0 && seen.paged == 0) {
            continue;
        }
        let Some(at) = order.find(shown.seq) else {
            continue;
        };
        let before = order.events[..at]
            .iter()
            .rev()
            .find(|event| !event.doubtful);
        let too_old = before.is_some_and(|before| {
            shown.prev < before.seq && incarnation(before.seq) == incarnation(shown.seq)
        });
        if shown.prev >= shown.seq || too_old {
            let expected = match before {
                Some(before) => format!("expected: prev {}, the event before it", before.seq),
                None => "expected: a prev below its seq".to_owned(),
            };
            let kind = ViolationKind::WrongPrev;
            findings.add(kind, room.name(), shown.seq, seen.first_us, || {
                vec![room.describe_observation(*view), expected]
            });
        }
    }
}

/// The incarnation of a seq. A re-created log starts a new one and need not know earlier events.
const fn incarnation(seq: u64) -> u64 {
    seq >> 40
}
