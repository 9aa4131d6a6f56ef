//! A log that keeps messages waiting, and one that no longer knows what it was given (§2.4, §5).

use std::time::Duration;

use serde_json::json;

use crate::faulty_log::Appends;
use crate::line::{is_event, number};
use crate::world::{World, message, unlimited};

#[test]
fn while_messages_wait_for_the_log_the_room_is_told_once_and_then_they_come() {
    let world = World::new(unlimited());
    let room = world.room(&["alice", "bob"]);
    let mut bob = world.subscribed("bob", &room);
    let mut alice = world.connect("alice");
    alice.acknowledged(message(&room, "before"));
    world.log.appends(Appends::Slow(Duration::from_secs(3)));
    let frames: Vec<_> = (0..10)
        .map(|number| message(&room, &format!("waits-{number}")))
        .collect();
    alice.send(&frames);
    let mut came = Vec::new();
    while came.iter().filter(|it| is_event(it)).count() < 11 {
        came.push(bob.frame().expect("it stays open"));
    }
    let kinds: Vec<_> = came
        .iter()
        .map(|frame| frame["type"].as_str().expect("a type"))
        .filter(|kind| ["MESSAGE", "WARNING"].contains(kind))
        .collect();
    let warnings = kinds.iter().filter(|kind| **kind == "WARNING").count();
    assert_eq!(
        (kinds[0], kinds[1], warnings),
        ("MESSAGE", "WARNING", 1),
        "{kinds:?}"
    );
    let warning = came.iter().find(|frame| frame["type"] == "WARNING");
    assert_eq!(warning.expect("counted")["code"], "LOG_UNAVAILABLE");
}

#[test]
fn a_resend_that_the_log_has_forgotten_is_answered_with_the_first_place() {
    let world = World::new(unlimited());
    let room = world.room(&["alice", "bob"]);
    let mut alice = world.connect("alice");
    let old_id = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    let firsts: Vec<_> = ["no-time-in-it", old_id]
        .map(|name| alice.acknowledged(message(&room, name)))
        .into();
    world.log.forgets(true);
    for first in &firsts {
        let name = first["clientMsgId"].as_str().expect("a name");
        let again = alice.acknowledged(message(&room, name));
        assert_eq!(again["duplicate"], true, "{again}");
        assert_eq!(number(&again, "seq"), number(first, "seq"));
        assert_eq!(again["messageId"], first["messageId"]);
        let path = format!("/v1/rooms/{room}/messages");
        let body = json!({ "content": name, "clientMsgId": name });
        let posted = world.call("POST", &path, "alice", body).ok(200);
        assert_eq!(posted["seq"], first["seq"], "over HTTP as well");
    }
    assert_eq!(world.events(&room).len(), 2 + 2, "nothing was added");
}
