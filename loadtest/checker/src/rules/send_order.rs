//! Checks the order in which one connection's sends to one room were stored.
//!
//! The sends of one connection to one room are stored in the order of sending (guarantee 2). A send may need
//! several attempts; its event comes from one of them. The responses show which: an `ACK` without `duplicate`
//! names the stored attempt, a refusal as not stored excludes one. There are two rules:
//!
//! 1. Of two events whose attempts were made on one connection, the event of the earlier attempt comes first.
//!    With several possible attempts, all of one event precede all of the other.
//! 2. An attempt that was refused or not confirmed also fails the attempts behind it. So its send, stored by a
//!    later attempt, may not come after a send stored by an attempt behind it, if that attempt had reached
//!    the fleet before the refusal: it was acknowledged before the refusal arrived, or sent more than
//!    [`REACHED_AFTER_US`] before. An attempt after the refusal is independent and may be stored first.

use std::collections::HashMap;

use roomcast_protocol::ErrorCode;

use crate::findings::Findings;
use crate::history::event::EventKind;
use crate::history::recording::{AttemptRecord, Response, ResponseRecord};
use crate::result::ViolationKind;
use crate::room::Room;
use crate::sends::Sends;
use crate::total_order::TotalOrder;

/// Time for a frame to reach its gateway, or a response its client, in microseconds. A slow link takes
/// longer, but a refusal that waits for the log takes twice as long.
const REACHED_AFTER_US: u64 = 5_000_000;

/// The index of an attempt in the room; indices rise on a connection.
type AttemptIndex = usize;

/// A send whose event is known.
#[derive(Debug, Clone, Copy)]
struct Stored {
    send: usize,
    seq: u64,
    connection: u32,
    /// The first and the last attempt that may have been stored.
    first: AttemptIndex,
    last: AttemptIndex,
}

/// A refused attempt of a send that was stored by another attempt.
#[derive(Debug, Clone, Copy)]
struct Refused {
    send: usize,
    seq: u64,
    connection: u32,
    number: AttemptIndex,
    responded_us: u64,
}

/// Checks both rules in `room`.
pub(crate) fn check(room: &Room<'_>, order: &TotalOrder, sends: &Sends, findings: &mut Findings) {
    let responses = responses_by_attempt(room);
    let mut stored: Vec<Stored> = Vec::new();
    let mut refused: Vec<Refused> = Vec::new();
    for send in 0..sends.all.len() {
        let Some(seq) = seq_of(room, sends, send) else {
            continue;
        };
        stored.extend(stored_send(room, sends, &responses, send, seq));
        let attempts = sends.all[send].attempts.iter();
        refused.extend(attempts.filter_map(|&number| {
            let response = responses[number].filter(|response| takes_later_with_it(response))?;
            Some(Refused {
                send,
                seq,
                connection: room.attempts[number].connection,
                number,
                responded_us: response.at_us,
            })
        }));
    }
    let mut report = |earlier: usize, later: &Stored, expected: String| {
        let at_us = order.find(later.seq).map(|at| order.events[at].known_us);
        let at_us = at_us.unwrap_or(room.attempts[later.first].at_us);
        let kind = ViolationKind::SendersOrder;
        findings.add(kind, room.name(), later.seq, at_us, || {
            let mut lines = room.describe_send(sends, earlier);
            lines.extend(room.describe_send(sends, later.send));
            lines.push(expected);
            lines
        });
    };
    check_attempts(&mut stored, &mut report);
    check_refusals(room, &stored, &mut refused, &responses, &mut report);
}

/// Checks rule 1.
fn check_attempts(stored: &mut [Stored], report: &mut impl FnMut(usize, &Stored, String)) {
    let mut by_last = stored.to_vec();
    by_last.sort_by_key(|one| (one.connection, one.last));
    stored.sort_by_key(|one| (one.connection, one.first));
    let mut ended = by_last.iter().peekable();
    let mut highest: Option<Stored> = None;
    for later in &*stored {
        while let Some(earlier) =
            ended.next_if(|one| (one.connection, one.last) < (later.connection, later.first))
        {
            let is_higher = highest.is_none_or(|highest| {
                highest.connection != earlier.connection || highest.seq < earlier.seq
            });
            if is_higher {
                highest = Some(*earlier);
            }
        }
        let highest = highest.filter(|one| one.connection == later.connection);
        if let Some(highest) = highest.filter(|highest| highest.seq > later.seq) {
            let seq = highest.seq;
            let expected = format!(
                "expected: a seq above {seq}, since it was sent later on the same connection"
            );
            report(highest.send, later, expected);
        }
    }
}

