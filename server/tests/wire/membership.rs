//! §2, promise 8, and §5: who is in acts at once, who is out gets nothing more.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{Fixture, assert_refused, contents, of_type, with};
use crate::support::node::{Node, unique};
use crate::support::socket::Socket;

#[test]
fn who_was_added_can_act_as_soon_as_the_call_was_answered() {
    let fixture = Fixture::with(&["ann"]);
    let mut ann = fixture.join("ann");
    ann.say(&fixture.room, "before they came");
    for n in 0..5 {
        let user = unique("new");
        let mut socket = Socket::connect(&fixture.node, &fixture.node.token(&user));
        assert_refused(&socket.subscribe(&fixture.room), "NOT_MEMBER");
        fixture.add("ann", &user);
        socket.say(&fixture.room, &format!("I am here {n}"));
        let frame = json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "after": 0 });
        assert_eq!(socket.ask(frame)["recovered"], true);
        assert_eq!(contents(&socket.drain())[0], "before they came");
        let joined = ann.expect("MEMBER_JOINED");
        let expected = json!({
            "type": "MEMBER_JOINED", "roomId": fixture.room, "seq": joined["seq"],
            "prev": joined["prev"], "ts": joined["ts"], "userId": user,
            "senderId": fixture.id("ann"), "role": "MEMBER",
        });
        assert_eq!(joined, expected);
    }
}

#[test]
fn who_was_removed_gets_their_leaving_and_nothing_after_it() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.join("ann"), fixture.join("ben"));
    let mut bens_phone = fixture.connect("ben");
    fixture.remove("ann", fixture.id("ben"));
    ann.say(&fixture.room, "among ourselves");

    let left = ben.next();
    let expected = json!({
        "type": "MEMBER_LEFT", "roomId": fixture.room, "seq": left["seq"], "prev": left["prev"],
        "ts": left["ts"], "userId": fixture.id("ben"), "senderId": fixture.id("ann"),
        "role": "MEMBER",
    });
    assert_eq!(left, expected);
    assert_eq!(
        ben.next(),
        json!({ "type": "UNSUBSCRIBED", "roomId": fixture.room })
    );
    let told = bens_phone.next();
    let expected = json!({
        "type": "NOTIFICATION", "kind": "REMOVAL", "roomId": fixture.room, "seq": left["seq"],
        "senderId": fixture.id("ann"),
    });
    assert_eq!(told, expected);

    ann.expect("MESSAGE");
    for socket in [&mut ben, &mut bens_phone] {
        assert_refused(
            &socket.ask(fixture.message_frame("let me in")),
            "NOT_MEMBER",
        );
        assert_refused(&socket.subscribe(&fixture.room), "NOT_MEMBER");
        socket.nothing_yet();
    }
    let reply = fixture.call("ben", "GET", "/messages", Value::Null);
    assert_eq!(
        (reply.status, reply.refused().as_str()),
        (403, "NOT_MEMBER")
    );
    let reply = fixture.call(
        "ben",
        "POST",
        "/messages",
        json!({ "content": "let me in" }),
    );
    assert_eq!(
        (reply.status, reply.refused().as_str()),
        (403, "NOT_MEMBER")
    );
    ann.say(&fixture.room, "still among ourselves");
    ben.nothing_for(Duration::from_millis(300));
}

#[test]
fn a_resend_of_a_removed_member_is_refused_by_membership_first() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ben = fixture.join("ben");
    let frame = with(
        fixture.message_frame("hello"),
        json!({ "clientMsgId": "c" }),
    );
    let first = ben.ask(frame.clone());
    fixture.remove("ann", fixture.id("ben"));
    ben.expect("UNSUBSCRIBED");
    assert_refused(&ben.ask(frame.clone()), "NOT_MEMBER");
    fixture.add("ann", fixture.id("ben"));
    let again = ben.ask(frame);
    assert_eq!(
        (&again["seq"], &again["duplicate"]),
        (&first["seq"], &json!(true))
    );
}

