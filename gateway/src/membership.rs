//! Whether a connected user is a member: from the hub when it knows, from the rooms service
//! when it does not.

use std::sync::Arc;

use roomcast_ports::access::{Membership, Memberships};
use roomcast_protocol::{Refusal, RoomId};

use crate::hub::room::send_unsubscribed;
use crate::hub::{Hub, Room, User, fanout};
use crate::lock::lock;
use crate::port_errors::read_error_to_refusal;

/// Attempts until an answer is not older than the room's last applied event.
const ATTEMPTS_MAX: usize = 5;

/// A room that stays in the hub while this is held.
pub(crate) struct RoomPin<'a> {
    hub: &'a Hub,
    pub(crate) room: Arc<Room>,
}

impl Hub {
    /// Pins the room in the hub, so that it stays current during the call.
    pub(crate) fn pin_room(&self, room_id: &RoomId) -> RoomPin<'_> {
        let (room, ()) = self.with_room(room_id, |_, state| state.pins += 1);
        RoomPin { hub: self, room }
    }

    /// The room, if the hub is certain that the user is a member.
    pub(crate) fn room_if_confirmed_member(
        &self,
        room_id: &str,
        user: &Arc<User>,
    ) -> Option<Arc<Room>> {
        let room = self.room_named(room_id)?;
        self.is_member_now(&room, user).then_some(room)
    }

    /// Whether the user is certainly a member, with nothing known that was not looked at.
    fn is_member_now(&self, room: &Room, user: &Arc<User>) -> bool {
        !self.losses.has_unreconciled() && lock(&room.state).is_member_now(user)
    }

    /// Makes certain that the user is a member.
    pub(crate) async fn ensure_member(
        self: &Arc<Self>,
        memberships: &dyn Memberships,
        room: &Arc<Room>,
        user: &Arc<User>,
    ) -> Result<(), Refusal> {
        if self.is_member_now(room, user) {
            return Ok(());
        }
        self.fetch_membership(memberships, room, user)
            .await?
            .role
            .map(|_| ())
            .ok_or_else(Refusal::not_member)
    }

    /// Asks the rooms service what the user is in the room, and remembers it.
    pub(crate) async fn fetch_membership(
        self: &Arc<Self>,
        memberships: &dyn Memberships,
        room: &Arc<Room>,
        user: &Arc<User>,
    ) -> Result<Membership, Refusal> {
        for _ in 0..ATTEMPTS_MAX {
            let standing = memberships.membership(&room.id, &user.id).await;
            let standing = standing.map_err(|error| read_error_to_refusal(&error))?;
            if self.apply_membership(room, user, &standing) {
                return Ok(standing);
            }
        }
        tracing::warn!("membership changes faster than it can be read");
        Err(Refusal::internal())
    }

    /// Whether the answer was new enough for what the room has seen.
    fn apply_membership(
        self: &Arc<Self>,
        room: &Arc<Room>,
        user: &Arc<User>,
        standing: &Membership,
    ) -> bool {
        let now = self.clock.now();
        let mut state = lock(&room.state);
        let Some(learnt) = state.apply_membership(user, standing, now) else {
            return false;
        };
        send_unsubscribed(&room.id, &learnt.ended, now);
        if standing.role.is_some() && !user.enter(room) {
            state.forget_user(user);
        }
        let behind = state.is_behind();
        drop(state);
        if learnt.began {
            self.head_checks.schedule(room);
        }
        if behind {
            fanout::repair_gap(self, room);
        }
        true
    }
}

impl Drop for RoomPin<'_> {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.room.state);
            state.pins -= 1;
        }
        self.hub.release(&self.room);
    }
}
