//! Every member sees one order, however often it reconnects (§2.2).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::UNLIMITED;
use crate::chance::{Chance, seed};
use crate::follower::Follower;
use crate::line::{Line, pause};
use crate::pages::Reader;
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
    let mut senders: Vec<Sender> = (0..4)
        .map(|number| {
            let chance = Chance::new(seed, number as u64);
            Sender::new(number, node.token(&names[number]), rooms, 8, chance)
        })
        .collect();
    let mut listeners: Vec<Follower> = names[4..]
        .iter()
        .map(|name| Follower::new(node.token(name), &room))
        .collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (number, listener) in listeners.iter_mut().enumerate() {
            let mut chance = Chance::new(seed, 10 + number as u64);
            // The first two stay, the third leaves now and then, the others all the time.
            let every = [usize::MAX, usize::MAX, 1_000, 100, 60][number];
            let address = node.http();
            scope.spawn(move || listener.follow(address, "the-end", || chance.once_in(every)));
        }
        std::thread::scope(|scope| {
            for sender in &mut senders {
                scope.spawn(|| sender.stream(node.http(), &stop));
            }
            pause(Duration::from_secs(2));
            stop.store(true, Ordering::Relaxed);
        });
        let mut line = Line::connect(node.http(), &node.token("u0"));
        line.acknowledged(json!({
            "type": "SEND_MESSAGE", "roomId": room, "content": "that is all", "clientMsgId": "the-end"
        }));
    });
    let log = Reader::new(&node, &room).after(0, 200);
    let log: Vec<String> = log.iter().map(Value::to_string).collect();
    for listener in &listeners {
        assert!(listener.heard == log, "a listener heard another order");
    }
    let sent: usize = senders.iter().map(Sender::sent).sum();
    assert_eq!(log.len(), names.len() + sent + 1);
    let connections: Vec<usize> = listeners.iter().map(|it| it.connections).collect();
    println!("{sent} messages, connections {connections:?}");
}

#[test]
fn welcome_comes_first_whatever_is_sent_in_that_moment() {
    let node = Node::own(UNLIMITED);
    let room = node.room(&["u0", "u1", "u2"]);
    let rooms = std::slice::from_ref(&room);
    let mut senders: Vec<Sender> = (0..2)
        .map(|number| {
            let token = node.token(&format!("u{number}"));
            Sender::new(number, token, rooms, 32, Chance::new(1, number as u64))
        })
        .collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for sender in &mut senders {
            scope.spawn(|| sender.stream(node.http(), &stop));
        }
        let _stop = StopAtEnd(&stop);
        // Known here as a member, so that every message is a notification for who comes now.
        let _first = Line::connect(node.http(), &node.token("u2"));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_500 {
                        // Fails on any other first frame.
                        Line::connect(node.http(), &node.token("u2"));
                    }
                });
            }
        });
    });
    let sent: usize = senders.iter().map(Sender::sent).sum();
    assert!(sent > 500, "much was said meanwhile: {sent}");
}
