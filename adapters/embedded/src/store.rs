//! The store: rows derived from the log, in one file, written by one thread.
//!
//! Writes are ordered by seq, so they may come twice, early or late. The checkpoint is
//! kept in the transaction that wrote up to it: after a power loss both are back at the same moment.

mod apply;
mod dead_letters;
mod directory;
mod encoded_event;
mod events;
mod listings;
mod members;
mod message_state;
mod mutations;
mod rooms;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::message_store::{
    Checkpoint, MessageReader, MessageState, MessageWriter, ResyncRequests,
};
use roomcast_ports::reactions::ReactionScope;
use roomcast_protocol::{EventId, MessageId, RoomId, Seq, StoredEvent};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::readers::{Readers, StartError};
use crate::writer::{Failure, Task, WriteRequest, Writer, WriterState, call};
use encoded_event::EncodedEvent;

pub(crate) use apply::high_watermarks;

/// The schema of `store.db`, step by step.
pub(crate) const SCHEMA: &[&str] = &[
    include_str!("store/schema.sql"),
    include_str!("store/dead_letters.sql"),
];
/// Threads that read the store.
const READERS: usize = 2;

/// Messages in their current state, rooms and members, in one file.
#[derive(Debug)]
pub struct EmbeddedStore {
    writer: Writer<StoreTask>,
    readers: Readers,
}

impl EmbeddedStore {
    /// Serves the file that `connection` writes to.
    pub(crate) fn start(path: &Path, connection: Connection) -> Result<Self, StartError> {
        let readers = Readers::start("store reader", path, READERS)?;
        let writer = Writer::start("store writer", connection, Nothing)?;
        Ok(Self { writer, readers })
    }

    /// Writes what waits, then ends the threads.
    pub(crate) fn close(&self) {
        // The last connection to close moves the write-ahead log into the file: the readers go first,
        // since two that close concurrently each leave it to the other.
        self.readers.close();
        self.writer.close();
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (call, answer) = call(change);
        self.writer.submit_when_room(StoreTask(call)).await?;
        Ok(answer.await.unwrap_or(Err(Failure::Closed))?)
    }

    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        Ok(self.readers.read(query).await?)
    }
}

struct StoreTask(Box<dyn WriteRequest>);

/// The store's thread asks the database everything: its tasks come a batch at a time.
struct Nothing;

impl WriterState for Nothing {
    fn forget(&mut self) {}
}

impl Task for StoreTask {
    type Memory = Nothing;

    fn apply(&mut self, connection: &Connection, _: &mut Nothing) -> rusqlite::Result<()> {
        self.0.apply(connection)
    }

    fn committed(self, _: &mut Nothing) {
        self.0.answer(Ok(()));
    }

    fn failed(self, failure: Failure) {
        self.0.answer(Err(failure));
    }
}

#[async_trait]
impl MessageWriter for EmbeddedStore {
    async fn apply(
        &self,
        events: &[Arc<StoredEvent>],
        place: Option<Checkpoint>,
    ) -> Result<(), StoreError> {
        let events: Vec<EncodedEvent> = events.iter().map(EncodedEvent::new).collect();
        self.change(move |store| apply::write(store, &events, place))
            .await
    }

    async fn checkpoint(&self, partition: u16) -> Result<u64, StoreError> {
        self.query(move |store| apply::place(store, partition))
            .await
    }

    /// Checkpoints and rows are of one transaction: after a crash both are back at the same moment.
    fn crash_loss_window(&self) -> Option<Duration> {
        None
    }

    fn resync_requests(&self) -> watch::Receiver<ResyncRequests> {
        watch::channel(ResyncRequests::default()).1
    }
}

#[async_trait]
impl MessageReader for EmbeddedStore {
    async fn applied_seq(&self, room_id: &RoomId) -> Result<Seq, StoreError> {
        let room_id = room_id.clone();
        self.query(move |store| rooms::applied_seq(store, &room_id))
            .await
    }

    async fn events_after(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, StoreError> {
        let room_id = room_id.clone();
        self.query(move |store| events::after(store, &room_id, after, limit))
            .await
    }

    async fn messages_before(
        &self,
        room_id: &RoomId,
        before: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError> {
        let room_id = room_id.clone();
        self.query(move |store| message_state::before(store, &room_id, before, limit, tail_from))
            .await
    }

    async fn messages_from(
        &self,
        room_id: &RoomId,
        from: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError> {
        let room_id = room_id.clone();
        self.query(move |store| message_state::from(store, &room_id, from, limit, tail_from))
            .await
    }

    async fn message(
        &self,
        room_id: &RoomId,
        message_id: &MessageId,
        scope: ReactionScope<'_>,
    ) -> Result<Option<MessageState>, StoreError> {
        let (room_id, message_id) = (room_id.clone(), message_id.clone());
        let (tail_from, user_id) = (scope.tail_from, scope.user_id.cloned());
        self.query(move |store| {
            let user_id = user_id.as_ref();
            let scope = ReactionScope { tail_from, user_id };
            message_state::named(store, &room_id, &message_id, scope)
        })
        .await
    }

    async fn event(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        let (room_id, event_id) = (room_id.clone(), event_id.clone());
        self.query(move |store| events::named(store, &room_id, &event_id))
            .await
    }
}
