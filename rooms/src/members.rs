//! The members of a room.

use std::collections::BTreeMap;
use std::sync::Arc;

use roomcast_ports::access::Caller;
use roomcast_ports::directory::MemberRecord;
use roomcast_protocol::api::{MemberView, MemberViews};
use roomcast_protocol::{EventBody, MemberRole, Refusal, RoomId, Seq, StoredEvent, UserId};

use crate::add_member::UNREAD;
use crate::{Rooms, cursor, errors, permissions};

/// What has become of users since the store was written: a role and the seq of a joining, or gone.
type Since = BTreeMap<UserId, Option<(MemberRole, Seq)>>;

impl Rooms {
    /// The members by user id, with their marks.
    pub async fn members(
        &self,
        caller: &Caller,
        room_id: &RoomId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<MemberViews, Refusal> {
        let after: Option<UserId> = cursor::decode(cursor)?;
        let loaded = self.load(room_id, &[&caller.user_id]).await;
        let (state, tail) = loaded.map_err(errors::read_failed)?;
        let (_, acting) = permissions::actor_role(&state, caller)?;
        permissions::can_list_members(acting)?;
        let since = since(&tail.control);
        let gone = since.values().filter(|role| role.is_none()).count();
        let asked = limit + 1 + gone;
        let rows = self.directory.members(room_id, after.as_ref(), asked).await;
        let rows = rows.map_err(errors::read_failed)?;
        let mut members = merge(rows, since, after.as_ref(), asked);
        let next_cursor = cursor::page(&mut members, limit, |last| last.user_id.clone());
        Ok(MemberViews {
            members,
            next_cursor,
        })
    }
}

fn since(control: &[Arc<StoredEvent>]) -> Since {
    let mut since = Since::new();
    for stored in control {
        match &stored.event.body {
            EventBody::MemberJoined { user_id, role, .. } => {
                since.insert(user_id.clone(), Some((*role, stored.seq)));
            }
            EventBody::MemberChanged { user_id, role } => {
                let joined = since.get(user_id).copied().flatten();
                let joined = joined.map_or(Seq::ZERO, |(_, place)| place);
                since.insert(user_id.clone(), Some((*role, joined)));
            }
            EventBody::MemberLeft { user_id, .. } => {
                since.insert(user_id.clone(), None);
            }
            EventBody::MembersAdded { user_ids, .. } => {
                let added = user_ids
                    .iter()
                    .map(|it| (it.clone(), Some((MemberRole::Member, stored.seq))));
                since.extend(added);
            }
            _ => {}
        }
    }
    since
}

/// The store's rows after `after` with what has happened since. Where the rows stop because no more
/// were asked for, the page stops too.
fn merge(
    rows: Vec<MemberRecord>,
    since: Since,
    after: Option<&UserId>,
    asked: usize,
) -> Vec<MemberView> {
    let end = (rows.len() == asked)
        .then(|| rows.last().map(|last| last.user_id.clone()))
        .flatten();
    let mut members: BTreeMap<UserId, MemberView> = rows
        .into_iter()
        .map(
            |MemberRecord {
                 user_id,
                 role,
                 marks,
                 ..
             }| {
                (
                    user_id.clone(),
                    MemberView {
                        user_id,
                        role,
                        marks,
                    },
                )
            },
        )
        .collect();
    let here = |user_id: &UserId| {
        after.is_none_or(|after| user_id > after) && end.as_ref().is_none_or(|end| user_id <= end)
    };
    for (user_id, role) in since.into_iter().filter(|(user_id, _)| here(user_id)) {
        let Some((role, joined)) = role else {
            members.remove(&user_id);
            continue;
        };
        let new = || MemberView {
            user_id: user_id.clone(),
            role,
            marks: UNREAD,
        };
        let member = members.entry(user_id.clone()).or_insert_with(new);
        member.role = role;
        member.marks.read = member.marks.read.max(joined);
        member.marks.delivered = member.marks.delivered.max(joined);
    }
    members.into_values().collect()
}

#[cfg(test)]
mod tests {
    use roomcast_protocol::Seq;

    use super::*;

    #[test]
    fn a_page_of_members_is_what_the_store_has_and_what_happened_since() {
        let user = |name: &str| UserId::new(name).unwrap();
        let row = |name: &str| MemberRecord {
            user_id: user(name),
            role: MemberRole::Member,
            marks: UNREAD,
            joined: Seq::ZERO,
        };
        let since = || {
            Since::from([
                (user("a"), Some((MemberRole::Member, Seq::MAX))),
                (user("c"), None),
                (user("d"), Some((MemberRole::Admin, Seq::ZERO))),
                (user("x"), Some((MemberRole::Member, Seq::MAX))),
            ])
        };
        let shown = |rows: &[&str], after: Option<&str>, asked| {
            let rows = rows.iter().map(|name| row(name)).collect();
            let members = merge(rows, since(), after.map(user).as_ref(), asked);
            let line = |it: MemberView| format!("{} {}", it.user_id, it.role.as_str());
            members.into_iter().map(line).collect::<Vec<_>>()
        };
        let all = ["a MEMBER", "b MEMBER", "d ADMIN", "x MEMBER"];
        assert_eq!(shown(&["b", "c", "d"], None, 9), all);
        assert_eq!(
            shown(&["b", "c", "d"], None, 3),
            all[..3],
            "x is on a later page"
        );
        assert_eq!(shown(&["c", "d"], Some("b"), 9), all[2..]);
        assert_eq!(shown(&[], None, 9), ["a MEMBER", "d ADMIN", "x MEMBER"]);
    }
}
