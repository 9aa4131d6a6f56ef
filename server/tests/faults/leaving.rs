//! A gateway that leaves while the log does not answer (§9).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::faulty_log::Appends;
use crate::line::{Came, Line, WITHIN};
use crate::world::{World, message, unlimited};

#[test]
fn a_gateway_drains_in_time_when_every_connection_waits_for_the_log() {
    let world = World::new(unlimited());
    let room = world.room(&["alice"]);
    let mut lines: Vec<Line> = (0..20).map(|_| world.connect("alice")).collect();
    lines[0].acknowledged(message(&room, "before"));
    world.log.appends(Appends::Slow(Duration::from_secs(60)));
    for (number, line) in lines.iter_mut().enumerate() {
        line.send(&[message(&room, &format!("unanswered-{number}"))]);
        line.ask(json!({ "type": "PING" }));
    }
    let within = Duration::from_secs(4);
    let since = Instant::now();
    world.drain(within);
    // Half of it for what is unanswered, and a second each for the closes and for the tasks.
    assert!(since.elapsed() < 2 * within, "{:?}", since.elapsed());
    for line in &mut lines {
        let mut told = false;
        let code = loop {
            match line.next(WITHIN) {
                Came::Frame(frame) => told |= frame["type"] == "RECONNECT",
                Came::Closed(code) => break code,
                other => panic!("no close but {other:?}"),
            }
        };
        assert_eq!((told, code), (true, 1001));
    }
}
