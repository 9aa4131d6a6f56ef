//! Faulty live delivery: subscribers get every event in order all the same (§2.2, 2.3).

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use roomcast_ports::live::LiveEvent;
use roomcast_protocol::{RoomId, Seq};
use serde_json::{Value, json};

use crate::client::{Client, Received, TIMEOUT, is_event, number, pause};
use crate::faulty_log::Telling;
use crate::fixture::{Fixture, message, unlimited};
use crate::follower::Follower;
use crate::rng::{Rng, seed};

/// By when the next comparison with the log has found what is missing, with time to read it.
const AUDITED_TIMEOUT: Duration = Duration::from_secs(15);
/// A gap is found immediately when the log reports lag.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Waits for the message of this name; everything before it must be the chain after `last`. Gives its seq.
fn hear(line: &mut Client, mut last: u64, name: &str, within: Duration) -> u64 {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Received::Frame(frame) = line.next(left) else {
            panic!("no {name} within {within:?}");
        };
        if is_event(&frame) {
            assert_eq!(number(&frame, "prev"), last, "{frame}");
            last = number(&frame, "seq");
            if frame["clientMsgId"] == name {
                return last;
            }
        }
    }
}

#[test]
fn events_dropped_duplicated_swapped_and_delayed_reach_every_subscriber_once_in_order() {
    let seed = seed();
    println!("seed {seed}");
    let fixture = Fixture::new(unlimited());
    let users = ["u0", "u1", "u2", "u3", "u4", "u5", "u6"];
    let room = fixture.room(&users);
    fixture.log.tells(Telling::Badly(Rng::new(seed, 0)));
    let mut listeners: Vec<Follower> = users[3..]
        .iter()
        .map(|user| Follower::new((*user).to_owned(), &room))
        .collect();
    let (fixture, room) = (&fixture, &room);
    let told = std::thread::scope(|scope| {
        for (number, listener) in listeners.iter_mut().enumerate() {
            let mut rng = Rng::new(seed, 1 + number as u64);
            // One of them leaves and comes back all the time.
            let every = if number == 0 { 50 } else { usize::MAX };
            scope.spawn(move || {
                listener.follow(&fixture.address, "the-end", || rng.once_in(every));
            });
        }
        std::thread::scope(|scope| {
            for user in &users[..3] {
                scope.spawn(move || {
                    let mut line = fixture.connect(user);
                    for number in 0..400 {
                        line.acknowledged(message(room, &format!("{user}-{number}")));
                        pause(Duration::from_millis(1));
                    }
                });
            }
        });
        // The last one is delivered to no subscriber.
        fixture.log.tells(Telling::Silent);
        fixture.connect("u0").acknowledged(message(room, "the-end"));
        Instant::now()
    });
    let waited = told.elapsed();
    assert!(
        waited < AUDITED_TIMEOUT,
        "{waited:?} until the next comparison"
    );
    let log: Vec<String> = fixture.events(room).iter().map(Value::to_string).collect();
    assert_eq!(log.len(), users.len() + 3 * 400 + 1);
    for listener in &listeners {
        assert!(listener.heard == log, "a listener heard something else");
    }
}

#[test]
fn dropped_event_arrives_with_the_next_event_or_with_a_lag_report() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    let mut alice = fixture.connect("alice");
    let room_id = RoomId::new(&room).expect("an id");
    let mut last = number(&alice.acknowledged(message(&room, "first")), "seq");
    let before = number(&fixture.events(&room)[1], "seq");
    assert_eq!(hear(&mut bob, before, "first", AT_ONCE), last);
    for round in 0..20 {
        fixture.log.tells(Telling::Silent);
        for number in 0..10 {
            alice.acknowledged(message(&room, &format!("unheard-{round}-{number}")));
        }
        let name = format!("last-{round}");
        if round % 3 == 0 {
            fixture.log.tells(Telling::Well);
        }
        let head = number(&alice.acknowledged(message(&room, &name)), "seq");
        match round % 3 {
            1 => fixture.log.tell(LiveEvent::Lagged),
            2 => {
                let head = Seq::new(head).expect("a place");
                fixture
                    .log
                    .tell(LiveEvent::HeadAdvanced(room_id.clone(), head));
            }
            _ => {}
        }
        last = hear(&mut bob, last, &name, AT_ONCE);
        assert_eq!(last, head);
    }
}

/// Bob subscribes after the room's first message; while what he missed is being read, alice sends more
/// than a room keeps at hand for those who come in this moment. `then` happens before the read ends.
fn overtaken(fixture: &Fixture, room: &str, then: impl FnOnce()) -> Client {
    let mut bob = fixture.connect("bob");
    // Known here as a member, so that only the replay reads the log.
    let first = number(&bob.acknowledged(message(room, "first")), "seq");
    let mut alice = fixture.subscribed("alice", room);
    alice.acknowledged(message(room, "second"));
    // More than the room keeps at hand: the replay has to read the log.
    for number in 0..70 {
        alice.acknowledged(message(room, &format!("earlier-{number}")));
    }
    let (reached, is_reached) = sync_channel(1);
    let release = fixture.log.stall_next_read(reached);
    bob.send(&[json!({ "type": "SUBSCRIBE", "roomId": room, "after": first })]);
    let is_reached = is_reached.recv_timeout(TIMEOUT);
    is_reached.expect("the replay is read");
    for number in 0..200 {
        alice.acknowledged(message(room, &format!("meanwhile-{number}")));
    }
    // All of it has been fanned out.
    hear(&mut alice, first, "meanwhile-199", AT_ONCE);
    then();
    release.send(()).expect("the read waits");
    bob
}

#[test]
fn a_subscription_overtaken_by_a_busy_room_gets_the_whole_chain() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = overtaken(&fixture, &room, || ());
    fixture
        .connect("alice")
        .acknowledged(message(&room, "the-end"));
    let first = number(&fixture.events(&room)[2], "seq");
    hear(&mut bob, first, "the-end", AT_ONCE);
}

#[test]
fn a_subscription_that_cannot_catch_up_is_closed_and_not_left_with_a_gap() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = overtaken(&fixture, &room, || fixture.log.out_of_sight(true));
    let mut came = Vec::new();
    loop {
        match bob.next(TIMEOUT) {
            Received::Frame(frame) => came.push(frame["type"].as_str().expect("a type").to_owned()),
            Received::Closed(code) => {
                assert_eq!(code, 4500, "{came:?}");
                break;
            }
            other => panic!("{other:?} after {came:?}"),
        }
    }
    came.retain(|kind| kind != "NOTIFICATION");
    came.dedup();
    assert_eq!(came, ["SUBSCRIBED", "MESSAGE"]);

    fixture.log.out_of_sight(false);
    fixture
        .connect("alice")
        .acknowledged(message(&room, "the-end"));
    assert_eq!(
        fixture.heard("bob", &room, "the-end"),
        fixture.events(&room)
    );
}
