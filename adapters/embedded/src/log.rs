//! The log: one table of events in the order they were stored, and the ports over it.
//!
//! A seq is the event's own number over all rooms, so it rises in each. The log never deletes an
//! event; it redacts a deleted message in the transaction that stores the deletion.

mod append;
mod feed;
mod head_cache;
mod read;
mod redact;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use roomcast_ports::event_log::{
    Append, Appended, ConsumerBatch, EventLog, LogError, PartitionLease,
};
use roomcast_ports::live::{LiveEvent, LiveSubscription};
use roomcast_protocol::event::encode;
use roomcast_protocol::limits::{APPEND_TIMEOUT, EVENT_BYTES_MAX};
use roomcast_protocol::{RoomId, Seq, StoredEvent};
use rusqlite::Connection;
use tokio::sync::{Semaphore, broadcast, oneshot, watch};

use crate::readers::{Readers, StartError};
use crate::writer::{Failure, Line, Task, WriteRequest, Writer, call};
use append::{AppendState, AppendTask};

pub(crate) use append::start_epoch_after;
use feed::Feed;

/// The schema of `log.db`, step by step.
pub(crate) const SCHEMA: &[&str] = &[include_str!("log/schema.sql")];
/// Events a listener may be behind before it loses the oldest.
const SUBSCRIBER_QUEUE_MAX: usize = 16_384;
/// Bytes of events that wait to be stored; past it an append is refused.
const QUEUE_BYTES_MAX: usize = 32 << 20;
/// Threads that read the log.
const READERS: usize = 2;

/// What the log's thread is asked to write.
pub(crate) enum LogTask {
    /// An event.
    Append(Box<AppendTask>),
    /// Accounts and sessions, which are kept beside the events.
    Call(Box<dyn WriteRequest>),
}

impl Task for LogTask {
    type Memory = AppendState;

    fn apply(&mut self, connection: &Connection, memory: &mut AppendState) -> rusqlite::Result<()> {
        match self {
            Self::Append(append) => append.apply(connection, memory),
            Self::Call(call) => call.apply(connection),
        }
    }

    fn committed(self, memory: &mut AppendState) {
        match self {
            Self::Append(append) => append.committed(memory),
            Self::Call(call) => call.answer(Ok(())),
        }
    }

    fn failed(self, failure: Failure) {
        match self {
            Self::Append(append) => append.failed(failure),
            Self::Call(call) => call.answer(Err(failure)),
        }
    }

    fn line(&self) -> Option<Line> {
        match self {
            Self::Append(append) => Some(append.line()),
            Self::Call(_) => None,
        }
    }
}

/// The log of all rooms in one file.
#[derive(Debug)]
pub(crate) struct EmbeddedLog {
    writer: Writer<LogTask>,
    waiting_bytes: Arc<Semaphore>,
    readers: Arc<Readers>,
    live: broadcast::WeakSender<LiveEvent>,
    stored_to: watch::Receiver<Seq>,
    /// A transaction that takes this long shows that the disk stands still.
    stalled_after: Duration,
}

impl EmbeddedLog {
    /// Serves the file that `connection` writes to.
    pub(crate) fn start(path: &Path, connection: Connection) -> Result<Self, StartError> {
        let (live, _) = broadcast::channel(SUBSCRIBER_QUEUE_MAX);
        let weak = live.downgrade();
        let (memory, stored_to) = AppendState::load(&connection, live)?;
        let readers = Arc::new(Readers::start("log reader", path, READERS)?);
        let writer = Writer::start("log writer", connection, memory)?;
        Ok(Self {
            writer,
            waiting_bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            readers,
            live: weak,
            stored_to,
            stalled_after: APPEND_TIMEOUT,
        })
    }

    /// Writes beside the events, as durably.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        write: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (call, answer) = call(write);
        self.writer.submit_when_room(LogTask::Call(call)).await?;
        answer.await.unwrap_or(Err(Failure::Closed))
    }

    /// Fails while the disk does not answer the writer: what is read then may be all there ever is.
    fn check_writer(&self) -> Result<(), LogError> {
        let busy_for = self.writer.write_stalled_for();
        if busy_for < self.stalled_after {
            return Ok(());
        }
        Err(Failure::Stalled(busy_for).into())
    }

    /// Reads beside the events.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        self.readers.read(read).await
    }

    /// Stores what waits, then ends the threads.
    pub(crate) fn close(&self) {
        // The last connection to close moves the write-ahead log into the file: the readers go first,
        // since two that close concurrently each leave it to the other.
        self.readers.close();
        self.writer.close();
    }
}

