//! Read and delivered marks, and unread counts.
//!
//! A mark keeps how many messages the room has up to it, so that what is unread is a subtraction. A
//! mark ahead of the feed does not know that yet: then it is looked up when it is asked.

use roomcast_ports::StoreError;
use roomcast_protocol::api::Marks;
use roomcast_protocol::{RoomId, Seq, UserId};

use super::ScyllaMessages;
use super::members::Member;
use super::membership::of;
use super::rooms::RoomHead;
use crate::client::WriteBatch;
use crate::rows::{count, seq, to_cql};

/// Not known yet; below every count that is, so that one wins at the same seq. Servers compare bytes.
pub(super) const UNKNOWN: i64 = 0;

/// A mark's cell for so many messages up to it.
pub(super) const fn known(ordinal: u64) -> i64 {
    ordinal.saturating_add(1).cast_signed()
}

impl ScyllaMessages {
    /// Moves a member's marks forward; the marks after it, if either moved.
    pub(super) async fn advance_markers(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        read: Seq,
        delivered: Seq,
    ) -> Result<Option<Marks>, StoreError> {
        let Some(Member { marks: before, .. }) = self.member_of(room_id, user_id).await? else {
            return Ok(None);
        };
        let after = Marks {
            read: before.read.max(read),
            delivered: before.delivered.max(delivered).max(read),
        };
        if after == before {
            return Ok(None);
        }
        let (room, user) = (room_id.to_string(), user_id.to_string());
        let mut writes = WriteBatch::default();
        if after.read > before.read {
            let ordinal = self.ordinal_at(room_id, after.read).await?;
            let ordinal = ordinal.map_or(UNKNOWN, known);
            let place = to_cql(after.read);
            let values = (place, place, ordinal, room.clone(), user.clone());
            writes.add(of(room_id), &self.statements.move_read, values, 0);
        }
        if after.delivered > before.delivered {
            let place = to_cql(after.delivered);
            let values = (place, place, room, user);
            writes.add(of(room_id), &self.statements.move_delivered, values, 0);
        }
        self.client.write_all(writes).await?;
        Ok(Some(after))
    }

    /// Messages after the member's read mark, as far as the room stands.
    pub(super) async fn unread(
        &self,
        standing: &RoomHead,
        member: &Member,
    ) -> Result<u64, StoreError> {
        let read = member.marks.read;
        let ordinal = match member.read_ordinal {
            Some(ordinal) => ordinal,
            None if read >= standing.head => standing.ordinal,
            None => {
                self.position_at(&standing.room.room_id, read)
                    .await?
                    .ordinal
            }
        };
        Ok(standing.ordinal.saturating_sub(ordinal))
    }

    /// How many messages the room has up to a seq; `None` when the feed has not come so far.
    async fn ordinal_at(&self, room_id: &RoomId, place: Seq) -> Result<Option<u64>, StoreError> {
        let select = &self.statements.head;
        let row = self
            .client
            .first::<(Option<i64>, Option<i64>)>(select, (room_id.as_str(),));
        let (head, ordinal) = row.await?.unwrap_or_default();
        let head = seq(head)?;
        if place > head {
            return Ok(None);
        }
        if place == head {
            return Ok(Some(count(ordinal)));
        }
        Ok(Some(self.position_at(room_id, place).await?.ordinal))
    }
}
