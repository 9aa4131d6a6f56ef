//! Ways to damage an honest history, each with the kind of violation it is.

use crate::rng::Rng;
use roomcast_checker::ViolationKind;
use roomcast_checker::history::{Event, EventKind};

use crate::model::blank;
use crate::trace::{Delivery, Trace, What, seq, text};

/// What was damaged: where, and, if it is about an event, at which place.
pub(crate) struct Damaged {
    pub(crate) room: String,
    pub(crate) seq: Option<u64>,
}

/// A way to damage a history. It finds nothing to damage in some.
pub(crate) struct Damage {
    pub(crate) name: &'static str,
    pub(crate) does: fn(&mut Trace, &mut Rng) -> Option<Damaged>,
    pub(crate) kind: ViolationKind,
    /// What else it breaks, where it breaks more than one thing.
    pub(crate) also: &'static [ViolationKind],
}

/// Damages what subscriptions were shown.
pub(crate) const DELIVERIES: &[Damage] = &[
    Damage {
        name: "one reader never gets an event",
        does: drop_one,
        kind: ViolationKind::NotDelivered,
        also: &[],
    },
    Damage {
        name: "the last event of a connection that stands is missing",
        does: drop_last,
        kind: ViolationKind::NotDelivered,
        also: &[],
    },
    Damage {
        name: "nobody gets an event live, though history has it",
        does: drop_live,
        kind: ViolationKind::NotDelivered,
        also: &[],
    },
    Damage {
        name: "an event that nobody acknowledged is gone without a trace",
        does: drop_unacknowledged,
        kind: ViolationKind::Gap,
        also: &[],
    },
    Damage {
        name: "a resume leaves out its first event",
        does: drop_first_of_resume,
        kind: ViolationKind::NotDelivered,
        also: &[],
    },
    Damage {
        name: "an event comes twice",
        does: double,
        kind: ViolationKind::DeliveredTwice,
        also: &[],
    },
    Damage {
        name: "a resume repeats the event before it",
        does: repeat_in_resume,
        kind: ViolationKind::ReplayedTwice,
        also: &[],
    },
    Damage {
        name: "two events come in the wrong order",
        does: reorder,
        kind: ViolationKind::OutOfOrder,
        also: &[],
    },
    Damage {
        name: "one reader gets two events with their places exchanged",
        does: swap_for_one,
        kind: ViolationKind::OneSeqTwoEvents,
        also: &[],
    },
    Damage {
        name: "one reader gets other words",
        does: other_words_for_one,
        kind: ViolationKind::OneSeqTwoEvents,
        also: &[ViolationKind::ContentChanged],
    },
    Damage {
        name: "prev names a place after the last one seen",
        does: prev_too_new,
        kind: ViolationKind::Gap,
        also: &[],
    },
    Damage {
        name: "prev leaves out the event before",
        does: prev_too_old,
        kind: ViolationKind::WrongPrev,
        also: &[],
    },
    Damage {
        name: "prev is the event's own place",
        does: prev_of_itself,
        kind: ViolationKind::WrongPrev,
        also: &[ViolationKind::Gap],
    },
    Damage {
        name: "an event comes after the subscription's end",
        does: after_the_end,
        kind: ViolationKind::AfterRemoval,
        also: &[],
    },
    Damage {
        name: "a removed member goes on listening",
        does: after_leaving,
        kind: ViolationKind::AfterRemoval,
        also: &[],
    },
    Damage {
        name: "an event comes to a connection that did not subscribe",
        does: without_subscription,
        kind: ViolationKind::NotSubscribed,
        also: &[],
    },
    Damage {
        name: "an event is made up for one reader",
        does: invent_live,
        kind: ViolationKind::Invented,
        also: &[],
    },
];

fn at(delivery: &Delivery) -> Damaged {
    Damaged {
        room: delivery.room.clone(),
        seq: Some(delivery.seq),
    }
}

/// One of those deliveries that fit.
fn pick(
    trace: &Trace,
    chance: &mut Rng,
    fits: impl Fn(&Delivery, &[Delivery]) -> bool,
) -> Option<Delivery> {
    let all = trace.deliveries();
    let fitting: Vec<&Delivery> = all.iter().filter(|one| fits(one, &all)).collect();
    if fitting.is_empty() {
        return None;
    }
    Some(fitting[chance.below(fitting.len())].clone())
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
    match &mut trace.steps[delivery.step].what {
        What::Delivered { event, .. } => event,
        other => panic!("{other:?} is no delivery"),
    }
}

fn drop_one(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |one, all| {
        later_in_span(one, all) && others_got_it(one, all)
    })?;
    trace.steps.remove(one.step);
    Some(at(&one))
}

fn drop_last(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let finished: Vec<usize> = trace.finished();
    let one = pick(trace, chance, |one, all| {
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
        matches!(&step.what, What::Unsubscribed { room } | What::Subscribed { room, .. }
            if step.connection == one.connection && *room == one.room)
    });
    if ended {
        return None;
    }
    trace.steps.remove(one.step);
    Some(at(&one))
}

fn drop_live(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, later_in_span)?;
    trace.forget(true, false, |room, event| {
        room == one.room && event.seq.get() == one.seq
    });
    Some(at(&one))
}

