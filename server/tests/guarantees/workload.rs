//! People who talk at random: they send, answer, edit, delete, react, come and go.

use serde_json::{Value, json};

use crate::client::Client;
use crate::rng::Rng;
use crate::support::node::Node;

const EMOJI: [&str; 3] = ["👍", "🎉", "❤"];

/// A message of theirs that is still there.
struct Said {
    message_id: String,
    sender: usize,
}

/// Some people in a room, speaking one after another.
pub(crate) struct Talk {
    node: Node,
    room: String,
    people: Vec<(String, Client)>,
    said: Vec<Said>,
    guest: Option<String>,
    guests: usize,
    rng: Rng,
}

impl Talk {
    /// `people` are members of the room. They do not change others' messages.
    pub(crate) fn new(node: &Node, room: &str, people: &[String], rng: Rng) -> Self {
        let connect = |user: &String| {
            let line = Client::connect(node.http(), &node.token(user));
            (user.clone(), line)
        };
        Self {
            node: node.clone(),
            room: room.to_owned(),
            people: people.iter().map(connect).collect(),
            said: Vec::new(),
            guest: None,
            guests: 0,
            rng,
        }
    }

    /// One of them does something.
    pub(crate) fn go_on(&mut self) {
        match self.rng.below(20) {
            0..=9 => self.send(),
            10..=12 if !self.said.is_empty() => self.edit(),
            13..=14 if !self.said.is_empty() => self.delete(),
            15..=18 if !self.said.is_empty() => self.react(),
            19 => self.come_or_go(),
            _ => self.send(),
        }
    }

    /// Sends a message with this `clientMsgId`.
    pub(crate) fn end(&mut self, client_msg_id: &str) {
        self.speak(
            0,
            json!({ "type": "SEND_MESSAGE", "content": "the end", "clientMsgId": client_msg_id }),
        );
    }

    fn send(&mut self) {
        let sender = self.rng.below(self.people.len());
        let content = format!("{} says {}", sender, self.rng.below(1_000_000));
        let mut frame = json!({ "type": "SEND_MESSAGE", "content": content });
        if !self.said.is_empty() && self.rng.once_in(4) {
            let answered = self.rng.below(self.said.len());
            frame["replyTo"] = json!(self.said[answered].message_id);
        }
        if self.rng.once_in(4) {
            frame["mentions"] = json!([self.people[0].0]);
        }
        if self.rng.once_in(2) {
            frame["clientMsgId"] = json!(format!("talk-{}", self.rng.below(usize::MAX / 2)));
        }
        let ack = self.speak(sender, frame);
        let message_id = ack["messageId"].as_str().expect("an id").to_owned();
        self.said.push(Said { message_id, sender });
    }

    fn edit(&mut self) {
        let which = self.rng.below(self.said.len());
        let content = format!("better: {}", self.rng.below(1_000_000));
        let sender = self.said[which].sender;
        let message_id = &self.said[which].message_id;
        let frame = json!({ "type": "EDIT_MESSAGE", "messageId": message_id, "content": content });
        self.speak(sender, frame);
    }

    fn delete(&mut self) {
        let which = self.rng.below(self.said.len());
        let Said { message_id, sender } = self.said.swap_remove(which);
        let frame = json!({ "type": "DELETE_MESSAGE", "messageId": message_id });
        self.speak(sender, frame);
    }

    fn react(&mut self) {
        let which = self.rng.below(self.said.len());
        let who = self.rng.below(self.people.len());
        let emoji = EMOJI[self.rng.below(EMOJI.len())];
        let (message_id, remove) = (&self.said[which].message_id, self.rng.once_in(3));
        let frame =
            json!({ "type": "REACT", "messageId": message_id, "emoji": emoji, "remove": remove });
        self.speak(who, frame);
    }

    fn come_or_go(&mut self) {
        let token = self.node.admin_token();
        let path = |user: &str| format!("/v1/rooms/{}/members/{user}", self.room);
        if let Some(user) = self.guest.take() {
            let reply = self.node.call("DELETE", &path(&user), &token, Value::Null);
            reply.ok(204);
            return;
        }
        self.guests += 1;
        let user = format!("guest-{}-{}", self.people[0].0, self.guests);
        let reply = self.node.call("PUT", &path(&user), &token, json!({}));
        reply.ok(201);
        self.guest = Some(user);
    }

    fn speak(&mut self, who: usize, mut frame: Value) -> Value {
        frame["roomId"] = json!(self.room);
        self.people[who].1.acknowledged(frame)
    }
}
