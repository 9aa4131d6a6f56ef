//! Coming back at any point of a room's past, while people go on talking (§2.3, 5).

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::UNLIMITED;
use crate::client::{Client, is_event, number, pause};
use crate::follower::Follower;
use crate::model::redacted;
use crate::pages::Reader;
use crate::rng::{Rng, seed};
use crate::sender::StopAtEnd;
use crate::support::node::Node;
use crate::workload::Talk;

/// Who resume, each at their share of the points.
const READERS: usize = 6;

/// What came to one who resumed after `point`.
struct Resumed {
    point: u64,
    /// The room's head when they did.
    head: u64,
    events: Vec<Value>,
}

/// Resumes, sends a message, and receives until it arrives.
fn resume(node: &Node, room: &str, user: &str, point: u64) -> Resumed {
    let mut line = Client::connect(node.http(), &node.token(user));
    let end = format!("end-{point}");
    line.send(&[
        json!({ "type": "SUBSCRIBE", "roomId": room, "after": point }),
        json!({ "type": "SEND_MESSAGE", "roomId": room, "content": "end", "clientMsgId": end }),
    ]);
    let (mut head, mut events) = (None, Vec::new());
    loop {
        let frame = line.frame().expect("the connection stays");
        assert_ne!(frame["type"], "ERROR", "{frame}");
        if frame["type"] == "SUBSCRIBED" {
            assert_eq!(
                (&frame["recovered"], &frame["after"]),
                (&json!(true), &json!(point))
            );
            head = Some(number(&frame, "head"));
        } else if is_event(&frame) {
            let is_end = frame["type"] == "MESSAGE" && frame["clientMsgId"] == end.as_str();
            events.push(frame);
            if is_end {
                break;
            }
        }
    }
    let head = head.expect("SUBSCRIBED");
    Resumed {
        point,
        head,
        events,
    }
}

/// The log as it was received live, with the redaction of deleted messages, and its seq.
struct Reference {
    log: Vec<Value>,
    deleted_at: HashMap<String, u64>,
}

impl Reference {
    fn new(log: Vec<Value>) -> Self {
        let deleted = log
            .iter()
            .filter(|event| event["type"] == "MESSAGE_DELETED");
        let deleted_at = deleted
            .map(|event| (event["messageId"].to_string(), number(event, "seq")))
            .collect();
        Self { log, deleted_at }
    }

    /// The whole chain from the point on, each event once, redacted when it was deleted before it was read.
    fn judge(&self, resumed: &Resumed) {
        let start = self
            .log
            .iter()
            .position(|event| number(event, "seq") > resumed.point);
        let expected = &self.log[start.expect("the end marker at least")..];
        for (came, said) in resumed.events.iter().zip(expected) {
            let gone = redacted(said);
            let deleted_at = self.deleted_at.get(&said["messageId"].to_string()).copied();
            let fits = match deleted_at {
                None => came == said,
                Some(at) if at <= resumed.head && number(said, "seq") <= resumed.head => {
                    *came == gone
                }
                // Deleted while it was on its way.
                Some(_) => came == said || *came == gone,
            };
            assert!(fits, "after {}: {came}\nwas {said}", resumed.point);
        }
    }
}

#[test]
fn resuming_at_every_point_of_a_log_gives_the_whole_chain_while_people_talk() {
    let seed = seed();
    println!("seed {seed}");
    let node = Node::own(UNLIMITED);
    let names: Vec<String> = (0..8 + READERS)
        .map(|number| format!("u{number}"))
        .collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let room = node.room(&members);
    let mut witness = Follower::new(node.token("u7"), &room);
    let address = node.http().to_owned();
    let witness = std::thread::spawn(move || {
        witness.follow(&address, "the-end", || false);
        witness.log()
    });
    let mut talk = Talk::new(&node, &room, &names[0..4], Rng::new(seed, 2));
    let points = build(&node, &room, &mut talk, seed);

    let (done, resumed) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let (node, room, names, done) = (&node, &room, &names, &done);
        let _stop = StopAtEnd(done);
        for who in 4..6 {
            let people = &names[who..=who];
            let mut talk = Talk::new(node, room, people, Rng::new(seed, 10 + who as u64));
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    talk.go_on();
                    pause(Duration::from_millis(4));
                }
            });
        }
        std::thread::scope(|scope| {
            for reader in 0..READERS {
                let (points, resumed) = (&points, &resumed);
                scope.spawn(move || {
                    for point in points.iter().skip(reader).step_by(READERS) {
                        let came = resume(node, room, &names[8 + reader], *point);
                        resumed.lock().expect("no panic").push(came);
                    }
                });
            }
        });
    });
    talk.end("the-end");
    let reference = Reference::new(witness.join().expect("the witness"));
    let resumed = resumed.into_inner().expect("no panic");
    assert_eq!(resumed.len(), points.len());
    for resumed in &resumed {
        reference.judge(resumed);
    }
    let (points, events) = (points.len(), reference.log.len());
    println!("{points} points, a log of {events} events in the end");
}

/// Some two hundred events, with seqs of another room between them; gives the seqs to resume at.
fn build(node: &Node, room: &str, talk: &mut Talk, seed: u64) -> Vec<u64> {
    let elsewhere = node.room(&["u0"]);
    let mut rng = Rng::new(seed, 1);
    let mut other = Talk::new(node, &elsewhere, &["u0".to_owned()], Rng::new(seed, 3));
    for _ in 0..200 {
        talk.go_on();
        if rng.once_in(4) {
            other.go_on();
        }
    }
    let log = Reader::new(node, room).after(0, 200);
    let seqs = log.iter().map(|event| number(event, "seq"));
    let points: BTreeSet<u64> = seqs.flat_map(|seq| [seq - 1, seq]).chain([0]).collect();
    points.into_iter().collect()
}
