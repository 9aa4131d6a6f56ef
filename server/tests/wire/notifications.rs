//! §5: the kinds of `NOTIFICATION`, for what concerns a user where a connection is not subscribed.

use serde_json::{Value, json};

use crate::fixture::{Fixture, text, with};
use crate::support::node::unique;
use crate::support::socket::Socket;

fn notification(fixture: &Fixture, kind: &str, seq: &Value, sender: &str) -> Value {
    json!({
        "type": "NOTIFICATION", "kind": kind, "roomId": fixture.room, "seq": seq,
        "senderId": fixture.id(sender),
    })
}

fn about_message(fixture: &Fixture, kind: &str, ack: &Value, sender: &str) -> Value {
    let message = json!({ "messageId": ack["messageId"] });
    with(notification(fixture, kind, &ack["seq"], sender), message)
}

fn last_seq(fixture: &Fixture, name: &str) -> Value {
    fixture.log(name).last().expect("an event")["seq"].clone()
}

#[test]
fn reply_notifies_the_sender_of_the_first_message_and_mention_goes_before_it() {
    let fixture = Fixture::with(&["ann", "ben", "cid"]);
    let (mut ann, mut ben, mut cid) = (
        fixture.join("ann"),
        fixture.connect("ben"),
        fixture.connect("cid"),
    );
    let first = ben.say(&fixture.room, "a question");
    let kind = |socket: &mut Socket| socket.expect("NOTIFICATION")["kind"].clone();
    assert_eq!(kind(&mut cid), "MESSAGE");
    let reply = json!({ "replyTo": first["messageId"] });
    let ack = ann.ask(with(fixture.message_frame("an answer"), reply));
    assert_eq!(
        ben.expect("NOTIFICATION"),
        about_message(&fixture, "REPLY", &ack, "ann")
    );
    assert_eq!(
        cid.expect("NOTIFICATION"),
        about_message(&fixture, "MESSAGE", &ack, "ann")
    );
    let both = json!({ "replyTo": first["messageId"], "mentions": [fixture.id("ben")] });
    ann.ask(with(fixture.message_frame("an answer, @ben"), both));
    assert_eq!(kind(&mut ben), "MENTION");
    assert_eq!(kind(&mut cid), "MESSAGE");
    for socket in [&mut ben, &mut cid] {
        socket.nothing_yet();
    }
}

#[test]
fn read_notifies_the_users_other_connections_when_the_mark_moves() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut phone, mut desk) = (
        fixture.connect("ann"),
        fixture.connect("ann"),
        fixture.join("ann"),
    );
    let mut ben = fixture.join("ben");
    let sent = ann.say(&fixture.room, "from one device");
    assert_eq!(
        phone.expect("NOTIFICATION"),
        about_message(&fixture, "READ", &sent, "ann")
    );
    desk.expect("MESSAGE");
    ben.expect("MESSAGE");

    let other = ben.say(&fixture.room, "to be read")["seq"].clone();
    for socket in [&mut ann, &mut phone] {
        assert_eq!(socket.expect("NOTIFICATION")["kind"], "MESSAGE");
    }
    desk.expect("MESSAGE");
    ann.send(json!({ "type": "MARK", "roomId": fixture.room, "read": other }));
    assert_eq!(
        phone.expect("NOTIFICATION"),
        notification(&fixture, "READ", &other, "ann")
    );
    desk.expect("RECEIPT");
    ann.send(json!({ "type": "MARK", "roomId": fixture.room, "read": other }));
    for socket in [&mut ann, &mut phone, &mut desk] {
        socket.nothing_yet();
    }
}

#[test]
fn joined_and_left_notify_only_the_users_own_connections() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let cid = unique("cid");
    let mut phone = Socket::connect(&fixture.node, &fixture.node.token(&cid));
    let mut ben = fixture.connect("ben");
    let change = json!({ "kind": "GROUP", "name": unique("open"), "visibility": "PUBLIC" });
    let room = fixture
        .node
        .call("POST", "/v1/rooms", &fixture.node.token(&cid), change)
        .ok(201);
    let told = phone.expect("NOTIFICATION");
    assert_eq!(
        (&told["kind"], &told["roomId"], &told["senderId"]),
        (&json!("JOINED"), &room["roomId"], &json!(cid))
    );
    let path = format!(
        "/v1/rooms/{}/members/{}",
        text(&room["roomId"]),
        fixture.id("ben")
    );
    let token = fixture.token("ben");
    fixture.node.call("PUT", &path, &token, json!({})).ok(201);
    assert_eq!(ben.expect("NOTIFICATION")["kind"], "JOINED");
    fixture
        .node
        .call("DELETE", &path, &token, Value::Null)
        .ok(204);
    assert_eq!(ben.expect("NOTIFICATION")["kind"], "LEFT");
    for socket in [&mut phone, &mut ben] {
        socket.nothing_yet();
    }
}

#[test]
fn change_and_deletion_of_a_room_notify_every_member() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben, mut desk) = (
        fixture.connect("ann"),
        fixture.connect("ben"),
        fixture.join("ben"),
    );
    fixture
        .call("ann", "PATCH", "", json!({ "name": "renamed" }))
        .ok(200);
    let seq = last_seq(&fixture, "ann");
    for socket in [&mut ann, &mut ben] {
        assert_eq!(
            socket.expect("NOTIFICATION"),
            notification(&fixture, "ROOM_CHANGED", &seq, "ann")
        );
    }
    desk.expect("ROOM_CHANGED");
    fixture.call("ann", "DELETE", "", Value::Null).ok(204);
    let deleted = desk.expect("ROOM_DELETED");
    desk.expect("UNSUBSCRIBED");
    for socket in [&mut ann, &mut ben] {
        assert_eq!(
            socket.expect("NOTIFICATION"),
            notification(&fixture, "ROOM_DELETED", &deleted["seq"], "ann")
        );
    }
    for socket in [&mut ann, &mut ben, &mut desk] {
        socket.nothing_yet();
    }
}

#[test]
fn edit_and_deletion_of_the_last_message_notify_and_of_earlier_ones_do_not() {
    let fixture = Fixture::with(&["ann", "ben"]);
    // Sent before the gateway knows anyone of the room, so that it has to look the last message up.
    let post = |content: &str| {
        fixture
            .call("ann", "POST", "/messages", json!({ "content": content }))
            .ok(201)
    };
    let (first, last) = (post("first"), post("last"));
    let (mut ann, mut phone, mut ben) = (
        fixture.connect("ann"),
        fixture.connect("ann"),
        fixture.connect("ben"),
    );
    let edit = |ack: &Value, content: &str| {
        json!({ "type": "EDIT_MESSAGE", "roomId": fixture.room, "messageId": ack["messageId"],
                "content": content })
    };
    ann.ask(edit(&first, "first, better"));
    for (content, change) in [("last, better", "MESSAGE_EDITED"), ("", "MESSAGE_DELETED")] {
        let frame = if content.is_empty() {
            json!({ "type": "DELETE_MESSAGE", "roomId": fixture.room, "messageId": last["messageId"] })
        } else {
            edit(&last, content)
        };
        let ack = ann.ask(frame);
        for socket in [&mut phone, &mut ben] {
            let expected = with(
                about_message(&fixture, change, &last, "ann"),
                json!({ "seq": ack["seq"] }),
            );
            assert_eq!(socket.expect("NOTIFICATION"), expected);
        }
    }
    ann.ask(edit(&first, "first, best"));
    for socket in [&mut ann, &mut phone, &mut ben] {
        socket.nothing_yet();
    }
}
