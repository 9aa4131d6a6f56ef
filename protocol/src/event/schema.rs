//! The fields of each event type, for the schema of the bus.
//!
//! The payload is one flat struct in Rust, since its fields mean the same in every event; readers of
//! the bus get a schema for each type.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::envelope::{
    DELETED, EDITED, JOINED, LEFT, MEMBER_CHANGED, MEMBERS_ADDED, Payload, REACTION, ROOM_CHANGED,
    ROOM_DELETED, SENT,
};

/// Type, description, required fields, optional fields.
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const EVERY: [&str; 3] = ["roomId", "senderId", "sentAt"];

const ROWS: [Row; 10] = [
    (
        SENT,
        "A message. Without content it has been deleted since.",
        &["messageId", "attachments"],
        &["content", "replyTo", "mentions"],
    ),
    (
        EDITED,
        "New content for a message. Without content the message has been deleted since.",
        &["eventId", "messageId"],
        &["content"],
    ),
    (
        DELETED,
        "A message's end; its place stays.",
        &["eventId", "messageId"],
        &[],
    ),
    (
        REACTION,
        "A reaction given or taken back.",
        &["eventId", "messageId", "emoji", "removed"],
        &[],
    ),
    (
        JOINED,
        "Somebody is a member from here on.",
        &["eventId", "userId", "role"],
        &["founding"],
    ),
    (
        LEFT,
        "Somebody is no member from here on.",
        &["eventId", "userId", "role"],
        &[],
    ),
    (
        MEMBER_CHANGED,
        "A member's role.",
        &["eventId", "userId", "role"],
        &[],
    ),
    (
        MEMBERS_ADDED,
        "Many members at once, all of them MEMBER.",
        &["eventId", "userIds", "memberCount"],
        &[],
    ),
    (
        ROOM_CHANGED,
        "The room's name, topic or visibility; what is absent stays.",
        &["eventId"],
        &["name", "topic", "visibility"],
    ),
    (
        ROOM_DELETED,
        "The room's end. Its id is not used again.",
        &["eventId"],
        &[],
    ),
];

/// The envelopes, one schema for each type.
pub(crate) fn schema_of_events(generator: &mut SchemaGenerator) -> Schema {
    let payload = <Payload<'_> as schemars::JsonSchema>::json_schema(generator);
    let fields = payload
        .get("properties")
        .and_then(Value::as_object)
        .expect("the payload has fields");
    let envelopes: Vec<Value> = ROWS.iter().map(|row| envelope(fields, row)).collect();
    json_schema!({ "oneOf": envelopes })
}

fn envelope(fields: &Map<String, Value>, row: &Row) -> Value {
    let (event_type, says, always, sometimes) = row;
    let required: Vec<&str> = EVERY.iter().chain(always.iter()).copied().collect();
    let properties: Map<String, Value> = required
        .iter()
        .chain(["clientMsgId"].iter())
        .chain(sometimes.iter())
        .map(|name| ((*name).to_owned(), fields[*name].clone()))
        .collect();
    json!({
        "type": "object",
        "description": says,
        "properties": {
            "eventType": { "type": "string", "const": event_type },
            "payload": { "type": "object", "properties": properties, "required": required },
        },
        "required": ["eventType", "payload"],
    })
}
