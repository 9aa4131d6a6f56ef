//! The `EventLog` port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use roomcast_ports::event_log::{
    Append, Appended, ConsumerBatch, EventLog, LogError, PartitionLease,
};
use roomcast_ports::live::LiveSubscription;
use roomcast_protocol::{RoomId, Seq, StoredEvent};

use crate::append::Appender;
use crate::feed::Feeds;
use crate::live::LiveDispatcher;
use crate::reader::{Reader, seq};
use crate::streams::spec::DUPLICATE_WINDOW_SECONDS;
use crate::subjects::PARTITIONS;

/// The port's promises, each kept by its own part.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) appends: Arc<Appender>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) ears: Arc<LiveDispatcher>,
    pub(crate) feeds: Arc<Feeds>,
}

#[async_trait]
impl EventLog for Log {
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, LogError>> {
        self.appends.append(append)
    }

    async fn ping(&self) -> Result<(), LogError> {
        Ok(self.reader.direct.answers().await?)
    }

    async fn head(&self, room_id: &RoomId) -> Result<Seq, LogError> {
        Ok(seq(self.reader.head(room_id).await?))
    }

    async fn heads(&self, room_ids: &[RoomId]) -> Result<Vec<Seq>, LogError> {
        Ok(self.reader.heads(room_ids).await?)
    }

    async fn read(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, LogError> {
        Ok(self.reader.read(room_id, after, limit).await?)
    }

    fn subscribe(&self) -> LiveSubscription {
        self.ears.listen(&self.appends)
    }

    fn partitions(&self) -> u16 {
        PARTITIONS
    }

    async fn claim(&self, partition: u16) -> Result<Box<dyn PartitionLease>, LogError> {
        Ok(self.feeds.claim(partition).await?)
    }

    async fn read_partition(
        &self,
        partition: u16,
        position: u64,
        limit: usize,
    ) -> Result<ConsumerBatch, LogError> {
        Ok(self.feeds.stretch(partition, position, limit).await?)
    }

    async fn position_before(&self, partition: u16, age: Duration) -> Result<u64, LogError> {
        Ok(self.feeds.position_before(partition, age).await?)
    }

    async fn trim(&self, partition: u16, settled: u64) -> Result<(), LogError> {
        Ok(self.feeds.trim(partition, settled).await?)
    }

    fn dedupe_window(&self) -> Option<Duration> {
        Some(Duration::from_secs(DUPLICATE_WINDOW_SECONDS))
    }
}
