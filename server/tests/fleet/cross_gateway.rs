//! What is so at one gateway is so at all of them (§2.2, 2.8).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Received, is_event, pause};
use crate::conversation::Conversation;
use crate::fixture::{Fixture, GATEWAYS};
use crate::races::{Arena, violations};
use crate::rng::seed;
use crate::support::node::unique;

#[test]
fn members_on_five_gateways_see_one_order() {
    let mut fixture = Fixture::shared();
    let mut talk = Conversation::new(&fixture, 2 * GATEWAYS, 4 * GATEWAYS);
    let doors = fixture.gateways();
    assert_eq!(doors.len(), GATEWAYS);
    let heard = talk.during(&mut fixture, &doors, |_| pause(Duration::from_secs(4)));
    assert!(heard.messages > 100, "{heard:?}");
}

/// A connection at each gateway, subscribed to the room if there is one.
fn at_every_gateway(fixture: &Fixture, token: &str, room: Option<&str>) -> Vec<Client> {
    let lines = fixture.gateways().into_iter().map(|door| {
        let mut line = Client::connect(&door, token);
        if let Some(room) = room {
            let answer = line.ask(json!({ "type": "SUBSCRIBE", "roomId": room }));
            assert_eq!(answer["type"], "SUBSCRIBED", "{answer}");
        }
        line
    });
    lines.collect()
}

#[test]
fn removed_member_gets_the_removal_on_every_gateway_and_nothing_after_it() {
    let fixture = Fixture::shared();
    let (anna, ben) = (unique("anna"), unique("ben"));
    let room = fixture.edge.room(&[&anna, &ben]);
    let mut lines = at_every_gateway(&fixture, &fixture.edge.token(&ben), Some(&room));
    let mut anna = Client::connect(fixture.edge.http(), &fixture.edge.token(&anna));
    let path = format!("/v1/rooms/{room}/members/{ben}");
    let host = fixture.edge.admin_token();
    fixture
        .edge
        .call("DELETE", &path, &host, Value::Null)
        .ok(204);
    let removed = Instant::now();
    let said = json!({ "type": "SEND_MESSAGE", "roomId": room, "content": "he is gone" });
    assert!(
        anna.send(std::slice::from_ref(&said)),
        "the gateway has gone"
    );
    // Only reads, so that the time is that of the gateways.
    for line in &mut lines {
        let mut came = Vec::new();
        loop {
            let Received::Frame(frame) = line.next(Duration::from_secs(2)) else {
                panic!("no UNSUBSCRIBED but {came:?}");
            };
            came.push(frame["type"].as_str().expect("a type").to_owned());
            if frame["type"] == "UNSUBSCRIBED" {
                break;
            }
        }
        let taken = removed.elapsed();
        assert!(taken < Duration::from_secs(1), "{taken:?}");
        assert!(came.contains(&"MEMBER_LEFT".to_owned()), "{came:?}");
    }
    // Behind the first one.
    anna.acknowledged(said);
    for line in &mut lines {
        let said = json!({ "type": "SEND_MESSAGE", "roomId": room, "content": "let me in" });
        assert_eq!(line.ask(said)["code"], "NOT_MEMBER");
        let after: Vec<Value> = line.drain().into_iter().filter(is_event).collect();
        assert!(after.is_empty(), "{after:?}");
    }
    fixture.edge.call("PUT", &path, &host, json!({})).ok(201);
    for line in &mut lines {
        let said = json!({ "type": "SEND_MESSAGE", "roomId": room, "content": "back" });
        line.acknowledged(said);
    }
}

#[test]
fn subscribe_racing_a_removal_breaks_no_promise_in_a_thousand_rounds() {
    let fixture = Fixture::shared();
    let doors = fixture.gateways();
    let (seed, node) = (seed(), &fixture.edge);
    println!("seed {seed}");
    let broken = violations(&Arena { node, doors }, seed);
    assert_eq!(broken.len(), 0, "the first: {:?}", broken.first());
}

