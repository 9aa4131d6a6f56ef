//! Killed at any moment: acknowledged messages are there, once, in order, permanently (§2.1, 2, 4).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::UNLIMITED;
use crate::chance::{Chance, seed};
use crate::follower::Follower;
use crate::line::{Line, number, pause};
use crate::pages::Reader;
use crate::sender::{Acked, Sender};
use crate::support::node::Node;

const KILLS: usize = 100;
const SENDERS: usize = 8;
const ROOMS: usize = 3;
/// Sends of one connection under way at most: as many as the contract allows.
const WINDOW: usize = 64;
/// Everything acknowledged is looked for after so many kills.
const LOOK_EVERY: usize = 20;

/// A room's log as far as it has been read.
#[derive(Default)]
struct Ledger {
    last: u64,
    places: HashMap<(usize, usize), Acked>,
    newest: HashMap<usize, usize>,
    message_ids: Vec<String>,
    events: usize,
}

impl Ledger {
    /// Reads on from where it was.
    fn read_on(&mut self, reader: &Reader<'_>) {
        for event in reader.after(self.last, 200) {
            self.see(&event);
        }
    }

    fn see(&mut self, event: &Value) {
        assert_eq!(
            number(event, "prev"),
            self.last,
            "the chain breaks: {event}"
        );
        assert!(number(event, "seq") > self.last, "{event}");
        self.last = number(event, "seq");
        self.events += 1;
        if event["type"] != "MESSAGE" {
            return;
        }
        let text = |field: &str| event[field].as_str().expect("a text").to_owned();
        let key = Sender::parse(&text("clientMsgId")).expect("a clientMsgId of ours");
        let place = Acked {
            seq: self.last,
            message_id: text("messageId"),
        };
        self.message_ids.push(place.message_id.clone());
        assert!(self.places.insert(key, place).is_none(), "twice: {event}");
        let before = self.newest.insert(key.0, key.1);
        assert!(before < Some(key.1), "after {before:?}: {event}");
    }
}

fn look_for_all(ledgers: &mut [Ledger], readers: &[Reader<'_>], senders: &[Sender]) {
    for (ledger, reader) in ledgers.iter_mut().zip(readers) {
        ledger.read_on(reader);
    }
    for sender in senders {
        for (message, room, acked) in sender.acked() {
            let found = ledgers[room].places.get(&(sender.number, message));
            assert_eq!(found, Some(acked), "message {message} of {}", sender.number);
        }
    }
}

#[test]
fn a_hundred_kills_lose_nothing_that_was_acknowledged_and_double_nothing() {
    let seed = seed();
    println!("seed {seed}");
    let mut chance = Chance::new(seed, 0);
    let node = Node::own(UNLIMITED);
    let names: Vec<String> = (0..SENDERS).map(|number| format!("s{number}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let rooms: Vec<String> = (0..ROOMS).map(|_| node.room(&members)).collect();
    let readers: Vec<Reader<'_>> = rooms.iter().map(|room| Reader::new(&node, room)).collect();
    let mut ledgers: Vec<Ledger> = rooms.iter().map(|_| Ledger::default()).collect();
    let mut senders: Vec<Sender> = (0..SENDERS)
        .map(|number| {
            let chance = Chance::new(seed, 1 + number as u64);
            Sender::new(number, node.token(&names[number]), &rooms, WINDOW, chance)
        })
        .collect();

    let (started, stop) = (Instant::now(), AtomicBool::new(false));
    for kill in 1..=KILLS {
        std::thread::scope(|scope| {
            for sender in &mut senders {
                scope.spawn(|| sender.stream(node.http(), &stop));
            }
            pause(chance.millis(10, 250));
            node.kill9();
        });
        node.restart();
        if kill % LOOK_EVERY == 0 {
            look_for_all(&mut ledgers, &readers, &senders);
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
    look_for_all(&mut ledgers, &readers, &senders);

    let sent: usize = senders.iter().map(Sender::sent).sum();
    let kept: usize = ledgers.iter().map(|ledger| ledger.places.len()).sum();
    assert_eq!(kept, sent, "each is there, and nothing else is");
    let duplicates: usize = senders.iter().map(|sender| sender.duplicates).sum();
    println!(
        "{KILLS} kills, {sent} messages, {unanswered} unanswered at the last one, {duplicates} resends \
         answered as duplicates, {:.1?}",
        started.elapsed()
    );
    for (ledger, reader) in ledgers.iter().zip(&readers) {
        let pages = reader.backwards(200);
        let ids = pages.iter().map(|message| message["messageId"].as_str());
        let read: Vec<&str> = ids.map(|id| id.expect("an id")).collect();
        assert!(read == ledger.message_ids, "pages and the log differ");
        let unique: HashSet<&str> = read.iter().copied().collect();
        assert_eq!(unique.len(), read.len());
    }
    for (ledger, room) in ledgers.iter().zip(&rooms) {
        replay_is_the_log(&node, room, ledger);
    }
}

/// What `SUBSCRIBE` from the start on gives is what the pages gave.
fn replay_is_the_log(node: &Node, room: &str, ledger: &Ledger) {
    let mut line = Line::connect(node.http(), &node.token("s0"));
    let answer = line.ask(json!({ "type": "SUBSCRIBE", "roomId": room, "after": 0 }));
    if ledger.events > 100_000 {
        assert_eq!(answer["recovered"], false, "more than --replay-max");
        return;
    }
    assert_eq!(answer["recovered"], true, "{answer}");
    let mut replayed = Ledger::default();
    while replayed.last < ledger.last {
        replayed.see(&line.frame().expect("an event"));
    }
    assert!(replayed.places == ledger.places, "the replay differs");
}

#[test]
fn fifty_listeners_come_back_after_each_kill_and_miss_nothing() {
    const LISTENERS: usize = 50;
    let seed = seed();
    println!("seed {seed}");
    let mut chance = Chance::new(seed, 0);
    let node = Node::own(UNLIMITED);
    let names: Vec<String> = (0..LISTENERS + 2)
        .map(|number| format!("u{number}"))
        .collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let room = node.room(&members);
    let rooms = std::slice::from_ref(&room);
    let mut senders: Vec<Sender> = (0..2)
        .map(|number| {
            let chance = Chance::new(seed, 1 + number as u64);
            Sender::new(number, node.token(&names[number]), rooms, 2, chance)
        })
        .collect();
    let mut listeners: Vec<Follower> = names[2..]
        .iter()
        .map(|name| Follower::new(node.token(name), &room))
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
                pause(chance.millis(50, 400));
                node.kill9();
            });
            node.restart();
        }
        stop.store(true, Ordering::Relaxed);
        for sender in &mut senders {
            sender.stream(node.http(), &stop);
        }
        let mut line = Line::connect(node.http(), &node.token("u0"));
        line.acknowledged(json!({
            "type": "SEND_MESSAGE", "roomId": room, "content": "that is all", "clientMsgId": "the-end"
        }));
    });

    let log = Reader::new(&node, &room).after(0, 200);
    let log: Vec<String> = log.iter().map(Value::to_string).collect();
    let sent: usize = senders.iter().map(Sender::sent).sum();
    let members = names.len();
    assert_eq!(log.len(), sent + members + 1, "every message once");
    for listener in &listeners {
        assert!(listener.heard == log, "a listener heard something else");
    }
    let connections: usize = listeners.iter().map(|it| it.connections).sum();
    println!("{sent} messages, {LISTENERS} listeners, {connections} connections");
    assert!(connections > LISTENERS * 6, "they were cut off often");
}
