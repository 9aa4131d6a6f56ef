//! Leaves all groups of an ended account, and promotes a new owner where needed.
//!
//! Each step is judged by the room's state and appended only where that still holds, so a step may be
//! repeated, and two processes may take the same ones concurrently.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use roomcast_ports::access::Caller;
use roomcast_ports::departures::{Departure, Departures};
use roomcast_protocol::limits::MEMBERS_PAGE_MAX;
use roomcast_protocol::{
    EventBody, MemberRole, Refusal, RoomId, RoomKind, Seq, StoredEvent, Timestamp, UserId,
};

use crate::state::{RoomSnapshot, affected_users};
use crate::{Rooms, errors};

/// How often a room is judged again that has changed in between.
const ATTEMPTS_MAX: u32 = 16;

/// What a room asks for before the user can leave it.
enum Step {
    Done,
    WouldBeEmpty,
    Succeed,
    Leave,
}

#[async_trait]
impl Departures for Rooms {
    async fn rooms_of(&self, user_id: &UserId, limit: usize) -> Result<Vec<RoomId>, Refusal> {
        let rooms = self.directory.room_ids_of(user_id, limit).await;
        rooms.map_err(errors::read_failed)
    }

    async fn leave(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        may_empty: bool,
    ) -> Result<Departure, Refusal> {
        let caller = in_the_name_of(user_id);
        for _ in 0..ATTEMPTS_MAX {
            let loaded = self.load(room_id, &[user_id]).await;
            let (state, tail) = loaded.map_err(errors::precondition_unavailable)?;
            match step(&state, user_id, may_empty) {
                Step::Done => return Ok(Departure::Left),
                Step::WouldBeEmpty => return Ok(Departure::WouldBeEmpty),
                Step::Succeed => {
                    let heir = self.heir(room_id, user_id, &tail.control).await?;
                    if let Some(heir) = heir {
                        self.make_owner(&caller, room_id, &heir).await?;
                    }
                }
                Step::Leave => {
                    let left = self
                        .commit(&caller, room_id, user_id, |state| {
                            Ok(match step(state, user_id, may_empty) {
                                Step::Leave => left(state, user_id),
                                _ => None,
                            })
                        })
                        .await?;
                    if left.changed {
                        self.delete_if_empty(user_id, room_id).await?;
                        return Ok(Departure::Left);
                    }
                }
            }
        }
        Err(errors::contention())
    }

    async fn delete_if_empty(&self, user_id: &UserId, room_id: &RoomId) -> Result<(), Refusal> {
        let caller = in_the_name_of(user_id);
        self.commit(&caller, room_id, user_id, |state| {
            let empty = group(state).is_some() && members(state) == 0;
            Ok(empty.then_some(EventBody::RoomDeleted))
        })
        .await
        .map(drop)
    }
}

impl Rooms {
    /// Makes `heir` an owner, if the caller is still the last one and `heir` still a member.
    async fn make_owner(
        &self,
        caller: &Caller,
        room_id: &RoomId,
        heir: &UserId,
    ) -> Result<(), Refusal> {
        self.commit(caller, room_id, heir, |state| {
            let last = matches!(step(state, &caller.user_id, false), Step::Succeed);
            let changes = last && state.role(heir).is_some();
            Ok(changes.then(|| EventBody::MemberChanged {
                user_id: heir.clone(),
                role: MemberRole::Owner,
            }))
        })
        .await
        .map(drop)
    }

    /// The admin, else the member, who has been in the room for longest.
    async fn heir(
        &self,
        room_id: &RoomId,
        leaving: &UserId,
        tail: &[Arc<StoredEvent>],
    ) -> Result<Option<UserId>, Refusal> {
        let mut recent: HashMap<UserId, Option<(MemberRole, Seq)>> = tail
            .iter()
            .flat_map(|stored| affected_users(&stored.event))
            .map(|user_id| (user_id.clone(), None))
            .collect();
        let mut best: Option<(bool, Seq, UserId)> = None;
        let mut consider = |user_id: &UserId, role: MemberRole, joined: Seq| {
            let standing = (role == MemberRole::Member, joined, user_id.clone());
            if user_id != leaving && best.as_ref().is_none_or(|best| standing < *best) {
                best = Some(standing);
            }
        };
        let mut after: Option<UserId> = None;
        loop {
            let page = self
                .directory
                .members(room_id, after.as_ref(), MEMBERS_PAGE_MAX)
                .await
                .map_err(errors::read_failed)?;
            for member in &page {
                match recent.get_mut(&member.user_id) {
                    Some(known) => *known = Some((member.role, member.joined)),
                    None => consider(&member.user_id, member.role, member.joined),
                }
            }
            if page.len() < MEMBERS_PAGE_MAX {
                break;
            }
            after = page.last().map(|last| last.user_id.clone());
        }
        for stored in tail {
            follow(&mut recent, stored);
        }
        for (user_id, standing) in &recent {
            if let Some((role, joined)) = standing {
                consider(user_id, *role, *joined);
            }
        }
        Ok(best.map(|(_, _, user_id)| user_id))
    }
}

/// Brings the members an event speaks of up to it.
fn follow(recent: &mut HashMap<UserId, Option<(MemberRole, Seq)>>, stored: &StoredEvent) {
    let mut join = |user_id: &UserId, role: MemberRole| {
        if let Some(known) = recent.get_mut(user_id) {
            // Rows may already hold the tail's changes: a member's seq is that of the first joining.
            let joined = known.map_or(stored.seq, |(_, joined)| joined);
            *known = Some((role, joined));
        }
    };
    match &stored.event.body {
        EventBody::MemberJoined { user_id, role, .. } => join(user_id, *role),
        EventBody::MembersAdded { user_ids, .. } => {
            for user_id in user_ids {
                let role = recent.get(user_id).copied().flatten();
                let role = role.map_or(MemberRole::Member, |(role, _)| role);
                if let Some(known) = recent.get_mut(user_id) {
                    let joined = known.map_or(stored.seq, |(_, joined)| joined);
                    *known = Some((role, joined));
                }
            }
        }
        EventBody::MemberChanged { user_id, role } => {
            if let Some(Some((known, _))) = recent.get_mut(user_id) {
                *known = *role;
            }
        }
        EventBody::MemberLeft { user_id, .. } => {
            if let Some(known) = recent.get_mut(user_id) {
                *known = None;
            }
        }
        _ => {}
    }
}

fn step(state: &RoomSnapshot, user_id: &UserId, may_empty: bool) -> Step {
    let (Some(_), Some(role)) = (group(state), state.role(user_id)) else {
        return Step::Done;
    };
    if members(state) <= 1 {
        return if may_empty {
            Step::Leave
        } else {
            Step::WouldBeEmpty
        };
    }
    if role == MemberRole::Owner && state.owners <= 1 {
        Step::Succeed
    } else {
        Step::Leave
    }
}

fn left(state: &RoomSnapshot, user_id: &UserId) -> Option<EventBody> {
    state.role(user_id).map(|role| EventBody::MemberLeft {
        user_id: user_id.clone(),
        role,
    })
}

fn group(state: &RoomSnapshot) -> Option<RoomKind> {
    let kind = state.open()?.kind;
    (kind == RoomKind::Group).then_some(kind)
}

fn members(state: &RoomSnapshot) -> u64 {
    state.open().map_or(0, |room| room.member_count)
}

/// The events have the user whose account ends as sender, independent of the caller.
fn in_the_name_of(user_id: &UserId) -> Caller {
    Caller {
        user_id: user_id.clone(),
        name: None,
        session_id: None,
        admin: false,
        expires_at: Timestamp::now(),
    }
}
