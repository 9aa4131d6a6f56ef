//! Pages of history, as `GET /v1/rooms/{roomId}/messages` gives them.

use std::sync::Arc;

use roomcast_ports::StoreError;
use roomcast_ports::message_store::MessageState;
use roomcast_ports::timeline::{ReadError, Timeline};
use roomcast_protocol::api::{HistoryPage, MessageView};
use roomcast_protocol::{MessageId, Refusal, RoomId, Seq};
use serde::Serialize;
use tracing::{error, warn};

use crate::History;
use crate::tail::Tail;
use crate::window::{MessagePage, Window};

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageQuery {
    /// The last messages.
    Newest,
    /// The last messages before a seq.
    Before(Seq),
    /// Every event after a seq, as it happened.
    After(Seq),
    /// The message at a seq, or else the next one, with half the limit on each side.
    Around(Seq),
}

impl History {
    /// A page of the room, with at most `limit` events; around a seq one more, the one in the middle.
    pub async fn page(
        &self,
        room_id: &RoomId,
        page: PageQuery,
        limit: usize,
    ) -> Result<HistoryPage, Refusal> {
        let _queued = self.turns.try_enqueue()?;
        if let PageQuery::After(after) = page {
            let _turn = self.turns.acquire(limit).await;
            return self
                .catch_up_page(room_id, after, limit)
                .await
                .map_err(refuse);
        }
        let read = || async {
            let _turn = self.turns.acquire(limit).await;
            self.messages(room_id, page, limit).await
        };
        let key = (room_id.clone(), page, limit);
        let page = self.pages.join(key, read).await.map_err(refuse)?;
        Ok(HistoryPage {
            events: page
                .messages
                .iter()
                .map(|it| json(&(**it).clone().view()))
                .collect(),
            head: page.head,
            has_more_before: page.more_before,
            has_more_after: page.more_after,
        })
    }

    /// One message in its current state; a deleted one comes without its content.
    pub async fn message_view(
        &self,
        room_id: &RoomId,
        message_id: &MessageId,
    ) -> Result<MessageView, Refusal> {
        let message = self
            .message(room_id, message_id, None)
            .await
            .map_err(refuse)?;
        let message = message.ok_or_else(|| Refusal::not_found("no such message in this room"))?;
        Ok(message.view())
    }

    async fn catch_up_page(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<HistoryPage, ReadError> {
        let caught_up = self.events_after(room_id, after, limit).await?;
        let prev = caught_up
            .events
            .first()
            .map_or(caught_up.head, |first| first.prev);
        // A `prev` of zero may also mean that the log no longer knew.
        let has_more_before = after > Seq::ZERO
            && (prev > Seq::ZERO || self.has_events_before(room_id, after).await?);
        Ok(HistoryPage {
            events: caught_up
                .events
                .iter()
                .map(|stored| json(&stored.frame()))
                .collect(),
            head: caught_up.head,
            has_more_before,
            has_more_after: caught_up.has_more,
        })
    }

    async fn has_events_before(&self, room_id: &RoomId, place: Seq) -> Result<bool, ReadError> {
        let first = if self.base(room_id).await?.has_store() {
            self.reader.events_after(room_id, Seq::ZERO, 1).await?
        } else {
            self.log.read(room_id, Seq::ZERO, 1).await?
        };
        Ok(first.first().is_some_and(|stored| stored.seq <= place))
    }

    async fn messages(
        &self,
        room_id: &RoomId,
        page: PageQuery,
        limit: usize,
    ) -> Result<MessagePage, ReadError> {
        let (place, before_max, from_max) = match page {
            PageQuery::Newest => (Seq::MAX, limit + 1, 1),
            PageQuery::Before(place) => (place, limit + 1, 1),
            // The one in the middle may be the last before the seq, if there is none from it on.
            PageQuery::Around(place) => (place, limit / 2 + 2, limit / 2 + 2),
            PageQuery::After(_) => unreachable!("pages of events are made by catch_up_page"),
        };
        let base = self.base(room_id).await?;
        let tail_from = base.start_seq();
        let (mut before, mut from) = (Vec::new(), Vec::new());
        if base.has_store() {
            before = self
                .reader
                .messages_before(room_id, place, before_max, tail_from)
                .await?;
            if page != PageQuery::Newest {
                from = self
                    .reader
                    .messages_from(room_id, place, from_max, tail_from)
                    .await?;
            }
        }
        let mut window = Window::new(place, (before_max, before), (from_max, from));
        let mut tail = Tail::after(&*self.log, room_id, base.start_seq());
        loop {
            let events = tail.next().await?;
            if events.is_empty() {
                return Ok(trim_to_limit(window, page, limit, tail.place()));
            }
            for stored in &events {
                window.apply(stored);
            }
        }
    }
}

/// Trims the window to the page, and returns whether there is more on each side.
fn trim_to_limit(window: Window, page: PageQuery, limit: usize, head: Seq) -> MessagePage {
    let (mut before, mut from) = window.into_parts();
    let (before_max, from_max) = match page {
        PageQuery::Around(_) => {
            if from.is_empty() {
                from.extend(before.pop_back());
            }
            (limit / 2, limit / 2 + 1)
        }
        _ => (limit, 0),
    };
    let more_before = before.len() > before_max;
    let more_after = from.len() > from_max;
    before.drain(..before.len().saturating_sub(before_max));
    from.truncate(from_max);
    let messages: Vec<Arc<MessageState>> = before.into_iter().chain(from).map(Arc::new).collect();
    let head = messages.last().map_or(head, |last| head.max(last.seq));
    MessagePage {
        messages,
        head,
        more_before,
        more_after,
    }
}

fn json(of: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(of).expect("strings and numbers always serialize")
}

/// Logs why a read failed.
fn refuse(error: ReadError) -> Refusal {
    if matches!(error, ReadError::Store(StoreError::Corrupted(_))) {
        error!(?error, "failed to read history: corrupted");
    } else {
        warn!(?error, "failed to read history");
    }
    Refusal::internal()
}
