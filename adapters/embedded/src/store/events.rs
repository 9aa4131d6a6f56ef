//! Every event of a room, as it happened.

use std::sync::Arc;

use roomcast_protocol::{EventBody, EventId, RoomId, Seq, StoredEvent};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::encoded_event::EncodedEvent;
use super::{mutations, rooms};
use crate::rows;

/// Inserts the event's row; returns whether it was new. A deleted message's content is not inserted again.
pub(super) fn add(store: &Connection, room: i64, derived: &EncodedEvent) -> rusqlite::Result<bool> {
    let StoredEvent { seq, prev, event } = &*derived.stored;
    let mut body = &derived.body;
    let emptied;
    let message = match &event.body {
        EventBody::MessageSent(_) => Some(event.id.as_str()),
        EventBody::MessageEdited { message_id, .. } => Some(message_id.as_str()),
        _ => None,
    };
    if let Some(message_id) = message
        && mutations::is_deleted(store, room, message_id)?
        && let Some(without_content) = rows::redacted(event.clone())
    {
        emptied = without_content;
        body = &emptied;
    }
    let target = message.filter(|_| !matches!(event.body, EventBody::MessageSent(_)));
    let added = store
        .prepare_cached(
            "INSERT INTO events (room, seq, prev, event_id, target, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            room,
            seq.get(),
            prev.get(),
            event.id.as_str(),
            target,
            body
        ])?;
    if added == 1 && matches!(event.body, EventBody::MessageSent(_)) {
        store
            .prepare_cached("INSERT INTO messages (room, seq) VALUES (?1, ?2)")?
            .execute(params![room, seq.get()])?;
    }
    Ok(added == 1)
}

/// Sets how many messages the room has up to this one.
pub(super) fn number(
    store: &Connection,
    room: i64,
    seq: Seq,
    ordinal: u64,
) -> rusqlite::Result<()> {
    store
        .prepare_cached("UPDATE messages SET ordinal = ?3 WHERE room = ?1 AND seq = ?2")?
        .execute(params![room, seq.get(), ordinal])?;
    Ok(())
}

/// The room's events after `after`.
pub(super) fn after(
    store: &Connection,
    room_id: &RoomId,
    after: Seq,
    limit: usize,
) -> rusqlite::Result<Vec<Arc<StoredEvent>>> {
    let Some(room) = rooms::number(store, room_id)? else {
        return Ok(Vec::new());
    };
    store
        .prepare_cached(
            "SELECT seq, prev, body FROM events WHERE room = ?1 AND seq > ?2
             ORDER BY seq LIMIT ?3",
        )?
        .query_map(params![room, after.get(), limit], |row| {
            rows::stored(row).map(Arc::new)
        })?
        .collect()
}

/// The first event of this id.
pub(super) fn named(
    store: &Connection,
    room_id: &RoomId,
    event_id: &EventId,
) -> rusqlite::Result<Option<Arc<StoredEvent>>> {
    let Some(room) = rooms::number(store, room_id)? else {
        return Ok(None);
    };
    store
        .prepare_cached(
            "SELECT seq, prev, body FROM events WHERE room = ?1 AND event_id = ?2
             ORDER BY seq LIMIT 1",
        )?
        .query_row(params![room, event_id.as_str()], |row| {
            rows::stored(row).map(Arc::new)
        })
        .optional()
}

/// Messages after `after`: by ordinals as far as the feed has been written, the few ahead of it by
/// themselves.
pub(super) fn unread(
    store: &Connection,
    room: i64,
    applied_seq: Seq,
    ordinal: u64,
    after: Seq,
) -> rusqlite::Result<u64> {
    let ahead: u64 = store
        .prepare_cached("SELECT count(*) FROM messages WHERE room = ?1 AND seq > ?2")?
        .query_row(params![room, applied_seq.max(after).get()], |row| {
            row.get(0)
        })?;
    if after >= applied_seq {
        return Ok(ahead);
    }
    let read: Option<u64> = store
        .prepare_cached(
            "SELECT ordinal FROM messages WHERE room = ?1 AND seq <= ?2
             ORDER BY seq DESC LIMIT 1",
        )?
        .query_row(params![room, after.get()], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(ordinal.saturating_sub(read.unwrap_or(0)) + ahead)
}
