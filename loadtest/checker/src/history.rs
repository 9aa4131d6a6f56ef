//! What every client of a run writes down while it runs, for the checker to judge afterwards.
//!
//! A run of ten thousand connections sees millions of deliveries, so a delivery costs about ten bytes:
//! the event itself is written once for all who get it, times are differences, names are numbers. A
//! [`Recorder`] is shared by all connections of a process and keeps its records in memory or in a file;
//! what several worker processes wrote is read into one [`Recording`].
//!
//! All times are microseconds on one clock of the whole run, the same for all its processes.

pub mod event;
mod layout;
pub mod recording;
mod shard;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roomcast_protocol::{ErrorCode, RoomId, Seq, UserId};

pub use event::{Event, EventKind, Text, fingerprint};
pub use recording::Recording;
use shard::{Shard, Sink};

/// Writes down what all connections of one process see; cheap to share.
#[derive(Clone)]
pub struct Recorder {
    shards: Arc<[Mutex<Shard>]>,
    connections: Arc<AtomicU32>,
    sink: Arc<Sink>,
}

/// Writes down what one WebSocket, or one reader of history, sees. Calls of one connection must come in
/// the order in which things happened on it.
#[derive(Clone)]
pub struct ConnectionLog {
    recorder: Recorder,
    number: u32,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnect {
    /// We closed it when the run was over and everything had had time to arrive: whatever it still lacks
    /// is lost.
    Finished,
    /// We cut it, on purpose: what was on its way may be missing.
    Cut,
    /// It broke without a close code.
    Lost,
    /// The fleet closed it with this code.
    Closed(u16),
}

/// What a frame asks the log to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageAction<'a> {
    /// `SEND_MESSAGE`
    Message {
        /// The content.
        content: &'a str,
    },
    /// `EDIT_MESSAGE`
    Edit {
        /// Which message.
        message_id: &'a str,
        /// The new content.
        content: &'a str,
    },
    /// `DELETE_MESSAGE`
    Delete {
        /// Which message.
        message_id: &'a str,
    },
    /// `REACT`
    React {
        /// Which message.
        message_id: &'a str,
        /// With what.
        emoji: &'a str,
        /// Whether the reaction is taken back.
        remove: bool,
    },
}

/// One attempt of a send; a resend is another attempt with the same `client_msg_id`.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The room.
    pub room_id: &'a RoomId,
    /// Its name, the same in every try.
    pub client_msg_id: &'a str,
    /// The content.
    pub action: MessageAction<'a>,
}

/// Which page of history was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageQuery {
    /// `?after=`: every event after this place.
    After(Seq),
    /// `?before=`: messages before this place, in their current state.
    Before(Seq),
    /// No place: the newest messages, in their current state.
    Newest,
}

/// A page of history without its events.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// When the question was sent; what was acknowledged before must be in the answer.
    pub asked_us: u64,
    /// Whose history.
    pub room_id: &'a RoomId,
    /// Which page.
    pub asked: PageQuery,
    /// The answer's `head`.
    pub head: Seq,
    /// The answer's `hasMoreBefore`.
    pub has_more_before: bool,
    /// The answer's `hasMoreAfter`.
    pub has_more_after: bool,
}

impl Recorder {
    /// Keeps what is written in memory.
    pub fn in_memory() -> Self {
        Self::on(Sink::in_memory())
    }

    /// Keeps what is written in a new file at `path`, which [`Recording::absorb`] reads.
    pub fn in_file(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Self::on(Sink::in_file(BufWriter::new(file))?))
    }

    fn on(sink: Sink) -> Self {
        let sink = Arc::new(sink);
        let shards = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
        let shard = |number| Mutex::new(Shard::new(number, Arc::clone(&sink)));
        Self {
            shards: (0..).map(shard).take(shards).collect(),
            connections: Arc::default(),
            sink,
        }
    }

    /// A connection of `user` that stands since `at_us`. `gateway` is the address it was made to.
    pub fn connection(&self, at_us: u64, user: &UserId, gateway: &str) -> ConnectionLog {
        let log = ConnectionLog {
            recorder: self.clone(),
            number: self.connections.fetch_add(1, Ordering::Relaxed),
        };
        log.shard()
            .connected(at_us, log.number, user.as_str(), gateway);
        log
    }

    /// Flushes buffered records. Returns an error if a record could not be written.
    pub fn flush(&self) -> io::Result<()> {
        for shard in &*self.shards {
            lock(shard).flush();
        }
        self.sink.flush()
    }

    /// Copies everything written so far to `out`, as [`Recording::absorb`] reads it.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        self.flush()?;
        self.sink.copy_to(out)
    }

    /// Everything written so far.
    pub fn recording(&self) -> io::Result<Recording> {
        self.flush()?;
        let mut recording = Recording::default();
        self.sink.read(|input| recording.absorb(input))?;
        Ok(recording)
    }
}

impl ConnectionLog {
    /// A try was sent.
    pub fn sent(&self, at_us: u64, attempt: &Attempt<'_>) {
        self.shard().sent(at_us, self.number, attempt);
    }

    /// `ACK` came.
    pub fn acked(
        &self,
        at_us: u64,
        room: &RoomId,
        client_msg_id: &str,
        message_id: &str,
        seq: Seq,
        duplicate: bool,
    ) {
        let names = [fingerprint(client_msg_id), fingerprint(message_id)];
        self.shard()
            .acked(at_us, self.number, room.as_str(), names, seq, duplicate);
    }

    /// `ERROR` came for something that was sent.
    pub fn refused(&self, at_us: u64, room: &RoomId, client_msg_id: &str, code: ErrorCode) {
        let client = fingerprint(client_msg_id);
        self.shard()
            .refused(at_us, self.number, room.as_str(), client, code);
    }

    /// `SUBSCRIBED` came as the answer to a `SUBSCRIBE` with this `after`.
    pub fn subscribed(
        &self,
        at_us: u64,
        room: &RoomId,
        after: Option<Seq>,
        head: Seq,
        recovered: bool,
    ) {
        self.shard()
            .subscribed(at_us, self.number, room.as_str(), after, head, recovered);
    }

    /// `UNSUBSCRIBED` came.
    pub fn unsubscribed(&self, at_us: u64, room: &RoomId) {
        self.shard().unsubscribed(at_us, self.number, room.as_str());
    }

    /// An event frame came.
    pub fn delivered(&self, at_us: u64, room: &RoomId, event: &Event<'_>) {
        self.shard()
            .delivered(at_us, self.number, room.as_str(), event);
    }

    /// A page of history came.
    pub fn page<'a>(
        &self,
        at_us: u64,
        page: &Page<'_>,
        events: impl IntoIterator<Item = &'a Event<'a>>,
    ) {
        self.shard().page(at_us, self.number, page, events);
    }

    /// It ended. Nothing may be written after this.
    pub fn ended(&self, at_us: u64, end: Disconnect) {
        self.shard().ended(at_us, self.number, end);
    }

    fn shard(&self) -> MutexGuard<'_, Shard> {
        let shards = &self.recorder.shards;
        lock(&shards[self.number as usize % shards.len()])
    }
}

/// A panic elsewhere must not hide what was seen.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
