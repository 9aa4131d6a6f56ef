//! §4: typing, and read marks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixture::{Fixture, number, text};
use crate::support::socket::Socket;

fn typing(fixture: &Fixture) -> Value {
    json!({ "type": "TYPING", "roomId": fixture.room })
}

fn mark(fixture: &Fixture, marks: &Value) -> Value {
    crate::fixture::with(
        json!({ "type": "MARK", "roomId": fixture.room }),
        marks.clone(),
    )
}

/// A user's marks as the list of members has them.
fn marks(fixture: &Fixture, name: &str) -> Value {
    let page = fixture.call(name, "GET", "/members", Value::Null).ok(200);
    let members = page["members"].as_array().expect("members").clone();
    let own = members
        .iter()
        .find(|member| member["userId"] == fixture.id(name));
    own.expect("a member")["marks"].clone()
}

/// The room's entry in a user's list, once it is as expected.
fn in_list(fixture: &Fixture, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let page = fixture
            .node
            .call("GET", "/v1/rooms", &fixture.token(name), Value::Null)
            .ok(200);
        let rooms = page["rooms"].as_array().expect("rooms").clone();
        let room = rooms
            .into_iter()
            .find(|room| room["roomId"] == json!(fixture.room));
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
    let fixture = Fixture::with(&["ann", "ben", "cid"]);
    let (mut ann, mut phone) = (fixture.join("ann"), fixture.join("ann"));
    let (mut ben, mut cid) = (fixture.join("ben"), fixture.connect("cid"));
    ann.send(typing(&fixture));
    let expected = json!({ "type": "TYPING", "roomId": fixture.room, "userId": fixture.id("ann") });
    assert_eq!(ben.expect("TYPING"), expected);
    for socket in [&mut ann, &mut phone, &mut ben, &mut cid] {
        socket.nothing_yet();
    }
}

#[test]
fn typing_is_passed_on_at_most_every_two_seconds() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.join("ben"));
    let mut heard = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(4_500) {
        ann.send(typing(&fixture));
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
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.join("ann"), fixture.join("ben"));
    let first = ann.say(&fixture.room, "one")["seq"].clone();
    let second = ann.say(&fixture.room, "two")["seq"].clone();
    let expect_receipt = |socket: &mut Socket, read: &Value, delivered: &Value| {
        let wanted =
            |frame: &Value| frame["type"] == "RECEIPT" && frame["userId"] == fixture.id("ben");
        let receipt = socket.find("a receipt", wanted);
        let mut expected = json!({ "type": "RECEIPT", "roomId": fixture.room,
                                   "userId": fixture.id("ben"), "delivered": delivered });
        if !read.is_null() {
            expected["read"] = read.clone();
        }
        assert_eq!(receipt, expected);
    };
    ben.send(mark(&fixture, &json!({ "delivered": first })));
    expect_receipt(&mut ann, &Value::Null, &first);
    expect_receipt(&mut ben, &Value::Null, &first);
    assert_eq!(marks(&fixture, "ben")["delivered"], first);

    ben.send(mark(&fixture, &json!({ "read": second })));
    expect_receipt(&mut ann, &second, &second);
    assert_eq!(
        marks(&fixture, "ben"),
        json!({ "read": second, "delivered": second })
    );
}

#[test]
fn a_mark_never_moves_backwards_and_never_past_the_head() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.join("ben"));
    let first = ann.say(&fixture.room, "one")["seq"].clone();
    let head = ann.say(&fixture.room, "two")["seq"].clone();
    ben.send(mark(&fixture, &json!({ "read": (1_u64 << 53) - 1 })));
    let receipt = ben.expect("RECEIPT");
    assert_eq!((&receipt["read"], &receipt["delivered"]), (&head, &head));
    let both = json!({ "read": head, "delivered": head });
    for back in [
        json!({ "read": first }),
        json!({ "delivered": first }),
        json!({ "read": 0, "delivered": 0 }),
        both.clone(),
    ] {
        ben.send(mark(&fixture, &back));
        let came = ben.drain();
        assert!(
            came.iter().all(|frame| frame["type"] != "ERROR"),
            "{came:?}"
        );
        assert_eq!(marks(&fixture, "ben"), both, "after {back}");
    }
}

#[test]
fn unread_counts_others_messages_after_the_mark_and_sending_moves_it() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.join("ben"));
    let sent: Vec<Value> = (0..4)
        .map(|n| ann.say(&fixture.room, &format!("{n}")))
        .collect();
    let room = in_list(&fixture, "ben", |room| room["unread"] == 4);
    assert_eq!(text(&room["lastMessage"]["content"]), "3");
    ben.send(mark(&fixture, &json!({ "read": sent[1]["seq"] })));
    ben.expect("RECEIPT");
    let room = in_list(&fixture, "ben", |room| room["unread"] == 2);
    assert_eq!(room["marks"]["read"], sent[1]["seq"]);

    let delete = json!({ "type": "DELETE_MESSAGE", "roomId": fixture.room,
                         "messageId": sent[3]["messageId"] });
    ann.ask(delete);
    in_list(&fixture, "ben", |room| room["unread"] == 2);
    let own = ben.say(&fixture.room, "answer");
    let room = in_list(&fixture, "ben", |room| {
        room["unread"] == 0 && number(&room["marks"]["read"]) >= number(&own["seq"])
    });
    assert_eq!(room["lastMessage"]["messageId"], own["messageId"]);
    in_list(&fixture, "ann", |room| room["unread"] == 1);
}
