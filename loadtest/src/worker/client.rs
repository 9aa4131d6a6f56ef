//! One client: its state, and its reaction to connects, disconnects and commands.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::net::TcpStream;

use super::Worker;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::stats::record;
use roomcast_checker::history::{ConnectionLog, Disconnect};

/// Maximum back-off before the first reconnect; doubled per failure.
const BACKOFF_FIRST_US: u64 = 1_000_000;
const BACKOFF_LAST_US: u64 = 16_000_000;

/// A client, connected or not.
pub(super) struct Client {
    /// Its number in the run, which determines its user.
    pub(super) connection: u32,
    /// Its index in the worker.
    pub(super) index: u32,
    /// Whether it is a slow reader.
    pub(super) slow: bool,
    pub(super) stream: RefCell<Option<Rc<TcpStream>>>,
    pub(super) log: RefCell<Option<ConnectionLog>>,
    pub(super) session: RefCell<Session>,
    /// Whether it has every event of its rooms.
    pub(super) caught_up: Cell<bool>,
}

/// The state of a client.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// `WELCOME` was received.
    pub(super) live: bool,
    /// The cursors of its rooms.
    pub(super) cursors: Box<[RoomCursor]>,
    /// Messages due or sent without a response, in order.
    pub(super) pending: Vec<Pending>,
    /// Bytes the socket has not accepted.
    pub(super) outbox: Vec<u8>,
    /// Times of the last received and the last sent frame, in microseconds of the run.
    pub(super) last_received: u64,
    pub(super) last_sent: u64,
    /// Start of the current connection attempt.
    pub(super) began: u64,
    /// The heartbeat interval in microseconds.
    pub(super) heartbeat: u64,
    /// Time of the disconnection, if it was ever connected.
    pub(super) lost: Option<u64>,
    /// The reason of a close by the client, and the delay of its reconnect.
    pub(super) leaving: Option<(Disconnect, Option<u64>)>,
    /// The number of the connection; timers of earlier connections are dropped.
    pub(super) generation: u32,
    /// Connection attempts since it had last caught up.
    pub(super) attempts: u32,
    /// The index of its next endpoint.
    pub(super) endpoint: u32,
    /// The fleet closed it with a code that forbids reconnects.
    pub(super) gave_up: bool,
}

/// The position of a client in one of its rooms.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoomCursor {
    pub(super) room: u32,
    pub(super) stage: SubscriptionState,
    /// The last received seq, once subscribed.
    pub(super) last: Option<u64>,
}

/// The state of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubscriptionState {
    /// Not subscribed.
    Out,
    /// Requested.
    Asked,
    /// Replay of missed events up to this seq.
    CatchingUp { head: u64 },
    /// Missed events are being read from history.
    Reading,
    /// Live, without missing events.
    Live,
}

/// A message without a response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) number: u32,
    pub(super) room: u32,
    /// When it was due, in microseconds of the run.
    pub(super) due: u64,
    pub(super) bytes: u32,
    pub(super) away: bool,
    pub(super) attempts: u16,
    /// When it was sent, while a response is outstanding.
    pub(super) sent: Option<u64>,
    /// Earliest time of the next attempt.
    pub(super) not_before: u64,
}

impl Client {
    pub(super) fn new(connection: u32, settings: &Settings, plan: &Plan) -> Self {
        let rooms = &plan.rooms_of[connection as usize];
        let cursor = |&room: &u32| RoomCursor {
            room,
            stage: SubscriptionState::Out,
            last: None,
        };
        let endpoints = settings.endpoints.len();
        // So that the members of one room come in by different doors.
        let endpoint = (connection as usize + connection as usize / settings.rooms) % endpoints;
        Self {
            connection,
            index: connection / u32::try_from(settings.workers).expect("few workers"),
            slow: settings.is_slow(connection as usize),
            stream: RefCell::default(),
            log: RefCell::default(),
            session: RefCell::new(Session {
                cursors: rooms.iter().map(cursor).collect(),
                endpoint: u32::try_from(endpoint).expect("few doors"),
                ..Session::default()
            }),
            caught_up: Cell::new(false),
        }
    }

    /// The number of messages without a response.
    pub(super) fn pending(&self) -> u64 {
        self.session.borrow().pending.len() as u64
    }

