//! Removing a member, or leaving.

use roomcast_ports::access::Caller;
use roomcast_protocol::{EventBody, Refusal, RoomId, UserId};

use crate::Rooms;
use crate::permissions::{self, PermissionContext};

impl Rooms {
    /// Ends the membership; one's own is leaving.
    pub async fn remove_member(
        &self,
        caller: &Caller,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<(), Refusal> {
        self.commit(caller, room_id, user_id, |state| {
            let (room, parties) = PermissionContext::of(state, caller, user_id)?;
            let role = permissions::can_remove(&room, parties, state.owners)?;
            Ok(Some(EventBody::MemberLeft {
                user_id: user_id.clone(),
                role,
            }))
        })
        .await
        .map(drop)
    }
}
