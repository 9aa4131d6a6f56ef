//! Joining, adding, roles, leaving, changing and ending, each seen by the next call at once.

use roomcast_protocol::{ErrorCode, MemberRole, RoomId, UserId, Visibility};
use roomcast_rooms::{CreateRoom, RoomPatch};

use crate::world::{World, caller, code, direct, group, host, user};
use MemberRole::{Admin, Member, Owner};

fn rename(name: &str) -> RoomPatch {
    RoomPatch {
        name: Some(name.into()),
        ..RoomPatch::default()
    }
}

#[tokio::test]
async fn a_life_of_a_group_with_ingest_standing_still_and_with_it_going_on() {
    for ingesting in [false, true] {
        let world = World::new();
        let step = async || {
            if ingesting {
                world.ingest().await;
            }
        };
        let room = world.group("anna", &["bert"]).await;
        let (anna, bert, carl) = (caller("anna"), caller("bert"), caller("carl"));
        let (bert_id, carl_id) = (user("bert"), user("carl"));
        let rooms = &world.rooms;
        step().await;
        assert_eq!(
            code(rooms.add_member(&bert, &room, &carl_id, None).await),
            ErrorCode::Forbidden
        );
        assert_eq!(
            code(rooms.add_member(&carl, &room, &carl_id, None).await),
            ErrorCode::NotMember
        );
        let promoted = rooms
            .change_role(&anna, &room, &bert_id, Admin)
            .await
            .unwrap();
        assert_eq!(promoted.role, Admin);
        step().await;
        let (added, made) = rooms
            .add_member(&bert, &room, &carl_id, None)
            .await
            .unwrap();
        assert_eq!((added.role, made), (Member, true));
        assert_eq!(world.role(&room, "carl").await, Some(Member));
        step().await;
        let again = rooms
            .add_member(&anna, &room, &carl_id, Some(Owner))
            .await
            .unwrap();
        assert_eq!((again.0.role, again.1), (Member, false));
        assert_eq!(rooms.get(&carl, &room).await.unwrap().member_count, 3);
        assert_eq!(
            code(rooms.remove_member(&bert, &room, &user("anna")).await),
            ErrorCode::Forbidden
        );
        assert_eq!(
            code(rooms.remove_member(&anna, &room, &user("zoe")).await),
            ErrorCode::NotFound
        );
        rooms.remove_member(&bert, &room, &carl_id).await.unwrap();
        assert_eq!(world.role(&room, "carl").await, None);
        assert_eq!(code(rooms.get(&carl, &room).await), ErrorCode::NotMember);
        step().await;
        let alone = rooms.remove_member(&anna, &room, &user("anna")).await;
        assert_eq!(code(alone), ErrorCode::Forbidden, "the last owner");
        rooms
            .change_role(&anna, &room, &bert_id, Owner)
            .await
            .unwrap();
        rooms
            .remove_member(&anna, &room, &user("anna"))
            .await
            .unwrap();
        step().await;
        assert_eq!(rooms.get(&bert, &room).await.unwrap().member_count, 1);
        assert_eq!(world.role(&room, "bert").await, Some(Owner));
    }
}

#[tokio::test]
async fn any_user_sees_and_joins_a_public_group() {
    let world = World::new();
    let room = world.public_group("anna", "Garden").await;
    let bert = caller("bert");
    let seen = world.rooms.get(&bert, &room).await.unwrap();
    assert_eq!((seen.role, seen.name.as_deref()), (None, Some("Garden")));
    assert_eq!(
        code(world.rooms.members(&bert, &room, None, 10).await),
        ErrorCode::NotMember
    );
    let named = world
        .rooms
        .add_member(&bert, &room, &user("bert"), Some(Admin))
        .await;
    assert_eq!(code(named), ErrorCode::Forbidden);
    let (joined, made) = world
        .rooms
        .add_member(&bert, &room, &user("bert"), None)
        .await
        .unwrap();
    assert_eq!((joined.role, made), (Member, true));
    let (_, again) = world
        .rooms
        .add_member(&bert, &room, &user("bert"), None)
        .await
        .unwrap();
    assert!(!again);
    assert_eq!(world.events(&room).await.len(), 2);
}

