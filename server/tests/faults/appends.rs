//! A log that does not take, or does not confirm: named, and whole after the resend (§2.1, 2.4, §6).

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use crate::client::{Client, is_event, number};
use crate::faulty_log::Appends;
use crate::faulty_tokens::HOST;
use crate::fixture::{Fixture, assert_refused, message, unlimited};
use crate::rng::{Rng, seed};

/// A message of alice's as target, and each message command by name.
fn everything_sayable(line: &mut Client, room: &str, name: &str) -> Vec<Value> {
    let mut about = |kind: &str, more: &[(&str, &str)]| {
        let target = line.acknowledged(message(room, &format!("{name}-{kind}-target")));
        let mut frame = json!({
            "type": kind, "roomId": room, "messageId": target["messageId"],
            "clientMsgId": format!("{name}-{kind}"),
        });
        for (field, value) in more {
            frame[*field] = json!(value);
        }
        frame
    };
    vec![
        message(room, &format!("{name}-send")),
        about("EDIT_MESSAGE", &[("content", "better")]),
        about("DELETE_MESSAGE", &[]),
        about("REACT", &[("emoji", "👍")]),
    ]
}

/// The received events, without the messages that were only sent as targets.
fn events_of(line: &mut Client) -> Vec<Value> {
    let mut events = line.drain();
    events.retain(|frame| {
        let name = frame["clientMsgId"].as_str().unwrap_or_default();
        is_event(frame) && !name.ends_with("-target")
    });
    events
}

#[test]
fn what_the_log_refuses_is_named_not_kept_and_taken_when_it_is_sent_again() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    let mut alice = fixture.connect("alice");
    let frames = everything_sayable(&mut alice, &room, "refused");
    events_of(&mut bob);

    fixture.log.appends(Appends::Unavailable);
    for frame in &frames {
        assert_refused(&alice.ask(frame.clone()), frame, "LOG_UNAVAILABLE");
    }
    let path = format!("/v1/rooms/{room}/messages");
    let body = json!({ "content": "by HTTP", "clientMsgId": "http" });
    let reply = fixture.call("POST", &path, "alice", body.clone());
    assert_eq!((reply.status, &*reply.refused()), (503, "LOG_UNAVAILABLE"));
    let member = format!("/v1/rooms/{room}/members/carol");
    let reply = fixture.call("PUT", &member, HOST, json!({}));
    assert_eq!((reply.status, &*reply.refused()), (503, "LOG_UNAVAILABLE"));
    assert_eq!(events_of(&mut bob), Vec::<Value>::new());

    fixture.log.appends(Appends::Well);
    let mut expected = Vec::new();
    for frame in &frames {
        let ack = alice.acknowledged(frame.clone());
        assert_eq!(ack["duplicate"], false, "{ack}");
        expected.push(ack["seq"].clone());
    }
    expected.push(fixture.call("POST", &path, "alice", body).ok(201)["seq"].clone());
    fixture.call("PUT", &member, HOST, json!({})).ok(201);
    let mut came = Vec::new();
    while came.len() < 6 {
        came.extend(events_of(&mut bob));
    }
    let seqs: Vec<Value> = came.iter().map(|event| event["seq"].clone()).collect();
    assert_eq!(seqs[..5], expected, "each once, in order");
    assert_eq!(came[5]["type"], "MEMBER_JOINED");
}

/// What is about a message is looked for when the log did not confirm it: if it is `stored`, it may be
/// acknowledged at once.
fn assert_unconfirmed(answer: &Value, frame: &Value, stored: bool) {
    if stored && answer["type"] == "ACK" && frame["type"] != "SEND_MESSAGE" {
        assert_eq!(answer["duplicate"], true, "{answer}");
    } else {
        assert_refused(answer, frame, "UNCONFIRMED");
    }
}

