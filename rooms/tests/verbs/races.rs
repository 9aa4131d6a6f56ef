//! Several at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roomcast_protocol::{ErrorCode, EventBody, MemberRole, RoomId};
use tokio_util::task::TaskTracker;

use crate::world::{World, by_host, caller, code, direct, group, host, user};

fn foundings(events: &[Arc<roomcast_protocol::StoredEvent>]) -> usize {
    let founding = |body: &EventBody| {
        matches!(
            body,
            EventBody::MemberJoined {
                founding: Some(_),
                ..
            }
        )
    };
    events
        .iter()
        .filter(|stored| founding(&stored.event.body))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_make_the_same_direct_room_at_once_get_one() {
    let world = World::new();
    for round in 0..30 {
        let (one, other) = (format!("a{round}"), format!("b{round}"));
        let (as_one, as_other) = (caller(&one), caller(&other));
        let (first, second) = tokio::join!(
            world.rooms.create(&as_one, direct(&other)),
            world.rooms.create(&as_other, direct(&one)),
        );
        let ((first, made_first), (second, made_second)) = (first.unwrap(), second.unwrap());
        assert_eq!(first.room_id, second.room_id);
        assert!(made_first != made_second, "round {round}");
        let events = world.events(&first.room_id).await;
        assert_eq!((events.len(), foundings(&events)), (2, 1), "round {round}");
        for name in [&one, &other] {
            let listed = world.rooms.list(&caller(name), None, 10).await.unwrap();
            assert_eq!(listed.rooms.len(), 1, "round {round}: at once for {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_servers_of_the_host_make_the_same_room_once() {
    let world = World::new();
    let host = host();
    let names: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let make = || world.rooms.create(&host, by_host("R88", &names));
    let made = tokio::join!(make(), make(), make(), make());
    let made = [made.0, made.1, made.2, made.3].map(|result| result.unwrap().1);
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    let room_id = RoomId::new("R88").unwrap();
    let events = world.events(&room_id).await;
    assert_eq!((events.len(), foundings(&events)), (40, 1));
    world.ingest().await;
    assert_eq!(
        world.rooms.get(&host, &room_id).await.unwrap().member_count,
        40
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_last_owners_who_leave_at_once_one_stays() {
    let world = World::new();
    for round in 0..40 {
        let room = world.group("anna", &["bert", "carl"]).await;
        let (anna, bert) = (user("anna"), user("bert"));
        let (as_anna, as_bert) = (caller("anna"), caller("bert"));
        world
            .rooms
            .change_role(&as_anna, &room, &bert, MemberRole::Owner)
            .await
            .unwrap();
        if round % 2 == 0 {
            world.ingest().await;
        }
        let results = tokio::join!(
            world.rooms.remove_member(&as_anna, &room, &anna),
            world.rooms.remove_member(&as_bert, &room, &bert),
        );
        let refused = match results {
            (Ok(()), refused @ Err(_)) | (refused @ Err(_), Ok(())) => refused,
            both => panic!("round {round}: {both:?}"),
        };
        assert_eq!(code(refused), ErrorCode::Forbidden, "round {round}");
        let owners = [
            world.role(&room, "anna").await,
            world.role(&room, "bert").await,
        ];
        let still = owners
            .iter()
            .filter(|role| **role == Some(MemberRole::Owner))
            .count();
        assert_eq!(still, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_join_and_leave_while_all_send_and_ingest_runs() {
    let world = Arc::new(World::new());
    let room = world.group("anna", &[]).await;
    let quiet = Arc::new(AtomicBool::new(false));
    let tracker = TaskTracker::new();
    for work in 0..2 {
        let (world, room, quiet) = (Arc::clone(&world), room.clone(), Arc::clone(&quiet));
        tracker.spawn(async move {
            while !quiet.load(Ordering::Relaxed) {
                if work == 0 {
                    world.say(&room, "anna").await;
                } else {
                    world.ingest().await;
                }
            }
        });
    }
    let anna = caller("anna");
    for round in 0..40 {
        let name = format!("m{round}");
        let (_, made) = world
            .rooms
            .add_member(&anna, &room, &user(&name), None)
            .await
            .unwrap();
        assert!(made);
        let view = world.rooms.get(&caller(&name), &room).await.unwrap();
        assert_eq!(view.role, Some(MemberRole::Member), "round {round}");
        if round % 2 == 0 {
            world
                .rooms
                .remove_member(&caller(&name), &room, &user(&name))
                .await
                .unwrap();
            assert_eq!(
                code(world.rooms.get(&caller(&name), &room).await),
                ErrorCode::NotMember
            );
        }
    }
    quiet.store(true, Ordering::Relaxed);
    tracker.close();
    tracker.wait().await;
    assert_eq!(
        world.rooms.get(&anna, &room).await.unwrap().member_count,
        21
    );
    world.ingest().await;
    assert_eq!(
        world.rooms.get(&anna, &room).await.unwrap().member_count,
        21
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_member_added_by_many_at_once_joins_once() {
    let world = World::new();
    let (room, _) = world
        .rooms
        .create(&caller("anna"), group(&[]))
        .await
        .unwrap();
    let (anna, bert) = (caller("anna"), user("bert"));
    let add = || world.rooms.add_member(&anna, &room.room_id, &bert, None);
    let added = tokio::join!(add(), add(), add(), add());
    let added = [added.0, added.1, added.2, added.3].map(|result| result.unwrap().1);
    assert_eq!(added.iter().filter(|made| **made).count(), 1);
    assert_eq!(world.events(&room.room_id).await.len(), 2);
}
