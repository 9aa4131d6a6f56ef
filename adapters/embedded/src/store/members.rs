//! Memberships, roles and read marks.
//!
//! Being a member and the role are two registers: a role that was changed before a leaving must not
//! bring a member back when it arrives late.

use roomcast_ports::directory::MemberRecord;
use roomcast_protocol::api::Marks;
use roomcast_protocol::{MemberRole, RoomId, Seq, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::rooms::RoomRow;
use crate::rows;

/// A membership change of an event.
#[derive(Clone, Copy)]
pub(super) enum Membership {
    Joined(MemberRole),
    Left,
    Changed(MemberRole),
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct LwwRegisters {
    is_member: bool,
    is_member_seq: Seq,
    role: MemberRole,
    role_seq: Seq,
}

impl LwwRegisters {
    const NONE: Self = Self {
        is_member: false,
        is_member_seq: Seq::ZERO,
        role: MemberRole::Member,
        role_seq: Seq::ZERO,
    };

    fn merge(mut self, seq: Seq, membership: Membership) -> Self {
        let (is_member, role) = match membership {
            Membership::Joined(role) => (Some(true), Some(role)),
            Membership::Left => (Some(false), None),
            Membership::Changed(role) => (None, Some(role)),
        };
        if let Some(is_member) = is_member.filter(|_| seq > self.is_member_seq) {
            (self.is_member, self.is_member_seq) = (is_member, seq);
        }
        if let Some(role) = role.filter(|_| seq > self.role_seq) {
            (self.role, self.role_seq) = (role, seq);
        }
        self
    }

    const fn owner(self) -> bool {
        self.is_member && matches!(self.role, MemberRole::Owner)
    }
}

/// Applies the event, unless a later one is known; updates the room's counts.
pub(super) fn change(
    store: &Connection,
    room: &mut RoomRow,
    user_id: &UserId,
    seq: Seq,
    membership: Membership,
) -> rusqlite::Result<()> {
    let before = store
        .prepare_cached(
            "SELECT is_member, is_member_seq, role, role_seq FROM members
             WHERE room = ?1 AND user_id = ?2",
        )?
        .query_row(params![room.room, user_id.as_str()], |row| {
            Ok(LwwRegisters {
                is_member: row.get(0)?,
                is_member_seq: rows::seq(row, 1)?,
                role: rows::enum_from_sql(row, 2, MemberRole::from_wire)?,
                role_seq: rows::seq(row, 3)?,
            })
        })
        .optional()?
        .unwrap_or(LwwRegisters::NONE);
    let after = before.merge(seq, membership);
    if after == before {
        return Ok(());
    }
    // Who joins has read up to there.
    let joined = after.is_member && after.is_member_seq > before.is_member_seq;
    let mark = if joined {
        after.is_member_seq
    } else {
        Seq::ZERO
    };
    store
        .prepare_cached(
            "INSERT INTO members (room, user_id, is_member, is_member_seq, role, role_seq, read, delivered)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
             ON CONFLICT DO UPDATE SET is_member = excluded.is_member,
                 is_member_seq = excluded.is_member_seq, role = excluded.role,
                 role_seq = excluded.role_seq, read = max(read, excluded.read),
                 delivered = max(delivered, excluded.delivered)",
        )?
        .execute(params![
            room.room,
            user_id.as_str(),
            after.is_member,
            after.is_member_seq.get(),
            after.role.as_str(),
            after.role_seq.get(),
            mark.get()
        ])?;
    room.member_count += i64::from(after.is_member) - i64::from(before.is_member);
    room.owner_count += i64::from(after.owner()) - i64::from(before.owner());
    Ok(())
}

/// The user has read up to what they sent.
pub(super) fn advance_markers(
    store: &Connection,
    room: i64,
    user_id: &UserId,
    seq: Seq,
) -> rusqlite::Result<()> {
    store
        .prepare_cached(
            "INSERT INTO members (room, user_id, read, delivered) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT DO UPDATE SET read = max(read, excluded.read),
                 delivered = max(delivered, excluded.delivered)",
        )?
        .execute(params![room, user_id.as_str(), seq.get()])?;
    Ok(())
}

/// Moves a member's marks forward; the marks after it, if either moved.
pub(super) fn mark(
    store: &Connection,
    room_id: &RoomId,
    user_id: &UserId,
    read: Seq,
    delivered: Seq,
) -> rusqlite::Result<Option<Marks>> {
    store
        .prepare_cached(
            "UPDATE members SET read = max(read, ?3), delivered = max(delivered, ?4)
             WHERE room = (SELECT room FROM rooms WHERE room_id = ?1 AND deleted = 0)
                 AND user_id = ?2 AND is_member = 1 AND (read < ?3 OR delivered < ?4)
             RETURNING read, delivered",
        )?
        .query_row(
            params![
                room_id.as_str(),
                user_id.as_str(),
                read.get(),
                delivered.max(read).get()
            ],
            |row| {
                Ok(Marks {
                    read: rows::seq(row, 0)?,
                    delivered: rows::seq(row, 1)?,
                })
            },
        )
        .optional()
}

/// The member, unless they are none or the room has ended.
pub(super) fn member(
    store: &Connection,
    room_id: &RoomId,
    user_id: &UserId,
) -> rusqlite::Result<Option<MemberRecord>> {
    store
        .prepare_cached(
            "SELECT m.user_id, m.role, m.read, m.delivered, m.is_member_seq
             FROM rooms r JOIN members m ON m.room = r.room
             WHERE r.room_id = ?1 AND r.deleted = 0 AND m.user_id = ?2 AND m.is_member = 1",
        )?
        .query_row(params![room_id.as_str(), user_id.as_str()], record)
        .optional()
}

/// Members by user id, after `after`.
pub(super) fn page(
    store: &Connection,
    room_id: &RoomId,
    after: Option<&UserId>,
    limit: usize,
) -> rusqlite::Result<Vec<MemberRecord>> {
    store
        .prepare_cached(
            "SELECT m.user_id, m.role, m.read, m.delivered, m.is_member_seq
             FROM rooms r JOIN members m ON m.room = r.room
             WHERE r.room_id = ?1 AND r.deleted = 0 AND m.user_id > ?2 AND m.is_member = 1
             ORDER BY m.user_id LIMIT ?3",
        )?
        .query_map(
            params![room_id.as_str(), after.map_or("", UserId::as_str), limit],
            record,
        )?
        .collect()
}

/// How many owners the room has.
pub(super) fn owner_count(store: &Connection, room_id: &RoomId) -> rusqlite::Result<u64> {
    let count = store
        .prepare_cached("SELECT owner_count FROM rooms WHERE room_id = ?1 AND deleted = 0")?
        .query_row([room_id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(count.unwrap_or(0))
}

fn record(row: &Row<'_>) -> rusqlite::Result<MemberRecord> {
    Ok(MemberRecord {
        user_id: rows::id(row, 0)?,
        role: rows::enum_from_sql(row, 1, MemberRole::from_wire)?,
        marks: Marks {
            read: rows::seq(row, 2)?,
            delivered: rows::seq(row, 3)?,
        },
        joined: rows::seq(row, 4)?,
    })
}
