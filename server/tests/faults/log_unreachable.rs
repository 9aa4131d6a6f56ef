//! The log unreachable: a short outage is invisible, a longer one closes connections (§2.3, §6).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Received, is_event, number};
use crate::faulty_log::Telling;
use crate::fixture::{Fixture, assert_refused, eventually, message, unlimited};

/// How often a gateway compares heads with the log's, with time to spare.
const COMPARED_TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn a_gateway_that_cannot_see_the_log_for_half_a_minute_closes_4500_and_nothing_is_missed() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    let mut carol = fixture.connect("carol");
    let mut alice = fixture.subscribed("alice", &room);
    fixture.log.out_of_sight(true);
    fixture.log.tells(Telling::Silent);
    let hidden = Instant::now();
    for number in 0..20 {
        alice.acknowledged(message(&room, &format!("unseen-{number}")));
    }
    for line in [&mut bob, &mut carol, &mut alice] {
        let code = loop {
            match line.next(Duration::from_secs(60)) {
                Received::Frame(frame) => assert!(!is_event(&frame), "{frame}"),
                Received::Closed(code) => break code,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(code, 4500);
    }
    let after = hidden.elapsed();
    assert!(
        (19..50).contains(&after.as_secs()),
        "closed after {after:?}"
    );

    fixture.log.out_of_sight(false);
    fixture.log.tells(Telling::Well);
    fixture
        .connect("alice")
        .acknowledged(message(&room, "the-end"));
    let heard = fixture.heard("bob", &room, "the-end");
    assert_eq!(heard, fixture.events(&room));
    assert_eq!(heard.len(), 2 + 20 + 1);
}

#[test]
fn log_outage_within_the_limit_closes_no_connection_and_missed_events_arrive() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    let mut alice = fixture.connect("alice");
    let mut last = number(&alice.acknowledged(message(&room, "seen")), "seq");
    while bob.frame().expect("it stays open")["clientMsgId"] != "seen" {}

    fixture.log.out_of_sight(true);
    fixture.log.tells(Telling::Silent);
    let compared = fixture.log.head_comparisons();
    for number in 0..20 {
        alice.acknowledged(message(&room, &format!("unseen-{number}")));
    }
    eventually("the log is looked for", COMPARED_TIMEOUT, || {
        fixture.log.head_comparisons() > compared
    });
    fixture.log.out_of_sight(false);
    for nth in 0..20 {
        let came = loop {
            match bob.next(COMPARED_TIMEOUT) {
                Received::Frame(frame) if is_event(&frame) => break frame,
                Received::Frame(_) => {}
                other => panic!("{other:?} before the {nth}th"),
            }
        };
        assert_eq!(link_and_name(&came), (last, format!("unseen-{nth}")));
        last = number(&came, "seq");
    }
}

fn link_and_name(event: &Value) -> (u64, String) {
    let name = event["clientMsgId"].as_str().expect("a name").to_owned();
    (number(event, "prev"), name)
}

#[test]
fn subscribing_while_the_log_is_out_of_sight_is_refused_and_can_be_tried_again() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.connect("bob");
    let first = number(&bob.acknowledged(message(&room, "first")), "seq");
    let mut alice = fixture.connect("alice");
    fixture.log.out_of_sight(true);
    for after in [json!(null), json!(0)] {
        let frame = json!({ "type": "SUBSCRIBE", "roomId": room, "after": after });
        assert_refused(&bob.ask(frame.clone()), &frame, "LOG_UNAVAILABLE");
        assert_refused(&alice.ask(frame.clone()), &frame, "LOG_UNAVAILABLE");
    }
    // What the gateway has at hand itself it gives without the log.
    let frame = json!({ "type": "SUBSCRIBE", "roomId": room, "after": first });
    assert_eq!(bob.ask(frame)["recovered"], true);
    let frame = json!({ "type": "UNSUBSCRIBE", "roomId": room });
    assert_eq!(bob.ask(frame)["type"], "UNSUBSCRIBED");
    bob.acknowledged(message(&room, "second"));
    assert!(!bob.drain().iter().any(is_event), "nobody is subscribed");
    fixture.log.out_of_sight(false);
    bob.acknowledged(message(&room, "the-end"));
    let heard = fixture.heard("alice", &room, "the-end");
    assert_eq!(heard, fixture.events(&room));
    let frame = json!({ "type": "SUBSCRIBE", "roomId": room, "after": first });
    assert_eq!(bob.ask(frame)["recovered"], true);
    let events: Vec<_> = bob.drain().into_iter().filter(is_event).collect();
    assert_eq!(events[..], heard[3..], "the second and the end");
}
