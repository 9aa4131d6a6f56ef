//! Room and membership changes of events, as rows.
//!
//! All of them are registers with the event's seq as timestamp, so these rows may be written ahead
//! of the feed, in any order. How many members there are is counted when it is asked, from the same
//! rows, and so never disagrees with them.

use roomcast_protocol::event::{RoomChange, RoomCreation};
use roomcast_protocol::{EventBody, MemberRole, RoomId, Seq, StoredEvent, Timestamp, UserId};
use scylla::value::MaybeUnset;

use super::ScyllaMessages;
use crate::client::{Partition, WriteBatch};
use crate::rows::{millis, to_cql};

/// A membership change of an event.
#[derive(Debug, Clone, Copy)]
struct Membership {
    present: Option<bool>,
    role: Option<MemberRole>,
}

impl Membership {
    const fn joined(role: MemberRole) -> Self {
        Self {
            present: Some(true),
            role: Some(role),
        }
    }

    const LEFT: Self = Self {
        present: Some(false),
        role: None,
    };

    const fn changed(role: MemberRole) -> Self {
        Self {
            present: None,
            role: Some(role),
        }
    }
}

impl ScyllaMessages {
    /// Adds the rows of an event that changes who is a member or what the room is; `ordinal` is the
    /// cell for the messages up to it.
    pub(super) fn add_membership_change<'a>(
        &'a self,
        writes: &mut WriteBatch<'a>,
        stored: &StoredEvent,
        ordinal: i64,
    ) {
        let place = (stored.seq, ordinal);
        let (seq, event) = (stored.seq, &stored.event);
        let room_id = &event.room_id;
        match &event.body {
            EventBody::MemberJoined {
                user_id,
                role,
                founding,
            } => {
                if let Some(founding) = founding {
                    self.add_creation(writes, room_id, founding, seq, event.sent_at);
                }
                self.add_member(writes, room_id, user_id, place, Membership::joined(*role));
            }
            EventBody::MemberLeft { user_id, .. } => {
                self.add_member(writes, room_id, user_id, place, Membership::LEFT);
            }
            EventBody::MemberChanged { user_id, role } => {
                self.add_member(writes, room_id, user_id, place, Membership::changed(*role));
            }
            EventBody::MembersAdded { user_ids, .. } => {
                let joined = Membership::joined(MemberRole::Member);
                for user_id in user_ids {
                    self.add_member(writes, room_id, user_id, place, joined);
                }
            }
            EventBody::RoomChanged(change) => self.add_change(writes, room_id, change, seq),
            EventBody::RoomDeleted => {
                let values = (to_cql(seq), room_id.to_string());
                let statements = &self.statements;
                writes.add(of(room_id), &statements.end_room, values.clone(), 0);
                writes.add(of(room_id), &statements.end_members, values, 0);
            }
            _ => {}
        }
    }

    fn add_creation<'a>(
        &'a self,
        writes: &mut WriteBatch<'a>,
        room_id: &RoomId,
        founding: &RoomCreation,
        seq: Seq,
        created_at: Timestamp,
    ) {
        let founding = serde_json::to_string(founding).expect("strings always serialize");
        let values = (
            -to_cql(seq),
            founding,
            millis(created_at),
            room_id.to_string(),
        );
        writes.add(of(room_id), &self.statements.found, values, 0);
    }

    fn add_change<'a>(
        &'a self,
        writes: &mut WriteBatch<'a>,
        room_id: &RoomId,
        change: &RoomChange,
        seq: Seq,
    ) {
        let visibility = change.visibility.map(|it| it.as_str().to_owned());
        let values = (
            to_cql(seq),
            MaybeUnset::from_option(change.name.clone()),
            MaybeUnset::from_option(change.topic.clone()),
            MaybeUnset::from_option(visibility),
            room_id.to_string(),
        );
        writes.add(of(room_id), &self.statements.change_room, values, 0);
    }

    fn add_member<'a>(
        &'a self,
        writes: &mut WriteBatch<'a>,
        room_id: &RoomId,
        user_id: &UserId,
        (seq, ordinal): (Seq, i64),
        membership: Membership,
    ) {
        let statements = &self.statements;
        let (room, user) = (room_id.to_string(), user_id.to_string());
        // Before the role is known to be an owner's, who reads owners must find the name.
        if membership.role == Some(MemberRole::Owner) {
            let values = (room.clone(), user.clone(), to_cql(seq));
            writes.add(of(room_id), &statements.insert_owner, values, 0);
        }
        if let Some(present) = membership.present {
            let values = (to_cql(seq), present, user.clone(), room.clone());
            let partition = Partition::of(user_id.as_str());
            writes.add(partition, &statements.set_room_of_user, values, 0);
        }
        let role = membership.role.map(MemberRole::as_str);
        if let (Some(true), Some(role)) = (membership.present, role) {
            let at = to_cql(seq);
            let values = (at, role, at, ordinal, at, room, user);
            return writes.add(of(room_id), &statements.join_member, values, 0);
        }
        let values = (
            to_cql(seq),
            MaybeUnset::from_option(membership.present),
            MaybeUnset::from_option(role),
            room,
            user,
        );
        writes.add(of(room_id), &statements.set_member, values, 0);
    }
}

/// A room's own partition.
pub(super) fn of(room_id: &RoomId) -> Partition {
    Partition::of(room_id.as_str())
}
