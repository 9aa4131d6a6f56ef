//! The durable, ordered log of each room's events.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use roomcast_protocol::{MessageId, RoomEvent, RoomId, Seq, StoredEvent, Timestamp};

use crate::BoxError;
use crate::dead_letters::DeadLetter;
use crate::live::LiveSubscription;

/// An event to append.
#[derive(Debug, Clone)]
pub struct Append {
    /// What happened.
    pub event: RoomEvent,
    /// Append only if the room's head is this. What was judged by a room's state is then judged by
    /// the state it really meets.
    pub expected_head: Option<Seq>,
}

impl Append {
    /// Appends whatever else happens in the room.
    pub const fn new(event: RoomEvent) -> Self {
        Self {
            event,
            expected_head: None,
        }
    }
}

/// Where an event stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its seq.
    pub seq: Seq,
    /// The seq before it.
    pub prev: Seq,
    /// When the first of its name was sent.
    pub sent_at: Timestamp,
    /// The message that the first of its name was about.
    pub message_id: Option<MessageId>,
    /// The room had an event of this id already; nothing was added, and the rest is about that one.
    pub duplicate: bool,
}

/// Why the log did not take an event, or stopped giving them.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing was stored: the same append may simply be tried again.
    #[error("event log is unavailable")]
    Unavailable(#[source] BoxError),
    /// It may have been stored: only the same event id is safe to try again.
    #[error("event log did not confirm within {0:?}")]
    Unconfirmed(Duration),
    /// The room's head is not the expected one; nothing was stored.
    #[error("room has moved on to {head}")]
    HeadMismatch {
        /// Where it is.
        head: Seq,
    },
    /// Retrying cannot help: refuse the event.
    #[error("event of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
}

/// A stretch of the whole log for who derives from it.
#[derive(Debug, Default)]
pub struct ConsumerBatch {
    /// In order within each room.
    pub events: Vec<Arc<StoredEvent>>,
    /// The position of the partition's feed after them.
    pub position: u64,
    /// Entries among them that are no event this version can read.
    pub unreadable: Vec<DeadLetter>,
    /// How many more the log holds behind them, as far as it was known when they were given.
    pub lag: u64,
}

/// The whole of one partition, for who derives from it.
#[async_trait]
pub trait PartitionConsumer: Send {
    /// Waits for entries after the last batch and gives at most `limit`, never none. Fails when the
    /// partition has been given to another: then it has to be claimed again. Cancel safe.
    async fn next(&mut self, limit: usize) -> Result<ConsumerBatch, LogError>;

    /// Acknowledges everything up to `position`, which is then not delivered again.
    async fn acknowledge(&mut self, position: u64) -> Result<(), LogError>;
}

/// A partition that is this caller's to derive from, as long as it keeps reading it.
#[async_trait]
pub trait PartitionLease: Send {
    /// Everything in the partition after `position` (0: from the start), at least once.
    async fn open(self: Box<Self>, position: u64) -> Result<Box<dyn PartitionConsumer>, LogError>;
}

/// The durable, ordered log of each room's events.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Stores the event and gives its seq once a crash can no longer lose it.
    ///
    /// The call itself fixes the order: of two calls for one room, the first made is placed first,
    /// whatever is awaited when. Appending an event id that the room already holds adds nothing and
    /// gives the first seq. Dropping the future does not take the event back.
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, LogError>>;

    /// Checks that the log answers, without reading an event or naming a room.
    async fn ping(&self) -> Result<(), LogError>;

    /// The seq of the room's last event; [`Seq::ZERO`] when it has none.
    async fn head(&self, room_id: &RoomId) -> Result<Seq, LogError>;

    /// The heads of many rooms, in the order asked.
    async fn heads(&self, room_ids: &[RoomId]) -> Result<Vec<Seq>, LogError>;

    /// The room's events after `after`, in order, at most `limit`. Fewer than `limit` means that there
    /// were no more. If the log no longer holds the first of them, the first one's `prev` shows it.
    async fn read(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, LogError>;

    /// Every room's events from now on, after they are stored; in order within a room, at most once.
    /// What is lost on the way shows in the chain of `prev`.
    fn subscribe(&self) -> LiveSubscription;

    /// How many partitions the log has; a room is always in the same one.
    fn partitions(&self) -> u16;

    /// Waits until the partition is this caller's to derive from. Of all who wait for it, in any
    /// process, one is given it at a time; when that one ends or falls silent, within seconds the next.
    /// A log may wait until there is something to read before it decides.
    async fn claim(&self, partition: u16) -> Result<Box<dyn PartitionLease>, LogError>;

    /// At most `limit` entries of the partition after `position`, without a lease and without waiting
    /// for more: none at the end. For backfill of what has been derived once.
    async fn read_partition(
        &self,
        partition: u16,
        position: u64,
        limit: usize,
    ) -> Result<ConsumerBatch, LogError>;

    /// A position before everything in `partition` that was stored within the last `age`.
    async fn position_before(&self, partition: u16, age: Duration) -> Result<u64, LogError>;

    /// Deletes entries of the partition that are older than the log's retention and, while the log is short of space,
    /// the oldest of the others; never one after `settled`. Callers pass the position up to which everything is in
    /// the store for good. A log that deletes nothing by itself and runs full answers appends with
    /// [`LogError::Unavailable`] until this has freed space.
    async fn trim(&self, partition: u16, settled: u64) -> Result<(), LogError>;

    /// Deduplication window; `None` is unlimited. Outside it
    /// callers must check the store before appending.
    fn dedupe_window(&self) -> Option<Duration>;
}
