//! A user's membership in a room, for authorization in other services.

use std::collections::HashMap;

use async_trait::async_trait;
use roomcast_ports::access::{Membership, Memberships};
use roomcast_ports::timeline::ReadError;
use roomcast_protocol::{RoomId, UserId};

use crate::state::RoomSnapshot;
use crate::{Rooms, log_tail};

#[async_trait]
impl Memberships for Rooms {
    async fn membership(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Membership, ReadError> {
        if let Some(state) = self.snapshot(room_id).await? {
            return Ok(Membership {
                room: state.open().map(|room| room.kind),
                role: state.role(user_id),
                as_of: state.head,
            });
        }
        let applied_seq = self.reader.applied_seq(room_id).await?;
        let room = self.directory.room(room_id).await?;
        let member = self.directory.member(room_id, user_id).await?;
        let roles = HashMap::from([(user_id.clone(), member.map(|member| member.role))]);
        let mut state = RoomSnapshot {
            room,
            roles,
            head: applied_seq,
            ..RoomSnapshot::default()
        };
        // Read after the rows, so that it reaches at least as far as they do.
        let tail = log_tail::read(&*self.log, room_id, applied_seq).await?;
        state.apply_all(&tail.control);
        Ok(Membership {
            room: state.open().map(|room| room.kind),
            role: state.role(user_id),
            as_of: tail.head,
        })
    }
}