#[test]
fn leaving_member_gets_member_left_and_returns_when_added() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ben = fixture.join("ben");
    let me = format!("/members/{}", fixture.id("ben"));
    fixture.call("ben", "DELETE", &me, Value::Null).ok(204);
    let left = ben.next();
    assert_eq!(
        (&left["type"], &left["senderId"]),
        (&json!("MEMBER_LEFT"), &json!(fixture.id("ben")))
    );
    assert_eq!(ben.next()["type"], "UNSUBSCRIBED");
    ben.nothing_yet();
    fixture.add("ann", fixture.id("ben"));
    ben.subscribe(&fixture.room);
    fixture.connect("ann").say(&fixture.room, "welcome back");
    assert_eq!(ben.expect("MESSAGE")["content"], "welcome back");
}

#[test]
fn roles_and_room_changes_are_events() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ben = fixture.join("ben");
    let below = format!("/members/{}", fixture.id("ben"));
    fixture
        .call("ann", "PATCH", &below, json!({ "role": "ADMIN" }))
        .ok(200);
    let changed = ben.next();
    let expected = json!({
        "type": "MEMBER_CHANGED", "roomId": fixture.room, "seq": changed["seq"],
        "prev": changed["prev"], "ts": changed["ts"], "userId": fixture.id("ben"),
        "senderId": fixture.id("ann"), "role": "ADMIN",
    });
    assert_eq!(changed, expected);
    fixture
        .call(
            "ben",
            "PATCH",
            "",
            json!({ "name": "Tea", "topic": "Green" }),
        )
        .ok(200);
    let changed = ben.next();
    assert_eq!(changed["type"], "ROOM_CHANGED");
    assert_eq!(
        (&changed["name"], &changed["topic"]),
        (&json!("Tea"), &json!("Green"))
    );
    assert_eq!(changed["senderId"], json!(fixture.id("ben")));
}

#[test]
fn deleted_room_sends_room_deleted_and_is_gone() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.join("ann"), fixture.join("ben"));
    ann.say(&fixture.room, "the last word");
    ben.expect("MESSAGE");
    ann.expect("MESSAGE");
    fixture.call("ann", "DELETE", "", Value::Null).ok(204);
    for socket in [&mut ann, &mut ben] {
        let deleted = socket.next();
        assert_eq!(deleted["type"], "ROOM_DELETED", "{deleted}");
        assert_eq!(deleted["senderId"], json!(fixture.id("ann")));
        assert_eq!(
            socket.next(),
            json!({ "type": "UNSUBSCRIBED", "roomId": fixture.room })
        );
        assert_refused(&socket.ask(fixture.message_frame("hello?")), "NOT_MEMBER");
        assert_refused(&socket.subscribe(&fixture.room), "NOT_MEMBER");
    }
    let body = json!({ "kind": "GROUP", "roomId": fixture.room, "memberIds": [fixture.id("ann")] });
    let reply = fixture
        .node
        .call("POST", "/v1/rooms", &fixture.node.admin_token(), body);
    assert_eq!((reply.status, reply.refused().as_str()), (409, "CONFLICT"));
}

#[test]
fn more_than_200_members_added_in_one_call_are_seen_as_their_number() {
    let fixture = Fixture::with(&["ann"]);
    let members: Vec<String> = (0..201).map(|n| unique(&format!("m{n}"))).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let room = fixture.node.room(&members);
    let path = format!("/v1/rooms/{room}/messages?after=0");
    let token = fixture.node.token(members[5]);
    let page = fixture.node.call("GET", &path, &token, Value::Null).ok(200);
    let events = page["events"].as_array().expect("events").clone();
    // The owner's role has to be named.
    let joined = of_type(&events, "MEMBER_JOINED");
    assert!(
        joined.iter().all(|event| event["role"] == "OWNER"),
        "{page}"
    );
    let last = events.last().expect("an event");
    assert_eq!(
        (&last["type"], &last["memberCount"]),
        (&json!("ROOM_CHANGED"), &json!(201))
    );
    let mut socket = Socket::connect(&fixture.node, &token);
    socket.say(&room, "all here");
}

