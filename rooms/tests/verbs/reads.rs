//! Lists and pages.

use std::time::Duration;

use roomcast_ports::access::Memberships as _;
use roomcast_ports::event_log::Append;
use roomcast_protocol::{
    ErrorCode, EventBody, EventId, MemberRole, RoomEvent, RoomId, Timestamp, Visibility,
};
use roomcast_rooms::CreateRoom;

use crate::world::{World, by_host, caller, code, direct, group, host, user};

#[tokio::test]
async fn a_room_is_in_the_list_as_soon_as_one_is_in_it() {
    let world = World::new();
    let anna = caller("anna");
    for number in 0..5 {
        let name = format!("r{number}");
        let request = CreateRoom {
            name: Some(name.clone()),
            ..group(&["bert"])
        };
        let (room, _) = world.rooms.create(&anna, request).await.unwrap();
        for name in ["anna", "bert"] {
            let listed = world.rooms.list(&caller(name), None, 50).await.unwrap();
            assert!(
                listed
                    .rooms
                    .iter()
                    .any(|entry| entry.room.room_id == room.room_id)
            );
        }
        world
            .rooms
            .remove_member(&caller("bert"), &room.room_id, &user("bert"))
            .await
            .unwrap();
        let listed = world.rooms.list(&caller("bert"), None, 50).await.unwrap();
        assert!(listed.rooms.is_empty());
    }
}

#[tokio::test]
async fn the_list_is_walked_by_latest_activity_each_room_once() {
    let world = World::new();
    let anna = caller("anna");
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(world.group("anna", &["bert"]).await);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let (direct, _) = world.rooms.create(&anna, direct("bert")).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let said = world.say(&made[0], "bert").await;
    world.ingest().await;
    let mut walked = Vec::new();
    let mut cursor = None;
    loop {
        let page = world.rooms.list(&anna, cursor.as_deref(), 3).await.unwrap();
        assert!(page.rooms.len() <= 3);
        walked.extend(page.rooms);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let mut expected: Vec<RoomId> = vec![made[0].clone(), direct.room_id];
    expected.extend(made[1..].iter().rev().cloned());
    let ids: Vec<RoomId> = walked
        .iter()
        .map(|entry| entry.room.room_id.clone())
        .collect();
    assert_eq!(ids, expected);
    assert_eq!((walked[0].unread, walked[1].unread), (1, 0));
    assert_eq!(walked[0].last_message.as_ref().unwrap().seq, said);
    assert_eq!(walked[0].room.head, said);
    assert_eq!(walked[0].room.role, Some(MemberRole::Owner));
    assert_eq!(walked[1].room.peer_id, Some(user("bert")));
}

#[tokio::test]
async fn members_are_walked_by_user_id_wherever_ingest_stands() {
    for ingested in [false, true] {
        let world = World::new();
        let names: Vec<String> = (0..450).map(|number| format!("m{number:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (room, _) = world
            .rooms
            .create(&host(), by_host("R88", &names))
            .await
            .unwrap();
        if ingested {
            world.ingest().await;
        }
        world
            .rooms
            .remove_member(&host(), &room.room_id, &user("m100"))
            .await
            .unwrap();
        world
            .rooms
            .add_member(&host(), &room.room_id, &user("m2005"), None)
            .await
            .unwrap();
        let mut walked = Vec::new();
        let mut cursor = None;
        loop {
            let page = world
                .rooms
                .members(&host(), &room.room_id, cursor.as_deref(), 60)
                .await;
            let page = page.unwrap();
            walked.extend(
                page.members
                    .into_iter()
                    .map(|it| it.user_id.as_str().to_owned()),
            );
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let mut expected: Vec<&str> = names.clone();
        expected.retain(|name| *name != "m100");
        expected.push("m2005");
        expected.sort_unstable();
        assert_eq!(walked, expected);
        let outside = world
            .rooms
            .members(&caller("zoe"), &room.room_id, None, 60)
            .await;
        assert_eq!(code(outside), ErrorCode::NotMember);
    }
}

#[tokio::test]
async fn public_rooms_are_found_by_their_beginning_and_private_ones_are_not() {
    let world = World::new();
    for name in ["Garden", "garden party", "Kitchen"] {
        world.public_group("anna", name).await;
    }
    let private = CreateRoom {
        name: Some("Garden secrets".into()),
        ..group(&[])
    };
    world.rooms.create(&caller("anna"), private).await.unwrap();
    let found = world.rooms.search_public("gard", None, 10).await.unwrap();
    let mut names: Vec<_> = found
        .rooms
        .iter()
        .map(|room| room.name.clone().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["Garden", "garden party"]);
    assert!(
        found
            .rooms
            .iter()
            .all(|room| room.visibility == Some(Visibility::Public))
    );
    let first = world.rooms.search_public("", None, 2).await.unwrap();
    let rest = world
        .rooms
        .search_public("", first.next_cursor.as_deref(), 2)
        .await
        .unwrap();
    assert_eq!(
        (first.rooms.len(), rest.rooms.len(), rest.next_cursor),
        (2, 1, None)
    );
}

#[tokio::test]
async fn a_bad_cursor_is_a_bad_frame() {
    let world = World::new();
    let room = world.group("anna", &[]).await;
    let (anna, rooms) = (caller("anna"), &world.rooms);
    for bad in ["", "?", "AAAA", "bm8gY3Vyc29y!"] {
        assert_eq!(
            code(rooms.list(&anna, Some(bad), 10).await),
            ErrorCode::BadFrame,
            "{bad}"
        );
        assert_eq!(
            code(rooms.members(&anna, &room, Some(bad), 10).await),
            ErrorCode::BadFrame
        );
        assert_eq!(
            code(rooms.search_public("", Some(bad), 10).await),
            ErrorCode::BadFrame
        );
    }
}

#[tokio::test]
async fn there_is_no_standing_in_a_room_that_never_was() {
    let world = World::new();
    let never = RoomId::new("never").unwrap();
    let standing = world.rooms.membership(&never, &user("anna")).await.unwrap();
    assert_eq!((standing.room, standing.role), (None, None));
}

#[tokio::test]
async fn a_row_that_the_log_is_ahead_of_is_waited_for() {
    let world = World::new();
    let room_id = world.group("anna", &[]).await;
    world.ingest().await;
    let joined = RoomEvent {
        id: EventId::generate(),
        room_id: room_id.clone(),
        sender_id: user("anna"),
        client_message_id: None,
        sent_at: Timestamp::now(),
        body: EventBody::MemberJoined {
            user_id: user("bert"),
            role: MemberRole::Member,
            founding: None,
        },
    };
    // Only in the log, as between the event's publication and the store's row.
    world.log.append(Append::new(joined)).await.unwrap();
    let wanted = [room_id.clone()];
    let bert = caller("bert");
    let (rows, ()) = tokio::join!(world.rooms.list_among(&bert, &wanted), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        world.ingest().await;
    });
    assert_eq!(rows.unwrap().rooms[0].room.room_id, room_id);

    // Other rooms are not waited for.
    let stranger = caller("carl");
    let rows = world.rooms.list_among(&stranger, &wanted);
    let rows = tokio::time::timeout(Duration::from_millis(500), rows).await;
    assert!(rows.expect("answered at once").unwrap().rooms.is_empty());
}
