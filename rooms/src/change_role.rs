//! Changes a member's role.

use roomcast_ports::access::Caller;
use roomcast_protocol::api::MemberView;
use roomcast_protocol::{EventBody, MemberRole, Refusal, RoomId, UserId};

use crate::Rooms;
use crate::permissions::{self, PermissionContext};

impl Rooms {
    /// Gives the member `role`. The last owner stays one, except for scope `admin`.
    pub async fn change_role(
        &self,
        caller: &Caller,
        room_id: &RoomId,
        user_id: &UserId,
        role: MemberRole,
    ) -> Result<MemberView, Refusal> {
        self.commit(caller, room_id, user_id, |state| {
            let (room, parties) = PermissionContext::of(state, caller, user_id)?;
            let changes = permissions::can_change_role(&room, parties, role, state.owners)?;
            let user_id = user_id.clone();
            Ok(changes.then_some(EventBody::MemberChanged { user_id, role }))
        })
        .await?;
        self.member_view(room_id, user_id, role).await
    }
}
