//! Mutations of responses and of stored events.

use std::collections::HashMap;

use crate::rng::Rng;
use roomcast_checker::ViolationKind;
use roomcast_checker::history::{EventKind, PageQuery};
use roomcast_protocol::ErrorCode;

use crate::mutations::{Mutated, Mutation};
use crate::mutations_of_order::{
    acknowledge_before_refusal, exchange_resend, exchange_sends, store_behind_refused,
};
use crate::trace::{Command, StepKind, Trace, seq, text};

/// Mutations of responses and of stored events.
pub(crate) const RESPONSES: &[Mutation] = &[
    Mutation {
        name: "an acknowledged message is in nobody's view",
        apply: lose_acknowledged,
        kind: ViolationKind::AcknowledgedLost,
        also: &[],
    },
    Mutation {
        name: "an acknowledged edit is in nobody's view",
        apply: lose_acknowledged_edit,
        kind: ViolationKind::AcknowledgedLost,
        also: &[ViolationKind::StaleState, ViolationKind::ContentChanged],
    },
    Mutation {
        name: "an ACK for what was never stored",
        apply: acknowledge_nothing,
        kind: ViolationKind::AcknowledgedLost,
        also: &[ViolationKind::WrongPrev, ViolationKind::SendersOrder],
    },
    Mutation {
        name: "an ACK names another place",
        apply: acknowledge_elsewhere,
        kind: ViolationKind::AcknowledgedOtherwise,
        also: &[],
    },
    Mutation {
        name: "an ACK names another message",
        apply: acknowledge_another,
        kind: ViolationKind::AcknowledgedOtherwise,
        also: &[],
    },
    Mutation {
        name: "a resend is answered with another place",
        apply: duplicate_elsewhere,
        kind: ViolationKind::DuplicateDiffers,
        also: &[],
    },
    Mutation {
        name: "a resend is acknowledged as new",
        apply: duplicate_as_new,
        kind: ViolationKind::NotCalledDuplicate,
        also: &[],
    },
    Mutation {
        name: "a resend is stored again",
        apply: store_again,
        kind: ViolationKind::StoredTwice,
        also: &[],
    },
    Mutation {
        name: "refused as not stored, and there",
        apply: refuse_what_is_stored,
        kind: ViolationKind::RefusedButStored,
        also: &[],
    },
    Mutation {
        name: "an answer never comes",
        apply: no_answer,
        kind: ViolationKind::Unanswered,
        also: &[],
    },
    Mutation {
        name: "two sends of one connection are stored in the other order",
        apply: exchange_sends,
        kind: ViolationKind::SendersOrder,
        also: &[],
    },
    Mutation {
        name: "a resend is stored after what was sent later on its connection",
        apply: exchange_resend,
        kind: ViolationKind::SendersOrder,
        also: &[],
    },
    Mutation {
        name: "a send is stored that was waiting behind a refused one",
        apply: store_behind_refused,
        kind: ViolationKind::SendersOrder,
        also: &[],
    },
    Mutation {
        name: "a send is acknowledged before one in front of it is refused",
        apply: acknowledge_before_refusal,
        kind: ViolationKind::SendersOrder,
        also: &[],
    },
    Mutation {
        name: "everybody gets other words than were sent",
        apply: other_words_for_all,
        kind: ViolationKind::ContentChanged,
        also: &[],
    },
    Mutation {
        name: "a message loses its words though nobody deleted it",
        apply: delete_by_nobody,
        kind: ViolationKind::ContentChanged,
        also: &[],
    },
    Mutation {
        name: "everybody gets a message under another's name",
        apply: another_sender,
        kind: ViolationKind::Invented,
        also: &[ViolationKind::NotDelivered, ViolationKind::StaleState],
    },
    Mutation {
        name: "an edit says something that nobody wrote",
        apply: edit_by_nobody,
        kind: ViolationKind::Invented,
        also: &[
            ViolationKind::ContentChanged,
            ViolationKind::StaleState,
            ViolationKind::AcknowledgedOtherwise,
        ],
    },
];

/// A first acknowledgement.
pub(crate) struct Acked {
    pub(crate) step: usize,
    pub(crate) room: String,
    pub(crate) client: String,
    pub(crate) seq: u64,
    pub(crate) command: Command,
    pub(crate) tries: usize,
    acks: usize,
}

