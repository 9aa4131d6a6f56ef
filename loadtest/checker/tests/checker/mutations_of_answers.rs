//! Ways to damage what is acknowledged and stored.

use std::collections::HashMap;

use crate::rng::Rng;
use roomcast_checker::ViolationKind;
use roomcast_checker::history::{EventKind, PageQuery};
use roomcast_protocol::ErrorCode;

use crate::mutations::{Damage, Damaged};
use crate::mutations_of_order::{
    acknowledge_before_refusal, exchange_resend, exchange_sends, store_behind_refused,
};
use crate::trace::{Said, Trace, What, seq, text};

/// Damages answers and what they stand for.
pub(crate) const ANSWERS: &[Damage] = &[
    Damage {
        name: "an acknowledged message is in nobody's view",
        does: lose_acknowledged,
        kind: ViolationKind::AcknowledgedLost,
        also: &[],
    },
    Damage {
        name: "an acknowledged edit is in nobody's view",
        does: lose_acknowledged_edit,
        kind: ViolationKind::AcknowledgedLost,
        also: &[ViolationKind::StaleState, ViolationKind::ContentChanged],
    },
    Damage {
        name: "an ACK for what was never stored",
        does: acknowledge_nothing,
        kind: ViolationKind::AcknowledgedLost,
        also: &[ViolationKind::WrongPrev, ViolationKind::SendersOrder],
    },
    Damage {
        name: "an ACK names another place",
        does: acknowledge_elsewhere,
        kind: ViolationKind::AcknowledgedOtherwise,
        also: &[],
    },
    Damage {
        name: "an ACK names another message",
        does: acknowledge_another,
        kind: ViolationKind::AcknowledgedOtherwise,
        also: &[],
    },
    Damage {
        name: "a resend is answered with another place",
        does: duplicate_elsewhere,
        kind: ViolationKind::DuplicateDiffers,
        also: &[],
    },
    Damage {
        name: "a resend is acknowledged as new",
        does: duplicate_as_new,
        kind: ViolationKind::NotCalledDuplicate,
        also: &[],
    },
    Damage {
        name: "a resend is stored again",
        does: store_again,
        kind: ViolationKind::StoredTwice,
        also: &[],
    },
    Damage {
        name: "refused as not stored, and there",
        does: refuse_what_is_stored,
        kind: ViolationKind::RefusedButStored,
        also: &[],
    },
    Damage {
        name: "an answer never comes",
        does: no_answer,
        kind: ViolationKind::Unanswered,
        also: &[],
    },
    Damage {
        name: "two sends of one connection are stored in the other order",
        does: exchange_sends,
        kind: ViolationKind::SendersOrder,
        also: &[],
    },
    Damage {
        name: "a resend is stored after what was sent later on its connection",
        does: exchange_resend,
        kind: ViolationKind::SendersOrder,
        also: &[],
    },
    Damage {
        name: "a send is stored that was waiting behind a refused one",
        does: store_behind_refused,
        kind: ViolationKind::SendersOrder,
        also: &[],
    },
    Damage {
        name: "a send is acknowledged before one in front of it is refused",
        does: acknowledge_before_refusal,
        kind: ViolationKind::SendersOrder,
        also: &[],
    },
    Damage {
        name: "everybody gets other words than were sent",
        does: other_words_for_all,
        kind: ViolationKind::ContentChanged,
        also: &[],
    },
    Damage {
        name: "a message loses its words though nobody deleted it",
        does: delete_by_nobody,
        kind: ViolationKind::ContentChanged,
        also: &[],
    },
    Damage {
        name: "everybody gets a message under another's name",
        does: another_sender,
        kind: ViolationKind::Invented,
        also: &[ViolationKind::NotDelivered, ViolationKind::StaleState],
    },
    Damage {
        name: "an edit says something that nobody wrote",
        does: edit_by_nobody,
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
    pub(crate) said: Said,
    pub(crate) tries: usize,
    acks: usize,
}

/// First acknowledgements that are no duplicates, with what they answer.
fn acked(trace: &Trace) -> Vec<Acked> {
    let mut tried: HashMap<(&str, &str), (Said, usize)> = HashMap::new();
    let mut acks: HashMap<(&str, &str), usize> = HashMap::new();
    for step in &trace.steps {
        match &step.what {
            What::Tried { room, client, said } => {
                let tries = tried.entry((room, client)).or_insert((said.clone(), 0));
                tries.1 += 1;
            }
            What::Acked { room, client, .. } => *acks.entry((room, client)).or_default() += 1,
            _ => {}
        }
    }
    let first = (0..)
        .zip(&trace.steps)
        .filter_map(|(number, step)| match &step.what {
            What::Acked {
                room,
                client,
                seq,
                duplicate: false,
                ..
            } => {
                let (said, tries) = tried.get(&(room.as_str(), client.as_str()))?;
                Some(Acked {
                    step: number,
                    room: room.clone(),
                    client: client.clone(),
                    seq: *seq,
                    said: said.clone(),
                    tries: *tries,
                    acks: acks[&(room.as_str(), client.as_str())],
                })
            }
            _ => None,
        });
    first.collect()
}

/// One of those first acknowledgements that fit.
pub(crate) fn pick(
    trace: &Trace,
    chance: &mut Rng,
    fits: impl Fn(&Acked) -> bool,
) -> Option<Acked> {
    let mut fitting: Vec<Acked> = acked(trace).into_iter().filter(fits).collect();
    if fitting.is_empty() {
        return None;
    }
    Some(fitting.swap_remove(chance.below(fitting.len())))
}

fn at(one: &Acked) -> Damaged {
    Damaged {
        room: one.room.clone(),
        seq: Some(one.seq),
    }
}

pub(crate) fn is_message(one: &Acked) -> bool {
    matches!(one.said, Said::Message { .. })
}

fn lose_acknowledged(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, is_message)?;
    trace.forget(true, true, |room, event| {
        room == one.room && event.seq.get() == one.seq
    });
    Some(at(&one))
}