/// Checks rule 2.
fn check_refusals(
    room: &Room<'_>,
    stored: &[Stored],
    refused: &mut [Refused],
    responses: &[Option<&ResponseRecord>],
    report: &mut impl FnMut(usize, &Stored, String),
) {
    refused.sort_by_key(|one| (one.connection, one.number));
    let mut coming = refused.iter().peekable();
    // Refused attempts without a response when the current attempt was sent.
    let mut open: Vec<&Refused> = Vec::new();
    for behind in stored.iter().filter(|one| one.first == one.last) {
        let event = (behind.connection, behind.first);
        while let Some(one) = coming.next_if(|one| (one.connection, one.number) < event) {
            open.push(one);
        }
        let sent_us = room.attempts[behind.first].at_us;
        open.retain(|one| one.connection == behind.connection && one.responded_us > sent_us);
        let responded_us = responses[behind.first].map_or(u64::MAX, |response| response.at_us);
        let overtaken = open.iter().find(|one| {
            let had_reached =
                one.responded_us > sent_us + REACHED_AFTER_US || one.responded_us > responded_us;
            one.send != behind.send && one.seq > behind.seq && had_reached
        });
        if let Some(overtaken) = overtaken {
            let expected = "expected: the second to be refused like the first, since it was sent \
                            before the first was refused";
            report(overtaken.send, behind, expected.to_owned());
        }
    }
}

/// The seq of a send's event, if the event can be determined.
fn seq_of(room: &Room<'_>, sends: &Sends, send: usize) -> Option<u64> {
    let send = &sends.all[send];
    match send.kind {
        EventKind::Message => send.seq,
        // Only the ACK shows which of two equal edits an event is.
        _ => send.acked(room).map(|(_, _, seq)| seq),
    }
}

/// The attempts that may have been stored, if all were made on one connection.
fn stored_send(
    room: &Room<'_>,
    sends: &Sends,
    responses: &[Option<&ResponseRecord>],
    send: usize,
    seq: u64,
) -> Option<Stored> {
    let attempts = &sends.all[send].attempts;
    let is_new = |number: &&AttemptIndex| {
        responses[**number].is_some_and(|response| {
            matches!(
                response.outcome,
                Response::Acked {
                    duplicate: false,
                    ..
                }
            )
        })
    };
    let possible: Vec<AttemptIndex> = match attempts.iter().find(is_new) {
        Some(new) => vec![*new],
        None => {
            let attempts = attempts.iter().copied();
            attempts
                .filter(|number| responses[*number].is_none_or(|response| !is_not_stored(response)))
                .collect()
        }
    };
    let connection_of = |number: &AttemptIndex| room.attempts[*number].connection;
    let connection = connection_of(possible.first()?);
    let is_elsewhere = |number: &AttemptIndex| connection_of(number) != connection;
    if possible.iter().any(is_elsewhere) {
        return None;
    }
    Some(Stored {
        send,
        seq,
        connection,
        first: *possible.iter().min()?,
        last: *possible.iter().max()?,
    })
}

/// Whether the response excludes that the attempt was stored.
fn is_not_stored(response: &ResponseRecord) -> bool {
    match response.outcome {
        Response::Refused(code) => !matches!(code, ErrorCode::Unconfirmed | ErrorCode::Internal),
        Response::Acked { .. } => false,
    }
}

/// Whether the response is a refusal that also fails the attempts behind it.
const fn takes_later_with_it(response: &ResponseRecord) -> bool {
    matches!(
        response.outcome,
        Response::Refused(ErrorCode::LogUnavailable | ErrorCode::Unconfirmed | ErrorCode::Internal)
    )
}

/// The response to each attempt: per connection and `clientMsgId` they arrive in the order of attempts.
fn responses_by_attempt<'a>(room: &Room<'a>) -> Vec<Option<&'a ResponseRecord>> {
    let mut responses: HashMap<(u32, u64), Vec<&ResponseRecord>> = HashMap::new();
    for response in room.responses.iter().rev() {
        let name = (response.connection, response.client);
        responses.entry(name).or_default().push(response);
    }
    let next = |attempt: &AttemptRecord| {
        responses
            .get_mut(&(attempt.connection, attempt.client))?
            .pop()
    };
    room.attempts.iter().map(next).collect()
}
