//! Mutations of pages of history.

use crate::rng::Rng;
use roomcast_checker::ViolationKind;
use roomcast_checker::history::{Event, EventKind, PageQuery};

use crate::mutations::{Mutated, Mutation};
use crate::mutations_of_responses::pick;
use crate::trace::{Command, StepKind, Trace, seq, text};

/// Mutations of pages of history.
pub(crate) const HISTORY: &[Mutation] = &[
    Mutation {
        name: "a page lacks an event",
        apply: page_lacks,
        kind: ViolationKind::HistoryLacks,
        also: &[],
    },
    Mutation {
        name: "the last page lacks the last event",
        apply: page_ends_early,
        kind: ViolationKind::HistoryLacks,
        also: &[],
    },
    Mutation {
        name: "a page is out of order",
        apply: page_out_of_order,
        kind: ViolationKind::HistoryOrder,
        also: &[],
    },
    Mutation {
        name: "a page has an event twice",
        apply: page_twice,
        kind: ViolationKind::HistoryOrder,
        also: &[],
    },
    Mutation {
        name: "a page goes beyond what was asked for",
        apply: page_beyond,
        kind: ViolationKind::HistoryOrder,
        also: &[],
    },
    Mutation {
        name: "history has an event that nobody sent",
        apply: page_invents,
        kind: ViolationKind::Invented,
        also: &[],
    },
    Mutation {
        name: "history tells an event otherwise than it was live",
        apply: page_says_otherwise,
        kind: ViolationKind::OneSeqTwoEvents,
        also: &[],
    },
    Mutation {
        name: "a page shows a message as it was before an edit",
        apply: page_before_edit,
        kind: ViolationKind::StaleState,
        also: &[],
    },
    Mutation {
        name: "a page shows a message that was deleted",
        apply: page_before_delete,
        kind: ViolationKind::StaleState,
        also: &[],
    },
];

/// A page, and the index of one of its events.
fn pick_page(
    trace: &Trace,
    rng: &mut Rng,
    fits: impl Fn(&StepKind) -> bool,
) -> Option<(usize, String, usize, u64)> {
    let pages = trace.numbers(fits);
    let step = *pages.get(rng.below(pages.len().max(1)))?;
    match &trace.steps[step].kind {
        StepKind::Paged { room, events, .. } if !events.is_empty() => {
            let number = rng.below(events.len());
            Some((step, room.clone(), number, events[number].seq.get()))
        }
        _ => None,
    }
}

fn seen_live(trace: &Trace, room: &str, seq: u64) -> bool {
    let live = trace.deliveries();
    live.iter().any(|one| one.room == room && one.seq == seq)
}

