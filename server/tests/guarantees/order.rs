//! Every member sees one order, however often it reconnects (§2.2).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::UNLIMITED;
use crate::client::{Client, pause};
use crate::follower::Follower;
use crate::observed::Observed;
use crate::pages::Reader;
use crate::rng::{Rng, seed};
use crate::sender::{Sender, StopAtEnd};
use crate::support::node::Node;

#[test]
fn five_listeners_see_one_order_of_four_senders_and_some_of_them_keep_leaving() {
    let seed = seed();
    println!("seed {seed}");
    let node = Node::own(UNLIMITED);
    let names: Vec<String> = (0..9).map(|number| format!("u{number}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let room = node.room(&members);
    let rooms = std::slice::from_ref(&room);
    let observed = Observed::new();
    let client = |name: &str| observed.client(&node, name);
    let mut senders: Vec<Sender> = (0..4)
        .map(|number| {
            let rng = Rng::new(seed, number as u64);
            Sender::new(number, client(&names[number]), rooms, 8, rng)
        })
        .collect();
    let mut listeners: Vec<Follower> = names[4..]
        .iter()
        .map(|name| Follower::recorded(client(name), &room))
        .collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (number, listener) in listeners.iter_mut().enumerate() {
            let mut rng = Rng::new(seed, 10 + number as u64);
            // The first two stay, the third leaves now and then, the others all the time.
            let every = [usize::MAX, usize::MAX, 1_000, 100, 60][number];
            let address = node.http();
            scope.spawn(move || listener.follow(address, "the-end", || rng.once_in(every)));
        }
        std::thread::scope(|scope| {
            for sender in &mut senders {
                scope.spawn(|| sender.stream(node.http(), &stop));
            }
            pause(Duration::from_secs(2));
            stop.store(true, Ordering::Relaxed);
        });
        client("u0").send_one(node.http(), &room, "the-end");
    });
    let log = Reader::recorded(&node, &room, &observed).after(0, 200);
    let checked = observed.assert_kept();
    let sent: usize = senders.iter().map(Sender::sent).sum();
    assert_eq!(log.len(), names.len() + sent + 1);
    assert_eq!(checked.acknowledged, sent as u64 + 1);
    assert_eq!(checked.rooms_read_whole, 1);
    // The checker compares sender, kind, content and order; this compares every field, such as `ts`.
    let log: Vec<String> = log.iter().map(Value::to_string).collect();
    for listener in &listeners {
        assert!(listener.heard == log, "live events differ from history");
    }
    let connections: Vec<usize> = listeners.iter().map(|it| it.connections).collect();
    println!("{sent} messages, connections {connections:?}");
}

#[test]
fn welcome_comes_first_whatever_is_sent_in_that_moment() {
    let node = Node::own(UNLIMITED);
    let room = node.room(&["u0", "u1", "u2"]);
    let rooms = std::slice::from_ref(&room);
    let observed = Observed::new();
    let mut senders: Vec<Sender> = (0..2)
        .map(|number| {
            let client = observed.client(&node, &format!("u{number}"));
            Sender::new(number, client, rooms, 32, Rng::new(1, number as u64))
        })
        .collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for sender in &mut senders {
            scope.spawn(|| sender.stream(node.http(), &stop));
        }
        let _stop = StopAtEnd(&stop);
        // Known here as a member, so that every message is a notification for who comes now.
        let _first = Client::connect(node.http(), &node.token("u2"));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_500 {
                        // Fails on any other first frame.
                        Client::connect(node.http(), &node.token("u2"));
                    }
                });
            }
        });
    });
    let sent: usize = senders.iter().map(Sender::sent).sum();
    assert!(sent > 500, "too few messages raced the handshakes: {sent}");
    observed.assert_kept();
}
