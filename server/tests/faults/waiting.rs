//! A log that keeps messages waiting, and one that no longer knows what it was given (§2.4, §5).

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use crate::client::{Client, is_event, number, pause};
use crate::faulty_log::Appends;
use crate::fixture::{Fixture, message, unlimited};

#[test]
fn room_gets_one_warning_while_messages_wait_for_the_log_and_then_the_messages() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut bob = fixture.subscribed("bob", &room);
    let mut alice = fixture.connect("alice");
    alice.acknowledged(message(&room, "before"));
    fixture.log.appends(Appends::Slow(Duration::from_secs(3)));
    let frames: Vec<_> = (0..10)
        .map(|number| message(&room, &format!("waits-{number}")))
        .collect();
    alice.send(&frames);
    let mut came = Vec::new();
    while came.iter().filter(|it| is_event(it)).count() < 11 {
        came.push(bob.frame().expect("it stays open"));
    }
    let kinds: Vec<_> = came
        .iter()
        .map(|frame| frame["type"].as_str().expect("a type"))
        .filter(|kind| ["MESSAGE", "WARNING"].contains(kind))
        .collect();
    let warnings = kinds.iter().filter(|kind| **kind == "WARNING").count();
    assert_eq!(
        (kinds[0], kinds[1], warnings),
        ("MESSAGE", "WARNING", 1),
        "{kinds:?}"
    );
    let warning = came.iter().find(|frame| frame["type"] == "WARNING");
    assert_eq!(warning.expect("counted")["code"], "LOG_UNAVAILABLE");
}

#[test]
fn a_resend_that_the_log_has_forgotten_is_answered_with_the_first_place() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    let mut alice = fixture.connect("alice");
    let old_id = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    let firsts: Vec<_> = ["no-time-in-it", old_id]
        .map(|name| alice.acknowledged(message(&room, name)))
        .into();
    fixture.log.forgets(true);
    for first in &firsts {
        let name = first["clientMsgId"].as_str().expect("a name");
        let again = alice.acknowledged(message(&room, name));
        assert_eq!(again["duplicate"], true, "{again}");
        assert_eq!(number(&again, "seq"), number(first, "seq"));
        assert_eq!(again["messageId"], first["messageId"]);
        let path = format!("/v1/rooms/{room}/messages");
        let body = json!({ "content": name, "clientMsgId": name });
        let posted = fixture.call("POST", &path, "alice", body).ok(200);
        assert_eq!(posted["seq"], first["seq"], "over HTTP as well");
    }
    assert_eq!(fixture.events(&room).len(), 2 + 2, "nothing was added");
}

/// A `clientMsgId` that claims to have been made `offset_ms` after now.
fn id_made_at(offset_ms: i64, number: usize) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_ms = i64::try_from(now.expect("a clock").as_millis()).expect("this millennium");
    let made = now_ms + offset_ms;
    let (high, low) = (made >> 16, made & 0xffff);
    format!("{high:08x}-{low:04x}-7000-8000-{number:012x}")
}

/// How a message is sent, and sent again.
#[derive(Debug, Clone, Copy)]
enum Way {
    OneConnection,
    NewConnections,
    Http,
}

/// Sends the message and gives the `ACK`.
fn send(fixture: &Fixture, room: &str, way: Way, line: &mut Client, id: &str) -> serde_json::Value {
    match way {
        Way::OneConnection => line.acknowledged(message(room, id)),
        Way::NewConnections => fixture.connect("alice").acknowledged(message(room, id)),
        Way::Http => {
            let path = format!("/v1/rooms/{room}/messages");
            let body = json!({ "content": id, "clientMsgId": id });
            let reply = fixture.call("POST", &path, "alice", body);
            assert!([200, 201].contains(&reply.status), "{id}: {}", reply.status);
            reply.json()
        }
    }
}

#[test]
fn gateway_stores_a_resend_once_however_wrong_the_clock_that_made_its_id_is() {
    const WINDOW: Duration = Duration::from_secs(2);
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice", "bob"]);
    fixture.log.remembers_for(WINDOW);
    // A clock that is right, one that is behind, and some ahead by up to twice the log's window.
    let offsets_ms = [
        -3_600_000, -1_500, 0, 500, 1_000, 1_500, 2_000, 3_000, 4_000,
    ];
    let mut sent = Vec::new();
    for way in [Way::OneConnection, Way::NewConnections, Way::Http] {
        for offset_ms in offsets_ms {
            let id = id_made_at(offset_ms, sent.len());
            let mut line = fixture.connect("alice");
            let first = send(&fixture, &room, way, &mut line, &id);
            assert_eq!(first["duplicate"], false, "{first}");
            sent.push((way, offset_ms, id, line, first));
        }
    }
    let begun = Instant::now();
    while begun.elapsed() < 3 * WINDOW {
        for (way, offset_ms, id, line, first) in &mut sent {
            let again = send(&fixture, &room, *way, line, id);
            let after = begun.elapsed();
            assert_eq!(
                again["duplicate"], true,
                "{way:?}, made {offset_ms} ms ahead, {after:?}"
            );
            assert_eq!(
                again["seq"], first["seq"],
                "{way:?}, made {offset_ms} ms ahead, {after:?}"
            );
        }
        pause(Duration::from_millis(50));
    }
    assert_eq!(
        fixture.events(&room).len(),
        2 + sent.len(),
        "each is there once"
    );
}