#[test]
fn notifications_report_others_acts_where_a_connection_is_not_subscribed() {
    let fixture = Fixture::with(&["ann", "ben", "cid"]);
    let (mut ann, mut ben, mut cid) = (
        fixture.connect("ann"),
        fixture.connect("ben"),
        fixture.connect("cid"),
    );
    let mut bens_desk = fixture.join("ben");
    let plain = ann.say(&fixture.room, "to all");
    let mention = with(
        fixture.message_frame("to ben"),
        json!({ "mentions": [fixture.id("ben")] }),
    );
    let mention = ann.ask(mention);
    let expected = |kind: &str, ack: &Value| {
        json!({
            "type": "NOTIFICATION", "kind": kind, "roomId": fixture.room, "seq": ack["seq"],
            "messageId": ack["messageId"], "senderId": fixture.id("ann"),
        })
    };
    assert_eq!(ben.expect("NOTIFICATION"), expected("MESSAGE", &plain));
    assert_eq!(ben.expect("NOTIFICATION"), expected("MENTION", &mention));
    assert_eq!(cid.expect("NOTIFICATION"), expected("MESSAGE", &plain));
    assert_eq!(cid.expect("NOTIFICATION"), expected("MESSAGE", &mention));
    bens_desk.expect("MESSAGE");
    bens_desk.expect("MESSAGE");
    for socket in [&mut ann, &mut ben, &mut bens_desk, &mut cid] {
        socket.nothing_yet();
    }
}

#[test]
fn invitation_goes_only_to_the_user_that_another_user_added() {
    let fixture = Fixture::with(&["ann"]);
    let (one, other) = (unique("one"), unique("other"));
    let mut socket = Socket::connect(&fixture.node, &fixture.node.token(&one));
    let mut bystander = Socket::connect(&fixture.node, &fixture.node.token(&other));
    fixture.add("ann", &one);
    let told = socket.next();
    let joined = fixture.log("ann").last().expect("the joining").clone();
    let expected = json!({
        "type": "NOTIFICATION", "kind": "INVITATION", "roomId": fixture.room,
        "seq": joined["seq"], "senderId": fixture.id("ann"),
    });
    assert_eq!(told, expected);
    bystander.nothing_yet();

    let open = json!({ "kind": "GROUP", "visibility": "PUBLIC", "name": unique("open") });
    let room = fixture
        .node
        .call("POST", "/v1/rooms", &fixture.token("ann"), open)
        .ok(201);
    let path = format!(
        "/v1/rooms/{}/members/{one}",
        room["roomId"].as_str().expect("an id")
    );
    let reply = fixture
        .node
        .call("PUT", &path, &fixture.node.token(&one), json!({}));
    assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
    assert_eq!(
        socket.next()["kind"],
        "JOINED",
        "joining by oneself is no invitation"
    );
}

/// Rooms that the gateway keeps.
fn rooms_kept(node: &Node) -> String {
    let metrics = node.probe("/metrics").text();
    let rooms = metrics
        .lines()
        .find_map(|line| line.strip_prefix("chat_gateway_rooms "));
    rooms.expect("the metric").to_owned()
}

#[test]
fn gateway_lets_rooms_go_when_their_last_member_here_is_removed_or_they_are_deleted() {
    let fixture = Fixture::on(&Node::own(&[]), &["ann"]);
    let mut ann = fixture.join("ann");
    let before = rooms_kept(&fixture.node);
    for round in 0..20 {
        let room = fixture.node.room(&[&unique("owner"), fixture.id("ann")]);
        let member = format!("/members/{}", fixture.id("ann"));
        let below = if round % 2 == 0 { "" } else { &member };
        if round % 4 < 2 {
            ann.subscribe(&room);
        }
        let path = format!("/v1/rooms/{room}{below}");
        let host = fixture.node.admin_token();
        fixture
            .node
            .call("DELETE", &path, &host, Value::Null)
            .ok(204);
        if round % 4 < 2 {
            ann.expect("UNSUBSCRIBED");
        }
    }
    // What comes after all of that in the log: the rooms have been let go by then.
    ann.say(&fixture.room, "the last word");
    ann.expect("MESSAGE");
    assert_eq!(rooms_kept(&fixture.node), before);
}
