//! Whether somebody connected here is a member: from the hub when it knows, from the rooms service
//! when it does not.

use std::sync::Arc;

use roomcast_ports::access::Standing;
use roomcast_protocol::{Refusal, RoomId};

use crate::Shared;
use crate::hub::{Room, User, fanout};
use crate::lock::lock;
use crate::speech::unreadable;

/// Tries until an answer is not older than what the room has seen meanwhile.
const TRIES: usize = 5;

/// A room that stays in the hub while this is held.
pub(crate) struct Pinned<'a> {
    shared: &'a Shared,
    pub(crate) room: Arc<Room>,
}

impl Shared {
    /// Holds the room in the hub, so that what is asked of it meanwhile is kept right.
    pub(crate) fn pin(&self, room_id: &RoomId) -> Pinned<'_> {
        let (room, ()) = self.hub.with_room(room_id, |_, state| state.pins += 1);
        Pinned { shared: self, room }
    }

    /// The room, if the hub is certain that the user is a member.
    pub(crate) fn certain_room(&self, room_id: &str, user: &Arc<User>) -> Option<Arc<Room>> {
        let room = self.hub.room_named(room_id)?;
        self.is_member_now(&room, user).then_some(room)
    }

    /// Whether the user is certainly a member, with nothing known that was not looked at.
    fn is_member_now(&self, room: &Room, user: &Arc<User>) -> bool {
        !self.losses.are_open() && lock(&room.state).is_member_now(user)
    }

    /// Makes certain that the user is a member.
    pub(crate) async fn ensure_member(
        self: &Arc<Self>,
        room: &Arc<Room>,
        user: &Arc<User>,
    ) -> Result<(), Refusal> {
        if self.is_member_now(room, user) {
            return Ok(());
        }
        self.ask(room, user)
            .await?
            .role
            .map(|_| ())
            .ok_or_else(Refusal::not_member)
    }

    /// Asks the rooms service what the user is in the room, and remembers it.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        room: &Arc<Room>,
        user: &Arc<User>,
    ) -> Result<Standing, Refusal> {
        for _ in 0..TRIES {
            let standing = self.ports.memberships.standing(&room.id, &user.id).await;
            let standing = standing.map_err(|error| unreadable(&error))?;
            if self.learn(room, user, &standing) {
                return Ok(standing);
            }
        }
        tracing::warn!("a room's members change faster than they can be read");
        Err(Refusal::internal())
    }

    /// Whether the answer was new enough for what the room has seen.
    fn learn(self: &Arc<Self>, room: &Arc<Room>, user: &Arc<User>, standing: &Standing) -> bool {
        let now = self.clock.now();
        let mut state = lock(&room.state);
        let Some(learnt) = state.learn(user, standing, now) else {
            return false;
        };
        fanout::tell_unsubscribed(&room.id, &learnt.ended, now);
        if standing.role.is_some() && !user.enter(room) {
            state.forget_user(user);
        }
        let behind = state.is_behind();
        drop(state);
        if learnt.began {
            self.second_looks.ask(room);
        }
        if behind {
            fanout::fill(self, room);
        }
        true
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.room.state);
            state.pins -= 1;
        }
        self.shared.hub.release(&self.room);
    }
}