fn change_page(trace: &mut Trace, step: usize, change: impl FnOnce(&mut Vec<Event<'static>>)) {
    if let StepKind::Paged { events, .. } = &mut trace.steps[step].kind {
        change(events);
    }
}

fn page_lacks(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let long = |kind: &StepKind| matches!(kind, StepKind::Paged { events, .. } if events.len() > 2);
    let (step, room, number, seq) = pick_page(trace, rng, long)?;
    let StepKind::Paged { events, .. } = &trace.steps[step].kind else {
        return None;
    };
    // What comes after the page's end, or before a page of messages, is another page's matter.
    if number + 1 == events.len() || number == 0 || !seen_live(trace, &room, seq) {
        return None;
    }
    change_page(trace, step, |events| drop(events.remove(number)));
    Some(Mutated {
        room,
        seq: Some(seq),
    })
}

fn page_ends_early(trace: &mut Trace, _: &mut Rng) -> Option<Mutated> {
    let last = |kind: &StepKind| {
        matches!(kind, StepKind::Paged { asked: PageQuery::After(_), more: (_, false), events, .. }
            if !events.is_empty())
    };
    let step = *trace.numbers(last).last()?;
    let mut gone = None;
    change_page(trace, step, |events| gone = events.pop());
    let (StepKind::Paged { room, .. }, seq) = (&trace.steps[step].kind, gone?.seq.get()) else {
        return None;
    };
    let room = room.clone();
    seen_live(trace, &room, seq).then_some(Mutated {
        room,
        seq: Some(seq),
    })
}

fn page_out_of_order(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let long = |kind: &StepKind| matches!(kind, StepKind::Paged { events, .. } if events.len() > 1);
    let (step, room, number, seq) = pick_page(trace, rng, long)?;
    if number == 0 {
        return None;
    }
    let mut at = seq;
    change_page(trace, step, |events| {
        at = events[number - 1].seq.get();
        events.swap(number - 1, number);
    });
    Some(Mutated {
        room,
        seq: Some(at),
    })
}

fn page_twice(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let any = |kind: &StepKind| matches!(kind, StepKind::Paged { .. });
    let (step, room, number, seq) = pick_page(trace, rng, any)?;
    change_page(trace, step, |events| {
        let again = events[number].clone();
        events.insert(number, again);
    });
    Some(Mutated {
        room,
        seq: Some(seq),
    })
}

fn page_beyond(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let bounded = |kind: &StepKind| {
        matches!(
            kind,
            StepKind::Paged {
                asked: PageQuery::After(_) | PageQuery::Before(_),
                ..
            }
        )
    };
    let (step, room, number, place) = pick_page(trace, rng, bounded)?;
    match &mut trace.steps[step].kind {
        StepKind::Paged {
            asked: PageQuery::After(after),
            ..
        } if number == 0 => *after = seq(place),
        StepKind::Paged {
            asked: PageQuery::Before(before),
            events,
            ..
        } if number + 1 == events.len() => *before = seq(place),
        _ => return None,
    }
    Some(Mutated {
        room,
        seq: Some(place),
    })
}

fn page_invents(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let after = |kind: &StepKind| {
        matches!(
            kind,
            StepKind::Paged {
                asked: PageQuery::After(_),
                ..
            }
        )
    };
    let (step, room, number, place) = pick_page(trace, rng, after)?;
    let mut taken = false;
    trace.each_event(|its_room, _, event| {
        taken |= its_room == room && event.seq.get() == place + 1;
    });
    if taken || trace.acked().contains(&(room.clone(), place + 1)) {
        return None;
    }
    let mut beyond = false;
    change_page(trace, step, |events| {
        let mut made_up = events[number].clone();
        made_up.kind = EventKind::Message;
        made_up.user_id = None;
        made_up.seq = seq(place + 1);
        made_up.prev = Some(seq(place));
        made_up.message_id = Some(text("made-up"));
        made_up.client_msg_id = Some(text("made-up"));
        beyond = events
            .get(number + 1)
            .is_some_and(|next| next.seq == made_up.seq);
        events.insert(number + 1, made_up);
    });
    (!beyond).then_some(Mutated {
        room,
        seq: Some(place + 1),
    })
}

fn page_says_otherwise(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let after = |kind: &StepKind| {
        matches!(
            kind,
            StepKind::Paged {
                asked: PageQuery::After(_),
                ..
            }
        )
    };
    let (step, room, number, place) = pick_page(trace, rng, after)?;
    let live = trace.deliveries();
    let live = live
        .iter()
        .filter(|one| one.room == room && one.seq == place)
        .count();
    let mut changed = false;
    change_page(trace, step, |events| {
        changed = events[number].kind == EventKind::Message && !events[number].deleted;
        events[number].content = Some(text("other words"));
    });
    (changed && live > 1).then_some(Mutated {
        room,
        seq: Some(place),
    })
}

fn page_before_edit(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    stale(trace, rng, |command| {
        matches!(command, Command::Edit { .. })
    })
}

fn page_before_delete(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    stale(trace, rng, |command| {
        matches!(command, Command::Delete { .. })
    })
}

/// Shows a message unchanged although its edit was acknowledged long before.
fn stale(trace: &mut Trace, rng: &mut Rng, such: fn(&Command) -> bool) -> Option<Mutated> {
    let change = pick(trace, rng, |one| such(&one.command))?;
    let (Command::Edit { message, .. } | Command::Delete { message }) = &change.command else {
        return None;
    };
    let known_us = trace.steps[change.step].at_us;
    let words = trace.steps.iter().find_map(|step| match &step.kind {
        StepKind::Delivered { event, .. }
            if event.kind == EventKind::Message
                && !event.deleted
                && event.message_id.as_ref().is_some_and(|id| id.0 == *message) =>
        {
            event.content.clone()
        }
        _ => None,
    })?;
    for step in &mut trace.steps {
        if let StepKind::Paged {
            room,
            asked,
            asked_us,
            events,
            ..
        } = &mut step.kind
            && !matches!(asked, PageQuery::After(_))
            && *asked_us > known_us
        {
            let shown = events
                .iter_mut()
                .find(|event| event.message_id.as_ref().is_some_and(|id| id.0 == *message));
            if let Some(event) = shown {
                (event.content, event.deleted) = (Some(words), false);
                return Some(Mutated {
                    room: room.clone(),
                    seq: Some(event.seq.get()),
                });
            }
        }
    }
    None
}
