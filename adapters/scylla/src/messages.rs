//! Messages, rooms and members: written by ingest, read by the services.
//!
//! Every row derived from the log carries a seq of it as its timestamp, so it does not matter how
//! often, how late or by how many processes it is written. What a row holds about those before it, how
//! many messages there were and in which partition it belongs, follows from the log alone and is kept
//! with every event: from any of them the rest can be written again, the same.

mod apply;
mod bucket;
mod cache;
mod directory;
mod listings;
mod marks;
mod member_count_cache;
mod members;
mod membership;
mod mutations;
mod position;
mod public;
mod read;
mod rooms;
mod state;
mod statements;
mod write_plan;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::message_store::{
    Checkpoint, MessageReader, MessageState, MessageWriter, ResyncRequests,
};
use roomcast_ports::reactions::ReactionScope;
use roomcast_protocol::{EventId, MessageId, RoomId, Seq, StoredEvent};
use tokio::sync::watch;

use crate::client::Client;
use crate::config::{ConnectError, ScyllaConfig};
use crate::rows;
use cache::Cache;
use member_count_cache::MemberCountCache;
use position::BucketLimits;
use statements::Statements;

/// With a batch of a few events goes a checkpoint to be moved and an acknowledgement, which the log's servers
/// agree on: at a thousand messages a second these cost as much as the rows.
const LINGER: Duration = Duration::from_millis(100);

/// Messages, rooms and members.
#[derive(Debug)]
pub struct ScyllaMessages {
    client: Arc<Client>,
    statements: Statements,
    bounds: BucketLimits,
    cache: Cache,
    counts: MemberCountCache,
    forgets: Duration,
    setbacks: watch::Receiver<ResyncRequests>,
}

impl ScyllaMessages {
    pub(crate) async fn prepare(
        client: &Arc<Client>,
        config: &ScyllaConfig,
        setbacks: watch::Receiver<ResyncRequests>,
    ) -> Result<Self, ConnectError> {
        Ok(Self {
            client: Arc::clone(client),
            statements: Statements::prepare(client).await?,
            bounds: BucketLimits {
                events: config.bucket_events,
                bytes: config.bucket_bytes,
            },
            cache: Cache::default(),
            counts: MemberCountCache::default(),
            forgets: config.forgets,
            setbacks,
        })
    }

    /// The highest seq known of the partition, or the beginning of an incarnation after it.
    pub(crate) async fn high_watermarks(&self, partition: u16) -> Result<u64, StoreError> {
        let (position, reached) = self.positions(partition).await?;
        Ok(position.max(reached))
    }

    async fn positions(&self, partition: u16) -> Result<(u64, u64), StoreError> {
        let select = &self.statements.place;
        let row = self
            .client
            .first::<(Option<i64>, Option<i64>)>(select, (i32::from(partition),));
        let (position, reached) = row.await?.unwrap_or_default();
        Ok((rows::count(position), rows::count(reached)))
    }
}

#[async_trait]
impl MessageWriter for ScyllaMessages {
    async fn apply(
        &self,
        events: &[Arc<StoredEvent>],
        place: Option<Checkpoint>,
    ) -> Result<(), StoreError> {
        match place {
            Some(place) => self.apply_batch(events, place).await,
            None => self.apply_membership_early(events).await,
        }
    }

    /// The caller starts to consume from there: what this process cached of the partition's rooms
    /// may have been overtaken by another.
    async fn checkpoint(&self, partition: u16) -> Result<u64, StoreError> {
        self.cache.forget(partition);
        Ok(self.positions(partition).await?.0)
    }

    fn crash_loss_window(&self) -> Option<Duration> {
        Some(self.forgets)
    }

    fn linger(&self) -> Duration {
        LINGER
    }

    fn resync_requests(&self) -> watch::Receiver<ResyncRequests> {
        self.setbacks.clone()
    }
}

#[async_trait]
impl MessageReader for ScyllaMessages {
    async fn applied_seq(&self, room_id: &RoomId) -> Result<Seq, StoreError> {
        let select = &self.statements.head;
        let row = self
            .client
            .first::<(Option<i64>, Option<i64>)>(select, (room_id.as_str(),));
        rows::seq(row.await?.unwrap_or_default().0)
    }

    async fn events_after(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, StoreError> {
        self.read_events(room_id, after, limit).await
    }

    async fn messages_before(
        &self,
        room_id: &RoomId,
        before: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError> {
        self.read_messages_before(room_id, before, limit, tail_from)
            .await
    }

    async fn messages_from(
        &self,
        room_id: &RoomId,
        from: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError> {
        self.read_messages_from(room_id, from, limit, tail_from)
            .await
    }

    async fn message(
        &self,
        room_id: &RoomId,
        message_id: &MessageId,
        scope: ReactionScope<'_>,
    ) -> Result<Option<MessageState>, StoreError> {
        let Some((bucket, seq)) = self.located(room_id, message_id.as_str()).await? else {
            return Ok(None);
        };
        self.message_at(room_id, bucket, seq, scope).await
    }

    async fn event(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        let Some((bucket, seq)) = self.located(room_id, event_id.as_str()).await? else {
            return Ok(None);
        };
        self.event_at(room_id, bucket, seq).await
    }
}
