//! Messages between the coordinator and its workers: one JSON object a line, through pipes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::RunClock;
use crate::settings::Settings;
use crate::stats::{Counts, EncodedHistogram, FanoutProgress};
use crate::users::TestUsers;

/// The first line a worker reads: its whole configuration.
#[derive(Debug, Serialize, Deserialize)]
pub struct WorkerConfig {
    /// What the run is to do.
    pub settings: Settings,
    /// The run's clock.
    pub clock: RunClock,
    /// The run's number in stamps.
    pub run: u32,
    /// Which worker this is.
    pub worker: usize,
    /// What things are called.
    pub names: TestUsers,
    /// Where to write down what clients see.
    pub recording: PathBuf,
}

/// Commands to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum WorkerCommand {
    /// Connect, each connection at its time after `from`.
    Connect {
        /// The beginning, in microseconds of the run.
        from: u64,
    },
    /// Send, each message at its time after `from`.
    Load {
        /// The beginning, in microseconds of the run.
        from: u64,
    },
    /// Cut all connections at once.
    Cut,
    /// Those who are slow stop reading.
    Stall,
    /// They read again.
    Unstall,
    /// Report which clients have not caught up to these seqs yet.
    Await {
        /// The newest place of each room.
        heads: Vec<u64>,
    },
    /// Close all connections and report the outcome.
    Finish,
}

/// Messages of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum WorkerMessage {
    /// How it stands, four times a second.
    Tick(Box<Tick>),
    /// What came out, the last word.
    Outcome(Box<Outcome>),
}

/// How a worker stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tick {
    /// When, in microseconds of the run.
    pub at: u64,
    /// What happened so far.
    pub counts: Counts,
    /// Refusals and closes so far, by name.
    pub errors: BTreeMap<String, u64>,
    /// From due to delivered, of what came since the last tick, by the second of the run in which it was due.
    pub recent: Vec<(u64, EncodedHistogram)>,
    /// Connections that stand.
    pub connections: u64,
    /// Clients that have every event of their rooms.
    pub whole: u64,
    /// Since when all of them are whole, if they are.
    pub all_whole_since: Option<u64>,
    /// Messages sent, or due, that are not answered.
    pub pending: u64,
    /// Rooms of connections that lack something the coordinator asked to wait for; `None` before that.
    pub behind: Option<u64>,
    /// How late sends were at most since the last tick, in microseconds.
    pub lag_us: u64,
    /// Processor time so far, in microseconds.
    pub cpu_us: u64,
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
}

/// What came out of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// What happened.
    pub counts: Counts,
    /// Refusals and closes by name.
    pub errors: BTreeMap<String, u64>,
    /// From due to delivered, live from a sender who was there.
    pub prompt: EncodedHistogram,
    /// From due to delivered, of the rest.
    pub late: EncodedHistogram,
    /// From due to acknowledged.
    pub acks: EncodedHistogram,
    /// From due to sent.
    pub lag: EncodedHistogram,
    /// From beginning to connect to the greeting.
    pub connects: EncodedHistogram,
    /// From losing the connection to being whole again.
    pub away: EncodedHistogram,
    /// How far each message came, by its worker and number, where that is kept.
    pub reach: Vec<(u8, u32, FanoutProgress)>,
    /// Processor time in all, in microseconds.
    pub cpu_us: u64,
    /// The most memory there was, in bytes.
    pub peak_bytes: u64,
    /// Bytes of the future that each connection is.
    pub future_bytes: u64,
}
