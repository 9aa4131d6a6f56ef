//! Deletes a room.

use roomcast_ports::access::Caller;
use roomcast_protocol::{EventBody, Refusal, RoomId};

use crate::Rooms;
use crate::permissions;

impl Rooms {
    /// Deletes the room. Its id is not used again, and afterwards it is to all callers, the host
    /// too, as if it had never been.
    pub async fn delete(&self, caller: &Caller, room_id: &RoomId) -> Result<(), Refusal> {
        self.commit(caller, room_id, &caller.user_id, |state| {
            let (room, acting) = permissions::actor_role(state, caller)?;
            permissions::can_delete(room, acting)?;
            Ok(Some(EventBody::RoomDeleted))
        })
        .await
        .map(drop)
    }
}
