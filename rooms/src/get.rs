//! Reads one room.

use roomcast_ports::access::Caller;
use roomcast_ports::directory::RoomRecord;
use roomcast_protocol::api::RoomView;
use roomcast_protocol::{MemberRole, Refusal, RoomId, RoomKind, Seq, UserId};

use crate::state::RoomSnapshot;
use crate::{Rooms, errors, permissions};

impl Rooms {
    /// The room as the caller sees it: one's own, or a public one.
    pub async fn get(&self, caller: &Caller, room_id: &RoomId) -> Result<RoomView, Refusal> {
        let loaded = self.load(room_id, &[&caller.user_id]).await;
        let (state, _) = loaded.map_err(errors::read_failed)?;
        let (room, acting) = permissions::actor_role(&state, caller)?;
        permissions::can_view(room, acting)?;
        self.view(&state, caller).await
    }

    /// The room in this state, as the caller sees it.
    pub(crate) async fn view(
        &self,
        state: &RoomSnapshot,
        caller: &Caller,
    ) -> Result<RoomView, Refusal> {
        let room = state.open().ok_or_else(Refusal::not_member)?.clone();
        let role = state.role(&caller.user_id);
        let peer_id = match (room.kind, role) {
            (RoomKind::Direct, Some(_)) => self.peer(state, &room.room_id, &caller.user_id).await?,
            _ => None,
        };
        Ok(view_of(room, state.head, role, peer_id))
    }

    /// The other member of a direct room, which is founded with both.
    async fn peer(
        &self,
        state: &RoomSnapshot,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<UserId>, Refusal> {
        let known = state
            .roles
            .iter()
            .find(|(other, role)| *other != user_id && role.is_some());
        if let Some((peer_id, _)) = known {
            return Ok(Some(peer_id.clone()));
        }
        let members = self.directory.members(room_id, None, 2).await;
        let mut members = members.map_err(errors::read_failed)?.into_iter();
        Ok(members
            .find(|member| member.user_id != *user_id)
            .map(|member| member.user_id))
    }
}

/// A room as one user sees it.
pub(crate) fn view_of(
    room: RoomRecord,
    head: Seq,
    role: Option<MemberRole>,
    peer_id: Option<UserId>,
) -> RoomView {
    RoomView {
        room_id: room.room_id,
        kind: room.kind,
        visibility: room.visibility,
        name: room.name,
        topic: room.topic.filter(|topic| !topic.is_empty()),
        peer_id,
        created_at: room.created_at,
        head,
        member_count: room.member_count,
        role,
    }
}