#[test]
fn a_sign_out_closes_its_connections_at_every_gateway_within_a_second() {
    let fixture = Fixture::shared();
    let body = json!({ "name": unique("carl").replace('-', "_")[..20], "password": "long enough" });
    fixture
        .edge
        .call("POST", "/v1/accounts", "", body.clone())
        .ok(201);
    let session = fixture.edge.call("POST", "/v1/sessions", "", body).ok(201);
    let token = session["accessToken"].as_str().expect("a token").to_owned();
    let mut lines = at_every_gateway(&fixture, &token, None);
    let out = fixture
        .edge
        .call("DELETE", "/v1/sessions/current", &token, Value::Null);
    out.ok(204);
    let ended = Instant::now();
    for line in &mut lines {
        loop {
            match line.next(Duration::from_secs(2)) {
                Received::Frame(_) => {}
                Received::Closed(code) => {
                    assert_eq!(code, 4401);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(
            ended.elapsed() < Duration::from_secs(1),
            "{:?}",
            ended.elapsed()
        );
    }
    for door in fixture.gateways() {
        assert_eq!(
            Client::open(&door, &token).err(),
            Some(Some(401)),
            "it holds no more"
        );
    }
}

#[test]
fn a_resend_at_another_gateway_is_answered_with_the_first_place() {
    let fixture = Fixture::shared();
    let anna = unique("anna");
    let room = fixture.edge.room(&[&anna]);
    let frame = json!({
        "type": "SEND_MESSAGE", "roomId": room, "content": "once", "clientMsgId": unique("m")
    });
    let answers: Vec<Value> = at_every_gateway(&fixture, &fixture.edge.token(&anna), None)
        .iter_mut()
        .map(|line| line.acknowledged(frame.clone()))
        .collect();
    let duplicates = answers.iter().filter(|it| it["duplicate"] == true).count();
    assert_eq!(duplicates, GATEWAYS - 1);
    for answer in &answers {
        assert_eq!(
            (&answer["seq"], &answer["messageId"]),
            (&answers[0]["seq"], &answers[0]["messageId"])
        );
    }
}

/// The next `NOTIFICATION` of this kind, whatever comes before it.
fn next_notification(line: &mut Client, kind: &str) -> Value {
    loop {
        match line.next(Duration::from_secs(5)) {
            Received::Frame(frame) if frame["kind"] == kind => return frame,
            Received::Frame(_) => {}
            other => panic!("no {kind} but {other:?}"),
        }
    }
}

#[test]
fn read_mark_notifies_the_users_other_connections_at_every_gateway() {
    let fixture = Fixture::shared();
    let (anna, ben) = (unique("anna"), unique("ben"));
    let room = fixture.edge.room(&[&anna, &ben]);
    let mut ben = Client::connect(fixture.edge.http(), &fixture.edge.token(&ben));
    let frame = json!({ "type": "SEND_MESSAGE", "roomId": room, "content": "unread" });
    let seq = ben.acknowledged(frame)["seq"].clone();
    let token = fixture.edge.token(&anna);
    // The first and the last are at one gateway.
    let mut lines = at_every_gateway(&fixture, &token, None);
    lines.push(Client::connect(&fixture.gateways()[0], &token));
    let mark = json!({ "type": "MARK", "roomId": room, "read": seq });
    assert!(lines[0].send(&[mark]), "the gateway has gone");
    let read = json!({
        "type": "NOTIFICATION", "kind": "READ", "roomId": room, "seq": seq, "senderId": anna
    });
    for line in &mut lines[1..] {
        assert_eq!(next_notification(line, "READ"), read);
    }
    let own = lines[0].drain();
    let is_read = |frame: &Value| frame["kind"] == "READ";
    assert!(
        !own.iter().any(is_read),
        "the connection that marked gets {own:?}"
    );
}
