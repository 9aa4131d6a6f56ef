//! The log unreachable: a short outage is invisible, a longer one closes connections (§2.3, §6).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::faulty_log::Telling;
use crate::line::{Came, is_event, number};
use crate::world::{World, assert_refused, eventually, message, unlimited};

/// How often a gateway compares heads with the log's, with time to spare.
const COMPARED_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn a_gateway_that_cannot_see_the_log_for_half_a_minute_closes_4500_and_nothing_is_missed() {
    let world = World::new(unlimited());
    let room = world.room(&["alice", "bob"]);
    let mut bob = world.subscribed("bob", &room);
    let mut carol = world.connect("carol");
    let mut alice = world.subscribed("alice", &room);
    world.log.out_of_sight(true);
    world.log.tells(Telling::Silent);
    let hidden = Instant::now();
    for number in 0..20 {
        alice.acknowledged(message(&room, &format!("unseen-{number}")));
    }
    for line in [&mut bob, &mut carol, &mut alice] {
        let code = loop {
            match line.next(Duration::from_secs(60)) {
                Came::Frame(frame) => assert!(!is_event(&frame), "{frame}"),
                Came::Closed(code) => break code,
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

    world.log.out_of_sight(false);
    world.log.tells(Telling::Well);
    world
        .connect("alice")
        .acknowledged(message(&room, "the-end"));
    let heard = world.heard("bob", &room, "the-end");
    assert_eq!(heard, world.events(&room));
    assert_eq!(heard.len(), 2 + 20 + 1);
}

#[test]
fn log_outage_within_the_limit_closes_no_connection_and_missed_events_arrive() {
    let world = World::new(unlimited());
    let room = world.room(&["alice", "bob"]);
    let mut bob = world.subscribed("bob", &room);
    let mut alice = world.connect("alice");
    let mut last = number(&alice.acknowledged(message(&room, "seen")), "seq");
    while bob.frame().expect("it stays open")["clientMsgId"] != "seen" {}

    world.log.out_of_sight(true);
    world.log.tells(Telling::Silent);
    let compared = world.log.head_comparisons();
    for number in 0..20 {
        alice.acknowledged(message(&room, &format!("unseen-{number}")));
    }
    eventually("the log is looked for", COMPARED_WITHIN, || {
        world.log.head_comparisons() > compared
    });
    world.log.out_of_sight(false);
    for nth in 0..20 {
        let came = loop {
            match bob.next(COMPARED_WITHIN) {
                Came::Frame(frame) if is_event(&frame) => break frame,
                Came::Frame(_) => {}
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
    let world = World::new(unlimited());
    let room = world.room(&["alice", "bob"]);
    let mut bob = world.connect("bob");
    let first = number(&bob.acknowledged(message(&room, "first")), "seq");
    let mut alice = world.connect("alice");
    world.log.out_of_sight(true);
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
    world.log.out_of_sight(false);
    bob.acknowledged(message(&room, "the-end"));
    let heard = world.heard("alice", &room, "the-end");
    assert_eq!(heard, world.events(&room));
    let frame = json!({ "type": "SUBSCRIBE", "roomId": room, "after": first });
    assert_eq!(bob.ask(frame)["recovered"], true);
    let events: Vec<_> = bob.drain().into_iter().filter(is_event).collect();
    assert_eq!(events[..], heard[3..], "the second and the end");
}
