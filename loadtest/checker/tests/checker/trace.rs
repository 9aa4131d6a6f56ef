//! A history as a list of steps that tests can mutate and check.

use std::collections::{HashMap, HashSet};

use roomcast_checker::history::{
    Attempt, ConnectionLog, Disconnect, Event, EventKind, MessageAction, Page, PageQuery, Recorder,
    Text,
};
use roomcast_checker::{Verdict, check};
use roomcast_protocol::{ErrorCode, RoomId, Seq, UserId};

/// All steps, in time order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) at_us: u64,
    pub(crate) connection: usize,
    pub(crate) kind: StepKind,
}

#[derive(Debug, Clone)]
pub(crate) enum StepKind {
    Connected {
        user: String,
        gateway: String,
    },
    Sent {
        room: String,
        client: String,
        command: Command,
    },
    Acked {
        room: String,
        client: String,
        message: String,
        seq: u64,
        duplicate: bool,
    },
    Refused {
        room: String,
        client: String,
        code: ErrorCode,
    },
    Subscribed {
        room: String,
        after: Option<u64>,
        head: u64,
        recovered: bool,
    },
    Unsubscribed {
        room: String,
    },
    Delivered {
        room: String,
        event: Event<'static>,
    },
    Paged {
        room: String,
        asked_us: u64,
        asked: PageQuery,
        head: u64,
        more: (bool, bool),
        events: Vec<Event<'static>>,
    },
    Ended(Disconnect),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    Message {
        content: String,
    },
    Edit {
        message: String,
        content: String,
    },
    Delete {
        message: String,
    },
    React {
        message: String,
        emoji: String,
        remove: bool,
    },
}

/// A delivery in a trace.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// The index of its step.
    pub(crate) step: usize,
    pub(crate) connection: usize,
    pub(crate) room: String,
    pub(crate) seq: u64,
    pub(crate) kind: EventKind,
    /// The number of its subscription.
    pub(crate) span: usize,
    /// Its index in the subscription.
    pub(crate) nth: usize,
}

pub(crate) fn seq(number: u64) -> Seq {
    Seq::new(number).expect("tests stay below 2^53")
}

pub(crate) fn text(text: &str) -> Text<'static> {
    Text(text.to_owned().into())
}

impl Trace {
    pub(crate) fn push(&mut self, at_us: u64, connection: usize, kind: StepKind) {
        self.steps.push(Step {
            at_us,
            connection,
            kind,
        });
    }