    /// The number of rooms in which it is behind `heads`.
    pub(super) fn behind(&self, heads: &[u64]) -> u64 {
        let session = self.session.borrow();
        let lacks =
            |cursor: &&RoomCursor| cursor.last.unwrap_or_default() < heads[cursor.room as usize];
        session.cursors.iter().filter(lacks).count() as u64
    }

    /// Closes the connection, if open; the client reconnects after `stay_away` or its back-off.
    pub(super) fn cut(&self, worker: &Worker, end: Disconnect, stay_away: Option<u64>) {
        if let Some(stream) = &*self.stream.borrow() {
            let mut session = self.session.borrow_mut();
            session.leaving = Some((end, stay_away));
            session.lost = Some(worker.clock.now());
            // The reader's task sees the end and does the rest.
            let _ = socket2::SockRef::from(&**stream).shutdown(std::net::Shutdown::Both);
        }
    }

    /// Closes at the end of the run: a missing event is lost.
    pub(super) fn finish(&self, worker: &Worker) {
        if let Some(log) = self.log.borrow_mut().take() {
            log.ended(worker.clock.now(), Disconnect::Finished);
        }
        self.send_close(worker, 1_000);
        self.cut(worker, Disconnect::Finished, None);
    }

    /// Handles the end of the connection; returns the reconnect delay, or `None` for no reconnect.
    pub(super) fn ended(&self, worker: &Worker, end: Disconnect) -> Option<u64> {
        let now = worker.clock.now();
        self.stream.borrow_mut().take();
        worker.connections.set(worker.connections.get() - 1);
        let mut session = self.session.borrow_mut();
        let (end, stay_away) = session.leaving.take().unwrap_or((end, None));
        if let Some(log) = self.log.borrow_mut().take() {
            log.ended(now, end);
        }
        session.live = false;
        session.outbox = Vec::new();
        session.generation += 1;
        session.lost.get_or_insert(now);
        for cursor in &mut session.cursors {
            cursor.stage = SubscriptionState::Out;
        }
        for pending in &mut session.pending {
            pending.sent = None;
        }
        drop(session);
        self.set_caught_up(worker, false);
        self.judge_end(worker, end);
        let come_back = !worker.over.get() && !self.session.borrow().gave_up;
        come_back.then(|| stay_away.unwrap_or_else(|| self.backoff(worker)))
    }

    fn judge_end(&self, worker: &Worker, end: Disconnect) {
        let mut stats = worker.stats.borrow_mut();
        match end {
            Disconnect::Finished | Disconnect::Cut => return,
            Disconnect::Lost => stats.error("connection lost"),
            Disconnect::Closed(code) => stats.error(&format!("close {code}")),
        }
        stats.counts.lost += 1;
        let mut session = self.session.borrow_mut();
        session.gave_up = matches!(
            end,
            Disconnect::Closed(1002 | 1003 | 1007 | 1009 | 4400 | 4403 | 4409)
        );
        session.endpoint += 1;
        if end == Disconnect::Closed(4429) {
            session.attempts = session.attempts.max(3);
        }
    }

    /// The back-off before the next attempt: exponential, with jitter.
    pub(super) fn backoff(&self, worker: &Worker) -> u64 {
        let mut session = self.session.borrow_mut();
        let most = BACKOFF_FIRST_US << session.attempts.min(4);
        session.attempts += 1;
        let part = worker.rng.borrow_mut().next_u64() % most.min(BACKOFF_LAST_US);
        part + 1
    }

    /// Checks whether the client has caught up.
    pub(super) fn check_caught_up(&self, worker: &Worker, session: &mut Session) {
        let caught_up = session.live
            && session
                .cursors
                .iter()
                .all(|cursor| cursor.stage == SubscriptionState::Live);
        if caught_up && !self.caught_up.get() {
            session.attempts = 0;
            if let Some(lost) = session.lost.take() {
                record(
                    &mut worker.stats.borrow_mut().away,
                    worker.clock.now() - lost,
                );
            }
            self.set_caught_up(worker, true);
        }
    }

    fn set_caught_up(&self, worker: &Worker, caught_up: bool) {
        if self.caught_up.replace(caught_up) != caught_up {
            worker.count_caught_up(worker.clock.now(), caught_up);
        }
    }
}