#[tokio::test]
async fn what_is_so_already_adds_nothing() {
    let world = World::new();
    let room = world.public_group("anna", "Garden").await;
    let anna = caller("anna");
    let before = world.log.head(&room).await.unwrap();
    let visibility = Some(Visibility::Public);
    let same = RoomPatch {
        visibility,
        topic: Some(String::new()),
        ..rename("Garden")
    };
    for patch in [RoomPatch::default(), same] {
        let view = world.rooms.update(&anna, &room, patch).await.unwrap();
        assert_eq!(view.name.as_deref(), Some("Garden"));
    }
    world
        .rooms
        .change_role(&anna, &room, &user("anna"), Owner)
        .await
        .unwrap();
    assert_eq!(world.log.head(&room).await.unwrap(), before);
    let topic = Some("roses".to_owned());
    let changed = RoomPatch {
        topic,
        visibility: Some(Visibility::Private),
        ..rename("Park")
    };
    let view = world.rooms.update(&anna, &room, changed).await.unwrap();
    assert_eq!(
        (view.name.as_deref(), view.topic.as_deref()),
        (Some("Park"), Some("roses"))
    );
    assert_eq!(view.visibility, Some(Visibility::Private));
    assert!(view.head > before);
    let without = RoomPatch {
        topic: Some(String::new()),
        ..RoomPatch::default()
    };
    assert_eq!(
        world
            .rooms
            .update(&anna, &room, without)
            .await
            .unwrap()
            .topic,
        None
    );
    assert_eq!(world.events(&room).await.len(), 3);
}

#[tokio::test]
async fn names_and_topics_have_their_bounds() {
    let world = World::new();
    let room = world.group("anna", &[]).await;
    let anna = caller("anna");
    for name in [String::new(), "x".repeat(129)] {
        let refused = world
            .rooms
            .update(&anna, &room, rename(&name))
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::BadFrame);
        assert!(refused.message.starts_with("name"));
    }
    let topic = |bytes| RoomPatch {
        topic: Some("x".repeat(bytes)),
        ..RoomPatch::default()
    };
    assert!(world.rooms.update(&anna, &room, topic(1_024)).await.is_ok());
    let refused = world
        .rooms
        .update(&anna, &room, topic(1_025))
        .await
        .unwrap_err();
    assert!(refused.code == ErrorCode::BadFrame && refused.message.starts_with("topic"));
}

#[tokio::test]
async fn a_direct_room_stays_as_it_is() {
    let world = World::new();
    let (room, _) = world
        .rooms
        .create(&caller("anna"), direct("bert"))
        .await
        .unwrap();
    let (anna, room) = (caller("anna"), room.room_id);
    let rooms = &world.rooms;
    assert_eq!(
        code(rooms.add_member(&anna, &room, &user("carl"), None).await),
        ErrorCode::Forbidden
    );
    assert_eq!(
        code(rooms.remove_member(&anna, &room, &user("anna")).await),
        ErrorCode::Forbidden
    );
    assert_eq!(
        code(rooms.remove_member(&anna, &room, &user("bert")).await),
        ErrorCode::Forbidden
    );
    assert_eq!(
        code(rooms.change_role(&anna, &room, &user("bert"), Admin).await),
        ErrorCode::Forbidden
    );
    assert_eq!(
        code(rooms.update(&anna, &room, rename("x")).await),
        ErrorCode::Forbidden
    );
    assert_eq!(code(rooms.delete(&anna, &room).await), ErrorCode::Forbidden);
    let carl = caller("carl");
    assert_eq!(
        code(rooms.add_member(&carl, &room, &user("carl"), None).await),
        ErrorCode::NotMember
    );
    assert_eq!(code(rooms.get(&carl, &room).await), ErrorCode::NotMember);
    assert_eq!(
        code(rooms.delete(&host(), &room).await),
        ErrorCode::Forbidden
    );
    let (again, made) = rooms.create(&anna, direct("bert")).await.unwrap();
    assert_eq!((again.room_id, made), (room, false));
}

#[tokio::test]
async fn an_admin_renames_the_room_and_only_an_owner_changes_its_visibility() {
    let world = World::new();
    let room = world.group("anna", &["bert"]).await;
    let (anna, bert, rooms) = (caller("anna"), caller("bert"), &world.rooms);
    rooms
        .change_role(&anna, &room, &user("bert"), Admin)
        .await
        .unwrap();
    let shown = |visibility| RoomPatch {
        visibility: Some(visibility),
        ..rename("Garden")
    };
    let refused = rooms.update(&bert, &room, shown(Visibility::Public)).await;
    assert_eq!(code(refused), ErrorCode::Forbidden);
    assert_eq!(rooms.get(&bert, &room).await.unwrap().name, None);
    // What is so already is no change.
    let same = rooms.update(&bert, &room, shown(Visibility::Private)).await;
    assert_eq!(same.unwrap().name.as_deref(), Some("Garden"));
    let shown = rooms.update(&anna, &room, shown(Visibility::Public)).await;
    assert_eq!(shown.unwrap().visibility, Some(Visibility::Public));
}

