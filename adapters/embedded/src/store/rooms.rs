//! The rooms' rows, derived from the log.

use roomcast_ports::directory::RoomRecord;
use roomcast_protocol::event::{RoomChange, RoomCreation};
use roomcast_protocol::{RoomId, RoomKind, Seq, Timestamp, Visibility};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::rows;

/// The columns that [`record`] reads, from `rooms r`.
macro_rules! room_columns {
    () => {
        "r.room_id, r.kind, coalesce(r.visibility, r.founding_visibility),
         coalesce(r.name, r.founding_name), r.topic, r.created_at, r.member_count, r.deleted"
    };
}
pub(super) use room_columns;

/// What of a room changes with most batches.
pub(super) struct RoomRow {
    pub(super) room: i64,
    pub(super) head: Seq,
    pub(super) applied_seq: Seq,
    pub(super) ordinal: u64,
    pub(super) member_count: i64,
    pub(super) owner_count: i64,
    last_message: Seq,
    last_message_at: Option<Timestamp>,
}

impl RoomRow {
    /// The room has a message there.
    pub(super) fn saw_message(&mut self, seq: Seq, sent_at: Timestamp) {
        self.last_message = self.last_message.max(seq);
        // A clock that goes back moves no room down.
        self.last_message_at = self.last_message_at.max(Some(sent_at));
    }
}

/// The room's number, if it has one.
pub(super) fn number(store: &Connection, room_id: &RoomId) -> rusqlite::Result<Option<i64>> {
    store
        .prepare_cached("SELECT room FROM rooms WHERE room_id = ?1")?
        .query_row([room_id.as_str()], |row| row.get(0))
        .optional()
}

/// How far the room's feed has been written.
pub(super) fn applied_seq(store: &Connection, room_id: &RoomId) -> rusqlite::Result<Seq> {
    let applied_seq = store
        .prepare_cached("SELECT applied_seq FROM rooms WHERE room_id = ?1")?
        .query_row([room_id.as_str()], |row| rows::seq(row, 0))
        .optional()?;
    Ok(applied_seq.unwrap_or(Seq::ZERO))
}

/// The room's row, made when it is not there.
pub(super) fn load(store: &Connection, room_id: &RoomId) -> rusqlite::Result<RoomRow> {
    store
        .prepare_cached("INSERT INTO rooms (room_id) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([room_id.as_str()])?;
    store
        .prepare_cached(
            "SELECT room, head, applied_seq, ordinal, member_count, owner_count, last_message,
                 last_message_at
             FROM rooms WHERE room_id = ?1",
        )?
        .query_row([room_id.as_str()], |row| {
            Ok(RoomRow {
                room: row.get(0)?,
                head: rows::seq(row, 1)?,
                applied_seq: rows::seq(row, 2)?,
                ordinal: row.get(3)?,
                member_count: row.get(4)?,
                owner_count: row.get(5)?,
                last_message: rows::seq(row, 6)?,
                last_message_at: row.get::<_, Option<u64>>(7)?.map(Timestamp::from_millis),
            })
        })
}

/// Writes the row back.
pub(super) fn save(store: &Connection, room: &RoomRow) -> rusqlite::Result<()> {
    store
        .prepare_cached(
            "UPDATE rooms SET head = ?2, applied_seq = ?3, ordinal = ?4, member_count = ?5,
                 owner_count = ?6, last_message = ?7, last_message_at = ?8
             WHERE room = ?1",
        )?
        .execute(params![
            room.room,
            room.head.get(),
            room.applied_seq.get(),
            room.ordinal,
            room.member_count,
            room.owner_count,
            room.last_message.get(),
            room.last_message_at.map(Timestamp::as_millis)
        ])?;
    Ok(())
}

/// The room begins as this, unless an earlier beginning is known.
pub(super) fn found(
    store: &Connection,
    room: i64,
    founding: &RoomCreation,
    seq: Seq,
    created_at: Timestamp,
) -> rusqlite::Result<()> {
    store
        .prepare_cached(
            "UPDATE rooms SET founded_seq = ?2, kind = ?3, created_at = ?4, founding_name = ?5,
                 founding_visibility = ?6
             WHERE room = ?1 AND (founded_seq IS NULL OR founded_seq > ?2)",
        )?
        .execute(params![
            room,
            seq.get(),
            founding.kind.as_str(),
            created_at.as_millis(),
            founding.name,
            founding.visibility.map(Visibility::as_str)
        ])?;
    name_for_finding(store, room)
}

/// What changes about the room, unless something later is known.
pub(super) fn change(
    store: &Connection,
    room: i64,
    change: &RoomChange,
    seq: Seq,
) -> rusqlite::Result<()> {
    let visibility = change.visibility.map(Visibility::as_str);
    store
        .prepare_cached(
            "UPDATE rooms SET
                 name = iif(?3 IS NULL OR name_seq > ?2, name, ?3),
                 name_seq = iif(?3 IS NULL, name_seq, max(name_seq, ?2)),
                 topic = iif(?4 IS NULL OR topic_seq > ?2, topic, ?4),
                 topic_seq = iif(?4 IS NULL, topic_seq, max(topic_seq, ?2)),
                 visibility = iif(?5 IS NULL OR visibility_seq > ?2, visibility, ?5),
                 visibility_seq = iif(?5 IS NULL, visibility_seq, max(visibility_seq, ?2))
             WHERE room = ?1",
        )?
        .execute(params![
            room,
            seq.get(),
            change.name,
            change.topic,
            visibility
        ])?;
    name_for_finding(store, room)
}

/// The room is deleted, permanently.
pub(super) fn delete(store: &Connection, room: i64) -> rusqlite::Result<()> {
    store
        .prepare_cached("UPDATE rooms SET deleted = 1 WHERE room = ?1")?
        .execute([room])?;
    name_for_finding(store, room)
}

/// The room, also when it has ended.
pub(super) fn record_of(
    store: &Connection,
    room_id: &RoomId,
) -> rusqlite::Result<Option<RoomRecord>> {
    store
        .prepare_cached(concat!(
            "SELECT ",
            room_columns!(),
            " FROM rooms r WHERE r.room_id = ?1 AND r.kind IS NOT NULL"
        ))?
        .query_row([room_id.as_str()], record)
        .optional()
}

/// A room from the columns of `room_columns!`.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<RoomRecord> {
    let visibility = match row.get_ref(2)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(rows::enum_from_sql(row, 2, Visibility::from_wire)?),
    };
    Ok(RoomRecord {
        room_id: rows::id(row, 0)?,
        kind: rows::enum_from_sql(row, 1, RoomKind::from_wire)?,
        visibility,
        name: row.get(3)?,
        topic: row.get(4)?,
        created_at: rows::time(row, 5)?,
        member_count: row.get(6)?,
        deleted: row.get(7)?,
    })
}

/// Stores or removes the name key of a public room.
fn name_for_finding(store: &Connection, room: i64) -> rusqlite::Result<()> {
    let record = store
        .prepare_cached(concat!(
            "SELECT ",
            room_columns!(),
            " FROM rooms r WHERE r.room = ?1 AND r.kind IS NOT NULL"
        ))?
        .query_row([room], record)
        .optional()?;
    let key = record.and_then(|room| room.public_key());
    store
        .prepare_cached("UPDATE rooms SET name_key = ?2 WHERE room = ?1")?
        .execute(params![room, key])?;
    Ok(())
}
