//! A worker: one process and one thread with thousands of clients.
//!
//! Everything here runs on that thread, so what clients share (buffers, counts, the recording) needs no lock
//! and a client is a small task beside a small record of what it knows.

mod client;
mod connect;
mod receive;
mod scheduler;
mod send;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::Write as _;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use roomcast_protocol::RoomId;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::clock::{RunClock, cpu_us};
use crate::ipc::{Outcome, Tick, WorkerCommand, WorkerConfig, WorkerMessage};
use crate::memory;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::schedule::Schedule;
use crate::settings::{Profile, Settings};
use crate::stats::{EncodedHistogram, Stats};
use crate::users::{Signer, TestUsers};
use roomcast_checker::history::{Disconnect, Recorder};

use client::Client;
use scheduler::TimerTask;

/// Upgrades in flight; each takes some 20 KB until it is done.
const HANDSHAKE_CONCURRENCY_MAX: usize = 256;
/// Limit of one read.
const READ_BYTES: usize = 64 * 1024;
/// Interval of progress reports to the coordinator.
const TICK: Duration = Duration::from_millis(250);
/// Stream of the seed for jitter; the worker's number is added.
const JITTER: u64 = 2_000;

/// State shared by the clients of a worker.
pub(crate) struct Worker {
    settings: Settings,
    clock: RunClock,
    run: u32,
    number: u8,
    names: TestUsers,
    plan: Plan,
    rooms: Vec<RoomId>,
    room_numbers: HashMap<RoomId, u32>,
    clients: Vec<Client>,
    api: Api,
    signer: Option<Signer>,
    recorder: Recorder,
    stats: RefCell<Stats>,
    rng: RefCell<Rng>,
    read_buffer: RefCell<Box<[u8]>>,
    write_buffer: RefCell<Vec<u8>>,
    timers: RefCell<BinaryHeap<Reverse<TimerTask>>>,
    /// Clients whose socket did not accept all their bytes.
    blocked: RefCell<Vec<u32>>,
    /// The schedule and its start.
    load: RefCell<Option<(Schedule, u64)>>,
    heads: RefCell<Option<Vec<u64>>>,
    handshakes: Semaphore,
    tasks: TaskTracker,
    sends: Cell<u32>,
    connections: Cell<u64>,
    caught_up: Cell<u64>,
    all_caught_up_since: Cell<Option<u64>>,
    stalled: Cell<bool>,
    over: Cell<bool>,
}

/// Runs a worker until the coordinator has its outcome or has exited.
pub fn run() -> anyhow::Result<()> {
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    LocalSet::new().block_on(&runtime, work())
}

async fn work() -> anyhow::Result<()> {
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    let first = commands.next_line().await?.context("no assignment came")?;
    let assignment: WorkerConfig = serde_json::from_str(&first).context("read the assignment")?;
    let worker = Rc::new(Worker::new(assignment)?);
    worker
        .tasks
        .spawn_local(scheduler::run_scheduler(Rc::clone(&worker)));
    worker
        .tasks
        .spawn_local(scheduler::sweep(Rc::clone(&worker)));
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            command = commands.next_line() => match command? {
                Some(command) => {
                    if matches!(worker.run_command(serde_json::from_str(&command)?), CommandResult::Finished) {
                        send_message(&WorkerMessage::Outcome(Box::new(worker.outcome()?)))?;
                        return Ok(());
                    }
                }
                None => anyhow::bail!("the coordinator is gone"),
            },
            _ = ticks.tick() => send_message(&WorkerMessage::Tick(Box::new(worker.tick())))?,
        }
    }
}

enum CommandResult {
    Running,
    Finished,
}

impl Worker {
    fn new(assignment: WorkerConfig) -> anyhow::Result<Self> {
        let WorkerConfig {
            settings,
            clock,
            run,
            worker,
            names,
            recording,
        } = assignment;
        let plan = Plan::new(&settings);
        let rooms: Vec<RoomId> = (0..settings.rooms).map(|room| names.room(room)).collect();
        let recorder = Recorder::in_file(&recording)
            .with_context(|| format!("write {}", recording.display()))?;
        let clients = plan
            .held_by(worker)
            .map(|connection| Client::new(connection, &settings, &plan));
        Ok(Self {
            clients: clients.collect(),
            api: Api::new(&settings.endpoints),
            signer: Signer::of(&settings)?,
            recorder,
            stats: RefCell::new(Stats::new(settings.profile == Profile::Broadcast)),
            rng: RefCell::new(Rng::new(settings.seed, JITTER + worker as u64)),
            read_buffer: RefCell::new(vec![0; READ_BYTES].into()),
            write_buffer: RefCell::default(),
            timers: RefCell::default(),
            blocked: RefCell::default(),
            load: RefCell::default(),
            heads: RefCell::default(),
            handshakes: Semaphore::new(HANDSHAKE_CONCURRENCY_MAX),
            tasks: TaskTracker::new(),
            sends: Cell::new(0),
            connections: Cell::new(0),
            caught_up: Cell::new(0),
            all_caught_up_since: Cell::new(None),
            stalled: Cell::new(false),
            over: Cell::new(false),
            number: u8::try_from(worker).context("at most 256 workers")?,
            room_numbers: (0..)
                .zip(&rooms)
                .map(|(number, room)| (room.clone(), number))
                .collect(),
            settings,
            clock,
            run,
            names,
            plan,
            rooms,
        })
    }

