//! An added member can act immediately; a removed one receives and sends nothing more (§2.8, §4).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::UNLIMITED;
use crate::client::{Client, Received, TIMEOUT, is_event, number};
use crate::observed::Observed;
use crate::races::{Arena, violations};
use crate::rng::{Rng, seed};
use crate::sender::{Sender, StopAtEnd};
use crate::support::node::Node;

const ROUNDS: usize = 100;
/// Rounds with a member that sends without a pause; the room is then changed only after some attempts.
const FLOODED: usize = 15;
/// How long a removal may take to be in force (§2.8).
const IN_FORCE_TIMEOUT: Duration = Duration::from_secs(1);

struct Guest {
    node: Node,
    room: String,
    token: String,
    line: Client,
}

impl Guest {
    fn send(&mut self) -> Value {
        let frame = json!({ "type": "SEND_MESSAGE", "roomId": self.room, "content": "me too" });
        self.line.ask(frame)
    }

    fn read(&self) -> u16 {
        let path = format!("/v1/rooms/{}/messages?limit=1", self.room);
        self.node
            .call("GET", &path, &self.token, Value::Null)
            .status
    }

    fn put_or_delete(&self, method: &str, status: u16) {
        let path = format!("/v1/rooms/{}/members/guest", self.room);
        let body = if method == "PUT" {
            json!({})
        } else {
            Value::Null
        };
        let token = self.node.admin_token();
        self.node.call(method, &path, &token, body).ok(status);
    }

    /// Once added, the member sends, subscribes and reads immediately; `round` gives the order.
    fn is_added(&mut self, round: usize) -> u64 {
        self.put_or_delete("PUT", 201);
        let mut after = 0;
        for what in [round, round + 1, round + 2] {
            match what % 3 {
                0 => assert_eq!(self.send()["type"], "ACK"),
                1 => assert_eq!(self.read(), 200),
                _ => {
                    let frame = json!({ "type": "SUBSCRIBE", "roomId": self.room });
                    let answer = self.line.ask(frame);
                    assert_eq!(answer["type"], "SUBSCRIBED", "{answer}");
                    after = number(&answer, "after");
                }
            }
        }
        after
    }

    /// Removed, they get the chain up to `MEMBER_LEFT`, `UNSUBSCRIBED`, and no event more. Gives how
    /// many events they got.
    fn is_removed(&mut self, mut last: u64) -> usize {
        self.put_or_delete("DELETE", 204);
        let removed = Instant::now();
        let mut events = 0;
        let mut unsubscribed = false;
        let mut left = false;
        while !unsubscribed {
            let Received::Frame(frame) = self.line.next(TIMEOUT) else {
                panic!("no UNSUBSCRIBED");
            };
            if is_event(&frame) {
                assert!(!left, "{frame} after MEMBER_LEFT");
                assert_eq!(number(&frame, "prev"), last, "{frame}");
                last = number(&frame, "seq");
                left = frame["type"] == "MEMBER_LEFT" && frame["userId"] == "guest";
                events += 1;
            }
            unsubscribed = frame["type"] == "UNSUBSCRIBED";
        }
        assert!(left, "UNSUBSCRIBED before MEMBER_LEFT");
        self.is_refused(removed);
        for frame in self.line.drain() {
            assert!(!is_event(&frame), "{frame} after MEMBER_LEFT");
            assert_ne!(frame["kind"], "MESSAGE", "{frame} after MEMBER_LEFT");
        }
        events
    }

    fn is_refused(&mut self, removed: Instant) {
        loop {
            let asked = removed.elapsed();
            let (answer, status) = (self.send(), self.read());
            if answer["code"] == "NOT_MEMBER" && status == 403 {
                return;
            }
            assert!(
                asked < IN_FORCE_TIMEOUT,
                "{answer} and {status} after {asked:?}"
            );
        }
    }
}

#[test]
fn added_member_acts_immediately_and_removed_member_receives_nothing_more_in_100_rounds() {
    let node = Node::own(UNLIMITED);
    let room = node.room(&["owner", "s0", "s1", "s2"]);
    let rooms = std::slice::from_ref(&room);
    let observed = Observed::new();
    let mut senders: Vec<Sender> = (0..3)
        .map(|number| {
            let client = observed.client(&node, &format!("s{number}"));
            Sender::new(number, client, rooms, 4, Rng::new(7, number as u64))
        })
        .collect();
    let mut flood = senders.pop().expect("the third");
    for sender in &mut senders {
        sender.pace = Duration::from_millis(3);
    }
    let token = node.token("guest");
    let mut guest = Guest {
        line: Client::connect(node.http(), &token),
        node: node.clone(),
        room: room.clone(),
        token,
    };
    let (stop, no_flood, mut events) = (AtomicBool::new(false), AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        for sender in &mut senders {
            scope.spawn(|| sender.stream(node.http(), &stop));
        }
        scope.spawn(|| flood.stream(node.http(), &no_flood));
        // Stopped also when a round fails.
        let _stop = (StopAtEnd(&stop), StopAtEnd(&no_flood));
        for round in 0..ROUNDS {
            no_flood.store(round >= FLOODED, Ordering::Relaxed);
            let last = guest.is_added(round);
            events += guest.is_removed(last);
        }
    });
    let sent: usize = senders.iter().map(Sender::sent).sum::<usize>() + flood.sent();
    observed.assert_kept();
    println!("{sent} messages by others, {events} events seen by the guest");
}

#[test]
fn subscribe_racing_a_removal_breaks_no_promise_in_a_thousand_rounds() {
    let node = Node::own(UNLIMITED);
    let doors = vec![node.http().to_owned()];
    let seed = seed();
    println!("seed {seed}");
    let broken = violations(&Arena { node: &node, doors }, seed);
    assert_eq!(broken.len(), 0, "the first: {:?}", broken.first());
}
