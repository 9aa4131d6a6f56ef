//! What became of messages: edits, deletions, reactions. Kept under the message's id, since they may be
//! written before the message is.

use roomcast_protocol::{MessageId, Seq, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::rows;

/// Who reacts to what with what.
pub(super) struct Reaction<'a> {
    pub(super) message_id: &'a MessageId,
    pub(super) emoji: &'a str,
    pub(super) user_id: &'a UserId,
}

/// Edits the message, unless a later edit is known or it is deleted.
pub(super) fn edit(
    store: &Connection,
    room: i64,
    message_id: &MessageId,
    content: Option<&str>,
    seq: Seq,
    edited_at: Timestamp,
) -> rusqlite::Result<()> {
    store
        .prepare_cached(
            "INSERT INTO message_mutations (room, message_id, edit_seq, content, edited_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET
                 edit_seq = excluded.edit_seq,
                 content = iif(deleted, NULL, excluded.content),
                 edited_at = excluded.edited_at
             WHERE excluded.edit_seq > edit_seq",
        )?
        .execute(params![
            room,
            message_id.as_str(),
            seq.get(),
            content,
            edited_at.as_millis()
        ])?;
    Ok(())
}

/// Deletes the message: redacts it and its edits.
pub(super) fn delete(
    store: &Connection,
    room: i64,
    message_id: &MessageId,
) -> rusqlite::Result<()> {
    store
        .prepare_cached(
            "INSERT INTO message_mutations (room, message_id, deleted) VALUES (?1, ?2, 1)
             ON CONFLICT DO UPDATE SET deleted = 1, content = NULL",
        )?
        .execute(params![room, message_id.as_str()])?;
    let said = store
        .prepare_cached(
            "SELECT seq, body FROM events WHERE room = ?1 AND event_id = ?2
             UNION ALL
             SELECT seq, body FROM events WHERE room = ?1 AND target = ?2",
        )?
        .query_map(params![room, message_id.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, rows::event(row, 1)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut empty =
        store.prepare_cached("UPDATE events SET body = ?3 WHERE room = ?1 AND seq = ?2")?;
    for (seq, event) in said {
        if let Some(body) = rows::redacted(event) {
            empty.execute(params![room, seq, body])?;
        }
    }
    Ok(())
}

/// Whether the message's deletion is known.
pub(super) fn is_deleted(
    store: &Connection,
    room: i64,
    message_id: &str,
) -> rusqlite::Result<bool> {
    let deleted = store
        .prepare_cached(
            "SELECT deleted FROM message_mutations WHERE room = ?1 AND message_id = ?2",
        )?
        .query_row(params![room, message_id], |row| row.get(0))
        .optional()?;
    Ok(deleted.unwrap_or(false))
}

/// A reaction is given or taken back, unless something later about it is known.
pub(super) fn react(
    store: &Connection,
    room: i64,
    reaction: &Reaction<'_>,
    removed: bool,
    seq: Seq,
) -> rusqlite::Result<()> {
    store
        .prepare_cached(
            "INSERT INTO reactions (room, message_id, emoji, user_id, seq, removed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET seq = excluded.seq, removed = excluded.removed
             WHERE excluded.seq > seq",
        )?
        .execute(params![
            room,
            reaction.message_id.as_str(),
            reaction.emoji,
            reaction.user_id.as_str(),
            seq.get(),
            removed
        ])?;
    Ok(())
}
