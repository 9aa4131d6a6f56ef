//! Making rooms.

use roomcast_ports::directory::RoomDirectory as _;
use roomcast_protocol::{ErrorCode, EventBody, MemberRole, RoomId, RoomKind, Visibility};

use crate::unreliable::Unreliable;
use crate::world::{World, by_host, caller, code, direct, group, host, user};

#[tokio::test]
async fn a_fresh_group_has_an_event_for_each_member_and_is_its_makers() {
    let world = World::new();
    let request = group(&["bert", "anna", "carl", "bert"]);
    let (room, made) = world.rooms.create(&caller("anna"), request).await.unwrap();
    assert!(made);
    assert_eq!(
        (room.kind, room.visibility),
        (RoomKind::Group, Some(Visibility::Private))
    );
    assert_eq!((room.member_count, room.role), (3, Some(MemberRole::Owner)));
    let joined: Vec<_> = world.events(&room.room_id).await;
    assert_eq!(room.head, joined.last().unwrap().seq);
    let joined: Vec<_> = joined
        .iter()
        .map(|stored| match &stored.event.body {
            EventBody::MemberJoined {
                user_id,
                role,
                founding,
            } => (user_id.as_str().to_owned(), *role, founding.is_some()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        ("anna".to_owned(), MemberRole::Owner, true),
        ("bert".to_owned(), MemberRole::Member, false),
        ("carl".to_owned(), MemberRole::Member, false),
    ];
    assert_eq!(joined, expected);
}

#[tokio::test]
async fn a_direct_room_is_made_once_and_given_back_to_either() {
    let world = World::new();
    let (room, made) = world
        .rooms
        .create(&caller("anna"), direct("bert"))
        .await
        .unwrap();
    assert!(made);
    assert_eq!(
        (room.kind, room.visibility, room.name.clone()),
        (RoomKind::Direct, None, None)
    );
    assert_eq!(
        (room.member_count, room.role),
        (2, Some(MemberRole::Member))
    );
    assert_eq!(room.peer_id, Some(user("bert")));
    for ingested in [false, true] {
        if ingested {
            world.ingest().await;
        }
        let (again, made) = world
            .rooms
            .create(&caller("bert"), direct("anna"))
            .await
            .unwrap();
        assert!(!made);
        assert_eq!((&again.room_id, again.head), (&room.room_id, room.head));
        assert_eq!(again.peer_id, Some(user("anna")));
        assert_eq!(world.events(&room.room_id).await.len(), 2);
        let seen = world
            .rooms
            .get(&caller("anna"), &room.room_id)
            .await
            .unwrap();
        assert_eq!(seen, room);
    }
}

#[tokio::test]
async fn the_host_making_a_room_again_changes_nothing() {
    let world = World::new();
    let (room, made) = world
        .rooms
        .create(&host(), by_host("R88", &["anna"]))
        .await
        .unwrap();
    assert!(made);
    assert_eq!((room.role, room.member_count), (None, 1));
    assert_eq!(
        world.role(&room.room_id, "anna").await,
        Some(MemberRole::Owner)
    );
    assert_eq!(world.role(&room.room_id, "host").await, None);
    for ingested in [false, true] {
        if ingested {
            world.ingest().await;
        }
        for members in [&["anna"][..], &["anna", "bert"], &["carl"]] {
            let (again, made) = world
                .rooms
                .create(&host(), by_host("R88", members))
                .await
                .unwrap();
            assert!(!made);
            assert_eq!(again, room, "{members:?}");
        }
    }
    assert_eq!(world.events(&room.room_id).await.len(), 1);
}

#[tokio::test]
async fn a_founding_that_was_interrupted_is_finished_by_asking_again() {
    let world = World::new();
    let names: Vec<String> = (0..1_200).map(|number| format!("m{number:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (ingested, takes) in [(false, 1), (true, 2)] {
        let room_id = RoomId::new(&format!("R{takes}")).unwrap();
        let request = || by_host(room_id.as_str(), &names);
        let interrupted = world.rooms_on(Unreliable::after(&world.log, takes));
        assert_eq!(
            code(interrupted.create(&host(), request()).await),
            ErrorCode::LogUnavailable
        );
        if ingested {
            world.ingest().await;
        }
        let other = world
            .rooms
            .create(&host(), by_host(room_id.as_str(), &["zoe"]))
            .await
            .unwrap();
        assert!(
            other.0.member_count < 1_200 && !other.1,
            "another request finishes nothing"
        );
        let (room, _) = world.rooms.create(&host(), request()).await.unwrap();
        assert_eq!(room.member_count, 1_200);
        assert_eq!(
            world.role(&room_id, "m1199").await,
            Some(MemberRole::Member)
        );
        world.ingest().await;
        let stored = world.store.room(&room_id).await.unwrap().unwrap();
        assert_eq!(stored.member_count, 1_200);
        assert_eq!(
            world.rooms.create(&host(), request()).await.unwrap().0,
            room
        );
    }
}

#[tokio::test]
async fn an_ended_rooms_id_is_not_used_again() {
    let world = World::new();
    let (room, _) = world
        .rooms
        .create(&host(), by_host("R88", &["anna"]))
        .await
        .unwrap();
    world
        .rooms
        .delete(&caller("anna"), &room.room_id)
        .await
        .unwrap();
    for ingested in [false, true] {
        if ingested {
            world.ingest().await;
        }
        let again = world.rooms.create(&host(), by_host("R88", &["anna"])).await;
        assert_eq!(code(again), ErrorCode::Conflict);
    }
}

#[tokio::test]
async fn ids_are_the_hosts_to_choose() {
    let world = World::new();
    let refused = world
        .rooms
        .create(&caller("anna"), by_host("R88", &["bert"]))
        .await;
    assert_eq!(code(refused), ErrorCode::Forbidden);
    let alone = world.rooms.create(&caller("anna"), direct("anna")).await;
    assert_eq!(code(alone), ErrorCode::BadFrame);
}