/// First acknowledgements that are no duplicates, with their sends.
fn acked(trace: &Trace) -> Vec<Acked> {
    let mut tried: HashMap<(&str, &str), (Command, usize)> = HashMap::new();
    let mut acks: HashMap<(&str, &str), usize> = HashMap::new();
    for step in &trace.steps {
        match &step.kind {
            StepKind::Sent {
                room,
                client,
                command,
            } => {
                let tries = tried.entry((room, client)).or_insert((command.clone(), 0));
                tries.1 += 1;
            }
            StepKind::Acked { room, client, .. } => *acks.entry((room, client)).or_default() += 1,
            _ => {}
        }
    }
    let first = (0..)
        .zip(&trace.steps)
        .filter_map(|(number, step)| match &step.kind {
            StepKind::Acked {
                room,
                client,
                seq,
                duplicate: false,
                ..
            } => {
                let (command, tries) = tried.get(&(room.as_str(), client.as_str()))?;
                Some(Acked {
                    step: number,
                    room: room.clone(),
                    client: client.clone(),
                    seq: *seq,
                    command: command.clone(),
                    tries: *tries,
                    acks: acks[&(room.as_str(), client.as_str())],
                })
            }
            _ => None,
        });
    first.collect()
}

/// A random matching first acknowledgement.
pub(crate) fn pick(trace: &Trace, rng: &mut Rng, fits: impl Fn(&Acked) -> bool) -> Option<Acked> {
    let mut fitting: Vec<Acked> = acked(trace).into_iter().filter(fits).collect();
    if fitting.is_empty() {
        return None;
    }
    Some(fitting.swap_remove(rng.below(fitting.len())))
}

fn at(one: &Acked) -> Mutated {
    Mutated {
        room: one.room.clone(),
        seq: Some(one.seq),
    }
}

pub(crate) fn is_message(one: &Acked) -> bool {
    matches!(one.command, Command::Message { .. })
}

fn lose_acknowledged(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, is_message)?;
    trace.forget(true, true, |room, event| {
        room == one.room && event.seq.get() == one.seq
    });
    Some(at(&one))
}

fn lose_acknowledged_edit(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |one| {
        matches!(one.command, Command::Edit { .. })
    })?;
    trace.forget(true, true, |room, event| {
        room == one.room && event.seq.get() == one.seq
    });
    Some(at(&one))
}

fn acknowledge_nothing(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let mut one = pick(trace, rng, is_message)?;
    let seqs: Vec<u64> = trace.deliveries().iter().map(|one| one.seq).collect();
    if seqs.contains(&(one.seq + 1)) || trace.acked().contains(&(one.room.clone(), one.seq + 1)) {
        return None;
    }
    one.seq += 1;
    let mut tried = trace.steps[one.step].clone();
    let mut answer = tried.clone();
    tried.kind = StepKind::Sent {
        room: one.room.clone(),
        client: "never".to_owned(),
        command: one.command.clone(),
    };
    answer.kind = StepKind::Acked {
        room: one.room.clone(),
        client: "never".to_owned(),
        message: "never".to_owned(),
        seq: one.seq,
        duplicate: false,
    };
    trace.steps.splice(one.step..one.step, [tried, answer]);
    Some(at(&one))
}

fn acknowledge_elsewhere(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |one| is_message(one) && one.acks == 1)?;
    let other = pick(trace, rng, |other| {
        other.room == one.room && other.seq != one.seq
    })?;
    if let StepKind::Acked { seq, .. } = &mut trace.steps[one.step].kind {
        *seq = other.seq;
    }
    Some(at(&other))
}

fn acknowledge_another(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, |one| is_message(one) && one.acks == 1)?;
    if let StepKind::Acked { message, .. } = &mut trace.steps[one.step].kind {
        "another".clone_into(message);
    }
    Some(at(&one))
}

/// Adds a resend and its response behind a first one.
fn resend(trace: &mut Trace, one: &Acked, change: impl Fn(&mut u64, &mut bool)) {
    let mut tried = trace.steps[one.step].clone();
    tried.kind = StepKind::Sent {
        room: one.room.clone(),
        client: one.client.clone(),
        command: one.command.clone(),
    };
    let mut answer = trace.steps[one.step].clone();
    if let StepKind::Acked { seq, duplicate, .. } = &mut answer.kind {
        *duplicate = true;
        change(seq, duplicate);
    }
    trace.steps.splice(one.step + 1..=one.step, [tried, answer]);
}

fn duplicate_elsewhere(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, is_message)?;
    resend(trace, &one, |seq, _| *seq += 1);
    Some(at(&one))
}

fn duplicate_as_new(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, is_message)?;
    resend(trace, &one, |_, duplicate| *duplicate = false);
    Some(at(&one))
}

