//! §4: typing, and read marks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::scene::{Scene, number, text};
use crate::support::socket::Socket;

fn typing(scene: &Scene) -> Value {
    json!({ "type": "TYPING", "roomId": scene.room })
}

fn mark(scene: &Scene, marks: &Value) -> Value {
    crate::scene::with(
        json!({ "type": "MARK", "roomId": scene.room }),
        marks.clone(),
    )
}

/// A user's marks as the list of members has them.
fn marks(scene: &Scene, name: &str) -> Value {
    let page = scene.call(name, "GET", "/members", Value::Null).ok(200);
    let members = page["members"].as_array().expect("members").clone();
    let own = members
        .iter()
        .find(|member| member["userId"] == scene.id(name));
    own.expect("a member")["marks"].clone()
}

/// The room's entry in a user's list, once it is as expected.
fn in_list(scene: &Scene, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let page = scene
            .node
            .call("GET", "/v1/rooms", &scene.token(name), Value::Null)
            .ok(200);
        let rooms = page["rooms"].as_array().expect("rooms").clone();
        let room = rooms
            .into_iter()
            .find(|room| room["roomId"] == json!(scene.room));
        let room = room.expect("the room");
        if wanted(&room) {
            return room;
        }
        assert!(Instant::now() < deadline, "{room}");
        crate::support::node::pause(Duration::from_millis(50));
    }
}

#[test]
fn typing_goes_to_the_other_members_subscribed_connections() {
    let scene = Scene::with(&["ann", "ben", "cid"]);
    let (mut ann, mut phone) = (scene.join("ann"), scene.join("ann"));
    let (mut ben, mut cid) = (scene.join("ben"), scene.connect("cid"));
    ann.send(typing(&scene));
    let expected = json!({ "type": "TYPING", "roomId": scene.room, "userId": scene.id("ann") });
    assert_eq!(ben.expect("TYPING"), expected);
    for socket in [&mut ann, &mut phone, &mut ben, &mut cid] {
        socket.nothing_yet();
    }
}

#[test]
fn typing_is_passed_on_at_most_every_two_seconds() {
    let scene = Scene::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (scene.connect("ann"), scene.join("ben"));
    let mut heard = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(4_500) {
        ann.send(typing(&scene));
        if let Some(frame) = ben.next_within(Duration::from_millis(100)) {
            assert_eq!(frame["type"], "TYPING");
            heard.push(begun.elapsed());
        }
    }
    assert!((2..=3).contains(&heard.len()), "{heard:?}");
    // One may arrive late and the next in time, so each is counted from the beginning.
    for (number, at) in (0..).zip(&heard) {
        assert!(*at >= number * Duration::from_secs(2), "{heard:?}");
    }
}

#[test]
fn mark_reaches_all_subscribers_and_is_in_the_members_list() {
    let scene = Scene::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (scene.join("ann"), scene.join("ben"));
    let first = ann.say(&scene.room, "one")["seq"].clone();
    let second = ann.say(&scene.room, "two")["seq"].clone();
    let expect_receipt = |socket: &mut Socket, read: &Value, delivered: &Value| {
        let wanted =
            |frame: &Value| frame["type"] == "RECEIPT" && frame["userId"] == scene.id("ben");
        let receipt = socket.find("a receipt", wanted);
        let mut expected = json!({ "type": "RECEIPT", "roomId": scene.room,
                                   "userId": scene.id("ben"), "delivered": delivered });
        if !read.is_null() {
            expected["read"] = read.clone();
        }
        assert_eq!(receipt, expected);
    };
    ben.send(mark(&scene, &json!({ "delivered": first })));
    expect_receipt(&mut ann, &Value::Null, &first);
    expect_receipt(&mut ben, &Value::Null, &first);
    assert_eq!(marks(&scene, "ben")["delivered"], first);

    ben.send(mark(&scene, &json!({ "read": second })));
    expect_receipt(&mut ann, &second, &second);
    assert_eq!(
        marks(&scene, "ben"),
        json!({ "read": second, "delivered": second })
    );
}

#[test]
fn a_mark_never_moves_backwards_and_never_past_the_head() {
    let scene = Scene::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (scene.connect("ann"), scene.join("ben"));
    let first = ann.say(&scene.room, "one")["seq"].clone();
    let head = ann.say(&scene.room, "two")["seq"].clone();
    ben.send(mark(&scene, &json!({ "read": (1_u64 << 53) - 1 })));
    let receipt = ben.expect("RECEIPT");
    assert_eq!((&receipt["read"], &receipt["delivered"]), (&head, &head));
    let both = json!({ "read": head, "delivered": head });
    for back in [
        json!({ "read": first }),
        json!({ "delivered": first }),
        json!({ "read": 0, "delivered": 0 }),
        both.clone(),
    ] {
        ben.send(mark(&scene, &back));
        let came = ben.drain();
        assert!(
            came.iter().all(|frame| frame["type"] != "ERROR"),
            "{came:?}"
        );
        assert_eq!(marks(&scene, "ben"), both, "after {back}");
    }
}

#[test]
fn unread_counts_others_messages_after_the_mark_and_sending_moves_it() {
    let scene = Scene::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (scene.connect("ann"), scene.join("ben"));
    let sent: Vec<Value> = (0..4)
        .map(|n| ann.say(&scene.room, &format!("{n}")))
        .collect();
    let room = in_list(&scene, "ben", |room| room["unread"] == 4);
    assert_eq!(text(&room["lastMessage"]["content"]), "3");
    ben.send(mark(&scene, &json!({ "read": sent[1]["seq"] })));
    ben.expect("RECEIPT");
    let room = in_list(&scene, "ben", |room| room["unread"] == 2);
    assert_eq!(room["marks"]["read"], sent[1]["seq"]);

    let delete = json!({ "type": "DELETE_MESSAGE", "roomId": scene.room,
                         "messageId": sent[3]["messageId"] });
    ann.ask(delete);
    in_list(&scene, "ben", |room| room["unread"] == 2);
    let own = ben.say(&scene.room, "answer");
    let room = in_list(&scene, "ben", |room| {
        room["unread"] == 0 && number(&room["marks"]["read"]) >= number(&own["seq"])
    });
    assert_eq!(room["lastMessage"]["messageId"], own["messageId"]);
    in_list(&scene, "ann", |room| room["unread"] == 1);
}
