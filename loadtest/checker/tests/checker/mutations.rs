//! Mutations of a valid history, each with its kind of violation.

use crate::rng::Rng;
use roomcast_checker::ViolationKind;
use roomcast_checker::history::{Event, EventKind};

use crate::model::blank;
use crate::trace::{Delivery, StepKind, Trace, seq, text};

/// The location of a mutation: room and, for an event, seq.
pub(crate) struct Mutated {
    pub(crate) room: String,
    pub(crate) seq: Option<u64>,
}

/// A mutation; it does not apply to every history.
pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    pub(crate) apply: fn(&mut Trace, &mut Rng) -> Option<Mutated>,
    pub(crate) kind: ViolationKind,
    /// Further kinds of violation that it causes.
    pub(crate) also: &'static [ViolationKind],
}

/// Mutations of deliveries.
pub(crate) const DELIVERIES: &[Mutation] = &[
    Mutation {
        name: "one reader never gets an event",
        apply: drop_one,
        kind: ViolationKind::NotDelivered,
        also: &[],
    },
    Mutation {
        name: "the last event of a connection that stands is missing",
        apply: drop_last,
        kind: ViolationKind::NotDelivered,
        also: &[],
    },
    Mutation {
        name: "nobody gets an event live, though history has it",
        apply: drop_live,
        kind: ViolationKind::NotDelivered,
        also: &[],
    },
    Mutation {
        name: "an event that nobody acknowledged is gone without a trace",
        apply: drop_unacknowledged,
        kind: ViolationKind::Gap,
        also: &[],
    },
    Mutation {
        name: "a resume leaves out its first event",
        apply: drop_first_of_resume,
        kind: ViolationKind::NotDelivered,
        also: &[],
    },
    Mutation {
        name: "an event comes twice",
        apply: double,
        kind: ViolationKind::DeliveredTwice,
        also: &[],
    },
    Mutation {
        name: "a resume repeats the event before it",
        apply: repeat_in_resume,
        kind: ViolationKind::ReplayedTwice,
        also: &[],
    },
    Mutation {
        name: "two events come in the wrong order",
        apply: reorder,
        kind: ViolationKind::OutOfOrder,
        also: &[],
    },
    Mutation {
        name: "one reader gets two events with their places exchanged",
        apply: swap_for_one,
        kind: ViolationKind::OneSeqTwoEvents,
        also: &[],
    },
    Mutation {
        name: "one reader gets other words",
        apply: other_words_for_one,
        kind: ViolationKind::OneSeqTwoEvents,
        also: &[ViolationKind::ContentChanged],
    },
    Mutation {
        name: "prev names a place after the last one seen",
        apply: prev_too_new,
        kind: ViolationKind::Gap,
        also: &[],
    },
    Mutation {
        name: "prev leaves out the event before",
        apply: prev_too_old,
        kind: ViolationKind::WrongPrev,
        also: &[],
    },
    Mutation {
        name: "prev is the event's own place",
        apply: prev_of_itself,
        kind: ViolationKind::WrongPrev,
        also: &[ViolationKind::Gap],
    },
    Mutation {
        name: "an event comes after the subscription's end",
        apply: after_the_end,
        kind: ViolationKind::AfterRemoval,
        also: &[],
    },
    Mutation {
        name: "a removed member goes on listening",
        apply: after_leaving,
        kind: ViolationKind::AfterRemoval,
        also: &[],
    },
    Mutation {
        name: "an event comes to a connection that did not subscribe",
        apply: without_subscription,
        kind: ViolationKind::NotSubscribed,
        also: &[],
    },
    Mutation {
        name: "an event is made up for one reader",
        apply: invent_live,
        kind: ViolationKind::Invented,
        also: &[],
    },
];

fn at(delivery: &Delivery) -> Mutated {
    Mutated {
        room: delivery.room.clone(),
        seq: Some(delivery.seq),
    }
}

/// A random matching delivery.
fn pick(
    trace: &Trace,
    rng: &mut Rng,
    fits: impl Fn(&Delivery, &[Delivery]) -> bool,
) -> Option<Delivery> {
    let all = trace.deliveries();
    let fitting: Vec<&Delivery> = all.iter().filter(|one| fits(one, &all)).collect();
    if fitting.is_empty() {
        return None;
    }
    Some(fitting[rng.below(fitting.len())].clone())
}

