//! Finding a room's partitions, and where a room stood at a place.

use roomcast_ports::StoreError;
use roomcast_protocol::{RoomId, Seq};

use super::ScyllaMessages;
use super::chain::Chain;
use crate::rows;

/// Rows looked at together when some of them may be damaged.
const ROWS: i32 = 16;
/// Partitions that are found ahead of a reader.
pub(super) const BUCKETS_AHEAD: i32 = 8;
/// The index of the events' ids has so many partitions per room. Part of what is stored.
pub(super) const ID_SHARDS: u32 = 16;

impl ScyllaMessages {
    /// The partition that holds `place`, with its first place; `None` when all begin later.
    pub(super) async fn bucket_up_to(
        &self,
        room_id: &RoomId,
        place: Seq,
    ) -> Result<Option<(i32, Seq)>, StoreError> {
        let select = &self.statements.bucket_up_to;
        let values = (room_id.as_str(), rows::cell(place));
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
        let values = (room_id.as_str(), rows::cell(place), BUCKETS_AHEAD);
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
    pub(super) async fn chain_at(&self, room_id: &RoomId, place: Seq) -> Result<Chain, StoreError> {
        let mut place = place;
        while let Some((bucket, first)) = self.bucket_up_to(room_id, place).await? {
            if let Some(chain) = self.chain_in(room_id, bucket, place).await? {
                return Ok(chain);
            }
            // The partition was begun and what it held has been forgotten.
            let Some(before) = before(first) else { break };
            place = before;
        }
        Ok(Chain::START)
    }

    async fn chain_in(
        &self,
        room_id: &RoomId,
        bucket: i32,
        place: Seq,
    ) -> Result<Option<Chain>, StoreError> {
        let mut place = place;
        loop {
            let select = &self.statements.chains_up_to;
            let values = (room_id.as_str(), bucket, rows::cell(place), ROWS);
            let found = self
                .client
                .rows::<(i64, Option<i64>, Option<i32>, Option<i64>)>(select, values)
                .await?;
            let last = found.last().map(|row| row.0);
            for (seq, ordinal, number, bytes) in found {
                // A row without them was forgotten, but for what became of it.
                if let (Some(_), Some(number)) = (ordinal, number) {
                    return Ok(Some(Chain {
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

    /// The partition and place of the event of this id.
    pub(super) async fn located(
        &self,
        room_id: &RoomId,
        event_id: &str,
    ) -> Result<Option<(i32, Seq)>, StoreError> {
        let values = (room_id.as_str(), rows::shard(event_id, ID_SHARDS), event_id);
        let row = self
            .client
            .first::<(i32, i64)>(&self.statements.by_id, values)
            .await?;
        row.map(|(bucket, seq)| Ok((bucket, rows::seq(Some(seq))?)))
            .transpose()
    }
}

/// The place before this one.
pub(super) fn before(place: Seq) -> Option<Seq> {
    place
        .get()
        .checked_sub(1)
        .and_then(Seq::new)
        .filter(|it| *it > Seq::ZERO)
}
