//! Finds a room's buckets, and its counters at a seq.

use roomcast_ports::StoreError;
use roomcast_protocol::{RoomId, Seq};

use super::ScyllaMessages;
use super::position::RoomPosition;
use crate::rows;

/// Rows looked at together when some of them may be damaged.
const ROWS: i32 = 16;
/// A room's first partition.
const FIRST: i32 = 0;
/// Partitions that are found ahead of a reader.
pub(super) const BUCKETS_AHEAD: i32 = 8;
/// The index of the ids of a room's events after its first partition has so many partitions. Part of
/// what is stored.
const ID_SHARDS: u32 = 16;

impl ScyllaMessages {
    /// The partition that holds `place`, with its first seq; `None` when all begin later.
    pub(super) async fn bucket_containing(
        &self,
        room_id: &RoomId,
        place: Seq,
    ) -> Result<Option<(i32, Seq)>, StoreError> {
        let select = &self.statements.bucket_up_to;
        let values = (room_id.as_str(), rows::to_cql(place));
        let row = self.client.first::<(i32, i64)>(select, values).await?;
        row.map(|(bucket, first)| Ok((bucket, rows::seq(Some(first))?)))
            .transpose()
    }

    /// The partitions that begin after `place`, oldest first, a few of them.
    pub(super) async fn buckets_after(
        &self,
        room_id: &RoomId,
        place: Seq,
    ) -> Result<Vec<(i32, Seq)>, StoreError> {
        let select = &self.statements.buckets_after;
        let values = (room_id.as_str(), rows::to_cql(place), BUCKETS_AHEAD);
        let found = self
            .client
            .rows::<(i32, i64)>(select, values)
            .await?
            .into_iter();
        found
            .map(|(bucket, first)| Ok((bucket, rows::seq(Some(first))?)))
            .collect()
    }

    /// Where the room stood after its last event at or before `place`.
    pub(super) async fn position_at(
        &self,
        room_id: &RoomId,
        place: Seq,
    ) -> Result<RoomPosition, StoreError> {
        let mut place = place;
        while let Some((bucket, first)) = self.bucket_containing(room_id, place).await? {
            if let Some(chain) = self.position_in(room_id, bucket, place).await? {
                return Ok(chain);
            }
            // The partition was started, and its rows were lost.
            let Some(before) = before(first) else { break };
            place = before;
        }
        Ok(RoomPosition::START)
    }

    async fn position_in(
        &self,
        room_id: &RoomId,
        bucket: i32,
        place: Seq,
    ) -> Result<Option<RoomPosition>, StoreError> {
        let mut place = place;
        loop {
            let select = &self.statements.chains_up_to;
            let values = (room_id.as_str(), bucket, rows::to_cql(place), ROWS);
            let found = self
                .client
                .rows::<(i64, Option<i64>, Option<i32>, Option<i64>)>(select, values)
                .await?;
            let last = found.last().map(|row| row.0);
            for (seq, ordinal, number, bytes) in found {
                // A row without them was forgotten, but for what became of it.
                if let (Some(_), Some(number)) = (ordinal, number) {
                    return Ok(Some(RoomPosition {
                        seq: rows::seq(Some(seq))?,
                        ordinal: rows::count(ordinal),
                        bucket,
                        number: u32::try_from(number).unwrap_or(0),
                        bytes: rows::count(bytes),
                    }));
                }
            }
            match last
                .map(|seq| rows::seq(Some(seq)))
                .transpose()?
                .and_then(before)
            {
                Some(before) => place = before,
                None => return Ok(None),
            }
        }
    }

    /// The partition and seq of the event of this id: of the first, if there are two.
    pub(super) async fn located(
        &self,
        room_id: &RoomId,
        event_id: &str,
    ) -> Result<Option<(i32, Seq)>, StoreError> {
        for shard in [id_shard(FIRST, event_id), id_shard(FIRST + 1, event_id)] {
            let values = (room_id.as_str(), shard, event_id);
            let row = self
                .client
                .first::<(i32, i64)>(&self.statements.by_id, values);
            if let Some((bucket, seq)) = row.await? {
                return Ok(Some((bucket, rows::seq(Some(seq))?)));
            }
        }
        Ok(None)
    }
}

/// Which partition of the index has the id of an event in `bucket`. Those of the room's first have the
/// key that their events have, so that both are one write; few rooms ever have more. The others are
/// spread, since who asks knows the id alone.
pub(super) fn id_shard(bucket: i32, event_id: &str) -> i32 {
    match bucket {
        FIRST => FIRST,
        _ => FIRST + 1 + rows::shard(event_id, ID_SHARDS),
    }
}

/// The seq before this one.
pub(super) fn before(place: Seq) -> Option<Seq> {
    place
        .get()
        .checked_sub(1)
        .and_then(Seq::new)
        .filter(|it| *it > Seq::ZERO)
}