fn later_in_span(one: &Delivery, all: &[Delivery]) -> bool {
    all.iter()
        .any(|other| other.span == one.span && other.nth > one.nth)
}

fn others_got_it(one: &Delivery, all: &[Delivery]) -> bool {
    let same = |other: &&Delivery| (&other.room, other.seq) == (&one.room, one.seq);
    all.iter().filter(same).count() >= 3
}

fn event_at<'a>(trace: &'a mut Trace, delivery: &Delivery) -> &'a mut Event<'static> {
    match &mut trace.steps[delivery.step].kind {
        StepKind::Delivered { event, .. } => event,
        other => panic!("{other:?} is no delivery"),
    }
}

fn drop_one(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |one, all| {
        later_in_span(one, all) && others_got_it(one, all)
    })?;
    trace.steps.remove(one.step);
    Some(at(&one))
}

fn drop_last(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let finished: Vec<usize> = trace.finished();
    let one = pick(trace, rng, |one, all| {
        finished.contains(&one.connection)
            && !later_in_span(one, all)
            && one.kind != EventKind::MemberLeft
            && others_got_it(one, all)
            && all.iter().all(|other| {
                other.span <= one.span
                    || (other.connection, &other.room) != (one.connection, &one.room)
            })
    })?;
    let ended = trace.steps[one.step..].iter().any(|step| {
        matches!(&step.kind, StepKind::Unsubscribed { room } | StepKind::Subscribed { room, .. }
            if step.connection == one.connection && *room == one.room)
    });
    if ended {
        return None;
    }
    trace.steps.remove(one.step);
    Some(at(&one))
}

fn drop_live(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, later_in_span)?;
    trace.forget(true, false, |room, event| {
        room == one.room && event.seq.get() == one.seq
    });
    Some(at(&one))
}

fn drop_unacknowledged(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let acked = trace.acked();
    // A log that was created again right after it does not have it.
    let mut named = Vec::new();
    trace.each_event(|room, _, event| {
        named.extend(event.prev.map(|prev| (room.to_owned(), prev.get())));
    });
    let one = pick(trace, rng, |one, all| {
        let place = (one.room.clone(), one.seq);
        one.kind == EventKind::Message
            && !acked.contains(&place)
            && named.contains(&place)
            && later_in_span(one, all)
    })?;
    trace.forget(true, true, |room, event| {
        room == one.room && event.seq.get() == one.seq
    });
    Some(Mutated {
        room: one.room,
        seq: None,
    })
}

fn drop_first_of_resume(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |one, all| {
        one.nth == 0 && one.span > 20 && later_in_span(one, all)
    })?;
    trace.steps.remove(one.step);
    Some(at(&one))
}

fn double(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, later_in_span)?;
    let again = trace.steps[one.step].clone();
    let later: Vec<Delivery> = trace.deliveries();
    let later = later.iter().rfind(|other| other.span == one.span)?;
    trace.steps.insert(later.step, again);
    Some(at(&one))
}

fn repeat_in_resume(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let all = trace.deliveries();
    let one = pick(trace, rng, |one, _| one.nth == 0 && one.span > 20)?;
    let before = all.iter().rfind(|other| {
        (&other.room, other.span < one.span) == (&one.room, true) && other.seq < one.seq
    })?;
    let mut again = trace.steps[before.step].clone();
    (again.connection, again.at_us) = (one.connection, trace.steps[one.step].at_us);
    trace.steps.insert(one.step, again);
    Some(at(before))
}

fn reorder(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, later_in_span)?;
    let all = trace.deliveries();
    let next = all
        .iter()
        .find(|other| other.span == one.span && other.nth == one.nth + 1)?;
    let (first, second) = (trace.steps[one.step].kind.clone(), &next.step);
    trace.steps[one.step].kind = trace.steps[*second].kind.clone();
    trace.steps[*second].kind = first;
    Some(at(&one))
}

fn swap_for_one(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |one, all| {
        later_in_span(one, all) && others_got_it(one, all)
    })?;
    let all = trace.deliveries();
    let next = all
        .iter()
        .find(|other| other.span == one.span && other.nth == one.nth + 1)?;
    if !others_got_it(next, &all) {
        return None;
    }
    let (first, second) = (event_at(trace, &one).clone(), event_at(trace, next).clone());
    *event_at(trace, &one) = Event {
        seq: first.seq,
        prev: first.prev,
        ..second.clone()
    };
    *event_at(trace, next) = Event {
        seq: second.seq,
        prev: second.prev,
        ..first
    };
    Some(at(&one))
}

