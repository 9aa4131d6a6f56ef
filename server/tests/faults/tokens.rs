//! Refused accounts, and an unavailable authenticator (§3, §6).

use std::time::Duration;

use roomcast_gateway::GatewayConfig;
use serde_json::{Value, json};

use crate::line::{Came, Line, WITHIN, pause};
use crate::world::{World, message, unlimited};

fn close_of(line: &mut Line) -> u16 {
    loop {
        match line.next(WITHIN) {
            Came::Frame(_) => {}
            Came::Closed(code) => return code,
            other => panic!("no close but {other:?}"),
        }
    }
}

fn close_of_first_frame(world: &World, token: &str) -> u16 {
    let line = Line::upgraded(&world.address, None);
    let mut line = line.unwrap_or_else(|status| panic!("no upgrade: {status:?}"));
    line.send(&[json!({ "type": "AUTH", "token": token })]);
    close_of(&mut line)
}

fn checked_every_second() -> GatewayConfig {
    GatewayConfig {
        token_recheck: Duration::from_secs(1),
        ..unlimited()
    }
}

#[test]
fn a_refused_account_is_closed_4403_however_its_token_comes() {
    let world = World::new(checked_every_second());
    let mut before = world.connect("mallory");
    world.tokens.bar("mallory");
    assert_eq!(
        Line::open(&world.address, "mallory").err(),
        Some(Some(4403))
    );
    assert_eq!(close_of_first_frame(&world, "mallory"), 4403);
    let reply = world.call("GET", "/v1/me", "mallory", Value::Null);
    assert_eq!((reply.status, &*reply.refused()), (403, "FORBIDDEN"));
    assert_eq!(close_of(&mut before), 4403, "at the next look at the token");
}

#[test]
fn without_the_authenticator_new_connections_wait_and_others_stay() {
    let world = World::new(checked_every_second());
    let room = world.room(&["alice", "bob"]);
    let mut bob = world.subscribed("bob", &room);
    let mut alice = world.connect("alice");
    world.tokens.away(true);
    assert_eq!(Line::open(&world.address, "carol").err(), Some(Some(503)));
    assert_eq!(close_of_first_frame(&world, "carol"), 4500);
    let reply = world.call("GET", "/v1/me", "alice", Value::Null);
    assert_eq!((reply.status, &*reply.refused()), (500, "INTERNAL"));
    // Longer than the time between two looks at a token.
    pause(Duration::from_secs(3));
    alice.acknowledged(message(&room, "still-here"));
    while bob.frame().expect("it stays open")["clientMsgId"] != "still-here" {}

    world.tokens.end("bob");
    world.tokens.away(false);
    assert_eq!(close_of(&mut bob), 4401, "what ended meanwhile ends now");
    world.connect("carol");
    alice.acknowledged(message(&room, "and-still"));
    assert_eq!(Line::open(&world.address, "bob").err(), Some(Some(401)));
}
