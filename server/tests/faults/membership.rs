//! Membership changes that reach a gateway late, out of order or not at all (§2.8, §4).

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use roomcast_ports::live::LiveEvent;
use serde_json::{Value, json};

use crate::client::{Client, Received, TIMEOUT, is_event, number};
use crate::faulty_log::Telling;
use crate::faulty_tokens::HOST;
use crate::fixture::{Fixture, message, unlimited};

/// How long a removal may take to be in force (§2.8).
const IN_FORCE_TIMEOUT: Duration = Duration::from_secs(1);

fn remove(fixture: &Fixture, room: &str, user: &str) {
    let path = format!("/v1/rooms/{room}/members/{user}");
    fixture.call("DELETE", &path, HOST, Value::Null).ok(204);
}

fn add(fixture: &Fixture, room: &str, user: &str) {
    let path = format!("/v1/rooms/{room}/members/{user}");
    fixture.call("PUT", &path, HOST, json!({})).ok(201);
}

/// The types of all frames that have come, without `NOTIFICATION`s.
fn types(frames: &[Value]) -> Vec<&str> {
    let types = frames.iter().map(|frame| frame["type"].as_str());
    let types = types.map(|kind| kind.expect("a type"));
    types.filter(|kind| *kind != "NOTIFICATION").collect()
}

/// Sends until it is refused, at most for as long as a removal may take.
fn assert_sends_are_refused(line: &mut Client, room: &str) {
    let removed = Instant::now();
    loop {
        let asked = removed.elapsed();
        let frame = json!({ "type": "SEND_MESSAGE", "roomId": room, "content": "let me in" });
        let answer = line.ask(frame);
        if answer["code"] == "NOT_MEMBER" {
            return;
        }
        assert!(asked < IN_FORCE_TIMEOUT, "{answer} after {asked:?}");
    }
}

/// The room goes on, and the removed user gets none of it.
fn assert_nothing_comes(fixture: &Fixture, line: &mut Client, room: &str) {
    let mut alice = fixture.subscribed("alice", room);
    alice.acknowledged(message(room, "among-ourselves"));
    while alice.frame().expect("it stays open")["clientMsgId"] != "among-ourselves" {}
    for frame in line.drain() {
        assert!(!is_event(&frame), "{frame}");
        assert_ne!(frame["kind"], "MESSAGE", "{frame}");
    }
}

/// Bob's `SUBSCRIBE` has read that he is a member and waits for the room's head; then `change` happens,
/// without a live event.
fn overtaken_before_the_head(
    fixture: &Fixture,
    room: &str,
    after: &Value,
    change: impl FnOnce(),
) -> Client {
    let mut bob = fixture.connect("bob");
    let (reached, is_reached) = sync_channel(1);
    let release = fixture.log.stall_next_head(reached);
    bob.send(&[json!({ "type": "SUBSCRIBE", "roomId": room, "after": after, "ref": "s" })]);
    let is_reached = is_reached.recv_timeout(TIMEOUT);
    is_reached.expect("the head is read");
    fixture.log.tells(Telling::Silent);
    change();
    release.send(()).expect("the read waits");
    bob
}

#[test]
fn subscribe_is_answered_not_member_when_the_removal_precedes_the_head_it_reads() {
    let fixture = Fixture::new(unlimited());
    for after in [Value::Null, json!(0)] {
        let room = fixture.room(&["alice", "bob"]);
        let mut bob = overtaken_before_the_head(&fixture, &room, &after, || {
            remove(&fixture, &room, "bob");
        });
        let came = bob.drain();
        assert_eq!(types(&came), ["ERROR"], "{came:?}");
        fixture.log.tells(Telling::Well);
        assert_sends_are_refused(&mut bob, &room);
        assert_nothing_comes(&fixture, &mut bob, &room);
    }
}

#[test]
fn subscribe_stands_when_the_user_is_removed_and_added_again_before_the_head_it_reads() {
    let fixture = Fixture::new(unlimited());
    for after in [Value::Null, json!(0)] {
        let room = fixture.room(&["alice", "bob"]);
        let mut bob = overtaken_before_the_head(&fixture, &room, &after, || {
            remove(&fixture, &room, "bob");
            add(&fixture, &room, "bob");
        });
        let came = bob.drain();
        assert_eq!(types(&came)[0], "SUBSCRIBED", "{came:?}");
        assert!(!types(&came).contains(&"UNSUBSCRIBED"), "{came:?}");
        fixture.log.tells(Telling::Well);
        fixture
            .connect("alice")
            .acknowledged(message(&room, "welcome-back"));
        while bob.frame().expect("it stays open")["clientMsgId"] != "welcome-back" {}
    }
}

#[test]
fn lost_removal_is_found_by_the_next_event_when_typing_or_a_mark_made_the_room_known() {
    let fixture = Fixture::new(unlimited());
    for kind in ["TYPING", "MARK"] {
        let room = fixture.room(&["alice", "bob"]);
        let mut bob = fixture.connect("bob");
        bob.send(&[json!({ "type": kind, "roomId": room, "read": 1 })]);
        bob.drain();
        fixture.log.tells(Telling::Silent);
        remove(&fixture, &room, "bob");
        fixture.log.tells(Telling::Well);
        let mut alice = fixture.subscribed("alice", &room);
        alice.acknowledged(message(&room, "the-next"));
        while alice.frame().expect("it stays open")["clientMsgId"] != "the-next" {}
        assert_sends_are_refused(&mut bob, &room);
        assert_nothing_comes(&fixture, &mut bob, &room);
    }
}

