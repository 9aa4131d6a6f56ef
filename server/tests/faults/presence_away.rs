//! Presence store unreachable: connections work, and presence recovers by itself (§8).

use std::time::Duration;

use roomcast_embedded::Embedded;
use serde_json::{Value, json};

use crate::faulty_tokens::HOST;
use crate::fixture::{Fixture, eventually, message, unlimited};
use crate::support::scratch::Scratch;

/// Published again after a delay of a second; with a margin.
const HEALED_TIMEOUT: Duration = Duration::from_secs(10);

fn status(fixture: &Fixture, user: &str) -> Value {
    let path = format!("/v1/presence?userId={user}");
    let reply = fixture.call("GET", &path, HOST, Value::Null);
    if reply.status == 200 {
        reply.json()["users"][0]["status"].clone()
    } else {
        assert_eq!((reply.status, &*reply.refused()), (500, "INTERNAL"));
        Value::Null
    }
}

/// Who is greeted is known a moment later to others.
fn comes_online(fixture: &Fixture, user: &str) {
    eventually("somebody is known as online", HEALED_TIMEOUT, || {
        status(fixture, user) == "ONLINE"
    });
}

#[test]
fn without_the_presence_store_people_come_and_talk_and_it_knows_them_when_it_is_back() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    fixture.presence.away(true);
    let mut bob = fixture.subscribed("bob", &room);
    let mut alice = fixture.connect("alice");
    bob.send(&[json!({ "type": "WATCH_PRESENCE", "userIds": ["alice", "bob"] })]);
    alice.send(&[json!({ "type": "SET_STATUS", "status": "AWAY" })]);
    alice.acknowledged(message(&room, "hello"));
    while bob.frame().expect("it stays open")["clientMsgId"] != "hello" {}
    assert_eq!(status(&fixture, "alice"), Value::Null);
    let carol = fixture.connect("carol");
    drop(carol);

    fixture.presence.away(false);
    eventually("alice is known as away", HEALED_TIMEOUT, || {
        status(&fixture, "alice") == "AWAY"
    });
    eventually("bob is known as online", HEALED_TIMEOUT, || {
        status(&fixture, "bob") == "ONLINE"
    });
    eventually("carol is known as gone", HEALED_TIMEOUT, || {
        status(&fixture, "carol") == "OFFLINE"
    });
    // The watch stands: changes arrive.
    alice.send(&[json!({ "type": "SET_STATUS", "status": "ONLINE" })]);
    loop {
        let frame = bob.frame().expect("it stays open");
        if frame["type"] == "PRESENCE" && frame["userId"] == "alice" && frame["status"] == "ONLINE"
        {
            break;
        }
    }
}

#[test]
fn leases_return_in_time_after_the_presence_store_lost_its_data() {
    let config = roomcast_gateway::GatewayConfig {
        presence_ttl: Duration::from_secs(6),
        ..unlimited()
    };
    let fixture = Fixture::new(config);
    let _alice = fixture.connect("alice");
    comes_online(&fixture, "alice");
    let scratch = Scratch::new();
    let empty = Embedded::open(scratch.path()).expect("another store");
    fixture.presence.replace(empty.presence());
    // All leases are renewed every two seconds; without that, the empty store has no user online.
    eventually("alice is known again", HEALED_TIMEOUT, || {
        status(&fixture, "alice") == "ONLINE"
    });
}

#[test]
fn watchers_get_offline_of_users_that_left_during_the_data_loss() {
    let config = roomcast_gateway::GatewayConfig {
        presence_ttl: Duration::from_secs(6),
        ..unlimited()
    };
    let fixture = Fixture::new(config);
    let (mut bob, alice) = (fixture.connect("bob"), fixture.connect("alice"));
    comes_online(&fixture, "alice");
    bob.send(&[json!({ "type": "WATCH_PRESENCE", "userIds": ["alice"] })]);
    let mut told = |status: &str| loop {
        let frame = bob.frame().expect("it stays open");
        if frame["type"] == "PRESENCE" && frame["userId"] == "alice" {
            assert_eq!(frame["status"], status);
            break;
        }
    };
    told("ONLINE");
    let scratch = Scratch::new();
    let empty = Embedded::open(scratch.path()).expect("another store");
    fixture.presence.replace(empty.presence());
    drop(alice);
    fixture.presence.set_back();
    told("OFFLINE");
}

#[test]
fn leases_return_immediately_when_the_presence_store_requests_a_resync() {
    let fixture = Fixture::new(unlimited());
    let _alice = fixture.connect("alice");
    comes_online(&fixture, "alice");
    let scratch = Scratch::new();
    let empty = Embedded::open(scratch.path()).expect("another store");
    fixture.presence.replace(empty.presence());
    assert_eq!(status(&fixture, "alice"), "OFFLINE");
    fixture.presence.set_back();
    // All leases are renewed every 30 seconds anyway.
    eventually("alice is known again", HEALED_TIMEOUT, || {
        status(&fixture, "alice") == "ONLINE"
    });
}
