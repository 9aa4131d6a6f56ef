//! The first events of a room, computed before anything is read or appended.
//!
//! Their ids follow from the room and the request, so a room is founded once however many try at the
//! same time, and who was interrupted half-way finishes it by asking again.

use std::collections::HashSet;

use roomcast_ports::access::Caller;
use roomcast_protocol::event::RoomCreation;
use roomcast_protocol::limits::{
    MEMBERS_PER_EVENT_MAX, MEMBERS_WITH_OWN_EVENT_MAX, NEW_MEMBERS_BY_HOST_MAX, NEW_MEMBERS_MAX,
};
use roomcast_protocol::{
    ClientMessageId, EventBody, EventId, MemberRole, Refusal, RoomEvent, RoomId, RoomKind,
    Timestamp, UserId, Visibility, text,
};

/// A room to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRoom {
    /// For two or for many.
    pub kind: RoomKind,
    /// What a group is called, if anything.
    pub name: Option<String>,
    /// A group's visibility; private by default.
    pub visibility: Option<Visibility>,
    /// Who is in it beside the caller, or by the host all who are.
    pub member_ids: Vec<UserId>,
    /// The host's choice of its id.
    pub room_id: Option<RoomId>,
}

/// A room to be founded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreationPlan {
    pub(crate) room_id: RoomId,
    founding: RoomCreation,
    /// Whom the first event makes a member, and as what.
    owner_event: (UserId, MemberRole),
    /// The other members, each once.
    rest: Vec<UserId>,
    /// The others are added many at a time.
    in_bulk: bool,
}

impl CreationPlan {
    /// What the request comes to, or which of its fields is wrong.
    pub(crate) fn of(caller: &Caller, request: CreateRoom) -> Result<Self, Refusal> {
        if request.room_id.is_some() && !caller.admin {
            return Err(Refusal::forbidden("only the host chooses room ids"));
        }
        let members_max = if caller.admin {
            NEW_MEMBERS_BY_HOST_MAX
        } else {
            NEW_MEMBERS_MAX
        };
        if request.member_ids.len() > members_max {
            return Err(Refusal::bad_frame(format!(
                "memberIds: at most {members_max}"
            )));
        }
        let name = request.name.as_deref().map(text::room_name).transpose()?;
        let request = CreateRoom { name, ..request };
        match request.kind {
            RoomKind::Direct => Self::direct(caller, request),
            RoomKind::Group => Self::group(caller, request),
        }
    }

    fn direct(caller: &Caller, request: CreateRoom) -> Result<Self, Refusal> {
        let too_much = [
            (request.name.is_some(), "name: a direct room has none"),
            (
                request.visibility.is_some(),
                "visibility: a direct room has none",
            ),
            (
                request.room_id.is_some(),
                "roomId: a direct room's follows from its members",
            ),
        ];
        if let Some((_, message)) = too_much.into_iter().find(|(given, _)| *given) {
            return Err(Refusal::bad_frame(message));
        }
        let oneself = (!caller.admin).then(|| caller.user_id.clone());
        let mut pair = deduplicate(oneself.into_iter().chain(request.member_ids));
        pair.sort();
        let [one, other] = <[UserId; 2]>::try_from(pair).map_err(|_| {
            Refusal::bad_frame(if caller.admin {
                "memberIds: the two members of the direct room"
            } else {
                "memberIds: exactly one other user for a direct room"
            })
        })?;
        Ok(Self {
            room_id: direct_room_id(&one, &other),
            founding: RoomCreation {
                kind: RoomKind::Direct,
                visibility: None,
                name: None,
            },
            owner_event: (one, MemberRole::Member),
            rest: vec![other],
            in_bulk: false,
        })
    }

