//! Messages between the coordinator and its workers: one JSON object a line, through pipes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::RunClock;
use crate::settings::Settings;
use crate::stats::{Counts, EncodedHistogram, FanoutProgress};
use crate::users::TestUsers;

/// The configuration of a worker, its first line of input.
#[derive(Debug, Serialize, Deserialize)]
pub struct WorkerConfig {
    /// The settings of the run.
    pub settings: Settings,
    /// The run's clock.
    pub clock: RunClock,
    /// The number of the run in message tags.
    pub run: u32,
    /// The number of the worker.
    pub worker: usize,
    /// The users and rooms of the run.
    pub names: TestUsers,
    /// The file of the recording.
    pub recording: PathBuf,
}

/// Commands to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum WorkerCommand {
    /// Connect all clients, each at its time after `from`.
    Connect {
        /// The beginning, in microseconds of the run.
        from: u64,
    },
    /// Send all messages, each at its time after `from`.
    Load {
        /// The beginning, in microseconds of the run.
        from: u64,
    },
    /// Close all connections at once.
    Cut,
    /// Slow readers stop reading.
    Stall,
    /// Slow readers resume reading.
    Unstall,
    /// Report which clients have not caught up to these seqs yet.
    Await {
        /// The head of each room.
        heads: Vec<u64>,
    },
    /// Close all connections and report the outcome.
    Finish,
}

/// Messages of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum WorkerMessage {
    /// The state of the worker, four times a second.
    Tick(Box<Tick>),
    /// The outcome, the last message.
    Outcome(Box<Outcome>),
}

/// The state of a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tick {
    /// Time of the tick, in microseconds of the run.
    pub at: u64,
    /// Counters so far.
    pub counts: Counts,
    /// Refusals and closes so far, by name.
    pub errors: BTreeMap<String, u64>,
    /// Delivery latency since the last tick, by the second in which the message was due.
    pub recent: Vec<(u64, EncodedHistogram)>,
    /// Open connections.
    pub connections: u64,
    /// Clients that have every event of their rooms.
    pub caught_up: u64,
    /// Since when all clients have caught up.
    pub all_caught_up_since: Option<u64>,
    /// Messages sent or due without a response.
    pub pending: u64,
    /// Room cursors behind the awaited heads; `None` before the command.
    pub behind: Option<u64>,
    /// The maximum send lag since the last tick, in microseconds.
    pub lag_us: u64,
    /// Processor time so far, in microseconds.
    pub cpu_us: u64,
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
}

/// The outcome of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Counters.
    pub counts: Counts,
    /// Refusals and closes by name.
    pub errors: BTreeMap<String, u64>,
    /// Delivery latency, live from connected senders.
    pub prompt: EncodedHistogram,
    /// Late delivery latency.
    pub late: EncodedHistogram,
    /// Acknowledgement latency.
    pub acks: EncodedHistogram,
    /// Send lag.
    pub lag: EncodedHistogram,
    /// Connect time.
    pub connects: EncodedHistogram,
    /// Recovery times: from the loss of the connection until the client has caught up.
    pub away: EncodedHistogram,
    /// Fan-out progress of each message by worker and number, with one large room.
    pub reach: Vec<(u8, u32, FanoutProgress)>,
    /// Processor time in all, in microseconds.
    pub cpu_us: u64,
    /// Peak memory, in bytes.
    pub peak_bytes: u64,
    /// Size of the future of a connection, in bytes.
    pub future_bytes: u64,
}
