//! Adds a member: by another member, or by joining a public room.

use roomcast_ports::access::Caller;
use roomcast_protocol::api::{Marks, MemberView};
use roomcast_protocol::{EventBody, MemberRole, Refusal, RoomId, Seq, UserId};

use crate::permissions::{self, PermissionContext};
use crate::{Rooms, errors};

impl Rooms {
    /// Makes the user a member, with `role` if one is named; and whether that was new. For one who
    /// is a member nothing changes.
    pub async fn add_member(
        &self,
        caller: &Caller,
        room_id: &RoomId,
        user_id: &UserId,
        role: Option<MemberRole>,
    ) -> Result<(MemberView, bool), Refusal> {
        let committed = self
            .commit(caller, room_id, user_id, |state| {
                let (room, parties) = PermissionContext::of(state, caller, user_id)?;
                let added = permissions::can_add(&room, parties, role)?;
                let user_id = user_id.clone();
                Ok(added.map(|role| EventBody::MemberJoined {
                    user_id,
                    role,
                    founding: None,
                }))
            })
            .await?;
        let role = committed.state.role(user_id).unwrap_or(MemberRole::Member);
        let member = self.member_view(room_id, user_id, role).await?;
        Ok((member, committed.changed))
    }

    /// The member with their marks, which the log does not know.
    pub(crate) async fn member_view(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        role: MemberRole,
    ) -> Result<MemberView, Refusal> {
        let member = self.directory.member(room_id, user_id).await;
        let marks = member
            .map_err(errors::read_failed)?
            .map_or(UNREAD, |member| member.marks);
        Ok(MemberView {
            user_id: user_id.clone(),
            role,
            marks,
        })
    }
}

/// The marks of one who has read nothing.
pub(crate) const UNREAD: Marks = Marks {
    read: Seq::ZERO,
    delivered: Seq::ZERO,
};
