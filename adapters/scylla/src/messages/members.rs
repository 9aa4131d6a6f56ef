//! Memberships and roles. Counts are computed from the rows.

use futures_util::future::try_join_all;
use roomcast_ports::StoreError;
use roomcast_ports::directory::MemberRecord;
use roomcast_protocol::api::Marks;
use roomcast_protocol::{MemberRole, RoomId, Seq, UserId};

use super::ScyllaMessages;
use super::read::limit_of;
use super::rooms::RoomHead;
use crate::rows::{count, enum_from_cql, id, seq};

/// What of a member's row is read.
#[derive(Debug, Default, scylla::DeserializeRow)]
pub(super) struct MemberRow {
    room_deleted: Option<bool>,
    is_member: Option<bool>,
    joined: Option<i64>,
    role: Option<String>,
    read: Option<i64>,
    read_ordinal: Option<i64>,
    delivered: Option<i64>,
}

/// A member of a room that has not ended.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) role: MemberRole,
    pub(super) marks: Marks,
    /// The seq of their last joining.
    pub(super) joined: Seq,
    /// How many messages the room has up to the read mark, if that is known.
    pub(super) read_ordinal: Option<u64>,
}

impl ScyllaMessages {
    /// The member, unless they are none or the room has ended.
    pub(super) async fn member_of(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<Member>, StoreError> {
        let values = (room_id.as_str(), user_id.as_str());
        let row = self
            .client
            .first::<MemberRow>(&self.statements.member, values)
            .await?;
        let row = row.unwrap_or_default();
        if row.room_deleted == Some(true) || row.is_member != Some(true) {
            return Ok(None);
        }
        let read_ordinal = match row.read {
            // Zero: not known when the mark was set.
            Some(_) => count(row.read_ordinal).checked_sub(1),
            None => Some(0),
        };
        Ok(Some(Member {
            role: role(row.role.as_deref())?,
            marks: Marks {
                read: seq(row.read)?,
                delivered: seq(row.delivered)?,
            },
            joined: seq(row.joined)?,
            read_ordinal,
        }))
    }

    /// Members by user id, after `after`.
    pub(super) async fn members_after(
        &self,
        room_id: &RoomId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<MemberRecord>, StoreError> {
        let values = (
            room_id.as_str(),
            after.map_or("", UserId::as_str),
            limit_of(limit),
        );
        let page = self
            .client
            .rows::<(
                String,
                Option<String>,
                Option<i64>,
                Option<i64>,
                Option<bool>,
                Option<i64>,
            )>(&self.statements.members, values)
            .await?
            .into_iter()
            .filter(|row| row.4 != Some(true));
        page.map(|(user_id, it, read, delivered, _, joined)| {
            Ok(MemberRecord {
                user_id: id(&user_id)?,
                role: role(it.as_deref())?,
                marks: Marks {
                    read: seq(read)?,
                    delivered: seq(delivered)?,
                },
                joined: seq(joined)?,
            })
        })
        .collect()
    }

    /// How many members the room has. Read again only after a joining or leaving; of a very large room, not
    /// again for some seconds.
    pub(super) async fn member_count(&self, room: &RoomHead) -> Result<u64, StoreError> {
        let room_id = &room.room.room_id;
        if let Some(members) = self.counts.get(room_id, room.members_changed) {
            return Ok(members);
        }
        let select = &self.statements.member_count;
        let row = self
            .client
            .first::<(i64,)>(select, (room_id.as_str(),))
            .await?;
        let members = count(row.map(|(members,)| members));
        self.counts.put(room_id, room.members_changed, members);
        Ok(members)
    }

    /// How many of those who ever were owners are owners now.
    pub(super) async fn owners(&self, room_id: &RoomId) -> Result<u64, StoreError> {
        let select = &self.statements.owners;
        let rows = self
            .client
            .rows::<(String,)>(select, (room_id.as_str(),))
            .await?;
        let ids = rows
            .iter()
            .map(|(user_id,)| id(user_id))
            .collect::<Result<Vec<UserId>, _>>()?;
        let members =
            try_join_all(ids.iter().map(|user_id| self.member_of(room_id, user_id))).await?;
        let owners = members
            .into_iter()
            .flatten()
            .filter(|it| it.role == MemberRole::Owner);
        Ok(owners.count() as u64)
    }
}

fn role(cell: Option<&str>) -> Result<MemberRole, StoreError> {
    cell.map_or(Ok(MemberRole::Member), |cell| {
        enum_from_cql(cell, MemberRole::from_wire)
    })
}
