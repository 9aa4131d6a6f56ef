//! §4 and §8: who is here.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixture::{Fixture, assert_refused, assert_time, of_type};
use crate::support::node::{Node, unique};
use crate::support::socket::Socket;

fn watch(user_ids: &[&str]) -> Value {
    json!({ "type": "WATCH_PRESENCE", "userIds": user_ids })
}

fn status(status: &str) -> Value {
    json!({ "type": "SET_STATUS", "status": status })
}

/// Waits until `watcher` receives this state of `user`.
fn told(watcher: &mut Socket, user: &str, status: &str) -> Value {
    watcher.find(&format!("{user} {status}"), |frame| {
        frame["type"] == "PRESENCE" && frame["userId"] == user && frame["status"] == status
    })
}

/// Nothing came: one frame for each, then one at each change.
fn nothing_new(watcher: &mut Socket) {
    let came = watcher.drain();
    assert!(came.is_empty(), "{came:?} came unasked");
}

#[test]
fn watcher_gets_each_users_state_and_then_every_change() {
    let node = Node::shared();
    let (ann, ben, nobody) = (unique("ann"), unique("ben"), unique("nobody"));
    let mut bens = Socket::connect(&node, &node.token(&ben));
    let mut watcher = Socket::connect(&node, &node.token(&ann));
    watcher.send(watch(&[&ben, &nobody, &ann]));
    told(&mut watcher, &ben, "ONLINE");
    told(&mut watcher, &ann, "ONLINE");
    let absent = told(&mut watcher, &nobody, "OFFLINE");
    assert_eq!(absent.get("lastSeen"), None);
    nothing_new(&mut watcher);
    bens.send(status("AWAY"));
    told(&mut watcher, &ben, "AWAY");
    bens.send(status("ONLINE"));
    told(&mut watcher, &ben, "ONLINE");
}

#[test]
fn a_user_is_online_when_any_connection_is_and_offline_five_seconds_after_the_last() {
    let node = Node::shared();
    let (ann, ben) = (unique("ann"), unique("ben"));
    let token = node.token(&ben);
    let (mut desk, mut phone) = (
        Socket::connect(&node, &token),
        Socket::connect(&node, &token),
    );
    let mut watcher = Socket::connect(&node, &node.token(&ann));
    watcher.send(watch(&[&ben]));
    told(&mut watcher, &ben, "ONLINE");
    desk.send(status("AWAY"));
    desk.nothing_yet();
    phone.send(status("AWAY"));
    let away = told(&mut watcher, &ben, "AWAY");
    assert_eq!(away["status"], "AWAY");
    phone.send(status("ONLINE"));
    told(&mut watcher, &ben, "ONLINE");

    let read = || {
        let path = format!("/v1/presence?userId={ben}");
        let reply = node.call("GET", &path, &node.token(&ann), Value::Null);
        reply.ok(200)["users"][0].clone()
    };
    assert_eq!(read()["status"], "ONLINE");
    phone.send_close(1000, "");
    phone.closed();
    told(&mut watcher, &ben, "AWAY");
    let closed_at = Instant::now();
    desk.send_close(1000, "");
    desk.closed();
    let offline = told(&mut watcher, &ben, "OFFLINE");
    assert!(
        closed_at.elapsed() > Duration::from_secs(4),
        "{:?}",
        closed_at.elapsed()
    );
    assert_time(&offline["lastSeen"]);
    let now = read();
    assert_eq!(
        (&now["status"], &now["userId"]),
        (&json!("OFFLINE"), &json!(ben))
    );
    assert_time(&now["lastSeen"]);
}

#[test]
fn reconnect_within_five_seconds_is_no_change() {
    let node = Node::shared();
    let (ann, ben) = (unique("ann"), unique("ben"));
    let mut bens = Socket::connect(&node, &node.token(&ben));
    let mut watcher = Socket::connect(&node, &node.token(&ann));
    watcher.send(watch(&[&ben]));
    told(&mut watcher, &ben, "ONLINE");
    bens.send_close(1000, "");
    bens.closed();
    let _again = Socket::connect(&node, &node.token(&ben));
    let until = Instant::now() + Duration::from_millis(6_500);
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if let Some(frame) = watcher.next_within(left) {
            assert_eq!(frame["status"], "ONLINE", "{frame}");
        }
    }
}

