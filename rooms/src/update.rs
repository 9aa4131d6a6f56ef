//! Updates a room's name, topic or visibility.

use roomcast_ports::access::Caller;
use roomcast_ports::directory::RoomRecord;
use roomcast_protocol::api::RoomView;
use roomcast_protocol::event::RoomChange;
use roomcast_protocol::{EventBody, Refusal, RoomId, Visibility, text};

use crate::Rooms;
use crate::permissions;

/// What is to change about a room; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomPatch {
    /// A new name.
    pub name: Option<String>,
    /// A new topic; an empty one takes it away.
    pub topic: Option<String>,
    /// Who finds it from now on.
    pub visibility: Option<Visibility>,
}

impl Rooms {
    /// Changes the room; what is so already is no change.
    pub async fn update(
        &self,
        caller: &Caller,
        room_id: &RoomId,
        patch: RoomPatch,
    ) -> Result<RoomView, Refusal> {
        let patch = RoomPatch {
            name: patch.name.as_deref().map(text::room_name).transpose()?,
            topic: patch.topic.as_deref().map(text::topic).transpose()?,
            visibility: patch.visibility,
        };
        let committed = self
            .commit(caller, room_id, &caller.user_id, |state| {
                let (room, acting) = permissions::actor_role(state, caller)?;
                let change = diff(room, &patch);
                let shows = change.as_ref().is_some_and(|it| it.visibility.is_some());
                permissions::can_update(room, acting, shows)?;
                Ok(change.map(EventBody::RoomChanged))
            })
            .await?;
        self.view(&committed.state, caller).await
    }
}

/// What of the patch is not so already.
fn diff(room: &RoomRecord, patch: &RoomPatch) -> Option<RoomChange> {
    let topic = room.topic.as_deref().unwrap_or_default();
    let change = RoomChange {
        name: patch
            .name
            .clone()
            .filter(|name| room.name.as_ref() != Some(name)),
        topic: patch.topic.clone().filter(|new| new != topic),
        visibility: patch
            .visibility
            .filter(|visibility| room.visibility != Some(*visibility)),
    };
    (change != RoomChange::default()).then_some(change)
}
