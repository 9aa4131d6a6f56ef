//! Records the observations of all clients of a run, for the checker.
//!
//! A run of ten thousand connections has millions of deliveries, so a delivery takes about ten bytes: an
//! event is written once for all its readers, times are differences, names are numbers. A [`Recorder`] is
//! shared by all connections of a process and keeps its records in memory or in a file; the records of
//! several worker processes are merged into one [`Recording`].
//!
//! All times are microseconds on one clock, shared by all processes of the run.

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

/// Records the observations of all connections of one process; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    shards: Arc<[Mutex<Shard>]>,
    connections: Arc<AtomicU32>,
    sink: Arc<Sink>,
}

/// Records the observations of one WebSocket connection or one reader of history. Calls must be made in the
/// order of the observations.
#[derive(Clone)]
pub struct ConnectionLog {
    recorder: Recorder,
    number: u32,
}

/// The end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnect {
    /// Closed by the client after the run, when everything had time to arrive: a missing event is lost.
    Finished,
    /// Closed by the client during the run: events in flight may be missing.
    Cut,
    /// Broken without a close code.
    Lost,
    /// Closed by the fleet with this code.
    Closed(u16),
}

/// The operation that a frame requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageAction<'a> {
    /// `SEND_MESSAGE`
    Message {
        /// The content.
        content: &'a str,
    },
    /// `EDIT_MESSAGE`
    Edit {
        /// The message.
        message_id: &'a str,
        /// The new content.
        content: &'a str,
    },
    /// `DELETE_MESSAGE`
    Delete {
        /// The message.
        message_id: &'a str,
    },
    /// `REACT`
    React {
        /// The message.
        message_id: &'a str,
        /// The emoji.
        emoji: &'a str,
        /// Whether the reaction is removed.
        remove: bool,
    },
}

/// One attempt of a send; a resend is another attempt with the same `client_msg_id`.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The room.
    pub room_id: &'a RoomId,
    /// Its client message id, the same in every attempt.
    pub client_msg_id: &'a str,
    /// The content.
    pub action: MessageAction<'a>,
}

/// The query of a page of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageQuery {
    /// `?after=`: every event after this seq.
    After(Seq),
    /// `?before=`: messages before this seq, in their current state.
    Before(Seq),
    /// Neither: the newest messages, in their current state.
    Newest,
}

/// A page of history without its events.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// When the request was sent; the page must contain what was acknowledged before.
    pub asked_us: u64,
    /// The room.
    pub room_id: &'a RoomId,
    /// The query.
    pub asked: PageQuery,
    /// The response's `head`.
    pub head: Seq,
    /// The response's `hasMoreBefore`.
    pub has_more_before: bool,
    /// The response's `hasMoreAfter`.
    pub has_more_after: bool,
}

impl Recorder {
    /// A recorder that keeps its records in memory.
    pub fn in_memory() -> Self {
        Self::on(Sink::in_memory())
    }

    /// A recorder that writes to a new file at `path`, for [`Recording::absorb`].
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

    /// Records a connection of `user` to the address `gateway`, open since `at_us`.
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

    /// Copies all records to `out`, for [`Recording::absorb`].
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        self.flush()?;
        self.sink.copy_to(out)
    }

    /// The recording so far.
    pub fn recording(&self) -> io::Result<Recording> {
        self.flush()?;
        let mut recording = Recording::default();
        self.sink.read(|input| recording.absorb(input))?;
        Ok(recording)
    }
}

impl ConnectionLog {
    /// Records an attempt; call it before the frame is written.
    pub fn sent(&self, at_us: u64, attempt: &Attempt<'_>) {
        self.shard().sent(at_us, self.number, attempt);
    }

    /// Records an `ACK`.
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

    /// Records an `ERROR` that refuses an attempt.
    pub fn refused(&self, at_us: u64, room: &RoomId, client_msg_id: &str, code: ErrorCode) {
        let client = fingerprint(client_msg_id);
        self.shard()
            .refused(at_us, self.number, room.as_str(), client, code);
    }

    /// Records `SUBSCRIBED`, the response to a `SUBSCRIBE` with this `after`.
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

    /// Records `UNSUBSCRIBED`.
    pub fn unsubscribed(&self, at_us: u64, room: &RoomId) {
        self.shard().unsubscribed(at_us, self.number, room.as_str());
    }

    /// Records the delivery of an event.
    pub fn delivered(&self, at_us: u64, room: &RoomId, event: &Event<'_>) {
        self.shard()
            .delivered(at_us, self.number, room.as_str(), event);
    }

    /// Records a page of history.
    pub fn page<'a>(
        &self,
        at_us: u64,
        page: &Page<'_>,
        events: impl IntoIterator<Item = &'a Event<'a>>,
    ) {
        self.shard().page(at_us, self.number, page, events);
    }

    /// Records the end of the connection; nothing may be recorded afterwards.
    pub fn ended(&self, at_us: u64, end: Disconnect) {
        self.shard().ended(at_us, self.number, end);
    }

    fn shard(&self) -> MutexGuard<'_, Shard> {
        let shards = &self.recorder.shards;
        lock(&shards[self.number as usize % shards.len()])
    }
}

/// Ignores poisoning: a panic elsewhere must not hide observations.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
