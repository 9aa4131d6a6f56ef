//! What requests come to.

use roomcast_protocol::ErrorCode;

use super::*;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn caller(name: &str, admin: bool) -> Caller {
    let expires_at = Timestamp::from_millis(0);
    Caller {
        user_id: user(name),
        name: None,
        session_id: None,
        admin,
        expires_at,
    }
}

fn request(kind: RoomKind, members: &[&str]) -> CreateRoom {
    let member_ids = members.iter().map(|name| user(name)).collect();
    CreateRoom {
        kind,
        name: None,
        visibility: None,
        member_ids,
        room_id: None,
    }
}

fn many(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number:05}")).collect()
}

fn plan(by: &Caller, kind: RoomKind, members: &[&str]) -> Result<CreationPlan, Refusal> {
    CreationPlan::of(by, request(kind, members))
}

fn bodies(plan: &CreationPlan) -> Vec<EventBody> {
    let (first, rest) = plan.events(&user("anna"));
    std::iter::once(first)
        .chain(rest)
        .map(|event| event.body)
        .collect()
}

#[test]
fn room_of_a_pair_is_the_same_for_both_creators() {
    let anna = plan(&caller("anna", false), RoomKind::Direct, &["bert"]).unwrap();
    let bert = plan(
        &caller("bert", false),
        RoomKind::Direct,
        &["anna", "anna", "bert"],
    )
    .unwrap();
    let host = plan(&caller("host", true), RoomKind::Direct, &["bert", "anna"]).unwrap();
    assert_eq!(anna, bert);
    assert_eq!(anna, host);
    let other = plan(&caller("anna", false), RoomKind::Direct, &["carl"]).unwrap();
    assert_ne!(anna.room_id, other.room_id);
}

#[test]
fn a_direct_room_is_for_oneself_and_exactly_one_other() {
    let anna = caller("anna", false);
    for members in [&[][..], &["anna"], &["bert", "carl"]] {
        let refused = plan(&anna, RoomKind::Direct, members).unwrap_err();
        assert_eq!(refused.code, ErrorCode::BadFrame, "{members:?}");
        assert!(
            refused.message.starts_with("memberIds"),
            "{}",
            refused.message
        );
    }
    let named = CreateRoom {
        name: Some("x".into()),
        ..request(RoomKind::Direct, &["bert"])
    };
    assert!(
        CreationPlan::of(&anna, named)
            .unwrap_err()
            .message
            .starts_with("name")
    );
    let visibility = Some(Visibility::Public);
    let shown = CreateRoom {
        visibility,
        ..request(RoomKind::Direct, &["bert"])
    };
    assert!(
        CreationPlan::of(&anna, shown)
            .unwrap_err()
            .message
            .starts_with("visibility")
    );
}

#[test]
fn a_user_owns_the_group_they_make_and_the_host_names_the_owner_first() {
    let of_user = plan(
        &caller("anna", false),
        RoomKind::Group,
        &["bert", "anna", "bert"],
    )
    .unwrap();
    assert_eq!(of_user.owner_event, (user("anna"), MemberRole::Owner));
    assert_eq!(of_user.rest, [user("bert")]);
    let of_host = plan(
        &caller("host", true),
        RoomKind::Group,
        &["bert", "anna", "bert"],
    )
    .unwrap();
    assert_eq!(of_host.owner_event, (user("bert"), MemberRole::Owner));
    assert_eq!(of_host.rest, [user("anna")]);
    let empty = plan(&caller("host", true), RoomKind::Group, &[]).unwrap_err();
    assert_eq!(empty.code, ErrorCode::BadFrame);
    assert!(plan(&caller("anna", false), RoomKind::Group, &[]).is_ok());
}

#[test]
fn only_the_host_chooses_an_id_and_brings_many_members() {
    let room_id = RoomId::new("R88").unwrap();
    let chosen = |by: &Caller| {
        CreationPlan::of(
            by,
            CreateRoom {
                room_id: Some(room_id.clone()),
                ..request(RoomKind::Group, &["bert"])
            },
        )
    };
    assert_eq!(
        chosen(&caller("anna", false)).unwrap_err().code,
        ErrorCode::Forbidden
    );
    assert_eq!(chosen(&caller("host", true)).unwrap().room_id, room_id);
    let names = many(10_001);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fits = |by: &Caller, count| plan(by, RoomKind::Group, &names[..count]).is_ok();
    assert!(fits(&caller("anna", false), 200) && !fits(&caller("anna", false), 201));
    assert!(fits(&caller("host", true), 10_000) && !fits(&caller("host", true), 10_001));
}

#[test]
fn up_to_two_hundred_join_each_by_their_own_event_and_more_by_a_few() {
    let names = many(1_201);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let of_user = plan(&caller("anna", false), RoomKind::Group, &names[..200]).unwrap();
    assert_eq!(bodies(&of_user).len(), 201);
    let host = caller("host", true);
    assert_eq!(
        bodies(&plan(&host, RoomKind::Group, &names[..200]).unwrap()).len(),
        200
    );
    let bulk = bodies(&plan(&host, RoomKind::Group, &names).unwrap());
    assert!(matches!(
        &bulk[0],
        EventBody::MemberJoined {
            founding: Some(_),
            ..
        }
    ));
    let counts: Vec<_> = bulk[1..]
        .iter()
        .map(|body| match body {
            EventBody::MembersAdded {
                user_ids,
                member_count,
            } => (user_ids.len(), *member_count),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [(500, 501), (500, 1_001), (200, 1_201)]);
}

#[test]
fn five_hundred_of_the_longest_ids_fit_one_event() {
    let names: Vec<String> = (0..501).map(|number| format!("{number:0>64}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plan = plan(&caller(&"h".repeat(64), true), RoomKind::Group, &names).unwrap();
    for event in plan.events(&user(&"h".repeat(64))).1 {
        let bytes = roomcast_protocol::event::encode(&event).len();
        assert!(
            bytes <= roomcast_protocol::limits::EVENT_BYTES_MAX,
            "{bytes}"
        );
    }
}

#[test]
fn the_same_request_makes_the_same_events_and_another_shares_only_the_first() {
    let of = |members: &[&str]| plan(&caller("host", true), RoomKind::Group, members).unwrap();
    let with_id = |mut plan: CreationPlan| {
        plan.room_id = RoomId::new("R88").unwrap();
        let (first, rest) = plan.events(&user("host"));
        (
            first.id,
            rest.into_iter().map(|event| event.id).collect::<Vec<_>>(),
        )
    };
    let (first, rest) = with_id(of(&["a", "b", "c"]));
    assert_eq!(with_id(of(&["a", "b", "c"])), (first.clone(), rest.clone()));
    let (same, others) = with_id(of(&["a", "b", "d"]));
    assert_eq!(same, first);
    assert!(others.iter().all(|id| !rest.contains(id)));
}

#[test]
fn a_name_has_one_to_128_bytes() {
    let named = |name: &str| {
        let request = CreateRoom {
            name: Some(name.into()),
            ..request(RoomKind::Group, &[])
        };
        CreationPlan::of(&caller("anna", false), request)
    };
    assert!(named("x").is_ok() && named(&"x".repeat(128)).is_ok());
    for bad in [String::new(), "x".repeat(129), "é".repeat(65)] {
        assert!(
            named(&bad).unwrap_err().message.starts_with("name"),
            "{bad}"
        );
    }
}
