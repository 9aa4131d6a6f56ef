//! `SUBSCRIBE`s that race a removal, in rooms that are new to the gateway (§2.8, §4).
//!
//! Each round has a room and a guest of its own, so that nothing is known of either where the guest comes
//! in. The guest is judged by every frame that came, in the order it came.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, is_event, number, pause};
use crate::rng::Rng;
use crate::support::node::{Node, unique};

const ROUNDS: usize = 1_000;
/// Rounds at once.
const THREADS: usize = 8;
/// How long a removal may take to be in force (§2.8).
const IN_FORCE_TIMEOUT: Duration = Duration::from_secs(1);
/// A removal follows the `SUBSCRIBE` within so many microseconds.
const DELAY_MAX: usize = 6_000;

/// What the guest sends before the removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    Subscribe,
    SubscribeAfter,
    TypingThenSubscribe,
    MarkThenSubscribeAfter,
    /// The removed guest is added again at once.
    SubscribeAndReturn,
    SubscribeAfterAndReturn,
}

const OPENINGS: [Opening; 6] = [
    Opening::Subscribe,
    Opening::SubscribeAfter,
    Opening::TypingThenSubscribe,
    Opening::MarkThenSubscribeAfter,
    Opening::SubscribeAndReturn,
    Opening::SubscribeAfterAndReturn,
];

impl Opening {
    fn frames(self, room: &str) -> Vec<Value> {
        let live = json!({ "type": "SUBSCRIBE", "roomId": room, "ref": "subscribe" });
        let after = json!({ "type": "SUBSCRIBE", "roomId": room, "after": 0, "ref": "subscribe" });
        match self {
            Self::Subscribe | Self::SubscribeAndReturn => vec![live],
            Self::SubscribeAfter | Self::SubscribeAfterAndReturn => vec![after],
            Self::TypingThenSubscribe => vec![json!({ "type": "TYPING", "roomId": room }), live],
            Self::MarkThenSubscribeAfter => {
                vec![json!({ "type": "MARK", "roomId": room, "read": 1 }), after]
            }
        }
    }

    fn returns(self) -> bool {
        matches!(
            self,
            Self::SubscribeAndReturn | Self::SubscribeAfterAndReturn
        )
    }
}

/// What a client knows of its subscription by the frames it got.
#[derive(Debug, Default)]
struct View {
    guest: String,
    subscribed: bool,
    answered: bool,
    /// The last event, or where the subscription began.
    last: u64,
    /// The head that `SUBSCRIBED` named.
    head: u64,
    left: bool,
    contents: Vec<String>,
}

impl View {
    fn new(guest: &str) -> Self {
        Self {
            guest: guest.to_owned(),
            ..Self::default()
        }
    }

    /// Receives the next frame; an error describes a frame that must not have been sent.
    fn take(&mut self, frame: &Value) -> Result<(), &'static str> {
        match frame["type"].as_str().expect("a type") {
            "SUBSCRIBED" => {
                if self.left {
                    return Err("SUBSCRIBED between MEMBER_LEFT and UNSUBSCRIBED");
                }
                self.answered |= frame["ref"] == "subscribe";
                self.subscribed = true;
                self.head = number(frame, "head");
                self.last = number(frame, "after");
            }
            "ERROR" if frame["ref"] == "subscribe" => {
                self.answered = true;
                if frame["code"] != "NOT_MEMBER" {
                    return Err("SUBSCRIBE refused with another code");
                }
            }
            "UNSUBSCRIBED" => {
                if !self.subscribed || !self.left {
                    return Err("UNSUBSCRIBED without a subscription and MEMBER_LEFT");
                }
                (self.subscribed, self.left) = (false, false);
            }
            _ if is_event(frame) => return self.event(frame),
            _ => {}
        }
        Ok(())
    }

    fn event(&mut self, frame: &Value) -> Result<(), &'static str> {
        if !self.subscribed {
            return Err("an event without a subscription");
        }
        if self.left {
            return Err("an event after MEMBER_LEFT");
        }
        if number(frame, "prev") != self.last {
            return Err("a gap");
        }
        self.last = number(frame, "seq");
        // What was before the subscription is history.
        self.left = frame["type"] == "MEMBER_LEFT"
            && frame["userId"] == self.guest.as_str()
            && self.last > self.head;
        if let Some(content) = frame["content"].as_str() {
            self.contents.push(content.to_owned());
        }
        Ok(())
    }
}

/// Where rounds take place.
pub(crate) struct Arena<'a> {
    /// For calls.
    pub(crate) node: &'a Node,
    /// The gateways at which guests come in.
    pub(crate) doors: Vec<String>,
}

struct Round<'a> {
    arena: &'a Arena<'a>,
    door: &'a str,
    opening: Opening,
    owner: String,
    guest: String,
    room: String,
    /// All that the guest got.
    came: Vec<Value>,
}

