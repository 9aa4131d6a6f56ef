//! The index of public rooms.
//!
//! Their table has copies of a room's cells, each with the timestamp it has there, so that a copy is
//! right independent of the writer and the time. Rooms that never were public are not in it. Searching reads all of
//! it, in order of ids: fit for thousands of public rooms, not for millions.

use futures_util::future::try_join_all;
use roomcast_ports::StoreError;
use roomcast_ports::directory::RoomRecord;
use roomcast_protocol::event::RoomCreation;
use roomcast_protocol::{EventBody, RoomId, RoomKind, StoredEvent, Visibility};
use scylla::value::MaybeUnset;

use super::ScyllaMessages;
use crate::client::{Partition, WriteBatch, corrupted};
use crate::rows::{enum_from_cql, id, shard, to_cql};

/// The table has so many partitions. Part of what is stored.
const SHARDS: u32 = 16;
/// Rooms read of a partition at once.
const PAGE: i32 = 500;

/// A cell with its timestamp.
type Stamped<T> = (Option<T>, Option<i64>);
/// A public room's id, founding, name, visibility and whether it has ended.
type PublicRow = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<bool>,
);
/// What of a public room is copied.
type Cells = (
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<bool>,
    Option<i64>,
);

impl ScyllaMessages {
    /// Copies what the event changed about a room that is or was public. The event's own
    /// rows are written: of two processes that write two events at once, one sees the other's.
    pub(super) async fn index_room(&self, stored: &StoredEvent) -> Result<(), StoreError> {
        let (room_id, seq) = (&stored.event.room_id, stored.seq);
        let (change, ended) = match &stored.event.body {
            EventBody::MemberJoined {
                founding: Some(founding),
                ..
            } => {
                if founding.visibility == Some(Visibility::Public) {
                    return self.list(stored).await;
                }
                return Ok(());
            }
            EventBody::RoomChanged(change) => {
                if change.visibility == Some(Visibility::Public) {
                    return self.list(stored).await;
                }
                (change.clone(), None)
            }
            EventBody::RoomDeleted => (roomcast_protocol::event::RoomChange::default(), Some(true)),
            _ => return Ok(()),
        };
        let listed = &self.statements.listed;
        let row = self
            .client
            .first::<(Option<bool>,)>(listed, (room_id.as_str(),))
            .await?;
        if row.and_then(|(listed,)| listed) != Some(true) {
            return Ok(());
        }
        let values = (
            to_cql(seq),
            MaybeUnset::from_option(change.name),
            MaybeUnset::from_option(change.visibility.map(Visibility::as_str)),
            MaybeUnset::from_option(ended),
            shard(room_id.as_str(), SHARDS),
            room_id.as_str(),
        );
        self.client
            .write(&self.statements.list_changes, values)
            .await
    }

    /// Marks the room as indexed, and copies all of it.
    async fn list(&self, stored: &StoredEvent) -> Result<(), StoreError> {
        let room_id = &stored.event.room_id;
        let values = (to_cql(stored.seq), room_id.as_str());
        self.client
            .write(&self.statements.list_room, values)
            .await?;
        let cells = &self.statements.room_cells;
        let Some(cells) = self
            .client
            .first::<Cells>(cells, (room_id.as_str(),))
            .await?
        else {
            return Ok(());
        };
        let (founding, founded, name, named, visibility, seen, ended, ended_at) = cells;
        let (number, room) = (shard(room_id.as_str(), SHARDS), room_id.to_string());
        let partition = || Partition::numbered("", number);
        let mut writes = WriteBatch::default();
        if let (Some(founding), Some(stamp)) = (founding, founded) {
            let values = (stamp, founding, number, room.clone());
            writes.add(partition(), &self.statements.list_founding, values, 0);
        }
        let changes: [(Stamped<String>, Stamped<String>, Stamped<bool>); 3] = [
            ((name, named), (None, None), (None, None)),
            ((None, None), (visibility, seen), (None, None)),
            ((None, None), (None, None), (ended, ended_at)),
        ];
        for ((name, named), (visibility, seen), (ended, ended_at)) in changes {
            let Some(stamp) = named.or(seen).or(ended_at) else {
                continue;
            };
            let values = (
                stamp,
                MaybeUnset::from_option(name),
                MaybeUnset::from_option(visibility),
                MaybeUnset::from_option(ended),
                number,
                room.clone(),
            );
            writes.add(partition(), &self.statements.list_changes, values, 0);
        }
        self.client.write_all(writes).await
    }

    /// Public groups whose name begins so, by id, after `after`.
    pub(super) async fn search_public(
        &self,
        name_prefix: &str,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<RoomRecord>, StoreError> {
        let prefix = name_prefix.to_lowercase();
        let after = after.map_or("", RoomId::as_str);
        let shards =
            (0..SHARDS.cast_signed()).map(|number| self.find_in(number, &prefix, after, limit));
        let mut found: Vec<RoomId> = try_join_all(shards).await?.into_iter().flatten().collect();
        found.sort();
        found.truncate(limit);
        let records = found.iter().map(|room_id| self.record(room_id));
        Ok(try_join_all(records).await?.into_iter().flatten().collect())
    }

    async fn find_in(
        &self,
        number: i32,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<RoomId>, StoreError> {
        let (mut found, mut after) = (Vec::new(), after.to_owned());
        loop {
            let select = &self.statements.public_rooms;
            let values = (number, after.as_str(), PAGE);
            let page = self.client.rows::<PublicRow>(select, values).await?;
            let ended = page.len() < PAGE as usize;
            for (room_id, founding, name, visibility, ended) in page {
                after.clone_from(&room_id);
                let Some(founding) = founding.filter(|_| ended != Some(true)) else {
                    continue;
                };
                let founding: RoomCreation = serde_json::from_str(&founding).map_err(corrupted)?;
                if is_public(&founding, name, visibility.as_deref(), prefix)? {
                    found.push(id(&room_id)?);
                }
            }
            if ended || found.len() >= limit {
                return Ok(found);
            }
        }
    }
}

fn is_public(
    founding: &RoomCreation,
    name: Option<String>,
    visibility: Option<&str>,
    prefix: &str,
) -> Result<bool, StoreError> {
    let visibility = match visibility {
        Some(visibility) => Some(enum_from_cql(visibility, Visibility::from_wire)?),
        None => founding.visibility,
    };
    let name = name.or_else(|| founding.name.clone()).unwrap_or_default();
    Ok(founding.kind == RoomKind::Group
        && visibility == Some(Visibility::Public)
        && name.to_lowercase().starts_with(prefix))
}
