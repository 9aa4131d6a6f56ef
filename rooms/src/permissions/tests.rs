//! The contract's rules of rooms, as tables.

use roomcast_protocol::{ErrorCode, RoomId, RoomKind, Timestamp};

use super::*;
use MemberRole::{Admin, Member, Owner};

const HOST: ActorRole = ActorRole::AdminToken;
const OWNER: ActorRole = ActorRole::Member(Owner);
const ADMIN: ActorRole = ActorRole::Member(Admin);
const MEMBER: ActorRole = ActorRole::Member(Member);
const NONE: ActorRole = ActorRole::NonMember;

/// A rule's result in one word.
fn word<T: std::fmt::Debug>(verdict: Result<T, Refusal>) -> String {
    match verdict {
        Ok(granted) => format!("{granted:?}").replace("Some(", "").replace(')', ""),
        Err(refusal) => {
            assert_ne!(refusal.code, ErrorCode::Internal);
            refusal.code.as_str().to_owned()
        }
    }
}

fn room(kind: RoomKind, visibility: Option<Visibility>) -> RoomRecord {
    RoomRecord {
        room_id: RoomId::new("r").unwrap(),
        kind,
        visibility,
        name: None,
        topic: None,
        created_at: Timestamp::from_millis(0),
        member_count: 3,
        deleted: false,
    }
}

fn private() -> RoomRecord {
    room(RoomKind::Group, Some(Visibility::Private))
}

fn public() -> RoomRecord {
    room(RoomKind::Group, Some(Visibility::Public))
}

fn direct() -> RoomRecord {
    room(RoomKind::Direct, None)
}

const fn on(acting: ActorRole, target: Option<MemberRole>) -> PermissionContext {
    PermissionContext {
        acting,
        oneself: false,
        target,
    }
}

const fn oneself(acting: ActorRole) -> PermissionContext {
    let target = match acting {
        ActorRole::Member(role) => Some(role),
        _ => None,
    };
    PermissionContext {
        acting,
        oneself: true,
        target,
    }
}

#[test]
fn owners_admins_and_the_host_add_members_and_only_owners_and_the_host_name_roles() {
    let table = [
        (HOST, None, "Member"),
        (HOST, Some(Owner), "Owner"),
        (OWNER, None, "Member"),
        (OWNER, Some(Member), "Member"),
        (OWNER, Some(Admin), "Admin"),
        (OWNER, Some(Owner), "Owner"),
        (ADMIN, None, "Member"),
        (ADMIN, Some(Member), "Member"),
        (ADMIN, Some(Admin), "FORBIDDEN"),
        (ADMIN, Some(Owner), "FORBIDDEN"),
        (MEMBER, None, "FORBIDDEN"),
        (MEMBER, Some(Owner), "FORBIDDEN"),
        (NONE, None, "NOT_MEMBER"),
        (NONE, Some(Owner), "NOT_MEMBER"),
    ];
    for (acting, named, expected) in table {
        for room in [private(), public()] {
            let said = word(can_add(&room, on(acting, None), named));
            assert_eq!(said, expected, "{acting:?} names {named:?}");
        }
    }
}

#[test]
fn adding_a_member_again_changes_nothing() {
    for acting in [HOST, OWNER, ADMIN] {
        assert_eq!(
            word(can_add(&private(), on(acting, Some(Admin)), None)),
            "None"
        );
    }
    for acting in [OWNER, ADMIN, MEMBER] {
        assert_eq!(
            word(can_add(&private(), oneself(acting), None)),
            "None",
            "{acting:?}"
        );
    }
}

#[test]
fn any_user_joins_a_public_room_as_a_member_and_none_a_private_one() {
    assert_eq!(word(can_add(&public(), oneself(NONE), None)), "Member");
    assert_eq!(
        word(can_add(&public(), oneself(NONE), Some(Member))),
        "Member"
    );
    assert_eq!(
        word(can_add(&public(), oneself(NONE), Some(Admin))),
        "FORBIDDEN"
    );
    assert_eq!(word(can_add(&private(), oneself(NONE), None)), "NOT_MEMBER");
}

#[test]
fn only_owners_and_the_host_change_roles() {
    let table = [
        (HOST, "true"),
        (OWNER, "true"),
        (ADMIN, "FORBIDDEN"),
        (MEMBER, "FORBIDDEN"),
        (NONE, "NOT_MEMBER"),
    ];
    for (acting, expected) in table {
        let said = word(can_change_role(
            &private(),
            on(acting, Some(Member)),
            Admin,
            1,
        ));
        assert_eq!(said, expected, "{acting:?}");
    }
    assert_eq!(
        word(can_change_role(&private(), on(OWNER, None), Admin, 1)),
        "NOT_FOUND"
    );
    assert_eq!(
        word(can_change_role(&private(), on(HOST, None), Admin, 1)),
        "NOT_FOUND"
    );
    assert_eq!(
        word(can_change_role(
            &private(),
            on(OWNER, Some(Admin)),
            Admin,
            1
        )),
        "false"
    );
}

