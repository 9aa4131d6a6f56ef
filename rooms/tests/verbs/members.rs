//! Joining, adding, roles, leaving, changing and ending, each seen by the next call at once.

use roomcast_protocol::{Code, MemberRole, RoomId, UserId, Visibility};
use roomcast_rooms::RoomPatch;

use crate::world::{World, caller, code, direct, host, user};
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
            code(rooms.put_member(&bert, &room, &carl_id, None).await),
            Code::Forbidden
        );
        assert_eq!(
            code(rooms.put_member(&carl, &room, &carl_id, None).await),
            Code::NotMember
        );
        let promoted = rooms
            .change_role(&anna, &room, &bert_id, Admin)
            .await
            .unwrap();
        assert_eq!(promoted.role, Admin);
        step().await;
        let (added, made) = rooms
            .put_member(&bert, &room, &carl_id, None)
            .await
            .unwrap();
        assert_eq!((added.role, made), (Member, true));
        assert_eq!(world.role(&room, "carl").await, Some(Member));
        step().await;
        let again = rooms
            .put_member(&anna, &room, &carl_id, Some(Owner))
            .await
            .unwrap();
        assert_eq!((again.0.role, again.1), (Member, false));
        assert_eq!(rooms.get(&carl, &room).await.unwrap().member_count, 3);
        assert_eq!(
            code(rooms.remove_member(&bert, &room, &user("anna")).await),
            Code::Forbidden
        );
        assert_eq!(
            code(rooms.remove_member(&anna, &room, &user("zoe")).await),
            Code::NotFound
        );
        rooms.remove_member(&bert, &room, &carl_id).await.unwrap();
        assert_eq!(world.role(&room, "carl").await, None);
        assert_eq!(code(rooms.get(&carl, &room).await), Code::NotMember);
        step().await;
        let alone = rooms.remove_member(&anna, &room, &user("anna")).await;
        assert_eq!(code(alone), Code::Forbidden, "the last owner");
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
async fn anybody_joins_a_public_group_and_sees_it_before() {
    let world = World::new();
    let room = world.public_group("anna", "Garden").await;
    let bert = caller("bert");
    let seen = world.rooms.get(&bert, &room).await.unwrap();
    assert_eq!((seen.role, seen.name.as_deref()), (None, Some("Garden")));
    assert_eq!(
        code(world.rooms.members(&bert, &room, None, 10).await),
        Code::NotMember
    );
    let named = world
        .rooms
        .put_member(&bert, &room, &user("bert"), Some(Admin))
        .await;
    assert_eq!(code(named), Code::Forbidden);
    let (joined, made) = world
        .rooms
        .put_member(&bert, &room, &user("bert"), None)
        .await
        .unwrap();
    assert_eq!((joined.role, made), (Member, true));
    let (_, again) = world
        .rooms
        .put_member(&bert, &room, &user("bert"), None)
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
        let view = world.rooms.change(&anna, &room, patch).await.unwrap();
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
    let view = world.rooms.change(&anna, &room, changed).await.unwrap();
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
            .change(&anna, &room, without)
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
            .change(&anna, &room, rename(&name))
            .await
            .unwrap_err();
        assert_eq!(refused.code, Code::BadFrame);
        assert!(refused.message.starts_with("name"));
    }
    let topic = |bytes| RoomPatch {
        topic: Some("x".repeat(bytes)),
        ..RoomPatch::default()
    };
    assert!(world.rooms.change(&anna, &room, topic(1_024)).await.is_ok());
    let refused = world
        .rooms
        .change(&anna, &room, topic(1_025))
        .await
        .unwrap_err();
    assert!(refused.code == Code::BadFrame && refused.message.starts_with("topic"));
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
        code(rooms.put_member(&anna, &room, &user("carl"), None).await),
        Code::Forbidden
    );
    assert_eq!(
        code(rooms.remove_member(&anna, &room, &user("anna")).await),
        Code::Forbidden
    );
    assert_eq!(
        code(rooms.remove_member(&anna, &room, &user("bert")).await),
        Code::Forbidden
    );
    assert_eq!(
        code(rooms.change_role(&anna, &room, &user("bert"), Admin).await),
        Code::Forbidden
    );
    assert_eq!(
        code(rooms.change(&anna, &room, rename("x")).await),
        Code::Forbidden
    );
    assert_eq!(code(rooms.delete(&anna, &room).await), Code::Forbidden);
    let carl = caller("carl");
    assert_eq!(
        code(rooms.put_member(&carl, &room, &user("carl"), None).await),
        Code::NotMember
    );
    assert_eq!(code(rooms.get(&carl, &room).await), Code::NotMember);
    assert!(rooms.delete(&host(), &room).await.is_ok());
    assert_eq!(
        code(rooms.create(&anna, direct("bert")).await),
        Code::Conflict
    );
}

async fn refusals(world: &World, by: &str, room: &RoomId, other: &UserId) -> Vec<Code> {
    let (by, rooms) = (if by == "host" { host() } else { caller(by) }, &world.rooms);
    vec![
        code(rooms.get(&by, room).await),
        code(rooms.members(&by, room, None, 10).await),
        code(rooms.put_member(&by, room, other, None).await),
        code(rooms.change_role(&by, room, other, Admin).await),
        code(rooms.remove_member(&by, room, other).await),
        code(rooms.change(&by, room, rename("x")).await),
        code(rooms.delete(&by, room).await),
    ]
}

#[tokio::test]
async fn an_ended_room_is_to_everybody_as_if_it_had_never_been() {
    let world = World::new();
    let room = world.public_group("anna", "Garden").await;
    assert_eq!(
        code(world.rooms.delete(&caller("bert"), &room).await),
        Code::NotMember
    );
    world
        .rooms
        .put_member(&caller("bert"), &room, &user("bert"), None)
        .await
        .unwrap();
    assert_eq!(
        code(world.rooms.delete(&caller("bert"), &room).await),
        Code::Forbidden
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
            assert_eq!(said, [Code::NotMember; 7], "{by} in {room}");
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
        .put_member(&host, &room, &user("carl"), Some(Owner))
        .await
        .unwrap();
    assert_eq!((added.role, made), (Owner, true));
    rooms
        .change_role(&host, &room, &user("bert"), Admin)
        .await
        .unwrap();
    rooms.change(&host, &room, rename("Host's")).await.unwrap();
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
        Code::NotFound
    );
    let view = rooms.get(&host, &room).await.unwrap();
    assert_eq!(
        (view.member_count, view.role, view.name.as_deref()),
        (1, None, Some("Host's"))
    );
    rooms.delete(&host, &room).await.unwrap();
}