#[test]
fn lost_removal_is_found_by_the_audit_when_typing_made_the_room_known() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.connect("bob");
    bob.send(&[json!({ "type": "TYPING", "roomId": room })]);
    bob.drain();
    fixture.log.tells(Telling::Silent);
    remove(&fixture, &room, "bob");
    fixture.log.tell(LiveEvent::Lagged);
    assert_sends_are_refused(&mut bob, &room);
}

#[test]
fn removed_member_cannot_send_while_the_gap_with_the_removal_is_being_read() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    let mut alice = fixture.connect("alice");
    alice.acknowledged(message(&room, "first"));
    fixture.log.tells(Telling::Silent);
    remove(&fixture, &room, "bob");
    fixture.log.tells(Telling::Well);
    let (reached, is_reached) = sync_channel(1);
    let release = fixture.log.stall_next_read(reached);
    alice.acknowledged(message(&room, "behind-a-gap"));
    let is_reached = is_reached.recv_timeout(TIMEOUT);
    is_reached.expect("the gap is read");
    let answer = bob.ask(message(&room, "let-me-in"));
    assert_eq!(answer["code"], "NOT_MEMBER", "{answer}");
    release.send(()).expect("the read waits");
    let mut came = Vec::new();
    while came.last() != Some(&"UNSUBSCRIBED".to_owned()) {
        let frame = bob.frame().expect("it stays open");
        came.push(frame["type"].as_str().expect("a type").to_owned());
    }
    assert_eq!(came, ["MESSAGE", "MEMBER_LEFT", "UNSUBSCRIBED"]);
}

/// Bob subscribes after the room's start; the read of what he missed waits while `change` happens.
fn overtaken_by(fixture: &Fixture, room: &str, change: impl FnOnce()) -> Client {
    let mut bob = fixture.connect("bob");
    bob.acknowledged(message(room, "first"));
    // The room's recent events reach back only so far: the replay has to read the log.
    for number in 0..70 {
        bob.acknowledged(message(room, &format!("earlier-{number}")));
    }
    let (reached, is_reached) = sync_channel(1);
    let release = fixture.log.stall_next_read(reached);
    bob.send(&[json!({ "type": "SUBSCRIBE", "roomId": room, "after": 0, "ref": "s" })]);
    let is_reached = is_reached.recv_timeout(TIMEOUT);
    is_reached.expect("the replay is read");
    change();
    release.send(()).expect("the read waits");
    bob
}

#[test]
fn subscribe_is_answered_not_member_when_the_removal_overtakes_its_reads() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut alice = fixture.subscribed("alice", &room);
    let mut bob = overtaken_by(&fixture, &room, || {
        remove(&fixture, &room, "bob");
        while alice.frame().expect("it stays open")["type"] != "MEMBER_LEFT" {}
    });
    let came = bob.drain();
    assert_eq!(types(&came), ["ERROR"], "{came:?}");
    assert_eq!(came.last().expect("the answer")["code"], "NOT_MEMBER");
    assert_nothing_comes(&fixture, &mut bob, &room);
}

#[test]
fn subscription_is_live_when_a_removal_and_an_addition_overtake_its_reads() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut alice = fixture.subscribed("alice", &room);
    let mut bob = overtaken_by(&fixture, &room, || {
        remove(&fixture, &room, "bob");
        add(&fixture, &room, "bob");
        while alice.frame().expect("it stays open")["type"] != "MEMBER_LEFT" {}
        while alice.frame().expect("it stays open")["type"] != "MEMBER_JOINED" {}
    });
    alice.acknowledged(message(&room, "welcome-back"));
    let mut last = 0;
    let mut came = Vec::new();
    while came.last() != Some(&json!("welcome-back")) {
        let frame = bob.frame().expect("it stays open");
        assert_ne!(frame["type"], "UNSUBSCRIBED", "{came:?}");
        if is_event(&frame) {
            assert_eq!(number(&frame, "prev"), last, "{frame}");
            last = number(&frame, "seq");
            came.push(frame["clientMsgId"].clone());
        }
    }
}

#[test]
fn replay_ends_with_the_removal_and_unsubscribed_when_the_client_reads_slowly() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut alice = fixture.connect("alice");
    // More than the sockets hold, so that the replay stands still until it is read.
    let large = "x".repeat(16_000);
    for number in 0..900 {
        let mut frame = message(&room, &format!("large-{number}"));
        frame["content"] = json!(large);
        alice.acknowledged(frame);
    }
    let mut bob = fixture.connect("bob");
    bob.send(&[json!({ "type": "SUBSCRIBE", "roomId": room, "after": 0, "ref": "s" })]);
    let Received::Frame(answer) = bob.next(TIMEOUT) else {
        panic!("no answer");
    };
    assert_eq!(answer["type"], "SUBSCRIBED", "{answer}");
    remove(&fixture, &room, "bob");
    assert_sends_are_refused(&mut fixture.connect("bob"), &room);
    add(&fixture, &room, "bob");
    alice.acknowledged(message(&room, "without-bob"));
    let (mut last, mut left) = (0, false);
    loop {
        let frame = bob.frame().expect("it stays open");
        if frame["type"] == "UNSUBSCRIBED" {
            break;
        }
        if is_event(&frame) {
            assert!(!left, "{frame} after MEMBER_LEFT");
            assert_eq!(number(&frame, "prev"), last, "{frame}");
            last = number(&frame, "seq");
            left = frame["type"] == "MEMBER_LEFT";
        }
    }
    assert!(left, "UNSUBSCRIBED without MEMBER_LEFT");
    assert!(!bob.drain().iter().any(is_event), "no event after it");
    let answer = bob.ask(json!({ "type": "SUBSCRIBE", "roomId": room, "after": last }));
    assert_eq!(answer["recovered"], true, "{answer}");
    let came = bob.drain();
    assert_eq!(types(&came), ["MEMBER_JOINED", "MESSAGE"], "{came:?}");
}
