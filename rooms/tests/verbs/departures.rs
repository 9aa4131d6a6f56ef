//! Leaving groups when an account ends.

use std::sync::Arc;

use roomcast_ports::departures::{Departure, Departures as _};
use roomcast_protocol::{EventBody, MemberRole, RoomId};

use crate::unreliable::Unreliable;
use crate::world::{World, caller, direct, user};
use MemberRole::{Admin, Member, Owner};

/// The room's control events after its first `skipped`, each with its sender.
async fn events(world: &World, room: &RoomId, skipped: usize) -> Vec<String> {
    let events = world.events(room).await;
    let events = events.iter().skip(skipped);
    let line = |body: &EventBody| match body {
        EventBody::MemberChanged { user_id, role } => format!("{user_id} {}", role.as_str()),
        EventBody::MemberLeft { user_id, .. } => format!("{user_id} left"),
        EventBody::RoomDeleted => "deleted".to_owned(),
        other => format!("{other:?}"),
    };
    events
        .map(|stored| format!("{}: {}", stored.event.sender_id, line(&stored.event.body)))
        .collect()
}

async fn leaves(world: &World, name: &str, room: &RoomId) -> Departure {
    world.rooms.leave(&user(name), room, false).await.unwrap()
}

/// A group of anna's that these join one after the other.
async fn joined(world: &World, names: &[&str]) -> RoomId {
    let room = world.public_group("anna", "room").await;
    for name in names {
        let joining = caller(name);
        let user_id = &joining.user_id;
        let joined = world.rooms.add_member(&joining, &room, user_id, None).await;
        joined.unwrap();
    }
    room
}

#[tokio::test]
async fn last_owner_is_succeeded_by_the_longest_standing_admin_else_member() {
    for ingesting in [false, true] {
        let world = World::new();
        let step = async || {
            if ingesting {
                world.ingest().await;
            }
        };
        let room = joined(&world, &["zoe", "carl", "bert"]).await;
        step().await;
        // Who leaves and comes back has stood for less long.
        let (zoe, anna) = (caller("zoe"), caller("anna"));
        world
            .rooms
            .remove_member(&zoe, &room, &zoe.user_id)
            .await
            .unwrap();
        world
            .rooms
            .add_member(&zoe, &room, &zoe.user_id, None)
            .await
            .unwrap();
        step().await;
        let changed = world
            .rooms
            .change_role(&anna, &room, &user("bert"), Admin)
            .await;
        changed.unwrap();
        step().await;
        let before = world.events(&room).await.len();
        assert_eq!(leaves(&world, "anna", &room).await, Departure::Left);
        step().await;
        assert_eq!(leaves(&world, "bert", &room).await, Departure::Left);
        step().await;
        assert_eq!(
            events(&world, &room, before).await,
            [
                "anna: bert OWNER",
                "anna: anna left",
                "bert: carl OWNER",
                "bert: bert left"
            ],
            "ingesting: {ingesting}"
        );
        assert_eq!(leaves(&world, "anna", &room).await, Departure::Left);
        assert_eq!(world.role(&room, "carl").await, Some(Owner));
        assert_eq!(world.role(&room, "zoe").await, Some(Member));
    }
}

#[tokio::test]
async fn owner_among_owners_and_members_just_leave() {
    let world = World::new();
    let room = joined(&world, &["bert", "carl"]).await;
    let (anna, carl) = (caller("anna"), user("carl"));
    let changed = world.rooms.change_role(&anna, &room, &carl, Owner).await;
    changed.unwrap();
    let before = world.events(&room).await.len();
    for name in ["bert", "anna"] {
        assert_eq!(leaves(&world, name, &room).await, Departure::Left);
    }
    let expected = ["bert: bert left", "anna: anna left"];
    assert_eq!(events(&world, &room, before).await, expected);
}

#[tokio::test]
async fn group_of_the_last_member_is_deleted_when_it_may_be() {
    let world = World::new();
    let room = world.group("anna", &[]).await;
    assert_eq!(leaves(&world, "anna", &room).await, Departure::WouldBeEmpty);
    assert_eq!(world.role(&room, "anna").await, Some(Owner));
    let anna = user("anna");
    // The process dies between the two events.
    let rooms = world.rooms_on(Unreliable::after(&world.log, 1));
    rooms.leave(&anna, &room, true).await.unwrap_err();
    assert_eq!(events(&world, &room, 1).await, ["anna: anna left"]);
    for _ in 0..2 {
        world.rooms.leave(&anna, &room, true).await.unwrap();
        world.rooms.delete_if_empty(&anna, &room).await.unwrap();
    }
    let expected = ["anna: anna left", "anna: deleted"];
    assert_eq!(events(&world, &room, 1).await, expected);
}

#[tokio::test]
async fn direct_rooms_stay_and_groups_with_members_are_not_deleted() {
    let world = World::new();
    let made = world.rooms.create(&caller("anna"), direct("bert")).await;
    let direct = made.unwrap().0.room_id;
    let group = world.group("bert", &["anna"]).await;
    let anna = user("anna");
    let mut rooms = world.rooms.rooms_of(&anna, 10).await.unwrap();
    rooms.sort();
    let mut expected = vec![direct.clone(), group.clone()];
    expected.sort();
    assert_eq!(rooms, expected);
    for room in [&direct, &group] {
        assert_eq!(leaves(&world, "anna", room).await, Departure::Left);
        world.rooms.delete_if_empty(&anna, room).await.unwrap();
    }
    assert_eq!(world.role(&direct, "anna").await, Some(Member));
    assert_eq!(world.role(&group, "bert").await, Some(Owner));
    assert_eq!(world.role(&group, "anna").await, None);
}

#[tokio::test]
async fn group_whose_members_all_end_at_once_is_deleted_and_never_without_an_owner() {
    for _ in 0..10 {
        let world = Arc::new(World::new());
        let names = ["anna", "bert", "carl", "dora"];
        let room = joined(&world, &names[1..]).await;
        let mut ends = tokio::task::JoinSet::new();
        for name in names {
            let (world, room) = (Arc::clone(&world), room.clone());
            ends.spawn(async move {
                let user = user(name);
                let left = world.rooms.leave(&user, &room, false).await.unwrap();
                if left == Departure::WouldBeEmpty {
                    world.rooms.leave(&user, &room, true).await.unwrap();
                }
            });
        }
        while let Some(ended) = ends.join_next().await {
            ended.unwrap();
        }
        let events = events(&world, &room, 4).await;
        let last = events.last().unwrap();
        assert!(last.ends_with("deleted"), "{events:?}");
        let left = events.iter().filter(|line| line.ends_with("left")).count();
        assert_eq!(left, 4, "{events:?}");
    }
}