#[tokio::test]
async fn names_and_topics_are_stored_normalized_and_bounded_by_what_remains() {
    let world = World::new();
    let (anna, rooms) = (caller("anna"), &world.rooms);
    let request = CreateRoom {
        name: Some("u\u{308}ber\u{202E}\tuns\0".into()),
        visibility: Some(Visibility::Public),
        ..group(&[])
    };
    let (room, _) = rooms.create(&anna, request.clone()).await.unwrap();
    assert_eq!(room.name.as_deref(), Some("über uns"));
    let found = rooms.search_public("U\u{308}BER\u{200E} U", None, 10).await;
    assert_eq!(found.unwrap().rooms.len(), 1);
    let head = rooms.get(&anna, &room.room_id).await.unwrap().head;
    let same = rooms.update(&anna, &room.room_id, rename("\u{2066}u\u{308}ber\nuns"));
    assert_eq!(same.await.unwrap().head, head, "it has that name already");
    let topic = |topic: &str| RoomPatch {
        topic: Some(topic.into()),
        ..RoomPatch::default()
    };
    let long = format!("{}\0", "x".repeat(1_024));
    let changed = rooms.update(&anna, &room.room_id, topic(&long)).await;
    assert_eq!(changed.unwrap().topic.map(|it| it.len()), Some(1_024));
    let cleared = rooms.update(&anna, &room.room_id, topic("\u{202E}")).await;
    assert_eq!(cleared.unwrap().topic, None);
    for nothing in ["", "\0\u{7F}", "\u{61C}\u{2069}"] {
        let renamed = rooms.update(&anna, &room.room_id, rename(nothing)).await;
        assert_eq!(code(renamed), ErrorCode::BadFrame, "{nothing:?}");
        let name = Some(nothing.into());
        let request = CreateRoom {
            name,
            ..request.clone()
        };
        assert_eq!(
            code(rooms.create(&anna, request).await),
            ErrorCode::BadFrame
        );
    }
}

async fn refusals(world: &World, by: &str, room: &RoomId, other: &UserId) -> Vec<ErrorCode> {
    let (by, rooms) = (if by == "host" { host() } else { caller(by) }, &world.rooms);
    vec![
        code(rooms.get(&by, room).await),
        code(rooms.members(&by, room, None, 10).await),
        code(rooms.add_member(&by, room, other, None).await),
        code(rooms.change_role(&by, room, other, Admin).await),
        code(rooms.remove_member(&by, room, other).await),
        code(rooms.update(&by, room, rename("x")).await),
        code(rooms.delete(&by, room).await),
    ]
}

#[tokio::test]
async fn deleted_room_is_unknown_to_all_callers() {
    let world = World::new();
    let room = world.public_group("anna", "Garden").await;
    assert_eq!(
        code(world.rooms.delete(&caller("bert"), &room).await),
        ErrorCode::NotMember
    );
    world
        .rooms
        .add_member(&caller("bert"), &room, &user("bert"), None)
        .await
        .unwrap();
    assert_eq!(
        code(world.rooms.delete(&caller("bert"), &room).await),
        ErrorCode::Forbidden
    );
    world.rooms.delete(&caller("anna"), &room).await.unwrap();
    let never = RoomId::new("never").unwrap();
    for ingested in [false, true] {
        if ingested {
            world.ingest().await;
        }
        for (by, room) in [
            ("anna", &room),
            ("bert", &room),
            ("host", &room),
            ("host", &never),
        ] {
            let said = refusals(&world, by, room, &user("bert")).await;
            assert_eq!(said, [ErrorCode::NotMember; 7], "{by} in {room}");
        }
        assert_eq!(world.role(&room, "anna").await, None);
        assert!(
            world
                .rooms
                .list(&caller("anna"), None, 10)
                .await
                .unwrap()
                .rooms
                .is_empty()
        );
    }
}

#[tokio::test]
async fn the_host_acts_on_any_room_and_user() {
    let world = World::new();
    let room = world.group("anna", &["bert"]).await;
    let (host, rooms) = (host(), &world.rooms);
    let (added, made) = rooms
        .add_member(&host, &room, &user("carl"), Some(Owner))
        .await
        .unwrap();
    assert_eq!((added.role, made), (Owner, true));
    rooms
        .change_role(&host, &room, &user("bert"), Admin)
        .await
        .unwrap();
    rooms.update(&host, &room, rename("Host's")).await.unwrap();
    rooms
        .remove_member(&host, &room, &user("carl"))
        .await
        .unwrap();
    rooms
        .remove_member(&host, &room, &user("anna"))
        .await
        .unwrap();
    assert_eq!(
        code(rooms.remove_member(&host, &room, &user("anna")).await),
        ErrorCode::NotFound
    );
    let view = rooms.get(&host, &room).await.unwrap();
    assert_eq!(
        (view.member_count, view.role, view.name.as_deref()),
        (1, None, Some("Host's"))
    );
    rooms.delete(&host, &room).await.unwrap();
}
