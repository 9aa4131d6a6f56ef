//! Permissions of rooms: who may change what (the contract's "Rules of rooms").

use roomcast_ports::access::Caller;
use roomcast_ports::directory::RoomRecord;
use roomcast_protocol::{MemberRole, Refusal, RoomKind, UserId, Visibility};

use crate::state::RoomSnapshot;

/// An actor's role in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActorRole {
    /// The host product's server.
    AdminToken,
    /// A member.
    Member(MemberRole),
    /// Neither.
    NonMember,
}

/// The room, and in what capacity the caller acts in it.
pub(crate) fn actor_role<'a>(
    state: &'a RoomSnapshot,
    caller: &Caller,
) -> Result<(&'a RoomRecord, ActorRole), Refusal> {
    let room = state.open().ok_or_else(Refusal::not_member)?;
    let acting = match state.role(&caller.user_id) {
        _ if caller.admin => ActorRole::AdminToken,
        Some(role) => ActorRole::Member(role),
        None => ActorRole::NonMember,
    };
    Ok((room, acting))
}

/// What the acting user and the one acted on are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PermissionContext {
    pub(crate) acting: ActorRole,
    /// They act on themselves.
    pub(crate) oneself: bool,
    /// What the one acted on is now.
    pub(crate) target: Option<MemberRole>,
}

impl PermissionContext {
    pub(crate) fn of(
        state: &RoomSnapshot,
        caller: &Caller,
        target: &UserId,
    ) -> Result<(RoomRecord, Self), Refusal> {
        let (room, acting) = actor_role(state, caller)?;
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
pub(crate) fn can_add(
    room: &RoomRecord,
    parties: PermissionContext,
    named: Option<MemberRole>,
) -> Result<Option<MemberRole>, Refusal> {
    use MemberRole::{Admin, Member, Owner};
    let role = named.unwrap_or(Member);
    match parties.acting {
        ActorRole::NonMember if room.kind == RoomKind::Direct => return Err(Refusal::not_member()),
        _ if room.kind == RoomKind::Direct => return Err(direct_room_immutable()),
        ActorRole::AdminToken | ActorRole::Member(Owner) => {}
        ActorRole::Member(_) if parties.oneself => {}
        ActorRole::Member(Admin) if role == Member => {}
        ActorRole::Member(Admin) => return Err(Refusal::forbidden("only an owner names roles")),
        ActorRole::Member(Member) => return Err(insufficient_role("members cannot add others")),
        ActorRole::NonMember => {
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
pub(crate) fn can_change_role(
    room: &RoomRecord,
    parties: PermissionContext,
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
pub(crate) fn can_remove(
    room: &RoomRecord,
    parties: PermissionContext,
    owners: u64,
) -> Result<MemberRole, Refusal> {
    use MemberRole::{Admin, Member, Owner};
    match parties.acting {
        ActorRole::NonMember => return Err(Refusal::not_member()),
        _ if room.kind == RoomKind::Direct => return Err(direct_room_immutable()),
        ActorRole::Member(Owner) if parties.oneself && owners <= 1 => return Err(last_owner()),
        ActorRole::Member(Member) if !parties.oneself => {
            return Err(insufficient_role("members remove nobody"));
        }
        _ => {}
    }
    let was = parties.target.ok_or_else(no_such_member)?;
    let above_admin =
        parties.acting == ActorRole::Member(Admin) && !parties.oneself && was != Member;
    if above_admin {
        return Err(insufficient_role("an admin removes members only"));
    }
    Ok(was)
}

/// Changing the room's name or topic, or with `visibility` which users can find it.
pub(crate) fn can_update(
    room: &RoomRecord,
    acting: ActorRole,
    visibility: bool,
) -> Result<(), Refusal> {
    use MemberRole::{Admin, Member};
    match acting {
        ActorRole::NonMember => Err(Refusal::not_member()),
        _ if room.kind == RoomKind::Direct => Err(direct_room_immutable()),
        ActorRole::Member(Member) => Err(insufficient_role("members do not change the room")),
        ActorRole::Member(Admin) if visibility => {
            Err(insufficient_role("only an owner changes the visibility"))
        }
        ActorRole::AdminToken | ActorRole::Member(_) => Ok(()),
    }
}

/// Deleting the room. A direct one stays, for the host too: its pair could never have another.
pub(crate) fn can_delete(room: &RoomRecord, acting: ActorRole) -> Result<(), Refusal> {
    by_owner(room, acting, "only an owner deletes the room").map(drop)
}

/// Seeing what the room is.
pub(crate) fn can_view(room: &RoomRecord, acting: ActorRole) -> Result<(), Refusal> {
    match acting {
        ActorRole::NonMember if room.visibility != Some(Visibility::Public) => {
            Err(Refusal::not_member())
        }
        _ => Ok(()),
    }
}

/// Seeing who is in it.
pub(crate) fn can_list_members(acting: ActorRole) -> Result<(), Refusal> {
    if acting == ActorRole::NonMember {
        Err(Refusal::not_member())
    } else {
        Ok(())
    }
}

/// What owners of groups may, and the host; whether it is the host.
fn by_owner(room: &RoomRecord, acting: ActorRole, why: &'static str) -> Result<bool, Refusal> {
    match acting {
        ActorRole::NonMember => Err(Refusal::not_member()),
        _ if room.kind == RoomKind::Direct => Err(direct_room_immutable()),
        ActorRole::AdminToken => Ok(true),
        ActorRole::Member(MemberRole::Owner) => Ok(false),
        ActorRole::Member(_) => Err(insufficient_role(why)),
    }
}

fn direct_room_immutable() -> Refusal {
    Refusal::forbidden("a direct room stays as it is")
}

fn last_owner() -> Refusal {
    Refusal::forbidden("the last owner first makes another one")
}

fn insufficient_role(why: &'static str) -> Refusal {
    Refusal::forbidden(why)
}

fn no_such_member() -> Refusal {
    Refusal::not_found("no such member of this room")
}

#[cfg(test)]
mod tests;
