//! Reading a room's events.

use std::sync::Arc;

use roomcast_protocol::{RoomId, Seq, StoredEvent};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::rows;

/// The room's last seq.
pub(super) fn head(log: &Connection, room_id: &RoomId) -> rusqlite::Result<Seq> {
    room(log, room_id)?.map_or(Ok(Seq::ZERO), |room| head_of(log, room))
}

/// The last seq of the room of this number.
pub(super) fn head_of(log: &Connection, room: i64) -> rusqlite::Result<Seq> {
    log.prepare_cached("SELECT coalesce(max(seq), 0) FROM events WHERE room = ?1")?
        .query_row([room], |row| rows::seq(row, 0))
}

/// The room's events after `after`.
pub(super) fn room_after(
    log: &Connection,
    room_id: &RoomId,
    after: Seq,
    limit: usize,
) -> rusqlite::Result<Vec<Arc<StoredEvent>>> {
    let Some(room) = room(log, room_id)? else {
        return Ok(Vec::new());
    };
    log.prepare_cached(
        "SELECT seq, prev, body FROM events WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?
    .query_map(params![room, after.get(), limit], |row| {
        rows::stored(row).map(Arc::new)
    })?
    .collect()
}

/// Every room's events after a seq.
pub(super) fn all_after(
    log: &Connection,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Arc<StoredEvent>>> {
    log.prepare_cached("SELECT seq, prev, body FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")?
        .query_map(params![after, limit], |row| rows::stored(row).map(Arc::new))?
        .collect()
}

fn room(log: &Connection, room_id: &RoomId) -> rusqlite::Result<Option<i64>> {
    log.prepare_cached("SELECT room FROM rooms WHERE room_id = ?1")?
        .query_row([room_id.as_str()], |row| row.get(0))
        .optional()
}
