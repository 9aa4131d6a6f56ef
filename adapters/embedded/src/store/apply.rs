//! Applies a batch of events to the store's rows in one transaction.

use std::collections::HashMap;

use roomcast_ports::message_store::Checkpoint;
use roomcast_protocol::{EventBody, RoomId, Seq, StoredEvent, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::encoded_event::EncodedEvent;
use super::members::{self, Membership};
use super::rooms::{self, RoomRow};
use super::{events, mutations};

/// Writes everything that follows from the events, and the checkpoint if they are a feed batch.
pub(super) fn write(
    store: &Connection,
    events: &[EncodedEvent],
    place: Option<Checkpoint>,
) -> rusqlite::Result<()> {
    let mut batch = Batch {
        store,
        rooms: HashMap::new(),
        sent: HashMap::new(),
    };
    for derived in events {
        batch.add(derived, place.is_some())?;
    }
    batch.finish()?;
    if let Some(Checkpoint {
        partition,
        position,
    }) = place
    {
        store
            .prepare_cached(
                "INSERT INTO checkpoints (partition, position) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET position = max(position, excluded.position)",
            )?
            .execute(params![partition, position])?;
    }
    Ok(())
}

/// How far the partition's feed has been written.
pub(super) fn place(store: &Connection, partition: u16) -> rusqlite::Result<u64> {
    let position = store
        .prepare_cached("SELECT position FROM checkpoints WHERE partition = ?1")?
        .query_row([partition], |row| row.get(0))
        .optional()?;
    Ok(position.unwrap_or(0))
}

/// The last seq that anything here was derived from.
pub(crate) fn high_watermarks(store: &Connection) -> rusqlite::Result<u64> {
    store.query_row(
        "SELECT max((SELECT coalesce(max(head), 0) FROM rooms),
                    (SELECT coalesce(max(position), 0) FROM checkpoints))",
        [],
        |row| row.get(0),
    )
}

/// What a batch changes once for many of its events.
struct Batch<'a> {
    store: &'a Connection,
    rooms: HashMap<RoomId, RoomRow>,
    /// The last message of each sender, which is as far as they have read.
    sent: HashMap<(i64, UserId), Seq>,
}

impl Batch<'_> {
    fn add(&mut self, derived: &EncodedEvent, of_feed: bool) -> rusqlite::Result<()> {
        let event = &derived.stored.event;
        let room = match self.rooms.get_mut(&event.room_id) {
            Some(room) => room,
            None => {
                let room = rooms::load(self.store, &event.room_id)?;
                self.rooms.entry(event.room_id.clone()).or_insert(room)
            }
        };
        let seq = derived.stored.seq;
        // What has a row has been derived, in the same transaction.
        if events::add(self.store, room.room, derived)? {
            room.head = room.head.max(seq);
            if matches!(event.body, EventBody::MessageSent(_)) {
                room.saw_message(seq, event.sent_at);
                let mark = self
                    .sent
                    .entry((room.room, event.sender_id.clone()))
                    .or_insert(seq);
                *mark = seq.max(*mark);
            }
            change(self.store, room, &derived.stored)?;
        }
        if of_feed && seq > room.applied_seq {
            room.applied_seq = seq;
            if matches!(event.body, EventBody::MessageSent(_)) {
                room.ordinal += 1;
                events::number(self.store, room.room, seq, room.ordinal)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> rusqlite::Result<()> {
        for room in self.rooms.values() {
            rooms::save(self.store, room)?;
        }
        for ((room, user_id), seq) in &self.sent {
            members::advance_markers(self.store, *room, user_id, *seq)?;
        }
        Ok(())
    }
}

/// What an event changes beside the timeline.
fn change(store: &Connection, room: &mut RoomRow, stored: &StoredEvent) -> rusqlite::Result<()> {
    let (seq, event) = (stored.seq, &stored.event);
    match &event.body {
        EventBody::MessageSent(_) => Ok(()),
        EventBody::MessageEdited {
            message_id,
            content,
        } => mutations::edit(
            store,
            room.room,
            message_id,
            content.as_deref(),
            seq,
            event.sent_at,
        ),
        EventBody::MessageDeleted { message_id } => mutations::delete(store, room.room, message_id),
        EventBody::ReactionChanged {
            message_id,
            emoji,
            removed,
        } => {
            let given = mutations::Reaction {
                message_id,
                emoji,
                user_id: &event.sender_id,
            };
            mutations::react(store, room.room, &given, *removed, seq)
        }
        EventBody::MemberJoined {
            user_id,
            role,
            founding,
        } => {
            if let Some(founding) = founding {
                rooms::found(store, room.room, founding, seq, event.sent_at)?;
            }
            members::change(store, room, user_id, seq, Membership::Joined(*role))
        }
        EventBody::MemberLeft { user_id, .. } => {
            members::change(store, room, user_id, seq, Membership::Left)
        }
        EventBody::MemberChanged { user_id, role } => {
            members::change(store, room, user_id, seq, Membership::Changed(*role))
        }
        EventBody::MembersAdded { user_ids, .. } => {
            let joined = Membership::Joined(roomcast_protocol::MemberRole::Member);
            user_ids
                .iter()
                .try_for_each(|user_id| members::change(store, room, user_id, seq, joined))
        }
        EventBody::RoomChanged(changed) => rooms::change(store, room.room, changed, seq),
        EventBody::RoomDeleted => rooms::delete(store, room.room),
    }
}
