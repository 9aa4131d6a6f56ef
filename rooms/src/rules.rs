//! Who may do what in a room: the contract's "Rules of rooms", and nothing else.

use roomcast_ports::access::Caller;
use roomcast_ports::directory::RoomRecord;
use roomcast_protocol::{MemberRole, Refusal, RoomKind, UserId, Visibility};

use crate::state::RoomState;

/// In what capacity somebody acts in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acting {
    /// The host product's server.
    Host,
    /// A member.
    Member(MemberRole),
    /// Neither.
    Stranger,
}

/// The room, and in what capacity the caller acts in it.
pub(crate) fn acting<'a>(
    state: &'a RoomState,
    caller: &Caller,
) -> Result<(&'a RoomRecord, Acting), Refusal> {
    let room = state.open().ok_or_else(Refusal::not_member)?;
    let acting = match state.role(&caller.user_id) {
        _ if caller.admin => Acting::Host,
        Some(role) => Acting::Member(role),
        None => Acting::Stranger,
    };
    Ok((room, acting))
}

/// What the acting user and the one acted on are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parties {
    pub(crate) acting: Acting,
    /// They act on themselves.
    pub(crate) oneself: bool,
    /// What the one acted on is now.
    pub(crate) target: Option<MemberRole>,
}

impl Parties {
    pub(crate) fn of(
        state: &RoomState,
        caller: &Caller,
        target: &UserId,
    ) -> Result<(RoomRecord, Self), Refusal> {
        let (room, acting) = acting(state, caller)?;
        let oneself = caller.user_id == *target;
        Ok((
            room.clone(),
            Self {
                acting,
                oneself,
                target: state.role(target),
            },
        ))
    }
}

/// Adding a member, or joining: the role they get, or none when they are a member already.
pub(crate) fn may_add(
    room: &RoomRecord,
    parties: Parties,
    named: Option<MemberRole>,
) -> Result<Option<MemberRole>, Refusal> {
    use MemberRole::{Admin, Member, Owner};
    let role = named.unwrap_or(Member);
    match parties.acting {
        Acting::Stranger if room.kind == RoomKind::Direct => return Err(Refusal::not_member()),
        _ if room.kind == RoomKind::Direct => return Err(direct()),
        Acting::Host | Acting::Member(Owner) => {}
        Acting::Member(_) if parties.oneself => {}
        Acting::Member(Admin) if role == Member => {}
        Acting::Member(Admin) => return Err(Refusal::forbidden("only an owner names roles")),
        Acting::Member(Member) => return Err(low("members cannot add others")),
        Acting::Stranger => {
            let joins = parties.oneself && room.visibility == Some(Visibility::Public);
            if !joins {
                return Err(Refusal::not_member());
            }
            if role != Member {
                return Err(Refusal::forbidden(
                    "who joins is a member; only an owner names roles",
                ));
            }
        }
    }
    Ok(parties.target.is_none().then_some(role))
}

/// Giving a member another role: whether it changes anything.
pub(crate) fn may_change_role(
    room: &RoomRecord,
    parties: Parties,
    role: MemberRole,
    owners: u64,
) -> Result<bool, Refusal> {
    let by_host = by_owner(room, parties.acting, "only an owner changes roles")?;
    let before = parties.target.ok_or_else(no_such_member)?;
    let demoted = before == MemberRole::Owner && role != MemberRole::Owner;
    if demoted && owners <= 1 && !by_host {
        return Err(last_owner());
    }
    Ok(before != role)
}

/// Removing a member, or leaving: what they were.
pub(crate) fn may_remove(
    room: &RoomRecord,
    parties: Parties,
    owners: u64,
) -> Result<MemberRole, Refusal> {
    use MemberRole::{Admin, Member, Owner};
    match parties.acting {
        Acting::Stranger => return Err(Refusal::not_member()),
        _ if room.kind == RoomKind::Direct => return Err(direct()),
        Acting::Member(Owner) if parties.oneself && owners <= 1 => return Err(last_owner()),
        Acting::Member(Member) if !parties.oneself => return Err(low("members remove nobody")),
        _ => {}
    }
    let was = parties.target.ok_or_else(no_such_member)?;
    let above_admin = parties.acting == Acting::Member(Admin) && !parties.oneself && was != Member;
    if above_admin {
        return Err(low("an admin removes members only"));
    }
    Ok(was)
}

/// Changing the room's name or topic, or with `visibility` which users can find it.
pub(crate) fn may_change(
    room: &RoomRecord,
    acting: Acting,
    visibility: bool,
) -> Result<(), Refusal> {
    use MemberRole::{Admin, Member};
    match acting {
        Acting::Stranger => Err(Refusal::not_member()),
        _ if room.kind == RoomKind::Direct => Err(direct()),
        Acting::Member(Member) => Err(low("members do not change the room")),
        Acting::Member(Admin) if visibility => Err(low("only an owner changes the visibility")),
        Acting::Host | Acting::Member(_) => Ok(()),
    }
}

/// Deleting the room. A direct one stays, for the host too: its pair could never have another.
pub(crate) fn may_delete(room: &RoomRecord, acting: Acting) -> Result<(), Refusal> {
    by_owner(room, acting, "only an owner deletes the room").map(drop)
}

/// Seeing what the room is.
pub(crate) fn may_see(room: &RoomRecord, acting: Acting) -> Result<(), Refusal> {
    match acting {
        Acting::Stranger if room.visibility != Some(Visibility::Public) => {
            Err(Refusal::not_member())
        }
        _ => Ok(()),
    }
}

/// Seeing who is in it.
pub(crate) fn may_see_members(acting: Acting) -> Result<(), Refusal> {
    if acting == Acting::Stranger {
        Err(Refusal::not_member())
    } else {
        Ok(())
    }
}

/// What owners of groups may, and the host; whether it is the host.
fn by_owner(room: &RoomRecord, acting: Acting, why: &'static str) -> Result<bool, Refusal> {
    match acting {
        Acting::Stranger => Err(Refusal::not_member()),
        _ if room.kind == RoomKind::Direct => Err(direct()),
        Acting::Host => Ok(true),
        Acting::Member(MemberRole::Owner) => Ok(false),
        Acting::Member(_) => Err(low(why)),
    }
}

fn direct() -> Refusal {
    Refusal::forbidden("a direct room stays as it is")
}

fn last_owner() -> Refusal {
    Refusal::forbidden("the last owner first makes another one")
}

fn low(why: &'static str) -> Refusal {
    Refusal::forbidden(why)
}

fn no_such_member() -> Refusal {
    Refusal::not_found("no such member of this room")
}

#[cfg(test)]
mod tests;
