//! What an event means for people here who are not looking at the room: who is a member from now on,
//! and whom to tell.

use std::sync::Arc;

use roomcast_protocol::event::Message;
use roomcast_protocol::room::NotificationKind;
use roomcast_protocol::{EventBody, FleetFrame, StoredEvent, UserId};

use super::{Hub, Room, RoomState, User, fanout};
use crate::clock::Seconds;
use crate::connection;

impl Hub {
    /// The room, entered into the hub because one of these events makes somebody here a member.
    pub(super) fn room_for_newcomers(&self, events: &[Arc<StoredEvent>]) -> Option<Arc<Room>> {
        let mut wanted = false;
        for event in events {
            match &event.event.body {
                EventBody::MemberJoined { user_id, .. } => wanted |= self.user(user_id).is_some(),
                EventBody::MembersAdded { user_ids, .. } => {
                    wanted |= user_ids.iter().any(|user_id| self.user(user_id).is_some());
                }
                EventBody::MemberLeft { user_id, .. } => {
                    self.remember_change(&event.event.room_id, user_id, false);
                }
                _ => {}
            }
        }
        wanted.then(|| self.with_room(&events[0].event.room_id, |_, _| ()).0)
    }

    /// Keeps the room's members right, and tells those whom it concerns.
    pub(super) fn apply_control(
        &self,
        room: &Arc<Room>,
        state: &mut RoomState,
        stored: &StoredEvent,
        now: Seconds,
    ) {
        match &stored.event.body {
            EventBody::MemberJoined { user_id, .. } => {
                self.joined(room, state, stored, user_id, now);
            }
            EventBody::MembersAdded { user_ids, .. } => {
                for user_id in user_ids {
                    self.joined(room, state, stored, user_id, now);
                }
            }
            EventBody::MemberLeft { user_id, .. } => {
                self.remember_change(&room.id, user_id, false);
                let Some(user) = self.user(user_id) else {
                    return;
                };
                if stored.event.sender_id != *user_id {
                    tell(state, stored, &user, NotificationKind::Removal, now);
                }
                let ended = state.remove_member(&user, stored.seq);
                fanout::tell_unsubscribed(&room.id, &ended, now);
                user.leave(room);
            }
            EventBody::RoomDeleted => {
                let (users, connections) = state.clear(stored.seq);
                fanout::tell_unsubscribed(&room.id, &connections, now);
                for user in users {
                    self.remember_change(&room.id, &user.id, false);
                    user.leave(room);
                }
            }
            _ => {}
        }
    }

    fn joined(
        &self,
        room: &Arc<Room>,
        state: &mut RoomState,
        stored: &StoredEvent,
        user_id: &UserId,
        now: Seconds,
    ) {
        self.remember_change(&room.id, user_id, true);
        let Some(user) = self.user(user_id) else {
            return;
        };
        state.joined(&user);
        if !user.enter(room) {
            state.forget_user(&user);
            return;
        }
        if stored.event.sender_id != *user_id {
            tell(state, stored, &user, NotificationKind::Invitation, now);
        }
    }
}

/// Tells members here of a new message, on the connections that do not see it anyway.
pub(super) fn message(state: &RoomState, stored: &StoredEvent, message: &Message, now: Seconds) {
    let mut frames = [None, None];
    for (user, connections) in state.elsewhere() {
        if user.id == stored.event.sender_id {
            continue;
        }
        let mentioned = message.mentions.contains(&user.id);
        let kind = if mentioned {
            NotificationKind::Mention
        } else {
            NotificationKind::Message
        };
        let frame = frames[usize::from(mentioned)].get_or_insert_with(|| frame(stored, kind));
        for connection in connections {
            connection.send(frame, now);
        }
    }
}

fn tell(
    state: &RoomState,
    stored: &StoredEvent,
    user: &Arc<User>,
    kind: NotificationKind,
    now: Seconds,
) {
    let frame = frame(stored, kind);
    for connection in user.connections() {
        if !state.is_subscribed(&connection) {
            connection.send(&frame, now);
        }
    }
}

fn frame(stored: &StoredEvent, kind: NotificationKind) -> bytes::Bytes {
    connection::encode(&FleetFrame::Notification {
        kind,
        room_id: stored.event.room_id.clone(),
        seq: stored.seq,
        message_id: match stored.event.body {
            EventBody::MessageSent(_) => stored.event.message_id(),
            _ => None,
        },
        sender_id: stored.event.sender_id.clone(),
    })
}
