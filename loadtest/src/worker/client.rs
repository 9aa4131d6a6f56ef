//! One client: its state, and its reaction to connects, disconnects and commands.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::net::TcpStream;

use super::Worker;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::stats::record;
use roomcast_checker::history::{ConnectionLog, Disconnect};

/// Waiting time before the first attempt to come back, at most; doubled with each that fails.
const BACKOFF_FIRST_US: u64 = 1_000_000;
const BACKOFF_LAST_US: u64 = 16_000_000;

/// A client, connected or not.
pub(super) struct Client {
    /// Its number in the run, and so its user.
    pub(super) connection: u32,
    /// Its place in the worker.
    pub(super) index: u32,
    /// Whether it is one of those that stop reading.
    pub(super) slow: bool,
    pub(super) stream: RefCell<Option<Rc<TcpStream>>>,
    pub(super) log: RefCell<Option<ConnectionLog>>,
    pub(super) session: RefCell<Session>,
    /// Whether it has every event of its rooms.
    pub(super) caught_up: Cell<bool>,
}

/// What a client knows.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The greeting has come.
    pub(super) live: bool,
    /// Its rooms, and how far it is in each.
    pub(super) places: Box<[RoomCursor]>,
    /// Messages due or sent, in order, that are not answered.
    pub(super) pending: Vec<Pending>,
    /// What the socket has not taken yet.
    pub(super) outbox: Vec<u8>,
    /// When it last received and last sent a frame, in microseconds of the run.
    pub(super) heard: u64,
    pub(super) said: u64,
    /// When it began to connect.
    pub(super) began: u64,
    /// The heartbeat interval in microseconds.
    pub(super) heartbeat: u64,
    /// Since when it is away, if it ever was connected.
    pub(super) lost: Option<u64>,
    /// Why we ended the connection, if we did, and how long to stay away.
    pub(super) leaving: Option<(Disconnect, Option<u64>)>,
    /// Which connection this is, so that errands of earlier ones are dropped.
    pub(super) generation: u32,
    /// Attempts since it was last whole.
    pub(super) attempts: u32,
    /// Which door it goes to next.
    pub(super) door: u32,
    /// The fleet asked it not to come back.
    pub(super) gave_up: bool,
}

/// How far a client is in one of its rooms.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoomCursor {
    pub(super) room: u32,
    pub(super) stage: SubscriptionState,
    /// The last place it has, once it has subscribed.
    pub(super) last: Option<u64>,
}

/// How a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubscriptionState {
    /// Not subscribed.
    Out,
    /// Asked for.
    Asked,
    /// The missed events come, up to this place.
    CatchingUp { head: u64 },
    /// The missed events are read from history.
    Reading,
    /// Nothing is missing.
    Live,
}

/// A message that is not answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) number: u32,
    pub(super) room: u32,
    /// When it was due, in microseconds of the run.
    pub(super) due: u64,
    pub(super) bytes: u32,
    pub(super) away: bool,
    pub(super) tries: u16,
    /// When it was sent, if it is on its way.
    pub(super) sent: Option<u64>,
    /// Not to be sent again before.
    pub(super) not_before: u64,
}

impl Client {
    pub(super) fn new(connection: u32, settings: &Settings, plan: &Plan) -> Self {
        let rooms = &plan.rooms_of[connection as usize];
        let place = |&room: &u32| RoomCursor {
            room,
            stage: SubscriptionState::Out,
            last: None,
        };
        let doors = settings.doors.len();
        // So that the members of one room come in by different doors.
        let door = (connection as usize + connection as usize / settings.rooms) % doors;
        Self {
            connection,
            index: connection / u32::try_from(settings.workers).expect("few workers"),
            slow: settings.is_slow(connection as usize),
            stream: RefCell::default(),
            log: RefCell::default(),
            session: RefCell::new(Session {
                places: rooms.iter().map(place).collect(),
                door: u32::try_from(door).expect("few doors"),
                ..Session::default()
            }),
            caught_up: Cell::new(false),
        }
    }

    /// Messages due or sent that are not answered.
    pub(super) fn pending(&self) -> u64 {
        self.session.borrow().pending.len() as u64
    }

    /// Rooms in which it lacks something up to `heads`.
    pub(super) fn behind(&self, heads: &[u64]) -> u64 {
        let session = self.session.borrow();
        let lacks =
            |place: &&RoomCursor| place.last.unwrap_or_default() < heads[place.room as usize];
        session.places.iter().filter(lacks).count() as u64
    }

    /// Ends the connection, if there is one; the client comes back after `stay_away`, or as it would by itself.
    pub(super) fn cut(&self, worker: &Worker, end: Disconnect, stay_away: Option<u64>) {
        if let Some(stream) = &*self.stream.borrow() {
            let mut session = self.session.borrow_mut();
            session.leaving = Some((end, stay_away));
            session.lost = Some(worker.clock.now());
            // The reader's task sees the end and does the rest.
            let _ = socket2::SockRef::from(&**stream).shutdown(std::net::Shutdown::Both);
        }
    }

    /// Closes because the run is over: what has not come by now is lost.
    pub(super) fn finish(&self, worker: &Worker) {
        if let Some(log) = self.log.borrow_mut().take() {
            log.ended(worker.clock.now(), Disconnect::Finished);
        }
        self.send_close(worker, 1_000);
        self.cut(worker, Disconnect::Finished, None);
    }

    /// The connection has ended. Gives how long to stay away, or `None` when the client is not to come back.
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
        for place in &mut session.places {
            place.stage = SubscriptionState::Out;
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
        let mut tally = worker.tally.borrow_mut();
        match end {
            Disconnect::Finished | Disconnect::Cut => return,
            Disconnect::Lost => tally.error("connection lost"),
            Disconnect::Closed(code) => tally.error(&format!("close {code}")),
        }
        tally.counts.lost += 1;
        let mut session = self.session.borrow_mut();
        session.gave_up = matches!(
            end,
            Disconnect::Closed(1002 | 1003 | 1007 | 1009 | 4400 | 4403 | 4409)
        );
        session.door += 1;
        if end == Disconnect::Closed(4429) {
            session.attempts = session.attempts.max(3);
        }
    }

    /// How long to wait before the next attempt: longer each time, and never all at the same moment.
    pub(super) fn backoff(&self, worker: &Worker) -> u64 {
        let mut session = self.session.borrow_mut();
        let most = BACKOFF_FIRST_US << session.attempts.min(4);
        session.attempts += 1;
        let part = worker.chance.borrow_mut().next_u64() % most.min(BACKOFF_LAST_US);
        part + 1
    }

    /// Looks whether everything is there.
    pub(super) fn check_caught_up(&self, worker: &Worker, session: &mut Session) {
        let whole = session.live
            && session
                .places
                .iter()
                .all(|place| place.stage == SubscriptionState::Live);
        if whole && !self.caught_up.get() {
            session.attempts = 0;
            if let Some(lost) = session.lost.take() {
                record(
                    &mut worker.tally.borrow_mut().away,
                    worker.clock.now() - lost,
                );
            }
            self.set_caught_up(worker, true);
        }
    }

    fn set_caught_up(&self, worker: &Worker, whole: bool) {
        if self.caught_up.replace(whole) != whole {
            worker.count_caught_up(worker.clock.now(), whole);
        }
    }
}
