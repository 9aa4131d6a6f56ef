//! Everything that happened after a place, in order, without what deleted messages said.

use std::collections::HashSet;
use std::sync::Arc;

use roomcast_ports::event_log::{EventLog, LogError};
use roomcast_ports::message_store::MessageReader;
use roomcast_ports::timeline::{CatchUp, ReadError};
use roomcast_protocol::{EventBody, MessageId, RoomId, Seq, StoredEvent};

use crate::History;
use crate::tail::Tail;

/// Reads the room after `after`: from the log alone while it holds all of that and it fits the page,
/// else from the store and the log's tail. While the store is away the log is enough if it reaches back.
pub(crate) async fn read(
    history: &History,
    room_id: &RoomId,
    after: Seq,
    limit: usize,
) -> Result<CatchUp, ReadError> {
    let log = &*history.log;
    if let Some(caught_up) = from_log(log, room_id, after, limit).await? {
        return Ok(caught_up);
    }
    let away = match from_store_and_tail(log, &*history.reader, room_id, after, limit).await {
        Err(ReadError::Store(away)) => away,
        answer => return answer,
    };
    let next = log.read(room_id, after, 1).await?;
    if !next.first().is_some_and(|first| first.continues(after)) {
        history.without_store(room_id, away).await?;
    }
    let mut page = Page::new(after, limit);
    page.take_tail(Tail::after(log, room_id, after)).await?;
    Ok(page.caught_up())
}

/// What the log answers by itself. A page that does not reach the head is none of those: a message
/// of it may have been deleted further on.
async fn from_log(
    log: &dyn EventLog,
    room_id: &RoomId,
    after: Seq,
    limit: usize,
) -> Result<Option<CatchUp>, ReadError> {
    let events = log.read(room_id, after, limit.saturating_add(1)).await?;
    let Some(first) = events.first() else {
        let head = log.head(room_id).await?;
        let caught_up = head > Seq::ZERO && head <= after;
        return Ok(caught_up.then_some(CatchUp {
            events,
            head,
            more: false,
            whole: true,
        }));
    };
    if !first.continues(after) || events.len() > limit {
        return Ok(None);
    }
    let mut page = Page::new(after, limit);
    page.take(events);
    Ok(Some(page.caught_up()))
}

async fn from_store_and_tail(
    log: &dyn EventLog,
    reader: &dyn MessageReader,
    room_id: &RoomId,
    after: Seq,
    limit: usize,
) -> Result<CatchUp, ReadError> {
    let complete_to = reader.complete_to(room_id).await?;
    let mut page = Page::new(after, limit);
    if after < complete_to {
        let mut events = reader
            .events_after(room_id, after, limit.saturating_add(1))
            .await?;
        // What was written ahead of the feed may have holes before it.
        events.retain(|stored| stored.seq <= complete_to);
        page.whole = events.first().is_none_or(|first| first.prev <= after);
        page.take(events);
    }
    page.head = page.head.max(complete_to);
    let mut tail = Tail::after(log, room_id, complete_to);
    let events = tail.next().await?;
    page.whole &= events
        .first()
        .is_none_or(|first| reaches(complete_to, after, first));
    page.take(events);
    page.take_tail(tail).await?;
    Ok(page.caught_up())
}

/// Whether the store, complete to `complete_to`, and the log from its `first` event after that on hold
/// everything after `after` between them. The log drops nothing that the store lacks: where it no longer
/// knows the predecessor, the store has it.
fn reaches(complete_to: Seq, after: Seq, first: &StoredEvent) -> bool {
    let known = complete_to.max(after);
    let derived = first.prev == Seq::ZERO && complete_to > Seq::ZERO && complete_to >= after;
    first.seq <= after || first.continues(known) || derived
}

/// A page as the room is read past it, up to the head: deletions behind it still reach into it.
struct Page {
    after: Seq,
    limit: usize,
    events: Vec<Arc<StoredEvent>>,
    deleted: HashSet<MessageId>,
    head: Seq,
    more: bool,
    whole: bool,
}

impl Page {
    fn new(after: Seq, limit: usize) -> Self {
        let (events, deleted) = (Vec::new(), HashSet::new());
        Self {
            after,
            limit,
            events,
            deleted,
            head: Seq::ZERO,
            more: false,
            whole: true,
        }
    }

    fn take(&mut self, events: Vec<Arc<StoredEvent>>) {
        for stored in events {
            self.head = self.head.max(stored.seq);
            if let EventBody::MessageDeleted { message_id } = &stored.event.body {
                self.forget(message_id);
            }
            if stored.seq <= self.after {
                continue;
            }
            if self.events.len() == self.limit {
                self.more = true;
                continue;
            }
            self.after = stored.seq;
            self.events.push(stored);
            self.redact_last();
        }
    }

    async fn take_tail(&mut self, mut tail: Tail<'_>) -> Result<(), LogError> {
        loop {
            let events = tail.next().await?;
            if events.is_empty() {
                return Ok(());
            }
            self.take(events);
        }
    }

    fn forget(&mut self, message_id: &MessageId) {
        for stored in &mut self.events {
            if stored.event.message_id().as_ref() == Some(message_id) {
                Arc::make_mut(stored).event.redact();
            }
        }
        // Beyond a full page nobody asks for it any more.
        if self.events.len() < self.limit {
            self.deleted.insert(message_id.clone());
        }
    }

    /// An edit may have been placed behind the deletion that it raced.
    fn redact_last(&mut self) {
        let Some(last) = self.events.last_mut() else {
            return;
        };
        if last
            .event
            .message_id()
            .is_some_and(|message_id| self.deleted.contains(&message_id))
        {
            Arc::make_mut(last).event.redact();
        }
    }

    fn caught_up(self) -> CatchUp {
        CatchUp {
            events: self.events,
            head: self.head,
            more: self.more,
            whole: self.whole,
        }
    }
}
