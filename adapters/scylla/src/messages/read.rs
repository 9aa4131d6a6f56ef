//! Every event of a room, as it happened.

use std::sync::Arc;

use roomcast_ports::StoreError;
use roomcast_protocol::{RoomId, Seq, StoredEvent};

use super::ScyllaMessages;
use super::bucket::BUCKETS_AHEAD;
use crate::rows;

/// What of an event's row is read.
type EventRow = (i64, Option<i64>, Option<Vec<u8>>);

impl ScyllaMessages {
    /// The room's events after `after`, at most `limit`; fewer only at the end.
    pub(super) async fn read_events(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, StoreError> {
        let mut events = Vec::new();
        let Some(from) = next(after) else {
            return Ok(events);
        };
        let mut buckets = self.buckets_from(room_id, from).await?;
        let mut from = from;
        while let Some((bucket, from_in_bucket)) = buckets.next(self, room_id, from).await? {
            from = from_in_bucket;
            loop {
                let wanted = limit - events.len();
                if wanted == 0 {
                    return Ok(events);
                }
                let select = &self.statements.events_from;
                let values = (
                    room_id.as_str(),
                    bucket,
                    rows::to_cql(from),
                    limit_of(wanted),
                );
                let page = self.client.rows::<EventRow>(select, values).await?;
                let (read, last) = (page.len(), page.last().map(|row| row.0));
                for row in page {
                    events.extend(stored(row)?);
                }
                match last
                    .map(|last| rows::seq(Some(last)))
                    .transpose()?
                    .and_then(next)
                {
                    Some(after_last) => from = after_last,
                    None => break,
                }
                if read < wanted {
                    break;
                }
            }
        }
        Ok(events)
    }

    /// The event at this seq of this partition.
    pub(super) async fn event_at(
        &self,
        room_id: &RoomId,
        bucket: i32,
        place: Seq,
    ) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        let values = (room_id.as_str(), bucket, rows::to_cql(place));
        let row = self
            .client
            .first::<EventRow>(&self.statements.event_at, values)
            .await?;
        row.map_or(Ok(None), stored)
    }

    /// The partitions from the one that holds `from` on.
    pub(super) async fn buckets_from(
        &self,
        room_id: &RoomId,
        from: Seq,
    ) -> Result<BucketIter, StoreError> {
        let (holding, later) = futures_util::future::try_join(
            self.bucket_containing(room_id, from),
            self.buckets_after(room_id, from),
        )
        .await?;
        let more = later.len() == BUCKETS_AHEAD as usize;
        let found = holding.into_iter().chain(later);
        Ok(BucketIter {
            found: found.collect::<Vec<_>>().into_iter(),
            last: from,
            more,
        })
    }
}

/// Partitions ahead of a reader.
pub(super) struct BucketIter {
    found: std::vec::IntoIter<(i32, Seq)>,
    last: Seq,
    more: bool,
}

impl BucketIter {
    /// The next partition and the seq to begin at in it; `None` after the last.
    pub(super) async fn next(
        &mut self,
        store: &ScyllaMessages,
        room_id: &RoomId,
        from: Seq,
    ) -> Result<Option<(i32, Seq)>, StoreError> {
        loop {
            if let Some((bucket, first)) = self.found.next() {
                self.last = self.last.max(first);
                return Ok(Some((bucket, from.max(first))));
            }
            if !self.more {
                return Ok(None);
            }
            let found = store.buckets_after(room_id, self.last).await?;
            self.more = found.len() == BUCKETS_AHEAD as usize;
            self.found = found.into_iter();
        }
    }
}

/// The row as an event; `None` when it was forgotten but for what became of it.
fn stored((seq, prev, body): EventRow) -> Result<Option<Arc<StoredEvent>>, StoreError> {
    let Some(body) = body.filter(|_| prev.is_some()) else {
        return Ok(None);
    };
    let (seq, prev, event) = (rows::seq(Some(seq))?, rows::seq(prev)?, rows::event(&body)?);
    Ok(Some(Arc::new(StoredEvent { seq, prev, event })))
}

/// The seq after this one.
pub(super) fn next(place: Seq) -> Option<Seq> {
    Seq::new(place.get() + 1)
}

/// A number of rows as a statement takes it.
pub(super) fn limit_of(rows: usize) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}
