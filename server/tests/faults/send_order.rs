//! One connection's sends to one room while some of them are refused (§2.2).

use std::sync::mpsc::sync_channel;

use serde_json::{Value, json};

use crate::client::{Client, TIMEOUT, number};
use crate::faulty_log::Appends;
use crate::fixture::{Fixture, assert_refused, message, unlimited};

/// A message that is looked up before it is appended: its id shows no time.
fn looked_up(room: &str, name: &str) -> Value {
    message(room, name)
}

/// The answers to these sends, in the order they come.
fn answers(line: &mut Client, names: &[&str]) -> Vec<(String, Value)> {
    let mut came: Vec<(String, Value)> = Vec::new();
    while came.len() < names.len() {
        let frame = line.frame().expect("it stays open");
        let name = frame["clientMsgId"].as_str().unwrap_or_default().to_owned();
        let is_answer = ["ACK", "ERROR"].contains(&frame["type"].as_str().expect("a type"));
        if is_answer && names.contains(&name.as_str()) {
            came.push((name, frame));
        }
    }
    came
}

/// Sends the refused messages again, and holds the room against the order in which they were first sent.
fn resend_in_order(fixture: &Fixture, line: &mut Client, room: &str, names: &[&str]) {
    for name in names {
        line.acknowledged(message(room, name));
    }
    let events = fixture.events(room);
    let messages = events.iter().filter(|event| event["type"] == "MESSAGE");
    let stored: Vec<&str> = messages
        .filter_map(|event| event["clientMsgId"].as_str())
        .filter(|name| names.contains(name))
        .collect();
    assert_eq!(stored, names, "as they were sent");
}

/// Sends a, b and c together; a is refused when the read that it waits for fails.
fn refuse_in_judgement(fixture: &Fixture, line: &mut Client, frames: &[Value]) {
    fixture.log.forgets(true);
    let (reached, is_reached) = sync_channel(1);
    let release = fixture.log.stall_next_read(reached);
    line.send(frames);
    is_reached.recv_timeout(TIMEOUT).expect("a is looked up");
    drop(release);
}

#[test]
fn gateway_fails_unread_sends_behind_one_that_is_refused_while_it_is_judged() {
    let fixture = Fixture::new(unlimited());
    let rooms = [
        fixture.room(&["alice", "bob"]),
        fixture.room(&["alice", "bob"]),
    ];
    let mut alice = fixture.connect("alice");
    let frames = [
        looked_up(&rooms[0], "a"),
        looked_up(&rooms[1], "elsewhere"),
        looked_up(&rooms[0], "b"),
        looked_up(&rooms[0], "c"),
    ];
    refuse_in_judgement(&fixture, &mut alice, &frames);
    for (name, answer) in answers(&mut alice, &["a", "elsewhere", "b", "c"]) {
        if name == "elsewhere" {
            assert_eq!(
                answer["type"], "ACK",
                "another room is not held back: {answer}"
            );
        } else {
            assert_eq!(answer["code"], "LOG_UNAVAILABLE", "{answer}");
            assert_eq!(answer["retryable"], true, "{answer}");
        }
    }
    fixture.log.forgets(false);
    alice.acknowledged(message(&rooms[0], "sent-after-the-answers"));
    resend_in_order(&fixture, &mut alice, &rooms[0], &["a", "b", "c"]);
}

#[test]
fn gateway_fails_judged_and_unread_sends_behind_one_that_the_log_refuses() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut alice = fixture.connect("alice");
    let target = alice.acknowledged(message(&room, "target"));
    let refuse = fixture.log.refuse_next_append();
    let (reached, is_reached) = sync_channel(1);
    let release = fixture.log.stall_next_read(reached);
    let edit = json!({
        "type": "EDIT_MESSAGE", "roomId": room, "messageId": target["messageId"],
        "content": "better", "clientMsgId": "edit",
    });
    alice.send(&[message(&room, "a"), edit.clone(), message(&room, "b")]);
    is_reached
        .recv_timeout(TIMEOUT)
        .expect("the edit is judged");
    refuse.send(()).expect("a waits for the log");
    let first = answers(&mut alice, &["a"]).remove(0).1;
    assert_refused(&first, &message(&room, "a"), "LOG_UNAVAILABLE");
    release.send(()).expect("the edit is judged");
    for (_, answer) in answers(&mut alice, &["edit", "b"]) {
        assert_eq!(answer["code"], "LOG_UNAVAILABLE", "{answer}");
    }
    resend_in_order(&fixture, &mut alice, &room, &["a", "b"]);
    alice.acknowledged(edit);
    let seqs: Vec<u64> = fixture
        .events(&room)
        .iter()
        .map(|it| number(it, "seq"))
        .collect();
    assert!(seqs.is_sorted());
}

#[test]
fn gateway_fails_sends_behind_one_that_the_log_refuses_at_once() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut alice = fixture.connect("alice");
    alice.acknowledged(message(&room, "member"));
    fixture.log.appends(Appends::UnavailableOnce);
    let names = ["a", "b", "c", "d"];
    let frames: Vec<Value> = names.iter().map(|name| message(&room, name)).collect();
    alice.send(&frames);
    for (_, answer) in answers(&mut alice, &names) {
        assert_eq!(answer["code"], "LOG_UNAVAILABLE", "{answer}");
    }
    resend_in_order(&fixture, &mut alice, &room, &names);
}
