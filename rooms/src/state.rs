//! A room's state at a seq: the store's snapshot with the log's tail folded on top.
//!
//! The snapshot may already hold part of the tail, since derived rows are written ahead of the feed.
//! So counts follow from what changes for a user, never from an event having been seen, and folding
//! the same events again changes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use roomcast_ports::directory::RoomRecord;
use roomcast_protocol::event::{RoomChange, RoomCreation};
use roomcast_protocol::{EventBody, MemberRole, RoomEvent, Seq, StoredEvent, UserId};

/// A room and what is known of its members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RoomSnapshot {
    /// The room, also when it has ended; `None` when there never was one.
    pub(crate) room: Option<RoomRecord>,
    /// How many owners it has.
    pub(crate) owners: u64,
    /// The users that were asked for, or that the tail speaks of, and what they are.
    pub(crate) roles: HashMap<UserId, Option<MemberRole>>,
    /// The whole log has been folded: who is not among `roles` is no member.
    pub(crate) from_start: bool,
    /// The seq of the room's last event.
    pub(crate) head: Seq,
    /// The same as the log has it, which lets go of what is old.
    pub(crate) log_head: Seq,
}

impl RoomSnapshot {
    /// The room, unless there is none or it has ended.
    pub(crate) fn open(&self) -> Option<&RoomRecord> {
        self.room.as_ref().filter(|room| !room.deleted)
    }

    /// What the user is in it.
    pub(crate) fn role(&self, user_id: &UserId) -> Option<MemberRole> {
        self.open()?;
        self.roles.get(user_id).copied().flatten()
    }

    /// Whether all users of the event are known, so that applying it keeps the counts right.
    pub(crate) fn covers(&self, event: &RoomEvent) -> bool {
        self.from_start || affected_users(event).all(|user_id| self.roles.contains_key(user_id))
    }

    /// The state after these events of the room.
    pub(crate) fn apply_all(&mut self, events: &[Arc<StoredEvent>]) {
        for stored in events {
            self.apply(stored);
        }
    }

    /// The state after one more event. What does not fit the state is passed over.
    pub(crate) fn apply(&mut self, stored: &StoredEvent) {
        self.head = self.head.max(stored.seq);
        self.log_head = self.log_head.max(stored.seq);
        if self.room.as_ref().is_some_and(|room| room.deleted) {
            return;
        }
        match &stored.event.body {
            EventBody::MemberJoined {
                user_id,
                role,
                founding,
            } => {
                if let (None, Some(founding)) = (&self.room, founding) {
                    self.room = Some(founded(&stored.event, founding));
                }
                self.set_role(user_id, Some(*role));
            }
            EventBody::MemberLeft { user_id, .. } => self.set_role(user_id, None),
            EventBody::MemberChanged { user_id, role } if self.role(user_id).is_some() => {
                self.set_role(user_id, Some(*role));
            }
            EventBody::MembersAdded { user_ids, .. } => {
                for user_id in user_ids {
                    let role = self.role(user_id).unwrap_or(MemberRole::Member);
                    self.set_role(user_id, Some(role));
                }
            }
            EventBody::RoomChanged(change) => self.change(change),
            EventBody::RoomDeleted => {
                if let Some(room) = &mut self.room {
                    room.deleted = true;
                }
            }
            _ => {}
        }
    }

    fn set_role(&mut self, user_id: &UserId, role: Option<MemberRole>) {
        let Some(room) = &mut self.room else { return };
        if self.from_start && !self.roles.contains_key(user_id) {
            self.roles.insert(user_id.clone(), None);
        }
        // Of others nothing is known, and nothing asked.
        let Some(known) = self.roles.get_mut(user_id) else {
            return;
        };
        let before = std::mem::replace(known, role);
        let count = |it: Option<MemberRole>| u64::from(it.is_some());
        let owners = |it: Option<MemberRole>| u64::from(it == Some(MemberRole::Owner));
        room.member_count = (room.member_count + count(role)).saturating_sub(count(before));
        self.owners = (self.owners + owners(role)).saturating_sub(owners(before));
    }

    fn change(&mut self, change: &RoomChange) {
        let Some(room) = &mut self.room else { return };
        let RoomChange {
            name,
            topic,
            visibility,
        } = change.clone();
        room.name = name.or_else(|| room.name.take());
        room.topic = topic.or_else(|| room.topic.take());
        room.visibility = visibility.or(room.visibility);
    }
}

/// Whose membership the event is about.
pub(crate) fn affected_users(event: &RoomEvent) -> impl Iterator<Item = &UserId> {
    let (one, many): (Option<&UserId>, &[UserId]) = match &event.body {
        EventBody::MemberJoined { user_id, .. }
        | EventBody::MemberLeft { user_id, .. }
        | EventBody::MemberChanged { user_id, .. } => (Some(user_id), &[]),
        EventBody::MembersAdded { user_ids, .. } => (None, user_ids),
        _ => (None, &[]),
    };
    one.into_iter().chain(many)
}

fn founded(event: &RoomEvent, founding: &RoomCreation) -> RoomRecord {
    RoomRecord {
        room_id: event.room_id.clone(),
        kind: founding.kind,
        visibility: founding.visibility,
        name: founding.name.clone(),
        topic: None,
        created_at: event.sent_at,
        member_count: 0,
        deleted: false,
    }
}

#[cfg(test)]
mod tests;
