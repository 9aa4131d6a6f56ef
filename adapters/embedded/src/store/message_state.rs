//! Messages in their current state.

use roomcast_ports::message_store::MessageState;
use roomcast_ports::reactions::{ReactionFold, ReactionRow, ReactionScope, Reactions};
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
             LEFT JOIN message_mutations c ON c.room = m.room AND c.message_id = e.event_id ",
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
    tail_from: Seq,
) -> rusqlite::Result<Vec<MessageState>> {
    let Some(room) = rooms::number(store, room_id)? else {
        return Ok(Vec::new());
    };
    let sql = select_messages!("WHERE m.room = ?1 AND m.seq < ?2 ORDER BY m.seq DESC LIMIT ?3");
    let mut messages = states(
        store,
        room,
        sql,
        params![room, before.get(), limit],
        ReactionScope::before_tail(tail_from),
    )?;
    messages.reverse();
    Ok(messages)
}

/// The oldest messages at or after `from`.
pub(super) fn from(
    store: &Connection,
    room_id: &RoomId,
    from: Seq,
    limit: usize,
    tail_from: Seq,
) -> rusqlite::Result<Vec<MessageState>> {
    let Some(room) = rooms::number(store, room_id)? else {
        return Ok(Vec::new());
    };
    let sql = select_messages!("WHERE m.room = ?1 AND m.seq >= ?2 ORDER BY m.seq LIMIT ?3");
    states(
        store,
        room,
        sql,
        params![room, from.get(), limit],
        ReactionScope::before_tail(tail_from),
    )
}

/// The message of this id.
pub(super) fn named(
    store: &Connection,
    room_id: &RoomId,
    message_id: &MessageId,
    scope: ReactionScope<'_>,
) -> rusqlite::Result<Option<MessageState>> {
    let Some(room) = rooms::number(store, room_id)? else {
        return Ok(None);
    };
    let sql = select_messages!(
        "WHERE m.room = ?1 AND m.seq IN (SELECT seq FROM events WHERE room = ?1 AND event_id = ?2)
         ORDER BY m.seq LIMIT 1"
    );
    Ok(states(store, room, sql, params![room, message_id.as_str()], scope)?.pop())
}

/// The message at this seq.
pub(super) fn at(
    store: &Connection,
    room: i64,
    seq: Seq,
) -> rusqlite::Result<Option<MessageState>> {
    let sql = select_messages!("WHERE m.room = ?1 AND m.seq = ?2");
    Ok(states(
        store,
        room,
        sql,
        params![room, seq.get()],
        ReactionScope::NONE,
    )?
    .pop())
}

fn states(
    store: &Connection,
    room: i64,
    sql: &str,
    parameters: impl Params,
    scope: ReactionScope<'_>,
) -> rusqlite::Result<Vec<MessageState>> {
    let mut messages = store
        .prepare_cached(sql)?
        .query_map(parameters, state)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for message in &mut messages {
        message.reactions = reactions(store, room, &message.message_id, scope)?;
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
        reactions: Reactions::default(),
    })
}

fn reactions(
    store: &Connection,
    room: i64,
    message_id: &MessageId,
    scope: ReactionScope<'_>,
) -> rusqlite::Result<Reactions> {
    let mut rows = store.prepare_cached(
        "SELECT emoji, user_id, seq, removed FROM reactions
         WHERE room = ?1 AND message_id = ?2 AND (removed = 0 OR seq > ?3)",
    )?;
    let tail_from = scope.tail_from.get();
    let mut rows = rows.query(params![room, message_id.as_str(), tail_from])?;
    let mut fold = ReactionFold::new(scope);
    while let Some(row) = rows.next()? {
        let written = rows::seq(row, 2)?;
        fold.add(ReactionRow {
            emoji: row.get(0)?,
            user_id: rows::id(row, 1)?,
            since: (!row.get::<_, bool>(3)?).then_some(written),
            written,
        });
    }
    Ok(fold.finish())
}