#[test]
fn last_owner_neither_steps_down_nor_leaves_except_by_the_host() {
    for (owners, expected) in [(1, "FORBIDDEN"), (2, "true")] {
        assert_eq!(
            word(can_change_role(&private(), oneself(OWNER), Member, owners)),
            expected
        );
    }
    for (owners, expected) in [(1, "FORBIDDEN"), (2, "Owner")] {
        assert_eq!(
            word(can_remove(&private(), oneself(OWNER), owners)),
            expected
        );
    }
    assert_eq!(
        word(can_change_role(&private(), oneself(OWNER), Owner, 1)),
        "false"
    );
    assert_eq!(
        word(can_change_role(
            &private(),
            on(HOST, Some(Owner)),
            Member,
            1
        )),
        "true"
    );
    assert_eq!(
        word(can_remove(&private(), on(HOST, Some(Owner)), 1)),
        "Owner"
    );
}

#[test]
fn admins_remove_members_owners_remove_all_and_members_only_themselves() {
    let table = [
        (HOST, ["Member", "Admin", "Owner", "NOT_FOUND"]),
        (OWNER, ["Member", "Admin", "Owner", "NOT_FOUND"]),
        (ADMIN, ["Member", "FORBIDDEN", "FORBIDDEN", "NOT_FOUND"]),
        (MEMBER, ["FORBIDDEN", "FORBIDDEN", "FORBIDDEN", "FORBIDDEN"]),
        (
            NONE,
            ["NOT_MEMBER", "NOT_MEMBER", "NOT_MEMBER", "NOT_MEMBER"],
        ),
    ];
    for (acting, expected) in table {
        let targets = [Some(Member), Some(Admin), Some(Owner), None];
        for (target, expected) in targets.into_iter().zip(expected) {
            let said = word(can_remove(&private(), on(acting, target), 2));
            assert_eq!(said, expected, "{acting:?} removes {target:?}");
        }
    }
    assert_eq!(word(can_remove(&private(), oneself(ADMIN), 1)), "Admin");
    assert_eq!(word(can_remove(&private(), oneself(MEMBER), 1)), "Member");
    assert_eq!(word(can_remove(&public(), oneself(NONE), 1)), "NOT_MEMBER");
}

#[test]
fn who_changes_and_who_ends_a_group() {
    let table = [
        (HOST, ["()", "()", "()"]),
        (OWNER, ["()", "()", "()"]),
        (ADMIN, ["()", "FORBIDDEN", "FORBIDDEN"]),
        (MEMBER, ["FORBIDDEN"; 3]),
        (NONE, ["NOT_MEMBER"; 3]),
    ];
    for (acting, expected) in table {
        for room in [private(), public()] {
            let verdicts = [
                can_update(&room, acting, false),
                can_update(&room, acting, true),
                can_delete(&room, acting),
            ];
            let verdicts = verdicts.map(|it| word(it).replace('(', "()"));
            assert_eq!(verdicts, expected, "{acting:?}");
        }
    }
}

#[test]
fn a_direct_room_stays_as_it_is_for_the_host_too() {
    let room = direct();
    for (acting, refused) in [
        (HOST, "FORBIDDEN"),
        (MEMBER, "FORBIDDEN"),
        (NONE, "NOT_MEMBER"),
    ] {
        assert_eq!(
            word(can_add(&room, on(acting, None), None)),
            refused,
            "{acting:?}"
        );
        assert_eq!(
            word(can_add(&room, oneself(acting), None)),
            refused,
            "{acting:?}"
        );
        let other = on(acting, Some(Member));
        assert_eq!(
            word(can_change_role(&room, other, Owner, 0)),
            refused,
            "{acting:?}"
        );
        assert_eq!(word(can_remove(&room, other, 0)), refused, "{acting:?}");
        assert_eq!(
            word(can_remove(&room, oneself(acting), 0)),
            refused,
            "{acting:?}"
        );
        for visibility in [false, true] {
            let changed = can_update(&room, acting, visibility);
            assert_eq!(word(changed), refused, "{acting:?}");
        }
        assert_eq!(word(can_delete(&room, acting)), refused, "{acting:?}");
    }
}

#[test]
fn a_private_room_is_seen_by_its_members_and_a_public_one_by_all() {
    for acting in [HOST, OWNER, MEMBER] {
        assert!(can_view(&private(), acting).is_ok() && can_list_members(acting).is_ok());
    }
    assert!(can_view(&public(), NONE).is_ok());
    assert_eq!(word(can_view(&private(), NONE)), "NOT_MEMBER");
    assert_eq!(word(can_view(&direct(), NONE)), "NOT_MEMBER");
    assert_eq!(word(can_list_members(NONE)), "NOT_MEMBER");
}