fn drop_unacknowledged(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let acked = trace.acked();
    // A log that was created again right after it does not have it.
    let mut named = Vec::new();
    trace.each_event(|room, _, event| {
        named.extend(event.prev.map(|prev| (room.to_owned(), prev.get())));
    });
    let one = pick(trace, chance, |one, all| {
        let place = (one.room.clone(), one.seq);
        one.kind == EventKind::Message
            && !acked.contains(&place)
            && named.contains(&place)
            && later_in_span(one, all)
    })?;
    trace.forget(true, true, |room, event| {
        room == one.room && event.seq.get() == one.seq
    });
    Some(Damaged {
        room: one.room,
        seq: None,
    })
}

fn drop_first_of_resume(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |one, all| {
        one.nth == 0 && one.span > 20 && later_in_span(one, all)
    })?;
    trace.steps.remove(one.step);
    Some(at(&one))
}

fn double(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, later_in_span)?;
    let again = trace.steps[one.step].clone();
    let later: Vec<Delivery> = trace.deliveries();
    let later = later.iter().rfind(|other| other.span == one.span)?;
    trace.steps.insert(later.step, again);
    Some(at(&one))
}

fn repeat_in_resume(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let all = trace.deliveries();
    let one = pick(trace, chance, |one, _| one.nth == 0 && one.span > 20)?;
    let before = all.iter().rfind(|other| {
        (&other.room, other.span < one.span) == (&one.room, true) && other.seq < one.seq
    })?;
    let mut again = trace.steps[before.step].clone();
    (again.connection, again.at_us) = (one.connection, trace.steps[one.step].at_us);
    trace.steps.insert(one.step, again);
    Some(at(before))
}

fn reorder(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, later_in_span)?;
    let all = trace.deliveries();
    let next = all
        .iter()
        .find(|other| other.span == one.span && other.nth == one.nth + 1)?;
    let (first, second) = (trace.steps[one.step].what.clone(), &next.step);
    trace.steps[one.step].what = trace.steps[*second].what.clone();
    trace.steps[*second].what = first;
    Some(at(&one))
}

fn swap_for_one(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |one, all| {
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

fn other_words_for_one(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |one, all| {
        one.kind == EventKind::Message && others_got_it(one, all)
    })?;
    let event = event_at(trace, &one);
    if event.deleted {
        return None;
    }
    event.content = Some(text("other words"));
    Some(at(&one))
}

fn prev_too_new(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    // Seqs are not consecutive: no client observed anything after such a one.
    let one = pick(trace, chance, |one, all| {
        one.nth > 0
            && all
                .iter()
                .all(|other| other.room != one.room || other.seq != one.seq - 1)
    })?;
    event_at(trace, &one).prev = Some(seq(one.seq - 1));
    Some(at(&one))
}

fn prev_too_old(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |one, _| one.nth > 0)?;
    let event = event_at(trace, &one);
    let prev = event.prev?.get();
    if prev < 8 || prev >> 40 != one.seq >> 40 {
        return None;
    }
    event.prev = Some(seq(prev - 3));
    Some(at(&one))
}

fn prev_of_itself(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |_, _| true)?;
    event_at(trace, &one).prev = Some(seq(one.seq));
    Some(at(&one))
}

fn after_the_end(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let ends = |what: &What| matches!(what, What::Unsubscribed { .. });
    let ends: Vec<usize> = trace.numbers(ends);
    let end = *ends.get(chance.below(ends.len().max(1)))?;
    let step = trace.steps[end].clone();
    let What::Unsubscribed { room } = &step.what else {
        return None;
    };
    let one = pick(trace, chance, |one, _| one.room == *room && one.step < end)?;
    let mut late = trace.steps[one.step].clone();
    (late.connection, late.at_us) = (step.connection, step.at_us);
    trace.steps.insert(end + 1, late);
    Some(at(&one))
}

/// The `UNSUBSCRIBED` behind a member's leaving is late, and another event came before it.
fn after_leaving(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let all = trace.deliveries();
    let left = pick(trace, chance, |one, _| {
        one.kind == EventKind::MemberLeft
            && matches!(&trace.steps.get(one.step + 1).map(|step| (&step.what, step.connection)),
                Some((What::Unsubscribed { room }, connection))
                    if *room == one.room && *connection == one.connection)
    })?;
    let next = all
        .iter()
        .find(|other| other.room == left.room && other.seq > left.seq && other.step > left.step)?;
    let changes = trace.steps[left.step + 2..next.step].iter().any(|step| {
        let ends = matches!(&step.what, What::Ended(_));
        let begins = matches!(&step.what, What::Subscribed { room, .. } if *room == left.room);
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

fn without_subscription(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |_, _| true)?;
    let mut lost = trace.steps[one.step].clone();
    let page = |what: &What| matches!(what, What::Paged { .. });
    let reader = *trace.numbers(page).last()?;
    lost.connection = trace.steps[reader].connection;
    lost.at_us = trace.steps[reader].at_us;
    trace.steps.insert(reader, lost);
    Some(at(&one))
}

fn invent_live(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |one, all| {
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
    step.what = What::Delivered {
        room: one.room.clone(),
        event: made_up,
    };
    trace.steps.insert(one.step, step);
    Some(Damaged {
        room: one.room,
        seq: Some(one.seq - 1),
    })
}
