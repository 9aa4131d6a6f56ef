//! Rooms and their heads.

use roomcast_ports::StoreError;
use roomcast_ports::directory::RoomRecord;
use roomcast_protocol::event::RoomCreation;
use roomcast_protocol::{RoomId, Seq, Timestamp, Visibility};

use super::ScyllaMessages;
use crate::client::corrupted;
use crate::rows::{count, enum_from_cql, id, seq, time};

/// A room's row.
#[derive(Debug, scylla::DeserializeRow)]
pub(super) struct RoomRow {
    room_id: String,
    creation: Option<String>,
    created_at: Option<i64>,
    name: Option<String>,
    topic: Option<String>,
    visibility: Option<String>,
    deleted: Option<bool>,
    head: Option<i64>,
    ordinal: Option<i64>,
    last_message: Option<i64>,
    last_message_bucket: Option<i32>,
    active_at: Option<i64>,
    members_changed: Option<i64>,
}

/// A room and where it stands, as lists need it.
#[derive(Debug)]
pub(super) struct RoomHead {
    pub(super) room: RoomRecord,
    pub(super) head: Seq,
    pub(super) ordinal: u64,
    pub(super) active_at: Timestamp,
    /// The partition and seq of the last message.
    pub(super) last_message: Option<(i32, Seq)>,
    /// The seq of the last joining or leaving.
    pub(super) members_changed: Option<i64>,
}

impl RoomRow {
    /// The room, its members not yet counted; `None` when it has not been founded.
    pub(super) fn standing(self) -> Result<Option<RoomHead>, StoreError> {
        let (Some(founding), Some(created_at)) = (self.creation, self.created_at) else {
            return Ok(None);
        };
        let founding: RoomCreation = serde_json::from_str(&founding).map_err(corrupted)?;
        let visibility = match &self.visibility {
            Some(visibility) => Some(enum_from_cql(visibility, Visibility::from_wire)?),
            None => founding.visibility,
        };
        let last_message = match (self.last_message_bucket, self.last_message) {
            (Some(bucket), Some(place)) => Some((bucket, seq(Some(place))?)),
            _ => None,
        };
        Ok(Some(RoomHead {
            room: RoomRecord {
                room_id: id(&self.room_id)?,
                kind: founding.kind,
                visibility,
                name: self.name.or(founding.name),
                topic: self.topic,
                created_at: time(created_at),
                member_count: 0,
                deleted: self.deleted == Some(true),
            },
            head: seq(self.head)?,
            ordinal: count(self.ordinal),
            active_at: time(self.active_at.unwrap_or(created_at).max(created_at)),
            last_message,
            members_changed: self.members_changed,
        }))
    }
}

impl ScyllaMessages {
    /// The room and where it stands, its members not counted.
    pub(super) async fn standing(&self, room_id: &RoomId) -> Result<Option<RoomHead>, StoreError> {
        let row = self
            .client
            .first::<RoomRow>(&self.statements.room, (room_id.as_str(),))
            .await?;
        row.map_or(Ok(None), RoomRow::standing)
    }

    /// The room, also when it has ended.
    pub(super) async fn record(&self, room_id: &RoomId) -> Result<Option<RoomRecord>, StoreError> {
        let Some(standing) = self.standing(room_id).await? else {
            return Ok(None);
        };
        let member_count = self.member_count(&standing).await?;
        Ok(Some(RoomRecord {
            member_count,
            ..standing.room
        }))
    }
}
