//! The scheduler of a worker: sends due messages, runs timers, checks for silent connections.

use std::rc::Rc;
use std::time::Duration;

use super::Worker;
use super::client::SubscriptionState;
use crate::schedule::Due;
use crate::settings::{CHURN_SHARE, Profile};
use roomcast_checker::history::Disconnect;

/// Maximum sleep, which bounds the delay of commands and blocked sockets.
const NAP: Duration = Duration::from_millis(10);
/// Limit of sends per turn.
const SENDS_PER_TURN: usize = 256;
/// Limit of timers per client on average; further timers are dropped.
const TIMERS_PER_CLIENT: usize = 64;
/// Interval of disconnections in the profile churn.
const CHURN_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum time a churned client stays disconnected.
const CHURN_AWAY_US: u64 = 2_000_000;

/// A timer of a client.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerTask {
    at: u64,
    client: u32,
    generation: u32,
    what: TimerAction,
}

/// The action.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerAction {
    /// Resend a refused message.
    Send,
    /// Subscribe again.
    Subscribe(u32),
    /// Reconnect to another gateway, as requested by `RECONNECT`.
    Move,
}

impl Worker {
    /// Schedules an action at `at`, for the current connection of a client.
    pub(super) fn schedule(&self, at: u64, client: u32, generation: u32, what: TimerAction) {
        let task = TimerTask {
            at,
            client,
            generation,
            what,
        };
        let mut timers = self.timers.borrow_mut();
        if timers.len() < TIMERS_PER_CLIENT * self.clients.len() {
            timers.push(std::cmp::Reverse(task));
        }
    }

    fn run_timers(&self, now: u64) {
        loop {
            let task = {
                let mut timers = self.timers.borrow_mut();
                match timers.peek() {
                    Some(next) if next.0.at <= now => timers.pop(),
                    _ => None,
                }
            };
            let Some(std::cmp::Reverse(task)) = task else {
                return;
            };
            self.run_timer(&task);
        }
    }

    fn run_timer(&self, task: &TimerTask) {
        let client = self.client(task.client);
        let mut session = client.session.borrow_mut();
        if session.generation != task.generation || !session.live {
            return;
        }
        match task.what {
            TimerAction::Send => client.send_pending(self, &mut session),
            TimerAction::Subscribe(room) => {
                let asked = |cursor: &super::client::RoomCursor| {
                    cursor.room == room && cursor.stage == SubscriptionState::Asked
                };
                if let Some(cursor) = session.cursors.iter().position(asked) {
                    client.subscribe(self, &mut session, cursor);
                }
            }
            TimerAction::Move => {
                session.endpoint += 1;
                drop(session);
                client.cut(self, Disconnect::Cut, Some(1));
            }
        }
    }

    fn send_due(&self, waiting: &mut Option<Due>) -> Turn {
        let mut load = self.load.borrow_mut();
        let Some((schedule, from)) = &mut *load else {
            return Turn::Nothing;
        };
        for _ in 0..SENDS_PER_TURN {
            if waiting.is_none() {
                *waiting = schedule.next();
            }
            let Some(due) = *waiting else {
                return Turn::Nothing;
            };
            let at = *from + due.at;
            if at > self.clock.now() {
                return Turn::NextAt(at);
            }
            let index = due.connection / u32::try_from(self.settings.workers).expect("few workers");
            self.client(index).due(self, &due, at);
            *waiting = None;
        }
        Turn::More
    }
}

enum Turn {
    Nothing,
    NextAt(u64),
    More,
}

/// Sends due messages and runs timers until the end of the run.
pub(super) async fn run_scheduler(worker: Rc<Worker>) {
    let mut waiting = None;
    while !worker.over.get() {
        let turn = worker.send_due(&mut waiting);
        worker.run_timers(worker.clock.now());
        let blocked = worker.blocked.take();
        let still = blocked
            .into_iter()
            .filter(|&index| worker.client(index).drain());
        let still: Vec<u32> = still.collect();
        worker.blocked.borrow_mut().extend(still);
        match turn {
            Turn::More => tokio::task::yield_now().await,
            Turn::NextAt(at) => tokio::time::sleep(worker.clock.until(at).min(NAP)).await,
            Turn::Nothing => tokio::time::sleep(NAP).await,
        }
    }
}

/// Checks each client once a second, and disconnects some in the profile churn.
pub(super) async fn sweep(worker: Rc<Worker>) {
    let mut turns = tokio::time::interval(CHURN_INTERVAL);
    for turn in 0_u64.. {
        turns.tick().await;
        if worker.over.get() {
            return;
        }
        let now = worker.clock.now();
        // A tenth of them at each turn, so that each has its turn once a second.
        for client in worker
            .clients
            .iter()
            .skip(usize::try_from(turn % 10).expect("below ten"))
            .step_by(10)
        {
            client.flush(&worker, now);
        }
        if worker.settings.profile == Profile::Churn && worker.loading(now) {
            worker.let_some_leave();
        }
    }
}

impl Worker {
    fn loading(&self, now: u64) -> bool {
        let from = self.load.borrow().as_ref().map(|(_, from)| *from);
        let until = |from: u64| from + crate::clock::micros(self.settings.duration);
        from.is_some_and(|from| (from..until(from)).contains(&now))
    }

    fn let_some_leave(&self) {
        let share = CHURN_SHARE * CHURN_INTERVAL.as_secs_f64();
        for client in &self.clients {
            let (leaves, away) = {
                let mut rng = self.rng.borrow_mut();
                (rng.unit() < share, rng.next_u64() % CHURN_AWAY_US)
            };
            if leaves && client.caught_up.get() {
                client.send_close(self, 1_000);
                client.cut(self, Disconnect::Cut, Some(away));
            }
        }
    }
}