impl Round<'_> {
    fn call(&self, method: &str, below: &str, body: Value, status: u16) -> Value {
        let path = format!("/v1/rooms/{}{below}", self.room);
        let node = self.arena.node;
        node.call(method, &path, &node.admin_token(), body)
            .ok(status)
    }

    fn say(&self, content: &str) -> u64 {
        let body = json!({ "senderId": self.owner, "content": content });
        number(&self.call("POST", "/messages", body, 201), "seq")
    }

    fn line(&self, user: &str) -> Client {
        Client::connect(self.door, &self.arena.node.token(user))
    }

    /// The owner on the guest's gateway. When it receives this, the guest's frames have been sent.
    fn is_heard(&self, content: &str) -> bool {
        let mut owner = self.line(&self.owner);
        let answer = owner.ask(json!({ "type": "SUBSCRIBE", "roomId": self.room }));
        assert_eq!(answer["type"], "SUBSCRIBED", "{answer}");
        self.say(content);
        loop {
            match owner.frame() {
                Some(frame) if frame["content"] == content => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// Sends until it is refused, for as long as a removal may take.
    fn is_refused(&mut self, line: &mut Client, removed: Instant) -> bool {
        let frame = json!({ "type": "SEND_MESSAGE", "roomId": self.room, "content": "let me in" });
        loop {
            let asked = removed.elapsed();
            if line.ask(frame.clone())["code"] == "NOT_MEMBER" {
                return true;
            }
            if asked > IN_FORCE_TIMEOUT {
                return false;
            }
        }
    }

    /// Runs the round; an error describes the broken guarantee.
    fn play(&mut self, rng: &mut Rng) -> Result<(), &'static str> {
        let member = format!("/members/{}", self.guest);
        let mut line = self.line(&self.guest.clone());
        let mut view = View::new(&self.guest);
        assert!(line.send(&self.opening.frames(&self.room)), "it stays open");
        let delay = rng.below(DELAY_MAX);
        pause(Duration::from_micros(
            delay.try_into().expect("a small number"),
        ));
        self.call("DELETE", &member, Value::Null, 204);
        let removed = Instant::now();
        if self.opening.returns() {
            self.call("PUT", &member, json!({}), 201);
        } else if !self.is_refused(&mut line, removed) {
            return Err("a removed member sends");
        }
        if !self.is_heard("afterwards") {
            return Err("the owner was cut off");
        }
        self.judge(&mut line, &mut view)?;
        if !view.answered {
            return Err("SUBSCRIBE was not answered");
        }
        let got_it = view.contents.iter().any(|content| content == "afterwards");
        if view.left || got_it != view.subscribed {
            return Err("a subscription that is not what the client knows");
        }
        if self.opening.returns() {
            return Ok(());
        }
        if view.subscribed {
            return Err("a removed member is subscribed");
        }
        self.call("PUT", &member, json!({}), 201);
        self.returned(&mut line, &mut view)
    }

    /// Added again, the guest acts at once, and gets everything.
    fn returned(&mut self, line: &mut Client, view: &mut View) -> Result<(), &'static str> {
        let frame = json!({ "type": "SEND_MESSAGE", "roomId": self.room, "content": "I am back" });
        let answer = line.ask(frame);
        if answer["type"] != "ACK" {
            return Err("who was added cannot send");
        }
        let frame = json!({ "type": "SUBSCRIBE", "roomId": self.room, "after": 0 });
        let answer = line.ask(frame);
        if answer["recovered"] != true || number(&answer, "head") == 0 {
            return Err("who was added cannot subscribe");
        }
        *view = View::new(&self.guest);
        self.came.push(answer.clone());
        view.take(&answer)?;
        if !self.is_heard("welcome back") {
            return Err("the owner was cut off");
        }
        self.judge(line, view)?;
        if view.subscribed && view.contents.last().is_some_and(|it| it == "welcome back") {
            Ok(())
        } else {
            Err("who was added does not get what is said")
        }
    }

    fn judge(&mut self, line: &mut Client, view: &mut View) -> Result<(), &'static str> {
        for frame in line.drain() {
            self.came.push(frame.clone());
            view.take(&frame)?;
        }
        Ok(())
    }
}

/// Plays all rounds; gives every broken promise with what had come.
pub(crate) fn violations(arena: &Arena<'_>, seed: u64) -> Vec<String> {
    let (next, broken) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (next, broken) = (&next, &broken);
            scope.spawn(move || {
                let mut rng = Rng::new(seed, thread as u64);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= ROUNDS {
                        return;
                    }
                    let (owner, guest) = (unique("owner"), unique("guest"));
                    let mut round = Round {
                        arena,
                        door: &arena.doors[number % arena.doors.len()],
                        opening: OPENINGS[number % OPENINGS.len()],
                        room: arena.node.room(&[&owner, &guest]),
                        owner,
                        guest,
                        came: Vec::new(),
                    };
                    if let Err(what) = round.play(&mut rng) {
                        let (opening, came) = (round.opening, &round.came);
                        let mut broken = broken.lock().expect("no panic");
                        broken.push(format!("{opening:?}: {what}: {came:#?}"));
                    }
                }
            });
        }
    });
    broken.into_inner().expect("no panic")
}