#[async_trait]
impl EventLog for EmbeddedLog {
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, LogError>> {
        let body = encode(&append.event);
        if body.len() > EVENT_BYTES_MAX {
            let error = LogError::TooLarge {
                bytes: body.len(),
                limit: EVENT_BYTES_MAX,
            };
            return Box::pin(std::future::ready(Err(error)));
        }
        let Some(room) = u32::try_from(body.len()).ok().and_then(|bytes| {
            Arc::clone(&self.waiting_bytes)
                .try_acquire_many_owned(bytes)
                .ok()
        }) else {
            return Box::pin(std::future::ready(Err(Failure::Full.into())));
        };
        let (reply, answer) = oneshot::channel();
        let task = LogTask::Append(Box::new(AppendTask::new(append, body, room, reply)));
        if let Err((_, failure)) = self.writer.submit(task) {
            return Box::pin(std::future::ready(Err(failure.into())));
        }
        let asked = Instant::now();
        Box::pin(async move {
            answer
                .await
                .unwrap_or_else(|_| Err(LogError::Unconfirmed(asked.elapsed())))
        })
    }

    async fn head(&self, room_id: &RoomId) -> Result<Seq, LogError> {
        self.check_writer()?;
        let room_id = room_id.clone();
        Ok(self
            .readers
            .read(move |log| read::head(log, &room_id))
            .await?)
    }

    async fn ping(&self) -> Result<(), LogError> {
        self.check_writer()?;
        let any = |log: &Connection| log.query_row("SELECT 1", [], |_| Ok(()));
        Ok(self.readers.read(any).await?)
    }

    async fn heads(&self, room_ids: &[RoomId]) -> Result<Vec<Seq>, LogError> {
        self.check_writer()?;
        let room_ids = room_ids.to_vec();
        let heads = move |log: &Connection| {
            room_ids
                .iter()
                .map(|room_id| read::head(log, room_id))
                .collect()
        };
        Ok(self.readers.read(heads).await?)
    }

    async fn read(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, LogError> {
        let room_id = room_id.clone();
        Ok(self
            .readers
            .read(move |log| read::room_after(log, &room_id, after, limit))
            .await?)
    }

    fn subscribe(&self) -> LiveSubscription {
        // Once the log has closed, the subscription ends immediately.
        let receiver = self
            .live
            .upgrade()
            .map_or_else(|| broadcast::channel(1).1, |live| live.subscribe());
        LiveSubscription::new(receiver)
    }

    fn partitions(&self) -> u16 {
        1
    }

    /// There is one process, which has one ingest.
    async fn claim(&self, _partition: u16) -> Result<Box<dyn PartitionLease>, LogError> {
        Ok(Box::new(Feed::new(
            Arc::clone(&self.readers),
            self.stored_to.clone(),
        )))
    }

    async fn read_partition(
        &self,
        _partition: u16,
        position: u64,
        limit: usize,
    ) -> Result<ConsumerBatch, LogError> {
        let read = move |log: &Connection| read::all_after(log, position, limit.max(1));
        let events = self.readers.read(read).await?;
        Ok(ConsumerBatch {
            position: events.last().map_or(position, |last| last.seq.get()),
            events,
            ..ConsumerBatch::default()
        })
    }

    /// The start, which is before everything, and unused: the embedded store loses no writes.
    async fn position_before(&self, _partition: u16, _age: Duration) -> Result<u64, LogError> {
        Ok(0)
    }

    async fn trim(&self, _: u16, _: u64) -> Result<(), LogError> {
        Ok(())
    }

    fn dedupe_window(&self) -> Option<Duration> {
        None
    }
}

impl From<Failure> for LogError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unconfirmed(within) => Self::Unconfirmed(within),
            failure => Self::Unavailable(failure.boxed()),
        }
    }
}
