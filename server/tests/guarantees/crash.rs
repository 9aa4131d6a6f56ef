//! Killed at any moment: acknowledged messages are there, once, in order, permanently (§2.1, 2, 4).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::Value;

use crate::UNLIMITED;
use crate::client::{number, pause};
use crate::follower::Follower;
use crate::observed::Observed;
use crate::pages::Reader;
use crate::rng::{Rng, seed};
use crate::sender::Sender;
use crate::support::node::Node;

const KILLS: usize = 100;
const SENDERS: usize = 8;
const ROOMS: usize = 3;
/// Sends of one connection under way at most: as many as the contract allows.
const WINDOW: usize = 64;
/// Everything acknowledged is looked for after so many kills.
const LOOK_EVERY: usize = 20;

/// A room's history as far as it has been read; the checker judges every page of it.
struct Ledger<'a> {
    reader: Reader<'a>,
    last: u64,
    newest: HashMap<usize, usize>,
}

impl Ledger<'_> {
    /// Reads the events since the last call.
    ///
    /// Checks one rule that the checker lacks: it orders the sends of one connection, and a sender here resends
    /// everything unacknowledged in order, so that its messages rise across all its connections.
    fn read_on(&mut self) {
        for event in self.reader.after(self.last, 200) {
            self.last = number(&event, "seq");
            let name = event["clientMsgId"].as_str().and_then(Sender::parse);
            if let Some((sender, message)) = name {
                let before = self.newest.insert(sender, message);
                assert!(before < Some(message), "after {before:?}: {event}");
            }
        }
    }
}

#[test]
fn a_hundred_kills_lose_nothing_that_was_acknowledged_and_double_nothing() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::new(seed, 0);
    let node = Node::own(UNLIMITED);
    let names: Vec<String> = (0..SENDERS).map(|number| format!("s{number}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let rooms: Vec<String> = (0..ROOMS).map(|_| node.room(&members)).collect();
    let observed = Observed::new();
    let client = |name: &str| observed.client(&node, name);
    let ledger = |room: &String| Ledger {
        reader: Reader::recorded(&node, room, &observed),
        last: 0,
        newest: HashMap::new(),
    };
    let mut ledgers: Vec<Ledger<'_>> = rooms.iter().map(ledger).collect();
    let mut senders: Vec<Sender> = (0..SENDERS)
        .map(|number| {
            let rng = Rng::new(seed, 1 + number as u64);
            Sender::new(number, client(&names[number]), &rooms, WINDOW, rng)
        })
        .collect();

    let (started, stop) = (Instant::now(), AtomicBool::new(false));
    for kill in 1..=KILLS {
        std::thread::scope(|scope| {
            for sender in &mut senders {
                scope.spawn(|| sender.stream(node.http(), &stop));
            }
            pause(rng.millis(10, 250));
            node.kill9();
        });
        node.restart();
        if kill % LOOK_EVERY == 0 {
            ledgers.iter_mut().for_each(Ledger::read_on);
        }
    }
    let unanswered: usize = senders.iter().map(Sender::waiting).sum();
    stop.store(true, Ordering::Relaxed);
    std::thread::scope(|scope| {
        for sender in &mut senders {
            scope.spawn(|| {
                sender.stream(node.http(), &stop);
                assert_eq!(sender.waiting(), 0, "all is acknowledged now");
                sender.repeat(node.http(), 25);
            });
        }
    });
    for (room, ledger) in rooms.iter().zip(&mut ledgers) {
        client("s0").send_one(node.http(), room, "the-end");
        ledger.read_on();
        read_whole(&node, &observed, room);
    }
    let checked = observed.assert_kept();
    let sent: usize = senders.iter().map(Sender::sent).sum();
    let (sends, members) = ((sent + ROOMS) as u64, (SENDERS * ROOMS) as u64);
    assert_eq!((checked.sends, checked.acknowledged), (sends, sends));
    assert_eq!(checked.events, sends + members, "each is there once");
    assert_eq!(checked.rooms_read_whole, ROOMS as u64);
    let duplicates: usize = senders.iter().map(|sender| sender.duplicates).sum();
    println!(
        "{KILLS} kills, {sent} messages, {unanswered} unanswered at the last one, {duplicates} resends \
         answered as duplicates, {:.1?}",
        started.elapsed()
    );
}

/// Reads the whole history both ways, and the replay of a subscription from the start on.
fn read_whole(node: &Node, observed: &Observed, room: &str) {
    let reader = Reader::recorded(node, room, observed);
    let events = reader.after(0, 200).len();
    reader.backwards(200);
    // A longer replay is refused (`--replay-max`).
    if events <= 100_000 {
        let client = observed.client(node, "s0");
        Follower::recorded(client, room).follow(node.http(), "the-end", || false);
    }
}

#[test]
fn fifty_listeners_come_back_after_each_kill_and_miss_nothing() {
    const LISTENERS: usize = 50;
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::new(seed, 0);
    let node = Node::own(UNLIMITED);
    let names: Vec<String> = (0..LISTENERS + 2)
        .map(|number| format!("u{number}"))
        .collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let room = node.room(&members);
    let rooms = std::slice::from_ref(&room);
    let observed = Observed::new();
    let client = |name: &str| observed.client(&node, name);
    let mut senders: Vec<Sender> = (0..2)
        .map(|number| {
            let rng = Rng::new(seed, 1 + number as u64);
            Sender::new(number, client(&names[number]), rooms, 2, rng)
        })
        .collect();
    let mut listeners: Vec<Follower> = names[2..]
        .iter()
        .map(|name| Follower::recorded(client(name), &room))
        .collect();

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for listener in &mut listeners {
            scope.spawn(|| listener.follow(node.http(), "the-end", || false));
        }
        for _ in 0..12 {
            std::thread::scope(|scope| {
                for sender in &mut senders {
                    scope.spawn(|| sender.stream(node.http(), &stop));
                }
                pause(rng.millis(50, 400));
                node.kill9();
            });
            node.restart();
        }
        stop.store(true, Ordering::Relaxed);
        for sender in &mut senders {
            sender.stream(node.http(), &stop);
        }
        client("u0").send_one(node.http(), &room, "the-end");
    });

    let log = Reader::recorded(&node, &room, &observed).after(0, 200);
    let checked = observed.assert_kept();
    let sent: usize = senders.iter().map(Sender::sent).sum();
    let members = names.len();
    assert_eq!(log.len(), sent + members + 1, "every message once");
    assert_eq!(checked.acknowledged, sent as u64 + 1);
    assert_eq!(checked.rooms_read_whole, 1);
    // The checker compares sender, kind, content and order; this compares every field, such as `ts`.
    let log: Vec<String> = log.iter().map(Value::to_string).collect();
    for listener in &listeners {
        assert!(listener.heard == log, "live events differ from history");
    }
    let connections: usize = listeners.iter().map(|it| it.connections).sum();
    println!("{sent} messages, {LISTENERS} listeners, {connections} connections");
    assert!(connections > LISTENERS * 6, "they were cut off often");
}
