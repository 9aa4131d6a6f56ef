//! The store unreachable: sends work, and calls that need the store are refused (ARCHITECTURE: the log is the truth).

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{is_event, number};
use crate::faulty_tokens::HOST;
use crate::fixture::{Fixture, assert_refused, eventually, message, unlimited};

#[test]
fn without_the_store_members_talk_on_and_afterwards_all_of_it_is_in_history() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob", "carol"]);
    let mut bob = fixture.subscribed("bob", &room);
    let mut alice = fixture.subscribed("alice", &room);
    let first = alice.acknowledged(message(&room, "first"));
    bob.drain();

    fixture.store.away(true);
    for number in 0..50 {
        alice.acknowledged(message(&room, &format!("storeless-{number}")));
    }
    let mut came = Vec::new();
    while came.len() < 50 {
        came.extend(bob.drain().into_iter().filter(is_event));
    }
    assert_eq!(came.len(), 50, "live goes on");
    let frame = json!({ "type": "SUBSCRIBE", "roomId": room, "after": first["seq"] });
    assert_eq!(bob.ask(frame)["recovered"], true, "the log has all of it");
    let replayed: Vec<Value> = bob.drain().into_iter().filter(is_event).collect();
    assert_eq!(replayed, came);

    // The log holds the whole room, and is enough to judge by.
    let about =
        |kind: &str| json!({ "type": kind, "roomId": room, "messageId": first["messageId"] });
    let (mut edit, mut react) = (about("EDIT_MESSAGE"), about("REACT"));
    (edit["content"], react["emoji"]) = (json!("edited"), json!("x"));
    for frame in [edit, react] {
        alice.acknowledged(frame);
    }
    let frame = json!({ "type": "MARK", "roomId": room, "read": first["seq"] });
    assert_refused(&alice.ask(frame.clone()), &frame, "INTERNAL");
    // This gateway does not know yet that she is a member.
    let mut carol = fixture.connect("carol");
    let frame = json!({ "type": "SUBSCRIBE", "roomId": room });
    assert_eq!(carol.ask(frame)["type"], "SUBSCRIBED");
    let stranger = json!({ "type": "SUBSCRIBE", "roomId": room });
    assert_eq!(fixture.connect("dave").ask(stranger)["code"], "NOT_MEMBER");
    let id = first["messageId"].as_str().expect("an id");
    let path = format!("/v1/rooms/{room}/messages/{id}");
    let shown = fixture.call("GET", &path, "alice", Value::Null).ok(200);
    assert_eq!(shown["content"], "edited");
    let path = format!("/v1/rooms/{room}/messages?limit=5");
    let page = fixture.call("GET", &path, "alice", Value::Null).ok(200);
    assert_eq!(page["events"][4]["clientMsgId"], "storeless-49");
    let path = format!("/v1/rooms/{room}/members");
    let reply = fixture.call("GET", &path, "alice", Value::Null);
    assert_eq!((reply.status, &*reply.refused()), (500, "INTERNAL"));

    fixture.store.away(false);
    alice.acknowledged(message(&room, "the-end"));
    let heard = fixture.heard("carol", &room, "the-end");
    assert_eq!(heard, fixture.events(&room));
    assert_eq!(heard.len(), 3 + 1 + 50 + 2 + 1);
    let edit = json!({
        "type": "EDIT_MESSAGE", "roomId": room, "messageId": first["messageId"], "content": "x"
    });
    alice.acknowledged(edit);
    eventually("the list follows", Duration::from_secs(15), || {
        let list = fixture.call("GET", "/v1/rooms", "bob", Value::Null).ok(200);
        list["rooms"][0]["lastMessage"]["content"] == "the-end"
    });
}

#[test]
fn a_member_added_or_removed_without_the_store_is_so_everywhere() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    let path = format!("/v1/rooms/{room}/members/bob");
    fixture.store.away(true);
    let reply = fixture.call("DELETE", &path, HOST, Value::Null);
    let refused = (reply.status, &*reply.refused());
    assert_eq!(refused, (503, "LOG_UNAVAILABLE"), "nothing was stored");
    bob.acknowledged(message(&room, "still-here"));
    fixture.store.away(false);
    fixture.call("DELETE", &path, HOST, Value::Null).ok(204);
    fixture.store.away(true);
    let mut left = false;
    loop {
        let frame = bob.frame().expect("it stays open");
        left |= frame["type"] == "MEMBER_LEFT";
        if frame["type"] == "UNSUBSCRIBED" {
            break;
        }
    }
    assert!(left);
    let answer = bob.ask(message(&room, "too-late"));
    assert_eq!(answer["type"], "ERROR", "{answer}");
    fixture.store.away(false);
    assert_eq!(bob.ask(message(&room, "too-late"))["code"], "NOT_MEMBER");
    assert!(number(fixture.events(&room).last().expect("a log"), "seq") > 0);
}