fn other_words_for_one(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |one, all| {
        one.kind == EventKind::Message && others_got_it(one, all)
    })?;
    let event = event_at(trace, &one);
    if event.deleted {
        return None;
    }
    event.content = Some(text("other words"));
    Some(at(&one))
}

fn prev_too_new(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    // Seqs are not consecutive: no client observed anything after such a one.
    let one = pick(trace, rng, |one, all| {
        one.nth > 0
            && all
                .iter()
                .all(|other| other.room != one.room || other.seq != one.seq - 1)
    })?;
    event_at(trace, &one).prev = Some(seq(one.seq - 1));
    Some(at(&one))
}

fn prev_too_old(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |one, _| one.nth > 0)?;
    let event = event_at(trace, &one);
    let prev = event.prev?.get();
    if prev < 8 || prev >> 40 != one.seq >> 40 {
        return None;
    }
    event.prev = Some(seq(prev - 3));
    Some(at(&one))
}

fn prev_of_itself(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |_, _| true)?;
    event_at(trace, &one).prev = Some(seq(one.seq));
    Some(at(&one))
}

fn after_the_end(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let ends = |kind: &StepKind| matches!(kind, StepKind::Unsubscribed { .. });
    let ends: Vec<usize> = trace.numbers(ends);
    let end = *ends.get(rng.below(ends.len().max(1)))?;
    let step = trace.steps[end].clone();
    let StepKind::Unsubscribed { room } = &step.kind else {
        return None;
    };
    let one = pick(trace, rng, |one, _| one.room == *room && one.step < end)?;
    let mut late = trace.steps[one.step].clone();
    (late.connection, late.at_us) = (step.connection, step.at_us);
    trace.steps.insert(end + 1, late);
    Some(at(&one))
}

/// Delays `UNSUBSCRIBED` after a removal, behind another event.
fn after_leaving(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let all = trace.deliveries();
    let left = pick(trace, rng, |one, _| {
        one.kind == EventKind::MemberLeft
            && matches!(&trace.steps.get(one.step + 1).map(|step| (&step.kind, step.connection)),
                Some((StepKind::Unsubscribed { room }, connection))
                    if *room == one.room && *connection == one.connection)
    })?;
    let next = all
        .iter()
        .find(|other| other.room == left.room && other.seq > left.seq && other.step > left.step)?;
    let changes = trace.steps[left.step + 2..next.step].iter().any(|step| {
        let ends = matches!(&step.kind, StepKind::Ended(_));
        let begins = matches!(&step.kind, StepKind::Subscribed { room, .. } if *room == left.room);
        step.connection == left.connection && (ends || begins)
    });
    if changes {
        return None;
    }
    let mut late = trace.steps[next.step].clone();
    late.connection = left.connection;
    trace.steps.insert(next.step + 1, late);
    trace.steps.remove(left.step + 1);
    Some(at(next))
}

fn without_subscription(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |_, _| true)?;
    let mut lost = trace.steps[one.step].clone();
    let page = |kind: &StepKind| matches!(kind, StepKind::Paged { .. });
    let reader = *trace.numbers(page).last()?;
    lost.connection = trace.steps[reader].connection;
    lost.at_us = trace.steps[reader].at_us;
    trace.steps.insert(reader, lost);
    Some(at(&one))
}

fn invent_live(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |one, all| {
        one.nth > 0
            && all
                .iter()
                .all(|other| other.room != one.room || other.seq != one.seq - 1)
    })?;
    let mut made_up = blank(EventKind::Message, "u1");
    made_up.seq = seq(one.seq - 1);
    made_up.prev = event_at(trace, &one).prev;
    made_up.message_id = Some(text("made-up"));
    made_up.client_msg_id = Some(text("made-up"));
    made_up.content = Some(text("made up"));
    let mut step = trace.steps[one.step].clone();
    step.kind = StepKind::Delivered {
        room: one.room.clone(),
        event: made_up,
    };
    trace.steps.insert(one.step, step);
    Some(Mutated {
        room: one.room,
        seq: Some(one.seq - 1),
    })
}