fn lose_acknowledged_edit(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |one| matches!(one.said, Said::Edit { .. }))?;
    trace.forget(true, true, |room, event| {
        room == one.room && event.seq.get() == one.seq
    });
    Some(at(&one))
}

fn acknowledge_nothing(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let mut one = pick(trace, chance, is_message)?;
    let seqs: Vec<u64> = trace.deliveries().iter().map(|one| one.seq).collect();
    if seqs.contains(&(one.seq + 1)) || trace.acked().contains(&(one.room.clone(), one.seq + 1)) {
        return None;
    }
    one.seq += 1;
    let mut tried = trace.steps[one.step].clone();
    let mut answer = tried.clone();
    tried.what = What::Tried {
        room: one.room.clone(),
        client: "never".to_owned(),
        said: one.said.clone(),
    };
    answer.what = What::Acked {
        room: one.room.clone(),
        client: "never".to_owned(),
        message: "never".to_owned(),
        seq: one.seq,
        duplicate: false,
    };
    trace.steps.splice(one.step..one.step, [tried, answer]);
    Some(at(&one))
}

fn acknowledge_elsewhere(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |one| is_message(one) && one.acks == 1)?;
    let other = pick(trace, chance, |other| {
        other.room == one.room && other.seq != one.seq
    })?;
    if let What::Acked { seq, .. } = &mut trace.steps[one.step].what {
        *seq = other.seq;
    }
    Some(at(&other))
}

fn acknowledge_another(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, |one| is_message(one) && one.acks == 1)?;
    if let What::Acked { message, .. } = &mut trace.steps[one.step].what {
        "another".clone_into(message);
    }
    Some(at(&one))
}

/// Adds a resend with its answer behind a first one.
fn resend(trace: &mut Trace, one: &Acked, change: impl Fn(&mut u64, &mut bool)) {
    let mut tried = trace.steps[one.step].clone();
    tried.what = What::Tried {
        room: one.room.clone(),
        client: one.client.clone(),
        said: one.said.clone(),
    };
    let mut answer = trace.steps[one.step].clone();
    if let What::Acked { seq, duplicate, .. } = &mut answer.what {
        *duplicate = true;
        change(seq, duplicate);
    }
    trace.steps.splice(one.step + 1..=one.step, [tried, answer]);
}

