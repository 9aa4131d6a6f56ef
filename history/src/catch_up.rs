//! Every event after a seq, in order, with deleted messages redacted.

use std::collections::HashSet;
use std::sync::Arc;

use roomcast_ports::event_log::{EventLog, LogError};
use roomcast_ports::message_store::MessageReader;
use roomcast_ports::timeline::{EventPage, ReadError};
use roomcast_protocol::{EventBody, MessageId, RoomId, Seq, StoredEvent};

use crate::History;
use crate::tail::Tail;

/// Events per read when not all of them are kept.
const READ_BATCH: usize = 128;

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Events that count.
    pub(crate) limit: usize,
    /// Bytes, as frames, of those that are kept.
    pub(crate) bytes_max: usize,
}

impl Extent {
    /// So many events, all of them kept.
    pub(crate) const fn of(limit: usize) -> Self {
        let bytes_max = usize::MAX;
        Self { limit, bytes_max }
    }

    /// Events in one read: one more than `limit` shows that there are more.
    fn step(self) -> usize {
        let all = self.limit.saturating_add(1);
        if self.bytes_max == usize::MAX {
            all
        } else {
            all.min(READ_BATCH)
        }
    }
}

/// Reads the room after `after`: from the log alone while it holds all of that and it fits the page,
/// else from the store and the log's tail. While the store is away the log is enough if it reaches back.
pub(crate) async fn read(
    history: &History,
    room_id: &RoomId,
    after: Seq,
    extent: Extent,
) -> Result<EventPage, ReadError> {
    let log = &*history.log;
    if let Some(caught_up) = from_log(log, room_id, after, extent).await? {
        return Ok(caught_up);
    }
    let away = match from_store_and_tail(log, &*history.reader, room_id, after, extent).await {
        Err(ReadError::Store(away)) => away,
        answer => return answer,
    };
    let next = log.read(room_id, after, 1).await?;
    if !next.first().is_some_and(|first| first.continues(after)) {
        history.fall_back_to_log(room_id, away).await?;
    }
    let mut page = Page::new(after, extent);
    page.take_tail(Tail::after(log, room_id, after)).await?;
    Ok(page.caught_up())
}

/// What the log answers by itself. A page that does not reach the head is none of those: a message
/// of it may have been deleted further on.
async fn from_log(
    log: &dyn EventLog,
    room_id: &RoomId,
    after: Seq,
    extent: Extent,
) -> Result<Option<EventPage>, ReadError> {
    let mut page = Page::new(after, extent);
    let mut cursor = after;
    loop {
        let events = log.read(room_id, cursor, extent.step()).await?;
        let is_end = events.len() < extent.step();
        let first = events.first();
        if first.is_some_and(|first| cursor == after && !first.continues(after)) {
            return Ok(None);
        }
        if first.is_none() && cursor == after {
            let head = log.head(room_id).await?;
            page.head = head;
            let caught_up = head > Seq::ZERO && head <= after;
            return Ok(caught_up.then(|| page.caught_up()));
        }
        cursor = events.last().map_or(cursor, |last| last.seq);
        page.push(events);
        if page.more {
            return Ok(None);
        }
        if is_end {
            return Ok(Some(page.caught_up()));
        }
        // Counting much is work without a wait in it.
        tokio::task::yield_now().await;
    }
}

async fn from_store_and_tail(
    log: &dyn EventLog,
    reader: &dyn MessageReader,
    room_id: &RoomId,
    after: Seq,
    extent: Extent,
) -> Result<EventPage, ReadError> {
    let applied_seq = reader.applied_seq(room_id).await?;
    let mut page = Page::new(after, extent);
    let mut cursor = after;
    while cursor < applied_seq && !page.more {
        let mut events = reader.events_after(room_id, cursor, extent.step()).await?;
        let is_end = events.len() < extent.step();
        // What was written ahead of the feed may have holes before it.
        events.retain(|stored| stored.seq <= applied_seq);
        page.whole &= events.first().is_none_or(|first| first.prev <= cursor);
        cursor = match events.last() {
            Some(last) if !is_end => last.seq,
            _ => applied_seq,
        };
        page.push(events);
        tokio::task::yield_now().await;
    }
    page.head = page.head.max(applied_seq);
    let mut tail = Tail::after(log, room_id, applied_seq);
    let events = tail.next().await?;
    page.whole &= events
        .first()
        .is_none_or(|first| reaches(applied_seq, after, first));
    page.push(events);
    page.take_tail(tail).await?;
    Ok(page.caught_up())
}

/// Whether the store, complete to `applied_seq`, and the log from its `first` event after that on hold
/// everything after `after` between them. The log drops nothing that the store lacks: where it no longer
/// knows the predecessor, the store has it.
fn reaches(applied_seq: Seq, after: Seq, first: &StoredEvent) -> bool {
    let known = applied_seq.max(after);
    let derived = first.prev == Seq::ZERO && applied_seq > Seq::ZERO && applied_seq >= after;
    first.seq <= after || first.continues(known) || derived
}

/// A page as the room is read past it, up to the head: deletions behind it still reach into it.
struct Page {
    after: Seq,
    extent: Extent,
    events: Vec<Arc<StoredEvent>>,
    bytes: usize,
    /// Events within the limit, those that are not kept among them.
    count: usize,
    deleted: HashSet<MessageId>,
    head: Seq,
    more: bool,
    whole: bool,
}

impl Page {
    fn new(after: Seq, extent: Extent) -> Self {
        let (events, deleted) = (Vec::new(), HashSet::new());
        Self {
            after,
            extent,
            events,
            bytes: 0,
            count: 0,
            deleted,
            head: Seq::ZERO,
            more: false,
            whole: true,
        }
    }

    fn push(&mut self, events: Vec<Arc<StoredEvent>>) {
        for stored in events {
            self.head = self.head.max(stored.seq);
            if let EventBody::MessageDeleted { message_id } = &stored.event.body {
                self.redact(message_id);
            }
            if stored.seq <= self.after {
                continue;
            }
            if self.count == self.extent.limit {
                self.more = true;
                continue;
            }
            self.after = stored.seq;
            self.count += 1;
            if self.keeps(&stored) {
                self.events.push(stored);
                self.redact_late_edit();
            }
        }
    }

    /// Whether the next event within the limit is kept; after one that is not, none is.
    fn keeps(&mut self, stored: &StoredEvent) -> bool {
        if self.extent.bytes_max == usize::MAX {
            return true;
        }
        if self.events.len() + 1 < self.count {
            return false;
        }
        self.bytes += stored.frame().encoded_len();
        self.events.is_empty() || self.bytes <= self.extent.bytes_max
    }

    async fn take_tail(&mut self, mut tail: Tail<'_>) -> Result<(), LogError> {
        loop {
            let events = tail.next().await?;
            if events.is_empty() {
                return Ok(());
            }
            self.push(events);
        }
    }

    fn redact(&mut self, message_id: &MessageId) {
        for stored in &mut self.events {
            if stored.event.message_id().as_ref() == Some(message_id) {
                Arc::make_mut(stored).event.redact();
            }
        }
        // Not needed beyond a full page.
        if self.count < self.extent.limit {
            self.deleted.insert(message_id.clone());
        }
    }

    /// An edit may have been placed behind the deletion that it raced.
    fn redact_late_edit(&mut self) {
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

    fn caught_up(self) -> EventPage {
        EventPage {
            count: self.count,
            events: self.events,
            head: self.head,
            has_more: self.more,
            is_complete: self.whole,
        }
    }
}
