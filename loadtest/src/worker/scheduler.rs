//! The worker's heartbeat: sends what is due, keeps appointments, looks after the silent.

use std::rc::Rc;
use std::time::Duration;

use super::Worker;
use super::client::SubscriptionState;
use crate::schedule::Due;
use crate::settings::{CHURN_SHARE, Profile};
use roomcast_checker::history::Disconnect;

/// The longest sleep: an order or a blocked socket is not kept waiting for longer.
const NAP: Duration = Duration::from_millis(10);
/// Sends in one turn, before others have one.
const SENDS_PER_TURN: usize = 256;
/// Errands on the agenda for each client on average; what a fleet asks for beyond that is not remembered.
const TIMERS_PER_CLIENT: usize = 64;
/// How often clients leave, in the profile where they do.
const CHURN_INTERVAL: Duration = Duration::from_millis(100);
/// How long one that left stays away, at most.
const CHURN_AWAY_US: u64 = 2_000_000;

/// Something a client is to do later.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerTask {
    at: u64,
    client: u32,
    generation: u32,
    what: TimerAction,
}

/// What it is to do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerAction {
    /// Send again what was refused for a while.
    Send,
    /// Subscribe again.
    Subscribe(u32),
    /// Leave a gateway that asked for it, and go to the next.
    Move,
}

impl Worker {
    /// A client is to do something at `at`, if it is still on the same connection.
    pub(super) fn schedule(&self, at: u64, client: u32, generation: u32, what: TimerAction) {
        let errand = TimerTask {
            at,
            client,
            generation,
            what,
        };
        let mut agenda = self.agenda.borrow_mut();
        if agenda.len() < TIMERS_PER_CLIENT * self.clients.len() {
            agenda.push(std::cmp::Reverse(errand));
        }
    }

    fn run_timers(&self, now: u64) {
        loop {
            let errand = {
                let mut agenda = self.agenda.borrow_mut();
                match agenda.peek() {
                    Some(next) if next.0.at <= now => agenda.pop(),
                    _ => None,
                }
            };
            let Some(std::cmp::Reverse(errand)) = errand else {
                return;
            };
            self.run_timer(&errand);
        }
    }

    fn run_timer(&self, errand: &TimerTask) {
        let client = self.client(errand.client);
        let mut session = client.session.borrow_mut();
        if session.generation != errand.generation || !session.live {
            return;
        }
        match errand.what {
            TimerAction::Send => client.send_pending(self, &mut session),
            TimerAction::Subscribe(room) => {
                let asked = |place: &super::client::RoomCursor| {
                    place.room == room && place.stage == SubscriptionState::Asked
                };
                if let Some(place) = session.places.iter().position(asked) {
                    client.subscribe(self, &mut session, place);
                }
            }
            TimerAction::Move => {
                session.door += 1;
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

/// Sends what is due and keeps appointments, until the run is over.
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

/// Once a second looks after each client; where clients come and go, sees to that as well.
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
                let mut chance = self.chance.borrow_mut();
                (chance.unit() < share, chance.next_u64() % CHURN_AWAY_US)
            };
            if leaves && client.caught_up.get() {
                client.send_close(self, 1_000);
                client.cut(self, Disconnect::Cut, Some(away));
            }
        }
    }
}