fn duplicate_elsewhere(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, is_message)?;
    resend(trace, &one, |seq, _| *seq += 1);
    Some(at(&one))
}

fn duplicate_as_new(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, is_message)?;
    resend(trace, &one, |_, duplicate| *duplicate = false);
    Some(at(&one))
}

/// The same message stands a second time behind the last event of its room.
fn store_again(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick(trace, chance, is_message)?;
    let all = trace.deliveries();
    let first = all
        .iter()
        .find(|other| (&other.room, other.seq) == (&one.room, one.seq))?;
    let What::Delivered { event, .. } = trace.steps[first.step].what.clone() else {
        return None;
    };
    let heads = trace.steps.iter().filter_map(|step| match &step.what {
        What::Paged { room, head, .. } if *room == one.room => Some(*head),
        _ => None,
    });
    let head = heads.max()?;
    let mut again = event;
    (again.seq, again.prev) = (seq(head + 1), Some(seq(head)));
    for step in &mut trace.steps {
        if let What::Paged {
            room,
            asked: PageQuery::After(_),
            head: its_head,
            more: (_, false),
            events,
            ..
        } = &mut step.what
            && *room == one.room
            && *its_head == head
        {
            events.push(again.clone());
        }
    }
    Some(Damaged {
        room: one.room,
        seq: Some(head + 1),
    })
}

fn refuse_what_is_stored(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let seen: Vec<(String, u64)> = trace
        .deliveries()
        .into_iter()
        .map(|one| (one.room, one.seq))
        .collect();
    let one = pick(trace, chance, |one| {
        is_message(one) && one.tries == 1 && seen.contains(&(one.room.clone(), one.seq))
    })?;
    trace.steps[one.step].what = What::Refused {
        room: one.room.clone(),
        client: one.client.clone(),
        code: ErrorCode::LogUnavailable,
    };
    Some(at(&one))
}

fn no_answer(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let finished = trace.finished();
    let one = pick(trace, chance, |one| {
        is_message(one) && one.tries == 1 && finished.contains(&trace.steps[one.step].connection)
    })?;
    trace.steps.remove(one.step);
    Some(Damaged {
        room: one.room,
        seq: None,
    })
}

/// Exchanges the names of two tries that one connection sent one after the other.
/// A message that is shown with its words wherever it is.
fn pick_shown(trace: &mut Trace, chance: &mut Rng) -> Option<Acked> {
    let mut gone = Vec::new();
    trace.each_event(|room, _, event| {
        if event.deleted || event.kind == EventKind::MessageDeleted {
            gone.push((room.to_owned(), event.message_id.clone()));
        }
    });
    let seen = trace.deliveries();
    let one = pick(trace, chance, |one| {
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
        matches!(&step.what, What::Tried { said: Said::Delete { message: about }, .. }
            if message.as_ref().is_some_and(|(_, id)| id.as_ref().is_some_and(|id| id.0 == *about)))
    });
    (!asked && !gone.contains(&message?)).then_some(one)
}

fn other_words_for_all(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick_shown(trace, chance)?;
    let Said::Message { content: said } = &one.said else {
        return None;
    };
    trace.each_event(|room, _, event| {
        let said = event
            .content
            .as_ref()
            .is_some_and(|content| content.0 == *said);
        if room == one.room && event.seq.get() == one.seq && said {
            event.content = Some(text("other words"));
        }
    });
    Some(at(&one))
}

fn delete_by_nobody(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick_shown(trace, chance)?;
    trace.each_event(|room, _, event| {
        if room == one.room && event.seq.get() == one.seq {
            (event.content, event.deleted) = (None, true);
        }
    });
    Some(at(&one))
}

fn another_sender(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let one = pick_shown(trace, chance)?;
    trace.each_event(|room, _, event| {
        if room == one.room && event.seq.get() == one.seq {
            event.sender_id = text("somebody-else");
        }
    });
    Some(at(&one))
}

fn edit_by_nobody(trace: &mut Trace, chance: &mut Rng) -> Option<Damaged> {
    let seen = trace.deliveries();
    let one = pick(trace, chance, |one| {
        matches!(one.said, Said::Edit { .. })
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
