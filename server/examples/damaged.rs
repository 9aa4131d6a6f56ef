//! Roomcast with a log that is broken on purpose, so that those who check its promises can be checked.
//!
//! `damaged KIND EVERY [options of roomcast]`: of every so many messages one is acknowledged and not kept
//! (`drop`), kept twice (`double`), kept after the next of its sender (`reorder`), or followed by one that
//! no client sent (`invent`). Nothing else differs from the program that users run.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use roomcast::config::{self, Command};
use roomcast::{serve, telemetry};
use roomcast_ports::event_log::{Append, Appended, EventLog, LogError};
use roomcast_ports::wrapper::EventLogWrapper;
use roomcast_protocol::{EventBody, EventId, Seq};
use tokio::sync::oneshot;

/// What is done to one message of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Drop,
    Double,
    Reorder,
    Invent,
}

type Answer = BoxFuture<'static, Result<Appended, LogError>>;

struct DamagedLog {
    inner: Arc<dyn EventLog>,
    damage: Damage,
    every: u64,
    count: AtomicU64,
    last: Arc<AtomicU64>,
    /// A message that waits for the next of its sender in its room.
    held: Mutex<Option<(Append, oneshot::Sender<Answer>)>>,
}

impl DamagedLog {
    fn place(&self, append: Append) -> Answer {
        let (answer, last) = (self.inner.append(append), Arc::clone(&self.last));
        Box::pin(async move {
            let answer = answer.await;
            if let Ok(appended) = &answer {
                last.fetch_max(appended.seq.get(), Ordering::SeqCst);
            }
            answer
        })
    }

    fn damaged(&self, append: Append) -> Answer {
        match self.damage {
            Damage::Drop => {
                let last = self.last.load(Ordering::SeqCst);
                let place = |number| Seq::new(number).unwrap_or(Seq::MAX);
                let answer = Appended {
                    seq: place(last + 1),
                    prev: place(last),
                    sent_at: append.event.sent_at,
                    message_id: append.event.message_id(),
                    duplicate: false,
                };
                Box::pin(std::future::ready(Ok(answer)))
            }
            Damage::Double | Damage::Invent => {
                let mut more = append.clone();
                more.event.id = EventId::generate();
                if self.damage == Damage::Invent {
                    more.event.client_message_id = None;
                }
                let answer = self.place(append);
                drop(self.inner.append(more));
                answer
            }
            Damage::Reorder => {
                let (sender, receiver) = oneshot::channel();
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some((append, sender));
                Box::pin(async move {
                    match receiver.await {
                        Ok(answer) => answer.await,
                        Err(_) => Err(LogError::Unconfirmed(Duration::ZERO)),
                    }
                })
            }
        }
    }
}

impl EventLogWrapper for DamagedLog {
    fn inner(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.inner)
    }

    fn append(&self, append: Append) -> Answer {
        if !matches!(append.event.body, EventBody::MessageSent(_)) {
            return self.place(append);
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let follows = held.as_ref().is_some_and(|(waiting, _)| {
            waiting.event.sender_id == append.event.sender_id
                && waiting.event.room_id == append.event.room_id
        });
        if follows && let Some((waiting, answer)) = held.take() {
            let next = self.place(append);
            // The caller may have gone.
            let _ = answer.send(self.place(waiting));
            return next;
        }
        let busy = held.is_some();
        drop(held);
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if number.is_multiple_of(self.every) && !busy {
            self.damaged(append)
        } else {
            self.place(append)
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let mut word = || arguments.next().and_then(|word| word.into_string().ok());
    let (kind, every) = (word(), word().and_then(|every| every.parse::<u64>().ok()));
    let damage = match kind.as_deref() {
        Some("drop") => Damage::Drop,
        Some("double") => Damage::Double,
        Some("reorder") => Damage::Reorder,
        Some("invent") => Damage::Invent,
        _ => return ExitCode::from(config::STATUS_WRONG),
    };
    let Some(every) = every.filter(|every| *every > 0) else {
        return ExitCode::from(config::STATUS_WRONG);
    };
    let Ok(Command::Serve(settings)) = config::read(arguments, []).command else {
        return ExitCode::from(config::STATUS_WRONG);
    };
    let logs = telemetry::logs::start(settings.log_format, &settings.log_filter);
    let runtime = tokio::runtime::Runtime::new();
    let (Ok(()), Ok(runtime)) = (logs, runtime) else {
        return ExitCode::FAILURE;
    };
    let wrap = move |inner| -> Arc<dyn EventLog> {
        Arc::new(DamagedLog {
            inner,
            damage,
            every,
            count: AtomicU64::new(0),
            last: Arc::default(),
            held: Mutex::default(),
        })
    };
    match runtime.block_on(serve::serve_on(settings, wrap)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
