//! People who talk in a room while something happens to the fleet, and what has to be true afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::client::pause;
use crate::fixture::Fixture;
use crate::follower::Follower;
use crate::observed::Observed;
use crate::pages::Reader;
use crate::rng::{Rng, seed};
use crate::sender::{Sender, StopAtEnd};
use crate::support::node::unique;

/// Who takes part.
pub(crate) struct Conversation {
    pub(crate) room: String,
    names: Vec<String>,
    senders: Vec<Sender>,
    listeners: Vec<Follower>,
    observed: Observed,
    seed: u64,
}

/// How it went for those who listened.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Messages in all.
    pub(crate) messages: usize,
    /// The longest silence of any subscriber, while messages were sent all the time.
    pub(crate) longest_silence: Duration,
    /// Connections of all listeners.
    pub(crate) connections: usize,
}

impl Conversation {
    /// A room with `senders` who talk and `listeners` who listen, all of them members.
    pub(crate) fn new(fixture: &Fixture, senders: usize, listeners: usize) -> Self {
        let seed = seed();
        say(&format!("seed {seed}"));
        let names: Vec<String> = (0..senders + listeners).map(|_| unique("u")).collect();
        let members: Vec<&str> = names.iter().map(String::as_str).collect();
        let room = fixture.edge.room(&members);
        let observed = Observed::new();
        let client = |name: &str| observed.client(&fixture.edge, name);
        let senders = (0..senders)
            .map(|number| {
                let rng = Rng::new(seed, number as u64);
                let rooms = std::slice::from_ref(&room);
                let mut sender = Sender::new(number, client(&names[number]), rooms, 4, rng);
                sender.is_patient = true;
                sender.pace = Duration::from_millis(10);
                sender
            })
            .collect::<Vec<_>>();
        let listeners = names[senders.len()..]
            .iter()
            .map(|name| {
                let mut listener = Follower::recorded(client(name), &room);
                listener.is_patient = true;
                listener
            })
            .collect();
        Self {
            room,
            names,
            senders,
            listeners,
            observed,
            seed,
        }
    }

    /// The first who talks.
    pub(crate) fn speaker(&self) -> &str {
        &self.names[0]
    }

    /// All subscribers.
    pub(crate) fn listeners(&self) -> &[String] {
        &self.names[self.senders.len()..]
    }

    /// Talks while `trouble` happens, through the front door at `doors`, one after the other; then all
    /// that was acknowledged must be there, once, in one order, for every subscriber.
    pub(crate) fn during(
        &mut self,
        fixture: &mut Fixture,
        doors: &[String],
        trouble: impl FnOnce(&mut Fixture),
    ) -> Heard {
        let (stop, end) = (AtomicBool::new(false), unique("end"));
        let (edge, client) = (
            fixture.edge.clone(),
            self.observed.client(&fixture.edge, &self.names[0]),
        );
        let mut chances: Vec<Rng> = (0..self.listeners.len())
            .map(|number| Rng::new(self.seed, 1_000 + number as u64))
            .collect();
        std::thread::scope(|scope| {
            let (stop, end) = (&stop, end.as_str());
            let _stops = StopAtEnd(stop);
            for (number, listener) in self.listeners.iter_mut().enumerate() {
                let door = doors[number % doors.len()].as_str();
                let mut rng = chances.pop().expect("one for each");
                // Some leave and come back now and then.
                let every = if number % 4 == 0 { 150 } else { usize::MAX };
                scope.spawn(move || listener.follow(door, end, || rng.once_in(every)));
            }
            let talking: Vec<_> = self
                .senders
                .iter_mut()
                .enumerate()
                .map(|(number, sender)| {
                    let door = doors[number % doors.len()].as_str();
                    scope.spawn(move || {
                        while !stop.load(Ordering::Relaxed) || sender.waiting() > 0 {
                            sender.stream(door, stop);
                            pause(Duration::from_millis(20));
                        }
                    })
                })
                .collect();
            trouble(fixture);
            stop.store(true, Ordering::Relaxed);
            for one in talking {
                one.join().expect("a sender");
            }
            client.send_one(edge.http(), &self.room, end);
        });
        self.is_whole(fixture)
    }

    /// Reads the whole history, both ways, and has everything checked.
    fn is_whole(&self, fixture: &Fixture) -> Heard {
        let reader = Reader::recorded(&fixture.edge, &self.room, &self.observed);
        let events = reader.after(0, 200);
        reader.backwards(200);
        let checked = self.observed.assert_kept();
        let messages: usize = self.senders.iter().map(Sender::sent).sum();
        let (sends, members) = (messages as u64 + 1, self.names.len() as u64);
        assert_eq!((checked.sends, checked.acknowledged), (sends, sends));
        assert_eq!(
            checked.events,
            sends + members,
            "each is there, and nothing else is"
        );
        assert_eq!(checked.rooms_read_whole, 1);
        // The checker compares sender, kind, content and order; this compares every field, such as `ts`.
        let log: Vec<String> = events.iter().map(Value::to_string).collect();
        for listener in &self.listeners {
            assert!(listener.heard == log, "live events differ from history");
        }
        let silences = self.listeners.iter().map(|it| it.longest_silence);
        let heard = Heard {
            messages,
            longest_silence: silences.max().unwrap_or_default(),
            connections: self.listeners.iter().map(|it| it.connections).sum(),
        };
        say(&format!("{heard:?}"));
        heard
    }
}

#[expect(clippy::print_stdout, reason = "a test says what it saw")]
fn say(line: &str) {
    println!("{line}");
}
