//! Parses server frames as far as a load-test client needs them: one pass, without copying.

use std::borrow::Cow;

use roomcast_protocol::{ErrorCode, Seq};
use serde::Deserialize;

use roomcast_checker::history::{Event, EventKind, Text};

/// Any frame of the fleet. A frame has the fields its type has; the others are absent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of some frame"
)]
pub struct Frame<'a> {
    /// The frame's type, possibly an unknown one.
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    /// The room.
    #[serde(borrow, default)]
    pub room_id: Option<Text<'a>>,
    /// The seq.
    #[serde(default)]
    pub seq: Option<Seq>,
    /// The seq before it.
    #[serde(default)]
    pub prev: Option<Seq>,
    /// The message id.
    #[serde(borrow, default)]
    pub message_id: Option<Text<'a>>,
    /// The user that caused it.
    #[serde(borrow, default)]
    pub sender_id: Option<Text<'a>>,
    /// The member it names.
    #[serde(borrow, default)]
    pub user_id: Option<Text<'a>>,
    /// The client message id.
    #[serde(borrow, default)]
    pub client_msg_id: Option<Text<'a>>,
    /// Its content.
    #[serde(borrow, default)]
    pub content: Option<Text<'a>>,
    /// The emoji of a reaction.
    #[serde(borrow, default)]
    pub emoji: Option<Text<'a>>,
    /// Whether the reaction is removed.
    #[serde(default)]
    pub removed: bool,
    /// Whether the message is deleted.
    #[serde(default)]
    pub deleted: bool,
    /// Of an `ACK`: the event was stored before.
    #[serde(default)]
    pub duplicate: bool,
    /// Of `SUBSCRIBED`: the head.
    #[serde(default)]
    pub head: Option<Seq>,
    /// Of `SUBSCRIBED`: whether the missed events follow.
    #[serde(default)]
    pub recovered: bool,
    /// Of `RECONNECT`: the delay of the reconnect.
    #[serde(default)]
    pub after_ms: u64,
    /// Of `WELCOME`: the heartbeat interval.
    #[serde(default)]
    pub heartbeat_ms: Option<u64>,
    /// Of `ERROR` and `WARNING`.
    #[serde(borrow, default)]
    pub code: Option<Text<'a>>,
    /// Of `ERROR`: whether a retry can succeed.
    #[serde(default)]
    pub retryable: bool,
    /// Of `ERROR`: the delay of a retry.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

impl<'a> Frame<'a> {
    /// Parses a frame.
    pub fn read(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The frame as an event of this kind, with its room; `None` when it lacks what every event has.
    pub fn event(&self, kind: EventKind) -> Option<(Event<'_>, &str)> {
        let event = Event {
            kind,
            seq: self.seq?,
            prev: self.prev,
            sender_id: lend(self.sender_id.as_ref()?),
            user_id: self.user_id.as_ref().map(lend),
            message_id: self.message_id.as_ref().map(lend),
            client_msg_id: self.client_msg_id.as_ref().map(lend),
            content: self.content.as_ref().map(lend),
            emoji: self.emoji.as_ref().map(lend),
            removed: self.removed,
            deleted: self.deleted,
        };
        Some((event, &self.room_id.as_ref()?.0))
    }
}

fn lend<'b>(text: &'b Text<'_>) -> Text<'b> {
    Text(Cow::Borrowed(&text.0))
}

/// The kind of event that frames of this type are, if they are events.
pub fn event_kind(kind: &str) -> Option<EventKind> {
    Some(match kind {
        "MESSAGE" => EventKind::Message,
        "MESSAGE_EDITED" => EventKind::MessageEdited,
        "MESSAGE_DELETED" => EventKind::MessageDeleted,
        "REACTION" => EventKind::Reaction,
        "MEMBER_JOINED" => EventKind::MemberJoined,
        "MEMBER_LEFT" => EventKind::MemberLeft,
        "MEMBER_CHANGED" => EventKind::MemberChanged,
        "ROOM_CHANGED" => EventKind::RoomChanged,
        "ROOM_DELETED" => EventKind::RoomDeleted,
        _ => return None,
    })
}

/// The code of that name, if it is one we know.
pub fn code(name: &str) -> Option<ErrorCode> {
    ErrorCode::ALL
        .iter()
        .copied()
        .find(|code| code.as_str() == name)
}

/// The text of an optional field, or nothing.
pub fn text<'a>(field: Option<&'a Text<'_>>) -> &'a str {
    field.map_or("", |Text(text)| Cow::as_ref(text))
}