#[test]
fn what_the_log_does_not_confirm_is_there_once_whether_it_was_stored_or_not() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    for (name, appends, stored) in [
        ("lost", Appends::Lost, false),
        ("kept", Appends::Kept, true),
    ] {
        let mut alice = fixture.connect("alice");
        let frames = everything_sayable(&mut alice, &room, name);
        let before = fixture.events(&room).len();
        let mut acks = Vec::new();
        for frame in &frames {
            fixture.log.appends(appends.clone());
            let first = alice.ask(frame.clone());
            assert_unconfirmed(&first, frame, stored);
            fixture.log.appends(Appends::Well);
            let ack = alice.acknowledged(frame.clone());
            assert_eq!(ack["duplicate"], stored, "{frame}: {ack}");
            acks.push((frame, ack));
        }
        let events = fixture.events(&room).split_off(before);
        assert_eq!(events.len(), frames.len(), "each is there once");
        for ((frame, ack), event) in acks.iter().zip(&events) {
            assert_eq!(ack["seq"], event["seq"], "{frame}: {ack}\n{event}");
            assert_eq!(
                ack["messageId"], event["messageId"],
                "{frame}: {ack}\n{event}"
            );
            let again = alice.acknowledged((*frame).clone());
            assert_eq!(again["duplicate"], true, "{frame}: {again}");
            let place = |ack: &Value| (ack["seq"].clone(), ack["messageId"].clone());
            assert_eq!(place(&again), place(ack), "{frame}");
        }
    }
}

#[test]
fn possibly_stored_event_is_never_reported_as_not_stored() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice"]);
    let mut alice = fixture.connect("alice");
    let frames = everything_sayable(&mut alice, &room, "unseen");
    for frame in &frames {
        fixture.log.appends(Appends::KeptUnseen);
        assert_unconfirmed(&alice.ask(frame.clone()), frame, true);
        fixture.log.appends(Appends::Well);
        fixture.log.out_of_sight(false);
        let ack = alice.acknowledged(frame.clone());
        assert_eq!(ack["duplicate"], true, "{ack}");
    }
}

/// Sends `count` messages, several at a time, each again until it is acknowledged.
fn send_all(
    fixture: &Fixture,
    room: &str,
    user: &str,
    count: usize,
) -> HashMap<String, (u64, String)> {
    let mut line = fixture.connect(user);
    let mut waiting: VecDeque<String> = (0..count).map(|it| format!("{user}-{it}")).collect();
    let (mut acked, mut under_way) = (HashMap::new(), 0);
    while acked.len() < count {
        while under_way < 32
            && let Some(name) = waiting.pop_front()
        {
            line.send(&[message(room, &name)]);
            under_way += 1;
        }
        let answer = line.frame().expect("an answer");
        let name = answer["clientMsgId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        match answer["type"].as_str() {
            Some("ACK") => {
                let id = answer["messageId"].as_str().expect("an id").to_owned();
                acked.insert(name, (number(&answer, "seq"), id));
            }
            Some("ERROR") => {
                assert_eq!(answer["retryable"], true, "{answer}");
                waiting.push_back(name);
            }
            _ => continue,
        }
        under_way -= 1;
    }
    acked
}

#[test]
fn resending_through_a_log_that_fails_three_times_in_four_makes_each_message_once() {
    let seed = seed();
    println!("seed {seed}");
    let fixture = Fixture::new(unlimited());
    let users = ["u0", "u1", "u2", "u3"];
    let room = fixture.room(&users);
    fixture.log.appends(Appends::Mixed(Rng::new(seed, 0)));
    let acked = std::thread::scope(|scope| {
        let sending = users.map(|user| scope.spawn(|| send_all(&fixture, &room, user, 300)));
        sending.map(|sending| sending.join().expect("a sender"))
    });
    fixture.log.appends(Appends::Well);
    fixture
        .connect("u0")
        .acknowledged(message(&room, "the-end"));
    let heard = fixture.heard("u1", &room, "the-end");
    assert_eq!(heard, fixture.events(&room), "heard and read are the same");
    let acked: HashMap<_, _> = acked.into_iter().flatten().collect();
    let messages = heard.iter().filter(|event| event["type"] == "MESSAGE");
    let mut count = 0;
    for event in messages.filter(|event| event["clientMsgId"] != "the-end") {
        let name = event["clientMsgId"].as_str().expect("a name");
        let place = (
            number(event, "seq"),
            event["messageId"].as_str().expect("an id").to_owned(),
        );
        assert_eq!(acked.get(name), Some(&place), "{event}");
        count += 1;
    }
    assert_eq!((count, acked.len()), (4 * 300, 4 * 300), "each once");
}
