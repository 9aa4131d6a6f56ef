//! The index of public rooms by name.
//!
//! An index row is a candidate: a search checks each against the room's own row, drops what is stale and
//! reads on, so a row too many costs a read and a row too few would hide a room. Therefore rows are
//! written with the latest timestamp of the cells that they follow from, and removed with one less: a
//! removal by a writer that has seen less never removes the row of a writer that has seen more. Which
//! keys a room has rows under is part of the room's row. Rooms that never were public have none.

use futures_util::future::try_join_all;
use roomcast_ports::StoreError;
use roomcast_ports::directory::{PublicCursor, PublicRange, RoomRecord, name_key};
use roomcast_protocol::event::{RoomChange, RoomCreation};
use roomcast_protocol::{EventBody, RoomId, RoomKind, StoredEvent, Visibility};

use super::ScyllaMessages;
use crate::client::corrupted;
use crate::rows::{enum_from_cql, id, shard, to_cql};

/// The number of partitions of the table. Part of the stored format.
const SHARDS: u32 = 16;

/// The cells that decide whether and where a room is indexed, each with its timestamp.
type Cells = (
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<bool>,
    Option<i64>,
    // The keys it has rows under.
    Option<Vec<String>>,
);

/// What follows from [`Cells`].
#[derive(Debug, PartialEq)]
struct Indexing {
    /// The key that the room is found under; `None` if it is not found.
    key: Option<String>,
    /// The latest timestamp of the cells.
    stamp: i64,
}

impl Indexing {
    /// The indexing, and the keys that the room has rows under; `None` if it has not been created yet.
    fn of(cells: Cells) -> Result<Option<(Self, Vec<String>)>, StoreError> {
        let (founding, founded_at, name, named_at, visibility, shown_at, ended, ended_at, keys) =
            cells;
        let stamp = [founded_at, named_at, shown_at, ended_at]
            .into_iter()
            .flatten()
            .max();
        let (Some(founding), Some(stamp)) = (founding, stamp) else {
            return Ok(None);
        };
        let founding: RoomCreation = serde_json::from_str(&founding).map_err(corrupted)?;
        let visibility = match visibility {
            Some(visibility) => Some(enum_from_cql(&visibility, Visibility::from_wire)?),
            None => founding.visibility,
        };
        let found = founding.kind == RoomKind::Group
            && visibility == Some(Visibility::Public)
            && ended != Some(true);
        let name = name.or(founding.name).unwrap_or_default();
        let key = found.then(|| name_key(&name));
        Ok(Some((Self { key, stamp }, keys.unwrap_or_default())))
    }
}

impl ScyllaMessages {
    /// Brings the index up to date with an event. Its own rows are written before: of two processes that
    /// write two events of a room concurrently, one sees the other's.
    pub(super) async fn index_room(&self, stored: &StoredEvent) -> Result<(), StoreError> {
        let room_id = &stored.event.room_id;
        let becomes_public = match &stored.event.body {
            EventBody::MemberJoined {
                founding: Some(RoomCreation { visibility, .. }),
                ..
            } => *visibility == Some(Visibility::Public),
            EventBody::RoomChanged(RoomChange {
                name, visibility, ..
            }) => {
                if name.is_none() && visibility.is_none() {
                    return Ok(());
                }
                *visibility == Some(Visibility::Public)
            }
            EventBody::RoomDeleted => false,
            _ => return Ok(()),
        };
        if becomes_public {
            let values = (to_cql(stored.seq), room_id.as_str());
            let mark = &self.statements.mark_indexed;
            self.client.write(mark, values).await?;
        } else {
            let select = &self.statements.is_indexed;
            let row = self
                .client
                .first::<(Option<bool>,)>(select, (room_id.as_str(),));
            if row.await?.and_then(|(indexed,)| indexed) != Some(true) {
                return Ok(());
            }
        }
        self.reindex(room_id).await
    }

    /// Writes the room's index rows, until the cells that they follow from stay the same.
    async fn reindex(&self, room_id: &RoomId) -> Result<(), StoreError> {
        let mut written = None;
        loop {
            let select = &self.statements.indexed_cells;
            let cells = self.client.first::<Cells>(select, (room_id.as_str(),));
            let Some((indexing, keys)) = cells.await?.map(Indexing::of).transpose()?.flatten()
            else {
                return Ok(());
            };
            if written.as_ref() == Some(&indexing) {
                return Ok(());
            }
            self.write_index(room_id, &indexing, keys).await?;
            written = Some(indexing);
        }
    }

    /// The key is noted before its row, and removed after it: no row is without its key.
    async fn write_index(
        &self,
        room_id: &RoomId,
        indexing: &Indexing,
        keys: Vec<String>,
    ) -> Result<(), StoreError> {
        let (room, number) = (room_id.as_str(), shard(room_id.as_str(), SHARDS));
        let statements = &self.statements;
        if let Some(key) = &indexing.key {
            let values = (indexing.stamp, vec![key], room);
            self.client.write(&statements.add_index_key, values).await?;
            let values = (indexing.stamp, number, key, room);
            self.client.write(&statements.insert_index, values).await?;
        }
        let stamp = indexing.stamp - 1;
        for key in keys {
            if indexing.key.as_ref() == Some(&key) {
                continue;
            }
            let values = (stamp, number, &key, room);
            self.client.write(&statements.delete_index, values).await?;
            let values = (stamp, vec![&key], room);
            let remove = &statements.remove_index_key;
            self.client.write(remove, values).await?;
        }
        Ok(())
    }

    /// Public groups whose name begins so, by key and id, after `after`.
    pub(super) async fn search_public(
        &self,
        name_prefix: &str,
        after: Option<&PublicCursor>,
        limit: usize,
    ) -> Result<Vec<RoomRecord>, StoreError> {
        let mut range = PublicRange::of(name_prefix, after);
        let mut found = Vec::new();
        while found.len() < limit {
            let wanted = limit - found.len();
            let candidates = self.candidates(&range, wanted).await?;
            let Some((last_key, last_id)) = candidates.last() else {
                break;
            };
            (range.name_key, range.room_id) = (last_key.clone(), last_id.clone());
            let all_read = candidates.len() < wanted;
            let records = candidates.into_iter().map(|(key, room_id)| async move {
                let record = self.record(&id(&room_id)?).await?;
                Ok::<_, StoreError>(
                    record.filter(|record| record.public_key().as_ref() == Some(&key)),
                )
            });
            found.extend(try_join_all(records).await?.into_iter().flatten());
            if all_read {
                break;
            }
        }
        Ok(found)
    }

    /// The first `limit` index rows of all partitions in the range, in order.
    async fn candidates(
        &self,
        range: &PublicRange,
        limit: usize,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let rows = i32::try_from(limit).unwrap_or(i32::MAX);
        let select = &self.statements.public_rooms;
        let shards = (0..SHARDS.cast_signed()).map(|number| {
            let values = (number, &range.name_key, &range.room_id, &range.end, rows);
            self.client.rows::<(String, String)>(select, values)
        });
        let mut candidates = try_join_all(shards).await?.concat();
        candidates.sort_unstable();
        candidates.truncate(limit);
        Ok(candidates)
    }
}
