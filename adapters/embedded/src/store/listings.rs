//! Lists of rooms: a user's own, and the public ones.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use roomcast_ports::directory::{
    ListingCursor, PublicCursor, PublicRange, RoomListing, RoomRecord,
};
use roomcast_protocol::api::Marks;
use roomcast_protocol::{MemberRole, RoomId, RoomKind, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::rooms::{record, room_columns};
use super::{events, message_state};
use crate::rows;

/// A user's rooms that were made and have not ended, with their activity.
macro_rules! rooms_of {
    () => {
        "FROM members m JOIN rooms r ON r.room = m.room
         WHERE m.user_id = ?1 AND m.is_member = 1 AND r.deleted = 0 AND r.kind IS NOT NULL "
    };
}

macro_rules! select_listings {
    () => {
        concat!(
            "SELECT ",
            room_columns!(),
            ", max(coalesce(r.last_message_at, 0), r.created_at) AS active_at, r.room, r.head,
                 r.last_message, m.role, m.read, m.delivered, r.applied_seq, r.ordinal ",
            rooms_of!()
        )
    };
}

/// The user's rooms by latest activity, then id, after `after`.
pub(super) fn of_user(
    store: &Connection,
    user_id: &UserId,
    after: Option<&ListingCursor>,
    limit: usize,
) -> rusqlite::Result<Vec<RoomListing>> {
    let (active_at, room_id) = after.map_or((i64::MAX, ""), |after| {
        (
            after.active_at.as_millis().cast_signed(),
            after.room_id.as_str(),
        )
    });
    let mut rooms = store.prepare_cached(concat!(
        select_listings!(),
        "AND (active_at < ?2 OR (active_at = ?2 AND r.room_id > ?3))
         ORDER BY active_at DESC, r.room_id LIMIT ?4"
    ))?;
    let rooms = rooms.query(params![user_id.as_str(), active_at, room_id, limit])?;
    listings(store, rooms, user_id)
}

/// Those of these rooms that are the user's, in the same order.
pub(super) fn of_user_among(
    store: &Connection,
    user_id: &UserId,
    room_ids: &[RoomId],
) -> rusqlite::Result<Vec<RoomListing>> {
    let wanted: BTreeSet<&RoomId> = room_ids.iter().collect();
    let mut room = store.prepare_cached(concat!(select_listings!(), "AND r.room_id = ?2"))?;
    let mut found = Vec::new();
    for room_id in wanted {
        let rows = room.query(params![user_id.as_str(), room_id.as_str()])?;
        found.extend(listings(store, rows, user_id)?);
    }
    // Stable, and by id before.
    found.sort_by_key(|listing| Reverse(listing.active_at));
    Ok(found)
}

fn listings(
    store: &Connection,
    mut rooms: rusqlite::Rows<'_>,
    user_id: &UserId,
) -> rusqlite::Result<Vec<RoomListing>> {
    let mut listings = Vec::new();
    while let Some(row) = rooms.next()? {
        listings.push(listing(store, row, user_id)?);
    }
    Ok(listings)
}

/// The ids of the user's most lately active rooms.
pub(super) fn ids_of_user(
    store: &Connection,
    user_id: &UserId,
    limit: usize,
) -> rusqlite::Result<Vec<RoomId>> {
    store
        .prepare_cached(concat!(
            "SELECT r.room_id ",
            rooms_of!(),
            "ORDER BY max(coalesce(r.last_message_at, 0), r.created_at) DESC, r.room_id LIMIT ?2"
        ))?
        .query_map(params![user_id.as_str(), limit], |row| rows::id(row, 0))?
        .collect()
}

/// The rooms of [`public`]: a range of the index `rooms_by_name`, in its order.
macro_rules! public_rooms {
    () => {
        concat!(
            "SELECT ",
            room_columns!(),
            " FROM rooms r WHERE (r.name_key, r.room_id) > (?1, ?2) AND r.name_key < ?3
             ORDER BY r.name_key, r.room_id LIMIT ?4"
        )
    };
}

/// Public groups by key and id whose name begins so, after `after`.
pub(super) fn public(
    store: &Connection,
    name_prefix: &str,
    after: Option<&PublicCursor>,
    limit: usize,
) -> rusqlite::Result<Vec<RoomRecord>> {
    let range = PublicRange::of(name_prefix, after);
    store
        .prepare_cached(public_rooms!())?
        .query_map(
            params![range.name_key, range.room_id, range.end, limit],
            record,
        )?
        .collect()
}

fn listing(store: &Connection, row: &Row<'_>, user_id: &UserId) -> rusqlite::Result<RoomListing> {
    let room: i64 = row.get(9)?;
    let last_message = rows::seq(row, 11)?;
    let marks = Marks {
        read: rows::seq(row, 13)?,
        delivered: rows::seq(row, 14)?,
    };
    let (applied_seq, ordinal) = (rows::seq(row, 15)?, row.get(16)?);
    let record = record(row)?;
    Ok(RoomListing {
        head: rows::seq(row, 10)?,
        active_at: rows::time(row, 8)?,
        role: rows::enum_from_sql(row, 12, MemberRole::from_wire)?,
        peer_id: match record.kind {
            RoomKind::Direct => peer(store, room, user_id)?,
            RoomKind::Group => None,
        },
        unread: events::unread(store, room, applied_seq, ordinal, marks.read)?,
        last_message: message_state::at(store, room, last_message)?,
        marks,
        room: record,
    })
}

fn peer(store: &Connection, room: i64, user_id: &UserId) -> rusqlite::Result<Option<UserId>> {
    store
        .prepare_cached(
            "SELECT user_id FROM members
             WHERE room = ?1 AND user_id <> ?2 AND is_member = 1 ORDER BY user_id LIMIT 1",
        )?
        .query_row(params![room, user_id.as_str()], |row| rows::id(row, 0))
        .optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_search_reads_a_range_of_its_index_and_sorts_nothing() {
        let store = Connection::open_in_memory().unwrap();
        store.execute_batch(include_str!("schema.sql")).unwrap();
        let explain = concat!("EXPLAIN QUERY PLAN ", public_rooms!());
        let mut plan = store.prepare(explain).unwrap();
        let steps: Vec<String> = plan
            .query_map(params!["a", "", "b", 3], |row| row.get("detail"))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let plan = steps.join("; ");
        assert!(
            plan.contains("SEARCH r USING INDEX rooms_by_name"),
            "{plan}"
        );
        assert!(!plan.contains("SCAN r"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}