    fn group(caller: &Caller, request: CreateRoom) -> Result<Self, Refusal> {
        let oneself = (!caller.admin).then(|| caller.user_id.clone());
        let mut members = deduplicate(oneself.into_iter().chain(request.member_ids)).into_iter();
        let owner = members
            .next()
            .ok_or_else(|| Refusal::bad_frame("memberIds: the first is the owner"))?;
        let rest: Vec<UserId> = members.collect();
        let added = rest.len() + usize::from(caller.admin);
        Ok(Self {
            room_id: request.room_id.unwrap_or_else(RoomId::generate),
            founding: RoomCreation {
                kind: RoomKind::Group,
                visibility: Some(request.visibility.unwrap_or(Visibility::Private)),
                name: request.name,
            },
            owner_event: (owner, MemberRole::Owner),
            rest,
            in_bulk: added > MEMBERS_WITH_OWN_EVENT_MAX,
        })
    }

    /// The id of the room's first event, independent of the creator.
    pub(crate) fn first_event_id(&self) -> EventId {
        EventId::hash_of(&["founding", self.room_id.as_str()])
    }

    /// The name of this very request, which the first event keeps: a room that another request has
    /// founded is not for this one to finish.
    pub(crate) fn request_fingerprint(&self) -> ClientMessageId {
        let RoomCreation {
            kind,
            visibility,
            name,
        } = &self.founding;
        let mut names = vec![kind.as_str(), visibility.map_or("", Visibility::as_str)];
        names.push(name.as_deref().unwrap_or_default());
        names.push(self.owner_event.0.as_str());
        names.extend(self.rest.iter().map(UserId::as_str));
        let id = EventId::hash_of(&names);
        ClientMessageId::new(id.as_str()).expect("a derived id is an id")
    }

    /// The room's first event, and those that follow it.
    pub(crate) fn events(&self, sender_id: &UserId) -> (RoomEvent, Vec<RoomEvent>) {
        let sent_at = Timestamp::now();
        let request_id = self.request_fingerprint();
        let event = |id: EventId, body: EventBody| RoomEvent {
            id,
            room_id: self.room_id.clone(),
            sender_id: sender_id.clone(),
            client_message_id: None,
            sent_at,
            body,
        };
        let (user_id, role) = self.owner_event.clone();
        let founding = Some(self.founding.clone());
        let mut first = event(
            self.first_event_id(),
            EventBody::MemberJoined {
                user_id,
                role,
                founding,
            },
        );
        first.client_message_id = Some(request_id.clone());
        let names = ["founding", self.room_id.as_str(), request_id.as_str()];
        let id =
            |index: usize| EventId::hash_of(&[names[0], names[1], names[2], &index.to_string()]);
        let rest = self.others().into_iter().enumerate();
        (
            first,
            rest.map(|(index, body)| event(id(index), body)).collect(),
        )
    }

    fn others(&self) -> Vec<EventBody> {
        let joined = |user_id: &UserId| EventBody::MemberJoined {
            user_id: user_id.clone(),
            role: MemberRole::Member,
            founding: None,
        };
        if !self.in_bulk {
            return self.rest.iter().map(joined).collect();
        }
        let mut member_count = 1;
        let mut added = |user_ids: &[UserId]| {
            member_count += user_ids.len() as u64;
            EventBody::MembersAdded {
                user_ids: user_ids.to_vec(),
                member_count,
            }
        };
        self.rest
            .chunks(MEMBERS_PER_EVENT_MAX)
            .map(&mut added)
            .collect()
    }
}

/// The one room of two people: its id needs no table to be found by, and no lock to be made once.
fn direct_room_id(one: &UserId, other: &UserId) -> RoomId {
    let hash = EventId::hash_of(&["direct", one.as_str(), other.as_str()]);
    RoomId::new(&format!("d.{hash}")).expect("a derived id is an id")
}

fn deduplicate(users: impl Iterator<Item = UserId>) -> Vec<UserId> {
    let mut seen = HashSet::new();
    users
        .filter(|user_id| seen.insert(user_id.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
