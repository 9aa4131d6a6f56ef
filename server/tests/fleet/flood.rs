//! Sign-outs while typing signals flood the gateways (§2.8).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Received, pause};
use crate::fixture::Fixture;
use crate::support::node::unique;

const ROOMS: usize = 40;
/// Users who type in every room, each on a connection of its own.
const TYPERS: usize = 200;
const SIGN_OUTS: usize = 3;
/// A gateway passes a user's typing in a room on once in this time.
const TYPING_INTERVAL: Duration = Duration::from_secs(2);

/// An account with open sessions: its user id and an access token of each session.
fn account_with_sessions(fixture: &Fixture, sessions: usize) -> (String, Vec<String>) {
    let body = json!({ "name": unique("eve").replace('-', "_")[..20], "password": "long enough" });
    let call = |path: &str| fixture.edge.call("POST", path, "", body.clone()).ok(201);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let user_id = text(&call("/v1/accounts")["userId"]);
    let tokens = (0..sessions).map(|_| text(&call("/v1/sessions")["accessToken"]));
    (user_id, tokens.collect())
}

/// A connection that is subscribed to these rooms.
fn subscribed(gateway: &str, token: &str, rooms: &[String]) -> Client {
    let mut line = Client::connect(gateway, token);
    for room in rooms {
        let answer = line.ask(json!({ "type": "SUBSCRIBE", "roomId": room }));
        assert_eq!(answer["type"], "SUBSCRIBED", "{answer}");
    }
    line
}

/// Reads until the connection is closed 4401; gives how many `TYPING` frames came before it.
fn typing_until_signed_out(line: &mut Client) -> usize {
    let mut typing = 0;
    loop {
        match line.next(Duration::from_secs(5)) {
            Received::Frame(frame) => typing += usize::from(frame["type"] == "TYPING"),
            Received::Closed(4401) => return typing,
            other => panic!("no close 4401 after {typing} TYPING but {other:?}"),
        }
    }
}

#[test]
fn typing_flood_through_one_gateway_delays_no_sign_out_at_another() {
    let fixture = Fixture::shared();
    let (user_id, tokens) = account_with_sessions(&fixture, SIGN_OUTS);
    let names: Vec<String> = (0..TYPERS).map(|_| unique("u")).collect();
    let members: Vec<&str> = names.iter().chain([&user_id]).map(String::as_str).collect();
    let rooms: Vec<String> = (0..ROOMS).map(|_| fixture.edge.room(&members)).collect();
    let gateways = fixture.gateways();
    let connect = |name: &String| Client::connect(&gateways[0], &fixture.edge.token(name));
    let mut typers: Vec<Client> = names.iter().map(connect).collect();
    let frame = |room: &String| json!({ "type": "TYPING", "roomId": room });
    let burst: Vec<Value> = rooms.iter().map(frame).collect();
    // What is typed in every room is sent on by the other gateway. Nothing reads there: it may be closed 4508.
    let _crowd = subscribed(&gateways[1], &fixture.edge.token(&names[0]), &rooms);
    for token in &tokens {
        // One burst in one room fits into the outbox of a connection.
        let mut line = subscribed(&gateways[1], token, &rooms[..1]);
        let begun = Instant::now();
        for typer in &mut typers {
            assert!(typer.send(&burst), "the gateway has gone");
        }
        // The flood has reached the other gateway.
        while !matches!(line.next(Duration::from_secs(5)), Received::Frame(it) if it["type"] == "TYPING")
        {
        }
        let path = "/v1/sessions/current";
        fixture
            .edge
            .call("DELETE", path, token, Value::Null)
            .ok(204);
        let ended = Instant::now();
        let typing = typing_until_signed_out(&mut line);
        let taken = ended.elapsed();
        println!("closed after {taken:?}, with {typing} of {TYPERS} TYPING of its room");
        assert!(taken < Duration::from_secs(1), "{taken:?}");
        pause(TYPING_INTERVAL.saturating_sub(begun.elapsed()));
    }
    for mut typer in typers {
        let refused = typer.drain();
        assert!(
            !refused.iter().any(|it| it["type"] == "ERROR"),
            "{refused:?}"
        );
    }
}
