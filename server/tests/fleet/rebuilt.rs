//! Permanent loss: a store rebuilt from the log, and a log created again above the old one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, is_event, number};
use crate::fixture::{Fixture, eventually, message};
use crate::pages::Reader;
use crate::support::node::{Node, unique};

const SECOND: Duration = Duration::from_secs(1);

/// A room with this many messages, an edit and a deletion; gives its speaker too.
fn told(fixture: &Fixture, messages: usize) -> (String, String) {
    let anna = unique("anna");
    let room = fixture.edge.room(&[&anna]);
    let mut line = Client::connect(fixture.edge.http(), &fixture.edge.token(&anna));
    let acks: Vec<Value> = (0..messages)
        .map(|number| line.acknowledged(message(&room, &format!("m-{number}"))))
        .collect();
    let id = &acks[3]["messageId"];
    line.acknowledged(json!({
        "type": "EDIT_MESSAGE", "roomId": room, "messageId": id, "content": "better"
    }));
    let id = &acks[5]["messageId"];
    line.acknowledged(json!({ "type": "DELETE_MESSAGE", "roomId": room, "messageId": id }));
    (room, anna)
}

#[test]
fn rebuilt_store_is_filled_from_the_log() {
    let fixture = Fixture::shared();
    let (room, anna) = told(&fixture, 60);
    let before = Reader::new(&fixture.edge, &room).after(0, 200);
    let start = |role: &str| {
        let options = fixture.back_ends(role, "rebuilt");
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Node::own(&options)
    };
    let (ingest, history, rooms) = (start("ingest"), start("history"), start("rooms"));
    let reader = Reader::new(&history, &room);
    assert_eq!(reader.after(0, 200), before, "the log has it at once");
    let mut messages = before.iter().filter(|event| event["type"] == "MESSAGE");
    let last = number(messages.next_back().expect("messages"), "seq");
    let took = eventually("the new store has it", 60 * SECOND, || {
        let token = rooms.token(&anna);
        let list = rooms.call("GET", "/v1/rooms", &token, Value::Null).ok(200);
        // The head would be the log's.
        list["rooms"][0]["lastMessage"]["seq"] == last
    });
    println!("filled after {took:?}");
    assert_eq!(reader.after(0, 200), before);
    assert_eq!(reader.backwards(7).len(), 60);
    for node in [ingest, history, rooms] {
        assert_eq!(node.terminate(), 0);
    }
}

#[test]
fn recreated_log_starts_above_the_old_one_and_clients_continue() {
    let mut fixture = Fixture::shared();
    let (room, anna) = told(&fixture, 20);
    // A message at the end: its listing comes from the store; heads are the log's.
    let mut line = Client::connect(fixture.edge.http(), &fixture.edge.token(&anna));
    line.acknowledged(message(&room, "m-last"));
    let before = Reader::new(&fixture.edge, &room).after(0, 200);
    let head = number(before.last().expect("events"), "seq");
    eventually("the store has it", 20 * SECOND, || {
        fixture
            .listed(&anna, &room)
            .is_some_and(|it| it["lastMessage"]["seq"] == head)
    });
    let mut line = Client::connect(&fixture.gateways()[0], &fixture.edge.token(&anna));
    let answer = line.ask(json!({ "type": "SUBSCRIBE", "roomId": room, "after": head }));
    assert_eq!(answer["recovered"], true);

    let nodes = fixture.fleet.nats().nodes();
    let kept = fixture.fleet.nats().directory().to_owned();
    let nats = fixture.fleet.nats_mut();
    (0..nodes).for_each(|node| nats.stop(node));
    fixture.forget_the_log(&kept);
    let nats = fixture.fleet.nats_mut();
    for node in 0..nodes {
        nats.start_node(node).expect("start it again, empty");
    }
    nats.wait_until_ready().expect("all are there");

    let name = unique("after-the-loss");
    let mut ack = Value::Null;
    eventually("somebody can speak again", 60 * SECOND, || {
        let mut line = Client::connect(fixture.edge.http(), &fixture.edge.token(&anna));
        ack = line.ask(message(&room, &name));
        ack["type"] == "ACK"
    });
    assert!(number(&ack, "seq") > head, "{ack}");
    assert!(
        number(&ack, "seq") >> 40 > head >> 40,
        "a new incarnation: {ack}"
    );
    // Who comes back from before the loss gets what came after it, and history is one.
    let mut again = Client::connect(&fixture.gateways()[1], &fixture.edge.token(&anna));
    let answer = again.ask(json!({ "type": "SUBSCRIBE", "roomId": room, "after": head }));
    assert_eq!(answer["type"], "SUBSCRIBED", "{answer}");
    if answer["recovered"] == true {
        let came: Vec<Value> = again.drain().into_iter().filter(is_event).collect();
        assert_eq!(came[0]["clientMsgId"], name.as_str());
    }
    eventually("readers are served again", 30 * SECOND, || {
        let path = format!("/v1/rooms/{room}/messages?limit=1");
        let host = fixture.edge.admin_token();
        fixture.edge.call("GET", &path, &host, Value::Null).status == 200
    });
    let after = Reader::new(&fixture.edge, &room).after(0, 200);
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.last().expect("events")["clientMsgId"], name.as_str());
    let resend = again.acknowledged(message(&room, "m-0"));
    assert_eq!(
        resend["duplicate"], true,
        "the store remembers what the log lost"
    );
    let took = eventually("rooms are made again", 30 * SECOND, || {
        let body = json!({ "kind": "GROUP", "memberIds": [anna] });
        let host = fixture.edge.admin_token();
        let reply = fixture.edge.call("POST", "/v1/rooms", &host, body);
        reply.status == 201
    });
    println!("rooms are made again after {took:?}");
}
