//! Redacts deleted messages in the log.

use roomcast_protocol::{EventBody, MessageId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::rows;

/// Empties the message and its edits.
pub(super) fn redact(log: &Connection, room: i64, message_id: &MessageId) -> rusqlite::Result<()> {
    let mut about = log.prepare_cached(
        "SELECT seq, body FROM events WHERE room = ?1 AND event_id = ?2
         UNION ALL
         SELECT seq, body FROM events WHERE room = ?1 AND target = ?2",
    )?;
    let mut empty = log.prepare_cached("UPDATE events SET body = ?2 WHERE seq = ?1")?;
    let said = about
        .query_map(params![room, message_id.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, rows::event(row, 1)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (seq, event) in said {
        if let Some(body) = rows::redacted(event) {
            empty.execute(params![seq, body])?;
        }
    }
    Ok(())
}

/// Whether the message's deletion is in the log, so that a later edit is redacted as well.
pub(super) fn is_deleted(
    log: &Connection,
    room: i64,
    message_id: &MessageId,
) -> rusqlite::Result<bool> {
    let first = log
        .prepare_cached("SELECT body FROM events WHERE room = ?1 AND event_id = ?2")?
        .query_row(params![room, message_id.as_str()], |row| {
            rows::event(row, 0)
        })
        .optional()?;
    Ok(first.is_some_and(
        |event| matches!(&event.body, EventBody::MessageSent(message) if message.content.is_none()),
    ))
}