#[test]
fn a_new_list_replaces_the_old_one_and_a_bad_one_does_not() {
    let node = Node::shared();
    let (ben, cid) = (unique("ben"), unique("cid"));
    let mut bens = Socket::connect(&node, &node.token(&ben));
    let mut cids = Socket::connect(&node, &node.token(&cid));
    let mut watcher = Socket::connect(&node, &node.token(&unique("ann")));
    watcher.send(watch(&[&ben, &ben]));
    told(&mut watcher, &ben, "ONLINE");
    nothing_new(&mut watcher);

    let many: Vec<String> = (0..201).map(|n| format!("user-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_refused(&watcher.ask(watch(&many)), "BAD_FRAME");
    bens.send(status("AWAY"));
    told(&mut watcher, &ben, "AWAY");

    watcher.send(watch(&[&cid]));
    told(&mut watcher, &cid, "ONLINE");
    bens.send(status("ONLINE"));
    bens.nothing_yet();
    cids.send(status("AWAY"));
    told(&mut watcher, &cid, "AWAY");
    let of_ben = |frame: &Value| frame["userId"] == json!(ben);
    assert!(
        !watcher.waiting().iter().any(of_ben),
        "ben is watched no more"
    );

    watcher.send(watch(&[]));
    watcher.nothing_yet();
    watcher.send(watch(&many[..200]));
    let came = of_type(&watcher.drain(), "PRESENCE");
    assert_eq!(came.len(), 200, "one for each");
}

#[test]
fn subscribing_with_presence_also_watches_the_rooms_members() {
    let fixture = Fixture::with(&["ann", "ben", "cid"]);
    let mut ben = fixture.connect("ben");
    let mut ann = fixture.connect("ann");
    let frame = json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "presence": true });
    assert_eq!(ann.ask(frame)["type"], "SUBSCRIBED");
    told(&mut ann, fixture.id("ben"), "ONLINE");
    told(&mut ann, fixture.id("cid"), "OFFLINE");
    told(&mut ann, fixture.id("ann"), "ONLINE");
    ben.send(status("AWAY"));
    told(&mut ann, fixture.id("ben"), "AWAY");
    ben.say(&fixture.room, "hello");
    ann.expect("MESSAGE");
}

#[test]
fn a_room_too_large_to_watch_is_subscribed_to_with_a_warning() {
    let node = Node::shared();
    let members: Vec<String> = (0..201).map(|n| unique(&format!("m{n}"))).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let (large, exact) = (node.room(&members), node.room(&members[..200]));
    let subscribe = |room: &str| json!({ "type": "SUBSCRIBE", "roomId": room, "presence": true });
    let warned = |socket: &mut Socket| {
        let warning = socket.expect("WARNING");
        assert_eq!(warning["code"], "PRESENCE_TOO_LARGE");
        assert!(warning["message"].is_string());
    };
    let mut socket = Socket::connect(&node, &node.token(members[0]));
    assert_eq!(socket.ask(subscribe(&large))["type"], "SUBSCRIBED");
    warned(&mut socket);
    socket.say(&large, "it stands");
    socket.expect("MESSAGE");
    socket.nothing_yet();

    assert_eq!(socket.ask(subscribe(&exact))["type"], "SUBSCRIBED");
    assert_eq!(of_type(&socket.drain(), "PRESENCE").len(), 200);

    // One who is watched already counts towards the 200.
    let mut other = Socket::connect(&node, &node.token(members[0]));
    other.send(watch(&[&unique("somebody-else")]));
    other.expect("PRESENCE");
    assert_eq!(other.ask(subscribe(&exact))["type"], "SUBSCRIBED");
    warned(&mut other);
}