    /// Every delivery that belongs to a subscription.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let mut spans = 0;
        let mut open: HashMap<(usize, &str), (usize, usize)> = HashMap::new();
        let mut deliveries = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            match &step.kind {
                StepKind::Subscribed { room, .. } => {
                    open.insert((step.connection, room), (spans, 0));
                    spans += 1;
                }
                StepKind::Unsubscribed { room } => {
                    open.remove(&(step.connection, room));
                }
                StepKind::Delivered { room, event } => {
                    if let Some((span, nth)) = open.get_mut(&(step.connection, room)) {
                        deliveries.push(Delivery {
                            step: number,
                            connection: step.connection,
                            room: room.clone(),
                            seq: event.seq.get(),
                            kind: event.kind,
                            span: *span,
                            nth: *nth,
                        });
                        *nth += 1;
                    }
                }
                _ => {}
            }
        }
        deliveries
    }

    /// The events delivered and on pages, with the room and whether it was a page of messages.
    pub(crate) fn each_event(&mut self, mut change: impl FnMut(&str, bool, &mut Event<'static>)) {
        for step in &mut self.steps {
            match &mut step.kind {
                StepKind::Delivered { room, event } => change(room, false, event),
                StepKind::Paged {
                    room,
                    asked,
                    events,
                    ..
                } => {
                    let state = !matches!(asked, PageQuery::After(_));
                    for event in events {
                        change(room, state, event);
                    }
                }
                _ => {}
            }
        }
    }

    /// Removes events from deliveries, pages, or both.
    pub(crate) fn forget(
        &mut self,
        live: bool,
        pages: bool,
        gone: impl Fn(&str, &Event<'_>) -> bool,
    ) {
        self.steps.retain_mut(|step| match &mut step.kind {
            StepKind::Delivered { room, event } => !(live && gone(room, event)),
            StepKind::Paged { room, events, .. } if pages => {
                events.retain(|event| !gone(room, event));
                true
            }
            _ => true,
        });
    }

    /// The connections open at the end of the run.
    pub(crate) fn finished(&self) -> Vec<usize> {
        let finished = self.numbers(|kind| matches!(kind, StepKind::Ended(Disconnect::Finished)));
        finished
            .iter()
            .map(|number| self.steps[*number].connection)
            .collect()
    }

    /// Every seq that an `ACK` names.
    pub(crate) fn acked(&self) -> HashSet<(String, u64)> {
        let acked = self.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Acked { room, seq, .. } => Some((room.clone(), *seq)),
            _ => None,
        });
        acked.collect()
    }

    /// The indices of matching steps.
    pub(crate) fn numbers(&self, such: impl Fn(&StepKind) -> bool) -> Vec<usize> {
        let steps = (0..).zip(&self.steps);
        steps
            .filter(|(_, step)| such(&step.kind))
            .map(|(number, _)| number)
            .collect()
    }

    /// Records all steps and checks the recording.
    pub(crate) fn verdict(&self) -> Verdict {
        let recorder = Recorder::in_memory();
        let mut logs: HashMap<usize, ConnectionLog> = HashMap::new();
        for step in &self.steps {
            if let StepKind::Connected { user, gateway } = &step.kind {
                let user = UserId::new(user).unwrap();
                let log = recorder.connection(step.at_us, &user, gateway);
                logs.insert(step.connection, log);
            } else {
                write_step(&logs[&step.connection], step);
            }
        }
        check(&recorder.recording().unwrap())
    }
}

fn write_step(log: &ConnectionLog, step: &Step) {
    let id = |room: &str| RoomId::new(room).unwrap();
    let at_us = step.at_us;
    match &step.kind {
        StepKind::Connected { .. } => {}
        StepKind::Sent {
            room,
            client,
            command,
        } => log.sent(
            at_us,
            &Attempt {
                room_id: &id(room),
                client_msg_id: client,
                action: command.as_action(),
            },
        ),
        StepKind::Acked {
            room,
            client,
            message,
            seq: number,
            duplicate,
        } => log.acked(at_us, &id(room), client, message, seq(*number), *duplicate),
        StepKind::Refused { room, client, code } => log.refused(at_us, &id(room), client, *code),
        StepKind::Subscribed {
            room,
            after,
            head,
            recovered,
        } => log.subscribed(at_us, &id(room), after.map(seq), seq(*head), *recovered),
        StepKind::Unsubscribed { room } => log.unsubscribed(at_us, &id(room)),
        StepKind::Delivered { room, event } => log.delivered(at_us, &id(room), event),
        StepKind::Paged {
            room,
            asked_us,
            asked,
            head,
            more,
            events,
        } => {
            let page = Page {
                asked_us: *asked_us,
                room_id: &id(room),
                asked: *asked,
                head: seq(*head),
                has_more_before: more.0,
                has_more_after: more.1,
            };
            log.page(at_us, &page, events);
        }
        StepKind::Ended(end) => log.ended(at_us, *end),
    }
}

impl Command {
    fn as_action(&self) -> MessageAction<'_> {
        match self {
            Self::Message { content } => MessageAction::Message { content },
            Self::Edit { message, content } => MessageAction::Edit {
                message_id: message,
                content,
            },
            Self::Delete { message } => MessageAction::Delete {
                message_id: message,
            },
            Self::React {
                message,
                emoji,
                remove,
            } => MessageAction::React {
                message_id: message,
                emoji,
                remove: *remove,
            },
        }
    }
}
