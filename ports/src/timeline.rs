//! A room from its first event to this moment: the store and the log's tail as one. Answered by the
//! history service.

use std::sync::Arc;

use async_trait::async_trait;
use roomcast_protocol::{EventId, MessageId, RoomId, Seq, StoredEvent, UserId};

use crate::StoreError;
use crate::event_log::LogError;
use crate::message_store::MessageState;

/// Why the timeline gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log did not answer.
    #[error("read the log's tail")]
    Log(#[from] LogError),
    /// The store did not answer.
    #[error("read the store")]
    Store(#[from] StoreError),
}

/// What came after a seq.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// Every event after it, in order, up to the limit; deleted messages are redacted.
    pub events: Vec<Arc<StoredEvent>>,
    /// The seq of the room's last event.
    pub head: Seq,
    /// There are more than were asked for.
    pub has_more: bool,
    /// How many were asked for and are there; more than `events` if those are as many bytes as were asked
    /// for.
    pub count: usize,
    /// Neither between the seq and the first of them nor further on is an event missing, as far as the
    /// store and the log show. Otherwise some were lost permanently.
    pub is_complete: bool,
}

/// A room as one sequence, whatever of it has reached the store.
#[async_trait]
pub trait Timeline: Send + Sync {
    /// The events after `after`, at most `limit`.
    async fn events_after(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<EventPage, ReadError>;

    /// As [`after`](Self::events_after), with only the first of those events, as many as come to `bytes_max`, one
    /// at least. The other fields cover all of them, without holding them in memory together.
    async fn first_events_after(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
        bytes_max: usize,
    ) -> Result<EventPage, ReadError>;

    /// The seq of the room's last event; zero when it has none.
    async fn head(&self, room_id: &RoomId) -> Result<Seq, ReadError>;

    /// The event of this id, if the room has it, however long ago.
    async fn event(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, ReadError>;

    /// A message in its current state, with what `user_id` holds of its reactions.
    async fn message(
        &self,
        room_id: &RoomId,
        message_id: &MessageId,
        user_id: Option<&UserId>,
    ) -> Result<Option<MessageState>, ReadError>;
}
