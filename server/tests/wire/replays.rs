//! §4 and §6: what was missed comes at the client's pace, and waits in the log until then.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixture::{Fixture, assert_chain, assert_refused, number};
use crate::support::node::{Node, pause};
use crate::support::socket::Socket;

const MIB: u64 = 1 << 20;

/// A room with so many messages of the largest content.
fn large_room(messages: usize) -> Fixture {
    let node = Node::own(&["--sends-per-second=1000", "--send-burst=10000"]);
    let fixture = Fixture::on(&node, &["ann", "ben"]);
    let mut ann = fixture.connect("ann");
    let frame = fixture.message_frame(&"x".repeat(16_384));
    for _ in 0..messages / 50 {
        for _ in 0..50 {
            ann.send(frame.clone());
        }
        for _ in 0..50 {
            ann.expect("ACK");
        }
    }
    fixture
}

/// A connection that has asked for everything and takes little of it.
fn slow_reader(fixture: &Fixture) -> (Socket, Value) {
    let mut ben = fixture.connect("ben");
    ben.keep_little();
    let all = json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "after": 0 });
    let subscribed = ben.ask(all);
    assert_eq!(subscribed["recovered"], true, "{subscribed}");
    (ben, subscribed)
}

#[test]
fn replays_hold_a_page_for_each_slow_reader_and_not_all_that_was_missed() {
    let fixture = large_room(600);
    let node = &fixture.node;
    let (_first, _) = slow_reader(&fixture);
    let before = node.resident_bytes();
    let mut readers: Vec<_> = (0..12).map(|_| slow_reader(&fixture).0).collect();
    // Each has its socket full, and the next page waits for it.
    for reader in &mut readers {
        reader.find("an event", |frame| frame["prev"].is_u64());
    }
    let grown = node.resident_bytes().saturating_sub(before);
    assert!(grown < 24 * MIB, "{} KiB for 12 readers", grown >> 10);
    let waiting = node.metric("chat_outbound_bytes");
    assert!(waiting < 13.0 * 512.0 * 1_024.0, "{waiting} bytes");
}

#[test]
fn a_slow_reader_sends_while_its_replay_goes_on_and_misses_nothing() {
    let fixture = large_room(600);
    let mut ann = fixture.join("ann");
    let mut ben = fixture.connect("ben");
    ben.send(json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "after": 0 }));
    ben.send(fixture.message_frame("in the middle of it"));
    // None of the replay has been read yet.
    let live = ann.find("the message", |frame| {
        frame["content"] == "in the middle of it"
    });
    let subscribed = ben.expect("SUBSCRIBED");
    assert_eq!(subscribed["recovered"], true);
    let mut got: Vec<Value> = Vec::new();
    while got.last().map(|event| &event["seq"]) != Some(&live["seq"]) {
        got.push(ben.find("an event", |frame| frame["prev"].is_u64()));
    }
    assert_chain(&got, 0);
    assert!(number(&live["seq"]) > number(&subscribed["head"]));
    assert_eq!(got.len(), 2 + 600 + 1);
}

#[test]
fn unsubscribing_ends_a_replay_and_subscribing_again_starts_another() {
    let fixture = large_room(300);
    let (mut ben, _) = slow_reader(&fixture);
    ben.keep_much();
    ben.send(json!({ "type": "UNSUBSCRIBE", "roomId": fixture.room }));
    ben.expect("UNSUBSCRIBED");
    ben.waiting();
    ben.nothing_yet();
    let after = number(&fixture.log("ann")[99]["seq"]);
    let again = json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "after": after });
    let subscribed = ben.ask(again);
    let mut got: Vec<Value> = Vec::new();
    while got.last().map(|event| &event["seq"]) != Some(&subscribed["head"]) {
        got.push(ben.find("an event", |frame| frame["prev"].is_u64()));
    }
    assert_chain(&got, after);
    ben.nothing_yet();
}

#[test]
fn many_rooms_are_subscribed_to_at_once_and_each_is_answered_for_itself() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ann = fixture.connect("ann");
    let first = ann.say(&fixture.room, "before");
    ann.say(&fixture.room, "missed");
    let other = fixture.another_room();
    let mut ben = fixture.connect("ben");
    let rooms = json!([
        { "roomId": fixture.room, "after": first["seq"] }, { "roomId": "no-such-room" }, { "roomId": other },
    ]);
    ben.send(json!({ "type": "SUBSCRIBE", "ref": "all", "rooms": rooms }));
    let answers: Vec<_> = (0..3)
        .map(|_| ben.find("an answer", |frame| frame["ref"] == "all"))
        .collect();
    assert_eq!(answers[0]["type"], "SUBSCRIBED");
    assert_eq!(answers[0]["roomId"], json!(fixture.room));
    assert_eq!(answers[0]["recovered"], true);
    assert_refused(&answers[1], "NOT_MEMBER");
    assert_eq!(answers[1]["roomId"], "no-such-room");
    assert_eq!(answers[2]["type"], "SUBSCRIBED");
    assert_eq!(answers[2]["roomId"], json!(other));
    assert_eq!(ben.expect("MESSAGE")["content"], "missed");
    ann.say(&other, "live");
    assert_eq!(ben.expect("MESSAGE")["content"], "live");
    let both = json!({ "type": "SUBSCRIBE", "roomId": other, "rooms": [{ "roomId": other }] });
    assert_refused(&ben.ask(both), "BAD_FRAME");
    ben.nothing_yet();
}

#[test]
fn a_page_that_a_client_does_not_take_is_given_up_after_some_time() {
    let fixture = large_room(200);
    let node = &fixture.node;
    let mut reader = Socket::open(node.http());
    reader.keep_little();
    let request = format!(
        "GET /v1/rooms/{}/messages?limit=200 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        fixture.room,
        fixture.token("ann")
    );
    // More than the kernel keeps for it.
    reader.send_raw(request.repeat(4).as_bytes());
    let until = Instant::now() + Duration::from_secs(45);
    let eventually = |what: &str, is_so: &dyn Fn() -> bool| {
        while !is_so() {
            assert!(Instant::now() < until, "{what}");
            pause(Duration::from_millis(200));
        }
    };
    eventually("the page waits", &|| {
        node.metric("chat_outbound_bytes") > 1e6
    });
    eventually("the connection is cut", &|| {
        node.metric("chat_http_stalls_total") > 0.0
    });
    eventually("its memory is free", &|| {
        node.metric("chat_outbound_bytes") < 1e6
    });
}
