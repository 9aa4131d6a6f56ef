//! Messages in their current state.

use roomcast_ports::message_store::{MessageState, ReactionState};
use roomcast_protocol::{EventBody, MessageId, RoomId, Seq};
use rusqlite::{Connection, Params, Row, params};

use super::rooms;
use crate::rows;

macro_rules! select_messages {
    ($rest:literal) => {
        concat!(
            "SELECT e.seq, e.prev, e.body, c.edit_seq, c.content, c.edited_at, c.deleted
             FROM messages m
             JOIN events e ON e.room = m.room AND e.seq = m.seq
             LEFT JOIN changed_messages c ON c.room = m.room AND c.message_id = e.event_id ",
            $rest
        )
    };
}

/// The newest messages before `before`, oldest first.
pub(super) fn before(
    store: &Connection,
    room_id: &RoomId,
    before: Seq,
    limit: usize,
) -> rusqlite::Result<Vec<MessageState>> {
    let Some(room) = rooms::number(store, room_id)? else {
        return Ok(Vec::new());
    };
    let sql = select_messages!("WHERE m.room = ?1 AND m.seq < ?2 ORDER BY m.seq DESC LIMIT ?3");
    let mut messages = states(store, room, sql, params![room, before.get(), limit])?;
    messages.reverse();
    Ok(messages)
}

/// The oldest messages at or after `from`.
pub(super) fn from(
    store: &Connection,
    room_id: &RoomId,
    from: Seq,
    limit: usize,
) -> rusqlite::Result<Vec<MessageState>> {
    let Some(room) = rooms::number(store, room_id)? else {
        return Ok(Vec::new());
    };
    let sql = select_messages!("WHERE m.room = ?1 AND m.seq >= ?2 ORDER BY m.seq LIMIT ?3");
    states(store, room, sql, params![room, from.get(), limit])
}

/// The message of this id.
pub(super) fn named(
    store: &Connection,
    room_id: &RoomId,
    message_id: &MessageId,
) -> rusqlite::Result<Option<MessageState>> {
    let Some(room) = rooms::number(store, room_id)? else {
        return Ok(None);
    };
    let sql = select_messages!(
        "WHERE m.room = ?1 AND m.seq IN (SELECT seq FROM events WHERE room = ?1 AND event_id = ?2)
         ORDER BY m.seq LIMIT 1"
    );
    Ok(states(store, room, sql, params![room, message_id.as_str()])?.pop())
}

/// The message at this place.
pub(super) fn at(
    store: &Connection,
    room: i64,
    seq: Seq,
) -> rusqlite::Result<Option<MessageState>> {
    let sql = select_messages!("WHERE m.room = ?1 AND m.seq = ?2");
    Ok(states(store, room, sql, params![room, seq.get()])?.pop())
}

fn states(
    store: &Connection,
    room: i64,
    sql: &str,
    parameters: impl Params,
) -> rusqlite::Result<Vec<MessageState>> {
    let mut messages = store
        .prepare_cached(sql)?
        .query_map(parameters, state)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for message in &mut messages {
        message.reactions = reactions(store, room, &message.message_id)?;
    }
    Ok(messages)
}

fn state(row: &Row<'_>) -> rusqlite::Result<MessageState> {
    let stored = rows::stored(row)?;
    let message_id = MessageId::from(stored.event.id);
    let EventBody::MessageSent(mut message) = stored.event.body else {
        return Err(rusqlite::Error::InvalidColumnType(
            2,
            "a message's body".to_owned(),
            rusqlite::types::Type::Blob,
        ));
    };
    let edited = row
        .get::<_, Option<u64>>(3)?
        .is_some_and(|edit_seq| edit_seq > 0);
    if row.get::<_, Option<bool>>(6)?.unwrap_or(false) {
        message.content = None;
    } else if edited && message.content.is_some() {
        // An edit without content means that the message has been deleted since.
        message.content = row.get(4)?;
    }
    Ok(MessageState {
        room_id: stored.event.room_id,
        seq: stored.seq,
        message_id,
        sender_id: stored.event.sender_id,
        client_message_id: stored.event.client_message_id,
        sent_at: stored.event.sent_at,
        message,
        edited_at: if edited {
            Some(rows::time(row, 5)?)
        } else {
            None
        },
        reactions: Vec::new(),
    })
}

fn reactions(
    store: &Connection,
    room: i64,
    message_id: &MessageId,
) -> rusqlite::Result<Vec<ReactionState>> {
    let mut given = store.prepare_cached(
        "SELECT emoji, user_id FROM reactions
         WHERE room = ?1 AND message_id = ?2 AND removed = 0 ORDER BY seq",
    )?;
    let mut given = given.query(params![room, message_id.as_str()])?;
    let mut held = Vec::new();
    while let Some(row) = given.next()? {
        held.push((row.get(0)?, rows::id(row, 1)?));
    }
    Ok(ReactionState::group(held))
}
