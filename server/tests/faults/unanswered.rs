//! Back ends that accept a call and never answer it, for example with a stalled disk (§2.1, §6).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Received;
use crate::faulty_log::Appends;
use crate::fixture::{Fixture, assert_refused, eventually, message, unlimited};

/// The deadline of an append, and of any other call, with time to spare on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(10);
const SPARE: Duration = Duration::from_secs(8);

fn answered_within<T>(what: &str, call: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let answer = call();
    let took = begun.elapsed();
    assert!(took < DEADLINE + SPARE, "{what}: {took:?}");
    answer
}

#[test]
fn gateway_answers_unconfirmed_when_the_log_never_answers_an_append() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut alice = fixture.connect("alice");
    fixture.log.appends(Appends::Unanswered);
    let frame = message(&room, "unanswered");
    let begun = Instant::now();
    let answer = answered_within("an append", || alice.ask(frame.clone()));
    assert!(begun.elapsed() >= DEADLINE, "not before its time");
    assert_refused(&answer, &frame, "UNCONFIRMED");
    let path = format!("/v1/rooms/{room}/messages");
    let body = json!({ "content": "over HTTP" });
    let reply = answered_within("over HTTP", || fixture.call("POST", &path, "alice", body));
    assert_eq!((reply.status, &*reply.refused()), (503, "UNCONFIRMED"));
    fixture.log.appends(Appends::Well);
    let again = alice.acknowledged(frame);
    assert_eq!(again["duplicate"], true, "it was stored: {again}");
}

#[test]
fn calls_are_refused_when_the_log_answers_no_read() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut alice = fixture.connect("alice");
    alice.acknowledged(message(&room, "first"));
    fixture.log.silent(true);
    let frame = json!({ "type": "SUBSCRIBE", "roomId": room, "after": 0 });
    let answer = answered_within("a subscription", || alice.ask(frame.clone()));
    assert_refused(&answer, &frame, "LOG_UNAVAILABLE");
    let path = format!("/v1/rooms/{room}/messages");
    let reply = answered_within("history", || {
        fixture.call("GET", &path, "alice", Value::Null)
    });
    assert_eq!((reply.status, &*reply.refused()), (500, "INTERNAL"));
    fixture.log.silent(false);
    assert_eq!(alice.ask(frame)["type"], "SUBSCRIBED");
}

#[test]
fn calls_are_refused_when_the_store_answers_nothing_and_ingest_goes_on_afterwards() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut alice = fixture.connect("alice");
    let first = alice.acknowledged(message(&room, "first"));
    eventually("the store has it", Duration::from_secs(15), || {
        let list = fixture
            .call("GET", "/v1/rooms", "alice", Value::Null)
            .ok(200);
        list["rooms"][0]["lastMessage"]["content"] == "first"
    });
    fixture.store.silent(true);
    let frame = json!({ "type": "MARK", "roomId": room, "read": first["seq"] });
    let answer = answered_within("a mark", || alice.ask(frame.clone()));
    assert_refused(&answer, &frame, "INTERNAL");
    let reply = answered_within("the room list", || {
        fixture.call("GET", "/v1/rooms", "bob", Value::Null)
    });
    assert_eq!((reply.status, &*reply.refused()), (500, "INTERNAL"));
    alice.acknowledged(message(&room, "second"));
    fixture.store.silent(false);
    eventually("ingest goes on", Duration::from_secs(60), || {
        let list = fixture.call("GET", "/v1/rooms", "bob", Value::Null).ok(200);
        list["rooms"][0]["lastMessage"]["content"] == "second"
    });
}

#[test]
fn gateway_closes_4500_when_the_log_answers_no_comparison_of_heads_for_half_a_minute() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    fixture.log.silent(true);
    let hidden = Instant::now();
    let code = loop {
        match bob.next(Duration::from_secs(10)) {
            Received::Frame(_) => {}
            // Or the gateway would close for silence.
            Received::Nothing => assert!(bob.send(&[json!({ "type": "PING" })])),
            Received::Closed(code) => break code,
            Received::Cut => panic!("cut after {:?}", hidden.elapsed()),
        }
    };
    assert_eq!(code, 4500);
    let after = hidden.elapsed().as_secs();
    assert!((20..65).contains(&after), "closed after {after} s");
}
