//! A gateway that leaves while the log or the store does not answer (§9).

use std::time::{Duration, Instant};

use roomcast_conformance::sample::{event, said, user};
use roomcast_ports::event_log::{Append, EventLog as _};
use roomcast_protocol::RoomId;
use serde_json::json;

use crate::client::{Client, Received, TIMEOUT};
use crate::faulty_log::Appends;
use crate::fixture::{Fixture, eventually, message, unlimited};

#[test]
fn a_gateway_drains_in_time_when_every_connection_waits_for_the_log() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice"]);
    let mut lines: Vec<Client> = (0..20).map(|_| fixture.connect("alice")).collect();
    lines[0].acknowledged(message(&room, "before"));
    fixture.log.appends(Appends::Slow(Duration::from_secs(60)));
    for (number, line) in lines.iter_mut().enumerate() {
        line.send(&[message(&room, &format!("unanswered-{number}"))]);
        line.ask(json!({ "type": "PING" }));
    }
    let within = Duration::from_secs(4);
    let since = Instant::now();
    fixture.drain(within);
    // Half of it for what is unanswered, and a second each for the closes and for the tasks.
    assert!(since.elapsed() < 2 * within, "{:?}", since.elapsed());
    for line in &mut lines {
        let mut told = false;
        let code = loop {
            match line.next(TIMEOUT) {
                Received::Frame(frame) => told |= frame["type"] == "RECONNECT",
                Received::Closed(code) => break code,
                other => panic!("no close but {other:?}"),
            }
        };
        assert_eq!((told, code), (true, 1001));
    }
}

/// Closing a connection drops what its last frame waits for, which leaves the room; the fan-out holds the
/// room while it writes to the connection.
#[test]
fn gateway_drains_when_members_of_a_busy_room_wait_for_the_store() {
    let fixture = Fixture::new(unlimited());
    let room = fixture.room(&["alice"]);
    let mut lines: Vec<Client> = (0..300)
        .map(|_| fixture.subscribed("alice", &room))
        .collect();
    lines[0].acknowledged(message(&room, "before"));
    fixture.store.silent(true);
    for line in &mut lines {
        line.send(&[json!({ "type": "MARK", "roomId": room, "read": 1 })]);
    }
    eventually("every connection waits for the store", TIMEOUT, || {
        fixture.store.unanswered() >= lines.len()
    });
    let (room_id, sender_id) = (RoomId::new(&room).expect("an id"), user());
    let busy = || {
        let (log, room_id, sender_id) = (fixture.log.clone(), room_id.clone(), sender_id.clone());
        async move {
            let append = || Append::new(event(&room_id, &sender_id, said("busy")));
            while log.append(append()).await.is_ok() {}
        }
    };
    for _ in 0..8 {
        fixture.spawn(busy());
    }
    assert!(fixture.drains(Duration::from_secs(4), TIMEOUT));
}