    fn run_command(self: &Rc<Self>, command: WorkerCommand) -> CommandResult {
        match command {
            WorkerCommand::Connect { from } => {
                self.tasks
                    .spawn_local(connect::connect_all(Rc::clone(self), from));
            }
            WorkerCommand::Load { from } => {
                let schedule = Schedule::new(&self.settings, &self.plan, usize::from(self.number));
                *self.load.borrow_mut() = Some((schedule, from));
            }
            WorkerCommand::Cut => {
                for client in &self.clients {
                    client.cut(self, Disconnect::Cut, None);
                }
            }
            WorkerCommand::Stall => self.stalled.set(true),
            WorkerCommand::Unstall => self.stalled.set(false),
            WorkerCommand::Await { heads } => *self.heads.borrow_mut() = Some(heads),
            WorkerCommand::Finish => {
                self.over.set(true);
                for client in &self.clients {
                    client.finish(self);
                }
                return CommandResult::Finished;
            }
        }
        CommandResult::Running
    }

    fn tick(&self) -> Tick {
        let mut stats = self.stats.borrow_mut();
        let recent = std::mem::take(&mut stats.recent);
        let recent = recent
            .iter()
            .map(|(&second, times)| (second, EncodedHistogram::of(times)));
        let recent = recent.collect();
        let heads = self.heads.borrow();
        Tick {
            at: self.clock.now(),
            counts: stats.counts.clone(),
            errors: stats.errors.clone(),
            recent,
            connections: self.connections.get(),
            caught_up: self.caught_up.get(),
            all_caught_up_since: self.all_caught_up_since.get(),
            pending: self.clients.iter().map(Client::pending).sum(),
            behind: heads
                .as_ref()
                .map(|heads| self.clients.iter().map(|client| client.behind(heads)).sum()),
            lag_us: std::mem::take(&mut stats.recent_lag_us),
            cpu_us: cpu_us(),
            resident_bytes: memory::resident_bytes(),
        }
    }

    fn outcome(&self) -> anyhow::Result<Outcome> {
        self.recorder.flush().context("write what clients saw")?;
        let stats = self.stats.borrow();
        let mut counts = stats.counts.clone();
        counts.unanswered += self.clients.iter().map(Client::pending).sum::<u64>();
        let reach = stats.reach.iter().flatten();
        Ok(Outcome {
            counts,
            errors: stats.errors.clone(),
            prompt: EncodedHistogram::of(&stats.prompt),
            late: EncodedHistogram::of(&stats.late),
            acks: EncodedHistogram::of(&stats.acks),
            lag: EncodedHistogram::of(&stats.lag),
            connects: EncodedHistogram::of(&stats.connects),
            away: EncodedHistogram::of(&stats.away),
            reach: reach
                .map(|(&(worker, number), &reach)| (worker, number, reach))
                .collect(),
            cpu_us: cpu_us(),
            peak_bytes: memory::peak_bytes(),
            future_bytes: connect::future_bytes(),
        })
    }

    /// The client at this index.
    fn client(&self, index: u32) -> &Client {
        &self.clients[index as usize]
    }

    /// Counts a client that has caught up, or has fallen behind.
    fn count_caught_up(&self, now: u64, is_caught_up: bool) {
        let caught_up = if is_caught_up {
            self.caught_up.get() + 1
        } else {
            self.caught_up.get() - 1
        };
        self.caught_up.set(caught_up);
        let all = caught_up == self.clients.len() as u64;
        self.all_caught_up_since.set(all.then_some(now));
    }
}

fn send_message(message: &WorkerMessage) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush().context("tell the coordinator")
}

/// Raises the limit of file descriptors to the maximum.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where this is refused, connecting reports it.
    let _ = setrlimit(Resource::Nofile, limit);
}
