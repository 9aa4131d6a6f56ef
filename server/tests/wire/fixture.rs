//! A room with people in it, as most tests begin.

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::node::{Node, unique};
use crate::support::socket::Socket;

/// A private group of its own on some node, the first its owner. People go by short names.
pub(crate) struct Fixture {
    pub(crate) node: Node,
    pub(crate) room: String,
    people: Vec<(String, String)>,
}

impl Fixture {
    /// On the node that tests share.
    pub(crate) fn with(names: &[&str]) -> Self {
        Self::on(&Node::shared(), names)
    }

    pub(crate) fn on(node: &Node, names: &[&str]) -> Self {
        let person = |name: &&str| ((*name).to_owned(), unique(name));
        let people: Vec<_> = names.iter().map(person).collect();
        let ids: Vec<&str> = people.iter().map(|(_, id)| id.as_str()).collect();
        Self {
            room: node.room(&ids),
            node: node.clone(),
            people,
        }
    }

    /// A room of the same people.
    pub(crate) fn another_room(&self) -> String {
        let ids: Vec<&str> = self.people.iter().map(|(_, id)| id.as_str()).collect();
        self.node.room(&ids)
    }

    /// The user id of a member of the fixture.
    pub(crate) fn id(&self, name: &str) -> &str {
        let found = self.people.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("nobody is called {name}")).1
    }

    pub(crate) fn token(&self, name: &str) -> String {
        self.node.token(self.id(name))
    }

    /// A greeted connection.
    pub(crate) fn connect(&self, name: &str) -> Socket {
        Socket::connect(&self.node, &self.token(name))
    }

    /// A connection that is subscribed from now on.
    pub(crate) fn join(&self, name: &str) -> Socket {
        Socket::subscribed(&self.node, self.id(name), &self.room)
    }

    /// A member's call on a path below the room's: `""`, `"/messages"`, …
    pub(crate) fn call(&self, name: &str, method: &str, below: &str, body: Value) -> Reply {
        let path = format!("/v1/rooms/{}{below}", self.room);
        self.node.call(method, &path, &self.token(name), body)
    }

    /// Every event of the room's log, as it happened.
    pub(crate) fn log(&self, name: &str) -> Vec<Value> {
        let page = self.call(name, "GET", "/messages?after=0&limit=200", Value::Null);
        list(&page.ok(200)["events"])
    }

    /// A message in its current state.
    pub(crate) fn message(&self, name: &str, message_id: &Value) -> Value {
        let below = format!("/messages/{}", text(message_id));
        self.call(name, "GET", &below, Value::Null).ok(200)
    }

    /// Adds a new user to the room, as its owner.
    pub(crate) fn add(&self, owner: &str, user: &str) {
        let reply = self.call(owner, "PUT", &format!("/members/{user}"), json!({}));
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
    }

    /// Removes a user from the room, as its owner.
    pub(crate) fn remove(&self, owner: &str, user: &str) {
        let reply = self.call(owner, "DELETE", &format!("/members/{user}"), Value::Null);
        reply.ok(204);
    }

    /// A message's frame, to be changed as a test needs.
    pub(crate) fn message_frame(&self, content: &str) -> Value {
        json!({ "type": "SEND_MESSAGE", "roomId": self.room, "content": content })
    }
}

/// `frame` with these fields beside or instead of its own.
pub(crate) fn with(mut frame: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().expect("fields are an object") {
        frame[name] = value.clone();
    }
    frame
}

pub(crate) fn list(value: &Value) -> Vec<Value> {
    value.as_array().expect("a list").clone()
}

pub(crate) fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

pub(crate) fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// The names of an object's fields, sorted.
pub(crate) fn fields(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The frames of this type.
pub(crate) fn of_type(frames: &[Value], kind: &str) -> Vec<Value> {
    let wanted = frames.iter().filter(|frame| frame["type"] == kind);
    wanted.cloned().collect()
}

/// The contents of the messages among these frames, in order.
pub(crate) fn contents(frames: &[Value]) -> Vec<String> {
    let messages = of_type(frames, "MESSAGE");
    messages
        .iter()
        .map(|frame| text(&frame["content"]).to_owned())
        .collect()
}

/// Asserts that these events follow one another without a gap, from the seq `after` on.
pub(crate) fn assert_chain(events: &[Value], after: u64) {
    let mut last = after;
    for event in events {
        let (seq, prev) = (number(&event["seq"]), number(&event["prev"]));
        assert_eq!(prev, last, "the chain breaks at {event} in {events:#?}");
        assert!(seq > prev, "{event}");
        last = seq;
    }
}

/// Asserts that this is a time of the contract: RFC 3339, UTC, milliseconds.
pub(crate) fn assert_time(value: &Value) {
    let shape: String = text(value)
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{value}");
}

/// Asserts that this is an `ERROR` with this code.
pub(crate) fn assert_refused(answer: &Value, code: &str) {
    assert_eq!(answer["type"], "ERROR", "{answer}");
    assert_eq!(answer["code"], code, "{answer}");
}
