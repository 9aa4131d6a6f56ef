//! Presence store unreachable: connections work, and presence recovers by itself (§8).

use std::time::Duration;

use roomcast_embedded::Embedded;
use serde_json::{Value, json};

use crate::faulty_tokens::HOST;
use crate::support::scratch::Scratch;
use crate::world::{World, eventually, message, unlimited};

/// Published again after a delay of a second; with a margin.
const HEALED_WITHIN: Duration = Duration::from_secs(10);

fn status(world: &World, user: &str) -> Value {
    let path = format!("/v1/presence?userId={user}");
    let reply = world.call("GET", &path, HOST, Value::Null);
    if reply.status == 200 {
        reply.json()["users"][0]["status"].clone()
    } else {
        assert_eq!((reply.status, &*reply.refused()), (500, "INTERNAL"));
        Value::Null
    }
}

/// Who is greeted is known a moment later to others.
fn comes_online(world: &World, user: &str) {
    eventually("somebody is known as online", HEALED_WITHIN, || {
        status(world, user) == "ONLINE"
    });
}

#[test]
fn without_the_presence_store_people_come_and_talk_and_it_knows_them_when_it_is_back() {
    let world = World::new(unlimited());
    let room = world.room(&["alice", "bob"]);
    world.presence.away(true);
    let mut bob = world.subscribed("bob", &room);
    let mut alice = world.connect("alice");
    bob.send(&[json!({ "type": "WATCH_PRESENCE", "userIds": ["alice", "bob"] })]);
    alice.send(&[json!({ "type": "SET_STATUS", "status": "AWAY" })]);
    alice.acknowledged(message(&room, "hello"));
    while bob.frame().expect("it stays open")["clientMsgId"] != "hello" {}
    assert_eq!(status(&world, "alice"), Value::Null);
    let carol = world.connect("carol");
    drop(carol);

    world.presence.away(false);
    eventually("alice is known as away", HEALED_WITHIN, || {
        status(&world, "alice") == "AWAY"
    });
    eventually("bob is known as online", HEALED_WITHIN, || {
        status(&world, "bob") == "ONLINE"
    });
    eventually("carol is known as gone", HEALED_WITHIN, || {
        status(&world, "carol") == "OFFLINE"
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
    let world = World::new(config);
    let _alice = world.connect("alice");
    comes_online(&world, "alice");
    let scratch = Scratch::new();
    let empty = Embedded::open(scratch.path()).expect("another store");
    world.presence.replace(empty.presence());
    // All leases are renewed every two seconds; without that, the empty store has no user online.
    eventually("alice is known again", HEALED_WITHIN, || {
        status(&world, "alice") == "ONLINE"
    });
}

#[test]
fn watchers_get_offline_of_users_that_left_during_the_data_loss() {
    let config = roomcast_gateway::GatewayConfig {
        presence_ttl: Duration::from_secs(6),
        ..unlimited()
    };
    let world = World::new(config);
    let (mut bob, alice) = (world.connect("bob"), world.connect("alice"));
    comes_online(&world, "alice");
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
    world.presence.replace(empty.presence());
    drop(alice);
    world.presence.set_back();
    told("OFFLINE");
}

#[test]
fn leases_return_immediately_when_the_presence_store_requests_a_resync() {
    let world = World::new(unlimited());
    let _alice = world.connect("alice");
    comes_online(&world, "alice");
    let scratch = Scratch::new();
    let empty = Embedded::open(scratch.path()).expect("another store");
    world.presence.replace(empty.presence());
    assert_eq!(status(&world, "alice"), "OFFLINE");
    world.presence.set_back();
    // All leases are renewed every 30 seconds anyway.
    eventually("alice is known again", HEALED_WITHIN, || {
        status(&world, "alice") == "ONLINE"
    });
}
