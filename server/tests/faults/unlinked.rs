//! A log that has dropped a room's previous event gives a `prev` of zero: what lies between is unknown.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Received, is_event, number};
use crate::faulty_log::Telling;
use crate::faulty_tokens::HOST;
use crate::fixture::{Fixture, eventually, message, unlimited};

const TIMEOUT: Duration = Duration::from_secs(4);

/// The next so many events' names.
fn names(line: &mut Client, count: usize) -> Vec<Value> {
    let mut names = Vec::new();
    while names.len() < count {
        match line.next(TIMEOUT) {
            Received::Frame(frame) if is_event(&frame) => names.push(frame["clientMsgId"].clone()),
            Received::Frame(_) => {}
            other => panic!("{other:?} after {names:?}"),
        }
    }
    names
}

/// The log drops everything, once the store has it.
fn drop_all(fixture: &Fixture, room: &str) {
    let written = fixture.events(room);
    fixture
        .log
        .drops_to(number(&written[written.len() - 1], "seq"));
    eventually("the store has all of it", TIMEOUT, || {
        fixture.events(room).len() == written.len()
    });
}

#[test]
fn subscriber_gets_the_lost_events_when_the_next_one_has_no_known_predecessor() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    let mut alice = fixture.connect("alice");
    alice.acknowledged(message(&room, "a"));
    assert_eq!(names(&mut bob, 1), ["a"]);
    fixture.log.tells(Telling::Silent);
    alice.acknowledged(message(&room, "b"));
    alice.acknowledged(message(&room, "c"));
    drop_all(&fixture, &room);
    fixture.log.tells(Telling::Well);
    alice.acknowledged(message(&room, "d"));
    assert_eq!(names(&mut bob, 3), ["b", "c", "d"]);
}

#[test]
fn resume_gives_all_missed_events_when_the_recent_one_has_no_known_predecessor() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let send = |name: &str| {
        let path = format!("/v1/rooms/{room}/messages");
        let body = json!({ "senderId": "alice", "content": name, "clientMsgId": name });
        fixture.call("POST", &path, HOST, body).ok(201)
    };
    // Over HTTP: the room is not known at the gateway, which has none of its recent events.
    let first = number(&send("a"), "seq");
    send("b");
    send("c");
    drop_all(&fixture, &room);
    let mut alice = fixture.subscribed("alice", &room);
    send("d");
    assert_eq!(names(&mut alice, 1), ["d"]);
    let mut bob = fixture.connect("bob");
    let answer = bob.ask(json!({ "type": "SUBSCRIBE", "roomId": room, "after": first }));
    assert_eq!(answer["recovered"], true, "{answer}");
    assert_eq!(names(&mut bob, 3), ["b", "c", "d"]);
}

#[test]
fn message_after_a_long_silence_is_delivered_while_the_store_is_away() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    let mut alice = fixture.connect("alice");
    alice.acknowledged(message(&room, "a"));
    assert_eq!(names(&mut bob, 1), ["a"]);
    drop_all(&fixture, &room);
    fixture.store.away(true);
    alice.acknowledged(message(&room, "b"));
    assert_eq!(names(&mut bob, 1), ["b"]);
}