/// Stores the same message again behind the last event of its room.
fn store_again(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick(trace, rng, is_message)?;
    let all = trace.deliveries();
    let first = all
        .iter()
        .find(|other| (&other.room, other.seq) == (&one.room, one.seq))?;
    let StepKind::Delivered { event, .. } = trace.steps[first.step].kind.clone() else {
        return None;
    };
    let heads = trace.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Paged { room, head, .. } if *room == one.room => Some(*head),
        _ => None,
    });
    let head = heads.max()?;
    let mut again = event;
    (again.seq, again.prev) = (seq(head + 1), Some(seq(head)));
    for step in &mut trace.steps {
        if let StepKind::Paged {
            room,
            asked: PageQuery::After(_),
            head: its_head,
            more: (_, false),
            events,
            ..
        } = &mut step.kind
            && *room == one.room
            && *its_head == head
        {
            events.push(again.clone());
        }
    }
    Some(Mutated {
        room: one.room,
        seq: Some(head + 1),
    })
}

fn refuse_what_is_stored(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let seen: Vec<(String, u64)> = trace
        .deliveries()
        .into_iter()
        .map(|one| (one.room, one.seq))
        .collect();
    let one = pick(trace, rng, |one| {
        is_message(one) && one.tries == 1 && seen.contains(&(one.room.clone(), one.seq))
    })?;
    trace.steps[one.step].kind = StepKind::Refused {
        room: one.room.clone(),
        client: one.client.clone(),
        code: ErrorCode::LogUnavailable,
    };
    Some(at(&one))
}

fn no_answer(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let finished = trace.finished();
    let one = pick(trace, rng, |one| {
        is_message(one) && one.tries == 1 && finished.contains(&trace.steps[one.step].connection)
    })?;
    trace.steps.remove(one.step);
    Some(Mutated {
        room: one.room,
        seq: None,
    })
}

/// Exchanges the ids of two consecutive attempts of one connection.
/// A message that is shown with content everywhere.
fn pick_shown(trace: &mut Trace, rng: &mut Rng) -> Option<Acked> {
    let mut gone = Vec::new();
    trace.each_event(|room, _, event| {
        if event.deleted || event.kind == EventKind::MessageDeleted {
            gone.push((room.to_owned(), event.message_id.clone()));
        }
    });
    let seen = trace.deliveries();
    let one = pick(trace, rng, |one| {
        is_message(one)
            && seen
                .iter()
                .any(|other| (&other.room, other.seq) == (&one.room, one.seq))
    })?;
    let mut message = None;
    trace.each_event(|room, _, event| {
        if room == one.room && event.seq.get() == one.seq {
            message = Some((room.to_owned(), event.message_id.clone()));
        }
    });
    let asked = trace.steps.iter().any(|step| {
        matches!(&step.kind, StepKind::Sent { command: Command::Delete { message: about }, .. }
            if message.as_ref().is_some_and(|(_, id)| id.as_ref().is_some_and(|id| id.0 == *about)))
    });
    (!asked && !gone.contains(&message?)).then_some(one)
}

fn other_words_for_all(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick_shown(trace, rng)?;
    let Command::Message { content: command } = &one.command else {
        return None;
    };
    trace.each_event(|room, _, event| {
        let command = event
            .content
            .as_ref()
            .is_some_and(|content| content.0 == *command);
        if room == one.room && event.seq.get() == one.seq && command {
            event.content = Some(text("other words"));
        }
    });
    Some(at(&one))
}

fn delete_by_nobody(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick_shown(trace, rng)?;
    trace.each_event(|room, _, event| {
        if room == one.room && event.seq.get() == one.seq {
            (event.content, event.deleted) = (None, true);
        }
    });
    Some(at(&one))
}

fn another_sender(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let one = pick_shown(trace, rng)?;
    trace.each_event(|room, _, event| {
        if room == one.room && event.seq.get() == one.seq {
            event.sender_id = text("somebody-else");
        }
    });
    Some(at(&one))
}

fn edit_by_nobody(trace: &mut Trace, rng: &mut Rng) -> Option<Mutated> {
    let seen = trace.deliveries();
    let one = pick(trace, rng, |one| {
        matches!(one.command, Command::Edit { .. })
            && seen
                .iter()
                .any(|other| (&other.room, other.seq) == (&one.room, one.seq))
    })?;
    let mut shown = false;
    trace.each_event(|room, _, event| {
        if room == one.room && event.seq.get() == one.seq && !event.deleted {
            event.content = Some(text("nobody wrote this"));
            shown = true;
        }
    });
    shown.then(|| at(&one))
}
