//! Refused accounts, and an unavailable authenticator (§3, §6).

use std::time::Duration;

use roomcast_gateway::GatewayConfig;
use serde_json::{Value, json};

use crate::client::{Client, Received, TIMEOUT, pause};
use crate::fixture::{Fixture, message, unlimited};

fn close_of(line: &mut Client) -> u16 {
    loop {
        match line.next(TIMEOUT) {
            Received::Frame(_) => {}
            Received::Closed(code) => return code,
            other => panic!("no close but {other:?}"),
        }
    }
}

fn close_of_first_frame(fixture: &Fixture, token: &str) -> u16 {
    let line = Client::upgraded(&fixture.address, None);
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
    let fixture = Fixture::new(checked_every_second());
    let mut before = fixture.connect("mallory");
    fixture.tokens.bar("mallory");
    assert_eq!(
        Client::open(&fixture.address, "mallory").err(),
        Some(Some(4403))
    );
    assert_eq!(close_of_first_frame(&fixture, "mallory"), 4403);
    let reply = fixture.call("GET", "/v1/me", "mallory", Value::Null);
    assert_eq!((reply.status, &*reply.refused()), (403, "FORBIDDEN"));
    assert_eq!(close_of(&mut before), 4403, "at the next look at the token");
}

#[test]
fn without_the_authenticator_new_connections_wait_and_others_stay() {
    let fixture = Fixture::new(checked_every_second());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    let mut alice = fixture.connect("alice");
    fixture.tokens.away(true);
    assert_eq!(
        Client::open(&fixture.address, "carol").err(),
        Some(Some(503))
    );
    assert_eq!(close_of_first_frame(&fixture, "carol"), 4500);
    let reply = fixture.call("GET", "/v1/me", "alice", Value::Null);
    assert_eq!((reply.status, &*reply.refused()), (500, "INTERNAL"));
    // Longer than the time between two looks at a token.
    pause(Duration::from_secs(3));
    alice.acknowledged(message(&room, "still-here"));
    while bob.frame().expect("it stays open")["clientMsgId"] != "still-here" {}

    fixture.tokens.end("bob");
    fixture.tokens.away(false);
    assert_eq!(close_of(&mut bob), 4401, "what ended meanwhile ends now");
    fixture.connect("carol");
    alice.acknowledged(message(&room, "and-still"));
    assert_eq!(Client::open(&fixture.address, "bob").err(), Some(Some(401)));
}
