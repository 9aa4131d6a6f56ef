//! The timeline, for gateways: the same sequence that pages show.

use std::sync::Arc;

use async_trait::async_trait;
use roomcast_ports::message_store::MessageState;
use roomcast_ports::reactions::ReactionScope;
use roomcast_ports::timeline::{EventPage, ReadError, Timeline};
use roomcast_protocol::{EventId, MessageId, RoomId, Seq, StoredEvent, UserId};

use crate::catch_up::Extent;
use crate::tail::Tail;
use crate::{History, catch_up, message_state};

#[async_trait]
impl Timeline for History {
    async fn events_after(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<EventPage, ReadError> {
        self.catch_ups
            .join((room_id.clone(), after, limit, usize::MAX), || {
                catch_up::read(self, room_id, after, Extent::of(limit))
            })
            .await
    }

    async fn first_events_after(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
        bytes_max: usize,
    ) -> Result<EventPage, ReadError> {
        let extent = Extent { limit, bytes_max };
        self.catch_ups
            .join((room_id.clone(), after, limit, bytes_max), || {
                catch_up::read(self, room_id, after, extent)
            })
            .await
    }

    async fn head(&self, room_id: &RoomId) -> Result<Seq, ReadError> {
        match self.log.head(room_id).await? {
            // The log may have let go of a room that has been quiet for long.
            Seq::ZERO => Ok(self.reader.applied_seq(room_id).await?),
            head => Ok(head),
        }
    }

    async fn event(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, ReadError> {
        let base = self.base(room_id).await?;
        if base.has_store()
            && let Some(event) = self.reader.event(room_id, event_id).await?
        {
            return Ok(Some(event));
        }
        let mut tail = Tail::after(&*self.log, room_id, base.start_seq());
        loop {
            let events = tail.next().await?;
            if events.is_empty() {
                return Ok(None);
            }
            if let Some(event) = events
                .into_iter()
                .find(|stored| stored.event.id == *event_id)
            {
                return Ok(Some(event));
            }
        }
    }

    async fn message(
        &self,
        room_id: &RoomId,
        message_id: &MessageId,
        user_id: Option<&UserId>,
    ) -> Result<Option<MessageState>, ReadError> {
        let base = self.base(room_id).await?;
        let mut message = None;
        if base.has_store() {
            let scope = ReactionScope {
                tail_from: base.start_seq(),
                user_id,
            };
            message = self.reader.message(room_id, message_id, scope).await?;
        }
        let mut tail = Tail::after(&*self.log, room_id, base.start_seq());
        loop {
            let events = tail.next().await?;
            if events.is_empty() {
                return Ok(message);
            }
            for stored in &events {
                match &mut message {
                    Some(message) => message_state::apply(message, stored),
                    None => {
                        message = message_state::from_sent(stored, user_id)
                            .filter(|it| it.message_id == *message_id);
                    }
                }
            }
        }
    }
}
