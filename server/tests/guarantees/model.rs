//! An independent model of a room's state: a few lines on JSON, without the product's code.

use serde_json::{Value, json};

use crate::client::number;

/// Messages in their current state, in order, and the log they came from.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) messages: Vec<Value>,
    pub(crate) events: Vec<Value>,
}

impl Model {
    /// What the whole of a log comes to.
    pub(crate) fn of(log: &[Value]) -> Self {
        let mut model = Self::default();
        for event in log {
            model.see(event);
        }
        model
    }

    /// The seq of the last event.
    pub(crate) fn head(&self) -> u64 {
        self.events.last().map_or(0, |last| number(last, "seq"))
    }

    /// Takes the log's next event.
    pub(crate) fn see(&mut self, event: &Value) {
        self.events.push(event.clone());
        let kind = event["type"].as_str().expect("a type");
        if kind == "MESSAGE" {
            let mut message = event.clone();
            let fields = message.as_object_mut().expect("an object");
            fields.remove("prev");
            fields.insert("reactions".to_owned(), json!([]));
            self.messages.push(message);
            return;
        }
        let target = &event["messageId"];
        let Some(message) = self
            .messages
            .iter_mut()
            .find(|it| it["messageId"] == *target)
        else {
            assert!(target.is_null(), "{event} is about no message");
            return;
        };
        match kind {
            "MESSAGE_EDITED" => {
                message["content"] = event["content"].clone();
                message["editedAt"] = event["ts"].clone();
            }
            "MESSAGE_DELETED" => {
                *message = redacted(message);
                let target = target.clone();
                for said in self
                    .events
                    .iter_mut()
                    .filter(|it| it["messageId"] == target)
                {
                    *said = redacted(said);
                }
            }
            "REACTION" => react(message, event),
            other => panic!("{other} about a message"),
        }
    }
}

/// A message, or an edit of it, after its deletion.
pub(crate) fn redacted(said: &Value) -> Value {
    let mut said = said.clone();
    if said["type"] == "MESSAGE" || said["type"] == "MESSAGE_EDITED" {
        let fields = said.as_object_mut().expect("an object");
        for gone in ["content", "attachments", "mentions"] {
            fields.remove(gone);
        }
        fields.insert("deleted".to_owned(), json!(true));
    }
    said
}

fn react(message: &mut Value, event: &Value) {
    let reactions = message["reactions"].as_array_mut().expect("a list");
    let at = reactions
        .iter()
        .position(|it| it["emoji"] == event["emoji"]);
    let at = at.unwrap_or_else(|| {
        reactions.push(json!({ "emoji": event["emoji"], "count": 0, "userIds": [] }));
        reactions.len() - 1
    });
    let users = reactions[at]["userIds"].as_array_mut().expect("a list");
    if event["removed"] == true {
        users.retain(|user| *user != event["senderId"]);
    } else {
        users.push(event["senderId"].clone());
    }
    let count = users.len();
    reactions[at]["count"] = json!(count);
    if count == 0 {
        reactions.remove(at);
    }
}
