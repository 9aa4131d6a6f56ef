//! §5: the kinds of `NOTIFICATION`, for what concerns a user where a connection is not subscribed.

use serde_json::{Value, json};

use crate::scene::{Scene, text, with};
use crate::support::node::unique;
use crate::support::socket::Socket;

fn notification(scene: &Scene, kind: &str, seq: &Value, sender: &str) -> Value {
    json!({
        "type": "NOTIFICATION", "kind": kind, "roomId": scene.room, "seq": seq,
        "senderId": scene.id(sender),
    })
}

fn about_message(scene: &Scene, kind: &str, ack: &Value, sender: &str) -> Value {
    let message = json!({ "messageId": ack["messageId"] });
    with(notification(scene, kind, &ack["seq"], sender), message)
}

fn last_seq(scene: &Scene, name: &str) -> Value {
    scene.log(name).last().expect("an event")["seq"].clone()
}

#[test]
fn reply_notifies_the_sender_of_the_first_message_and_mention_goes_before_it() {
    let scene = Scene::with(&["ann", "ben", "cid"]);
    let (mut ann, mut ben, mut cid) = (
        scene.join("ann"),
        scene.connect("ben"),
        scene.connect("cid"),
    );
    let first = ben.say(&scene.room, "a question");
    let kind = |socket: &mut Socket| socket.expect("NOTIFICATION")["kind"].clone();
    assert_eq!(kind(&mut cid), "MESSAGE");
    let reply = json!({ "replyTo": first["messageId"] });
    let ack = ann.ask(with(scene.message_frame("an answer"), reply));
    assert_eq!(
        ben.expect("NOTIFICATION"),
        about_message(&scene, "REPLY", &ack, "ann")
    );
    assert_eq!(
        cid.expect("NOTIFICATION"),
        about_message(&scene, "MESSAGE", &ack, "ann")
    );
    let both = json!({ "replyTo": first["messageId"], "mentions": [scene.id("ben")] });
    ann.ask(with(scene.message_frame("an answer, @ben"), both));
    assert_eq!(kind(&mut ben), "MENTION");
    assert_eq!(kind(&mut cid), "MESSAGE");
    for socket in [&mut ben, &mut cid] {
        socket.nothing_yet();
    }
}

#[test]
fn read_notifies_the_users_other_connections_when_the_mark_moves() {
    let scene = Scene::with(&["ann", "ben"]);
    let (mut ann, mut phone, mut desk) = (
        scene.connect("ann"),
        scene.connect("ann"),
        scene.join("ann"),
    );
    let mut ben = scene.join("ben");
    let sent = ann.say(&scene.room, "from one device");
    assert_eq!(
        phone.expect("NOTIFICATION"),
        about_message(&scene, "READ", &sent, "ann")
    );
    desk.expect("MESSAGE");
    ben.expect("MESSAGE");

    let other = ben.say(&scene.room, "to be read")["seq"].clone();
    for socket in [&mut ann, &mut phone] {
        assert_eq!(socket.expect("NOTIFICATION")["kind"], "MESSAGE");
    }
    desk.expect("MESSAGE");
    ann.send(json!({ "type": "MARK", "roomId": scene.room, "read": other }));
    assert_eq!(
        phone.expect("NOTIFICATION"),
        notification(&scene, "READ", &other, "ann")
    );
    desk.expect("RECEIPT");
    ann.send(json!({ "type": "MARK", "roomId": scene.room, "read": other }));
    for socket in [&mut ann, &mut phone, &mut desk] {
        socket.nothing_yet();
    }
}

#[test]
fn joined_and_left_notify_only_the_users_own_connections() {
    let scene = Scene::with(&["ann", "ben"]);
    let cid = unique("cid");
    let mut phone = Socket::connect(&scene.node, &scene.node.token(&cid));
    let mut ben = scene.connect("ben");
    let change = json!({ "kind": "GROUP", "name": unique("open"), "visibility": "PUBLIC" });
    let room = scene
        .node
        .call("POST", "/v1/rooms", &scene.node.token(&cid), change)
        .ok(201);
    let told = phone.expect("NOTIFICATION");
    assert_eq!(
        (&told["kind"], &told["roomId"], &told["senderId"]),
        (&json!("JOINED"), &room["roomId"], &json!(cid))
    );
    let path = format!(
        "/v1/rooms/{}/members/{}",
        text(&room["roomId"]),
        scene.id("ben")
    );
    let token = scene.token("ben");
    scene.node.call("PUT", &path, &token, json!({})).ok(201);
    assert_eq!(ben.expect("NOTIFICATION")["kind"], "JOINED");
    scene
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
    let scene = Scene::with(&["ann", "ben"]);
    let (mut ann, mut ben, mut desk) = (
        scene.connect("ann"),
        scene.connect("ben"),
        scene.join("ben"),
    );
    scene
        .call("ann", "PATCH", "", json!({ "name": "renamed" }))
        .ok(200);
    let seq = last_seq(&scene, "ann");
    for socket in [&mut ann, &mut ben] {
        assert_eq!(
            socket.expect("NOTIFICATION"),
            notification(&scene, "ROOM_CHANGED", &seq, "ann")
        );
    }
    desk.expect("ROOM_CHANGED");
    scene.call("ann", "DELETE", "", Value::Null).ok(204);
    let deleted = desk.expect("ROOM_DELETED");
    desk.expect("UNSUBSCRIBED");
    for socket in [&mut ann, &mut ben] {
        assert_eq!(
            socket.expect("NOTIFICATION"),
            notification(&scene, "ROOM_DELETED", &deleted["seq"], "ann")
        );
    }
    for socket in [&mut ann, &mut ben, &mut desk] {
        socket.nothing_yet();
    }
}

#[test]
fn edit_and_deletion_of_the_last_message_notify_and_of_earlier_ones_do_not() {
    let scene = Scene::with(&["ann", "ben"]);
    // Sent before the gateway knows anyone of the room, so that it has to look the last message up.
    let post = |content: &str| {
        scene
            .call("ann", "POST", "/messages", json!({ "content": content }))
            .ok(201)
    };
    let (first, last) = (post("first"), post("last"));
    let (mut ann, mut phone, mut ben) = (
        scene.connect("ann"),
        scene.connect("ann"),
        scene.connect("ben"),
    );
    let edit = |ack: &Value, content: &str| {
        json!({ "type": "EDIT_MESSAGE", "roomId": scene.room, "messageId": ack["messageId"],
                "content": content })
    };
    ann.ask(edit(&first, "first, better"));
    for (content, change) in [("last, better", "MESSAGE_EDITED"), ("", "MESSAGE_DELETED")] {
        let frame = if content.is_empty() {
            json!({ "type": "DELETE_MESSAGE", "roomId": scene.room, "messageId": last["messageId"] })
        } else {
            edit(&last, content)
        };
        let ack = ann.ask(frame);
        for socket in [&mut phone, &mut ben] {
            let expected = with(
                about_message(&scene, change, &last, "ann"),
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
