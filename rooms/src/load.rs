//! A room's state now, from the store and the log's tail.

use std::collections::HashMap;
use std::time::Duration;

use roomcast_ports::BoxError;
use roomcast_ports::back_off::BackOff;
use roomcast_ports::directory::RoomRecord;
use roomcast_ports::event_log::LogError;
use roomcast_ports::timeline::ReadError;
use roomcast_protocol::{MemberRole, RoomId, Seq, UserId};
use tokio::time::sleep;

use crate::Rooms;
use crate::log_tail::{self, Tail};
use crate::state::{RoomSnapshot, affected_users};

/// How often a read that met a write is made again.
const ATTEMPTS_MAX: u32 = 8;
/// Delays between two of them.
const RETRY_AFTER: Duration = Duration::from_millis(10);
const RETRY_MAX: Duration = Duration::from_millis(80);

/// What the store has of a room.
#[derive(PartialEq, Eq)]
struct StoredRoom {
    room: Option<RoomRecord>,
    owners: u64,
    roles: HashMap<UserId, Option<MemberRole>>,
}

impl Rooms {
    /// The room's state at its head, with the roles of `users`; and the tail it was folded from.
    pub(crate) async fn load(
        &self,
        room_id: &RoomId,
        users: &[&UserId],
    ) -> Result<(RoomSnapshot, Tail), ReadError> {
        let (mut tries, mut back_off) = (0, BackOff::new(RETRY_AFTER, RETRY_MAX));
        let (applied_seq, log_head, tail) = loop {
            let log_head = self.log.head(room_id).await?;
            let applied_seq = self.reader.applied_seq(room_id).await?;
            let tail = log_tail::read(&*self.log, room_id, applied_seq).await?;
            if log_head <= tail.head {
                break (applied_seq, log_head, tail);
            }
            // A follower of the log is a moment behind its leader.
            tries += 1;
            wait_or_fail(
                tries,
                &mut back_off,
                "the log's tail does not reach its head",
            )
            .await?;
        };
        // While the log has let go of a room's events, its own head is not the room's.
        let log_head = if tail.head > applied_seq {
            tail.head
        } else {
            log_head
        };
        let mut state = RoomSnapshot {
            head: applied_seq,
            log_head,
            ..RoomSnapshot::default()
        };
        if applied_seq == Seq::ZERO {
            state.from_start = true;
        } else {
            let of_tail = tail
                .control
                .iter()
                .flat_map(|stored| affected_users(&stored.event));
            let users = users.iter().copied().chain(of_tail);
            let rows = self
                .rows(room_id, users.map(|user_id| (user_id.clone(), None)))
                .await?;
            (state.room, state.owners, state.roles) = (rows.room, rows.owners, rows.roles);
        }
        state.apply_all(&tail.control);
        state.head = tail.head;
        Ok((state, tail))
    }

    /// Reads the rows until two reads in a row agree: then no write came between them, and counts
    /// and roles are of one moment.
    async fn rows(
        &self,
        room_id: &RoomId,
        users: impl Iterator<Item = (UserId, Option<MemberRole>)>,
    ) -> Result<StoredRoom, ReadError> {
        let mut rows = StoredRoom {
            room: None,
            owners: 0,
            roles: users.collect(),
        };
        self.read_rows(room_id, &mut rows).await?;
        let (mut tries, mut back_off) = (0, BackOff::new(RETRY_AFTER, RETRY_MAX));
        loop {
            let mut again = StoredRoom {
                room: None,
                owners: 0,
                roles: rows.roles.clone(),
            };
            self.read_rows(room_id, &mut again).await?;
            if again == rows {
                return Ok(rows);
            }
            rows = again;
            tries += 1;
            wait_or_fail(tries, &mut back_off, "the room's rows never stand still").await?;
        }
    }

    async fn read_rows(&self, room_id: &RoomId, rows: &mut StoredRoom) -> Result<(), ReadError> {
        rows.room = self.directory.room(room_id).await?;
        rows.owners = self.directory.owner_count(room_id).await?;
        for (user_id, role) in &mut rows.roles {
            *role = self
                .directory
                .member(room_id, user_id)
                .await?
                .map(|member| member.role);
        }
        Ok(())
    }
}

/// Waits before the next try, and fails after the last.
async fn wait_or_fail(
    tries: u32,
    back_off: &mut BackOff,
    complaint: &'static str,
) -> Result<(), LogError> {
    if tries > ATTEMPTS_MAX {
        return Err(LogError::Unavailable(BoxError::from(complaint)));
    }
    sleep(back_off.next_delay()).await;
    Ok(())
}
