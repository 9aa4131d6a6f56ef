//! Mutations of the order of one connection's sends.

use crate::rng::Rng;
use roomcast_protocol::ErrorCode;

use crate::mutations::Mutated;
use crate::mutations_of_responses::{Acked, is_message, pick};
use crate::trace::{StepKind, Trace};

/// Longer than the response timeout, in microseconds.
const LONG_US: u64 = 6_000_000;

pub(crate) fn exchange_sends(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let first = pick(trace, rng, |one| is_message(one) && one.tries == 1)?;
    let of = trace.steps[first.step].connection;
    let second = pick(trace, rng, |one| {
        is_message(one)
            && one.tries == 1
            && one.room == first.room
            && one.seq > first.seq
            && trace.steps[one.step].connection == of
    })?;
    let steps = |client: &str| {
        let is_it =
            |kind: &StepKind| matches!(kind, StepKind::Sent { client: its, .. } if its == client);
        trace.numbers(is_it)[0]
    };
    let (early, late) = (steps(&first.client), steps(&second.client));
    let (one, other) = (
        trace.steps[early].kind.clone(),
        trace.steps[late].kind.clone(),
    );
    (trace.steps[early].kind, trace.steps[late].kind) = (other, one);
    Some(Mutated {
        room: first.room,
        seq: None,
    })
}

/// The steps of its attempts on the connection.
fn tries_on(trace: &Trace, connection: usize, client: &str) -> Vec<usize> {
    let is_it =
        |kind: &StepKind| matches!(kind, StepKind::Sent { client: its, .. } if its == client);
    let mut tries = trace.numbers(is_it);
    tries.retain(|step| trace.steps[*step].connection == connection);
    tries
}

/// A message that was acknowledged at its first attempt on `connection`.
fn is_single(trace: &Trace, one: &Acked, connection: usize, room: &str) -> bool {
    is_message(one)
        && one.tries == 1
        && one.room == room
        && trace.steps[one.step].connection == connection
}

pub(crate) fn exchange_resend(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let resent = pick(trace, rng, |one| is_message(one) && one.tries > 1)?;
    let connection = trace.steps[resent.step].connection;
    let early = *tries_on(trace, connection, &resent.client).last()?;
    let later = pick(trace, rng, |one| {
        is_single(trace, one, connection, &resent.room) && one.seq > resent.seq
    })?;
    let late = *tries_on(trace, connection, &later.client).first()?;
    let (one, other) = (
        trace.steps[early].kind.clone(),
        trace.steps[late].kind.clone(),
    );
    (trace.steps[early].kind, trace.steps[late].kind) = (other, one);
    Some(Mutated {
        room: resent.room,
        seq: None,
    })
}

/// Two messages of a connection, each acknowledged at its first attempt.
struct Pair {
    earlier: Acked,
    /// The step of its attempt.
    tried: usize,
    /// The later send, to be attempted before the earlier one as well.
    again: StepKind,
    later: Acked,
}

/// Two messages; `fits` is given the steps of the earlier attempt, its `ACK` and the later attempt.
fn pair(trace: &Trace, rng: &mut Rng, fits: impl Fn(usize, usize, usize) -> bool) -> Option<Pair> {
    let earlier = pick(trace, rng, |one| is_message(one) && one.tries == 1)?;
    let connection = trace.steps[earlier.step].connection;
    let tried = *tries_on(trace, connection, &earlier.client).first()?;
    let later = pick(trace, rng, |one| {
        let tries = tries_on(trace, connection, &one.client);
        is_single(trace, one, connection, &earlier.room)
            && one.seq > earlier.seq
            && tries
                .first()
                .is_some_and(|later| fits(tried, earlier.step, *later))
    })?;
    let again = *tries_on(trace, connection, &later.client).first()?;
    let again = trace.steps[again].kind.clone();
    Some(Pair {
        earlier,
        tried,
        again,
        later,
    })
}

/// Adds an attempt of the later message before the earlier one, refused after the step `refused`.
fn refuse_first(trace: &mut Trace, pair: &Pair, refused: usize, delay_us: u64) -> Mutated {
    let mut refusal = trace.steps[refused].clone();
    refusal.kind = StepKind::Refused {
        room: pair.later.room.clone(),
        client: pair.later.client.clone(),
        code: ErrorCode::LogUnavailable,
    };
    trace.steps.insert(refused + 1, refusal);
    delay_after(trace, refused, delay_us);
    let mut again = trace.steps[pair.tried].clone();
    again.kind = pair.again.clone();
    trace.steps.insert(pair.tried, again);
    Mutated {
        room: pair.earlier.room.clone(),
        seq: Some(pair.earlier.seq),
    }
}

/// Delays all steps after this one.
fn delay_after(trace: &mut Trace, step: usize, by_us: u64) {
    let from_us = trace.steps[step].at_us;
    for step in &mut trace.steps[step + 1..] {
        step.at_us += by_us;
        if let StepKind::Paged { asked_us, .. } = &mut step.kind
            && *asked_us > from_us
        {
            *asked_us += by_us;
        }
    }
}

pub(crate) fn store_behind_refused(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let pair = pair(trace, rng, |tried, _, later| tried < later)?;
    let refused = pair.tried;
    Some(refuse_first(trace, &pair, refused, LONG_US))
}

pub(crate) fn acknowledge_before_refusal(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let pair = pair(trace, rng, |_, acked, later| acked < later)?;
    let refused = pair.earlier.step;
    Some(refuse_first(trace, &pair, refused, 1))
}
