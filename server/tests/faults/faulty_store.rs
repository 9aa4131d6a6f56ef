//! A store that goes away and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use roomcast_embedded::EmbeddedStore;
use roomcast_ports::StoreError;
use roomcast_ports::directory::{
    ListingCursor, MemberRecord, PublicCursor, RoomDirectory, RoomListing, RoomRecord,
};
use roomcast_ports::message_store::{
    Checkpoint, MessageReader, MessageState, MessageWriter, ResyncRequests,
};
use roomcast_ports::reactions::ReactionScope;
use roomcast_protocol::api::Marks;
use roomcast_protocol::{EventId, MessageId, RoomId, Seq, StoredEvent, UserId};
use tokio::sync::watch;

pub(crate) struct FaultyStore {
    inner: Arc<EmbeddedStore>,
    away: AtomicBool,
    /// Calls are not answered.
    silent: AtomicBool,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<EmbeddedStore>) -> Self {
        Self {
            inner,
            away: AtomicBool::new(false),
            silent: AtomicBool::new(false),
        }
    }

    /// Makes calls hang without end.
    pub(crate) fn silent(&self, is: bool) {
        self.silent.store(is, Ordering::SeqCst);
    }

    pub(crate) fn away(&self, is: bool) {
        self.away.store(is, Ordering::SeqCst);
    }

    async fn there(&self) -> Result<&EmbeddedStore, StoreError> {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the test says so".into()));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl MessageWriter for FaultyStore {
    async fn apply(
        &self,
        events: &[Arc<StoredEvent>],
        place: Option<Checkpoint>,
    ) -> Result<(), StoreError> {
        self.there().await?.apply(events, place).await
    }

    async fn checkpoint(&self, partition: u16) -> Result<u64, StoreError> {
        self.there().await?.checkpoint(partition).await
    }

    fn crash_loss_window(&self) -> Option<Duration> {
        self.inner.crash_loss_window()
    }

    fn resync_requests(&self) -> watch::Receiver<ResyncRequests> {
        self.inner.resync_requests()
    }
}

#[async_trait]
impl MessageReader for FaultyStore {
    async fn applied_seq(&self, room_id: &RoomId) -> Result<Seq, StoreError> {
        self.there().await?.applied_seq(room_id).await
    }

    async fn events_after(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, StoreError> {
        self.there()
            .await?
            .events_after(room_id, after, limit)
            .await
    }

    async fn messages_before(
        &self,
        room_id: &RoomId,
        before: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError> {
        self.there()
            .await?
            .messages_before(room_id, before, limit, tail_from)
            .await
    }

    async fn messages_from(
        &self,
        room_id: &RoomId,
        from: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError> {
        self.there()
            .await?
            .messages_from(room_id, from, limit, tail_from)
            .await
    }

    async fn message(
        &self,
        room_id: &RoomId,
        message_id: &MessageId,
        scope: ReactionScope<'_>,
    ) -> Result<Option<MessageState>, StoreError> {
        self.there()
            .await?
            .message(room_id, message_id, scope)
            .await
    }

    async fn event(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        self.there().await?.event(room_id, event_id).await
    }
}

#[async_trait]
impl RoomDirectory for FaultyStore {
    async fn room(&self, room_id: &RoomId) -> Result<Option<RoomRecord>, StoreError> {
        self.there().await?.room(room_id).await
    }

    async fn member(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<MemberRecord>, StoreError> {
        self.there().await?.member(room_id, user_id).await
    }

    async fn members(
        &self,
        room_id: &RoomId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<MemberRecord>, StoreError> {
        self.there().await?.members(room_id, after, limit).await
    }

    async fn owner_count(&self, room_id: &RoomId) -> Result<u64, StoreError> {
        self.there().await?.owner_count(room_id).await
    }

    async fn rooms_of(
        &self,
        user_id: &UserId,
        after: Option<&ListingCursor>,
        limit: usize,
    ) -> Result<Vec<RoomListing>, StoreError> {
        self.there().await?.rooms_of(user_id, after, limit).await
    }

    async fn rooms_of_among(
        &self,
        user_id: &UserId,
        room_ids: &[RoomId],
    ) -> Result<Vec<RoomListing>, StoreError> {
        self.there().await?.rooms_of_among(user_id, room_ids).await
    }

    async fn room_ids_of(&self, user_id: &UserId, limit: usize) -> Result<Vec<RoomId>, StoreError> {
        self.there().await?.room_ids_of(user_id, limit).await
    }

    async fn public_rooms(
        &self,
        name_prefix: &str,
        after: Option<&PublicCursor>,
        limit: usize,
    ) -> Result<Vec<RoomRecord>, StoreError> {
        self.there()
            .await?
            .public_rooms(name_prefix, after, limit)
            .await
    }

    async fn advance_markers(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        read: Seq,
        delivered: Seq,
    ) -> Result<Option<Marks>, StoreError> {
        self.there()
            .await?
            .advance_markers(room_id, user_id, read, delivered)
            .await
    }
}
