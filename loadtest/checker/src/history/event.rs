//! Events as clients receive them, live or in history, and the fingerprints that compare them.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher as _};

use roomcast_protocol::Seq;
use serde::Deserialize;

/// The type of an event, as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the wire contract's, section 5")]
pub enum EventKind {
    Message,
    MessageEdited,
    MessageDeleted,
    Reaction,
    MemberJoined,
    MemberLeft,
    MemberChanged,
    RoomChanged,
    RoomDeleted,
}

/// Text of a frame, borrowed from it where it can be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// An event frame of the wire or of a page of history; unknown fields are ignored.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a> {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Its seq.
    pub seq: Seq,
    /// The seq of the event before it; pages of messages have none.
    #[serde(default)]
    pub prev: Option<Seq>,
    /// The user that caused it.
    #[serde(borrow)]
    pub sender_id: Text<'a>,
    /// The member that a membership event names.
    #[serde(borrow, default)]
    pub user_id: Option<Text<'a>>,
    /// The message it creates or changes.
    #[serde(borrow, default)]
    pub message_id: Option<Text<'a>>,
    /// The sender's id of the message.
    #[serde(borrow, default)]
    pub client_msg_id: Option<Text<'a>>,
    /// The message's content.
    #[serde(borrow, default)]
    pub content: Option<Text<'a>>,
    /// The emoji of a reaction.
    #[serde(borrow, default)]
    pub emoji: Option<Text<'a>>,
    /// Whether the reaction is removed.
    #[serde(default)]
    pub removed: bool,
    /// Whether the message is deleted and its content redacted.
    #[serde(default)]
    pub deleted: bool,
}

impl EventKind {
    /// Every kind, in the order of its encoding in a recording.
    pub(crate) const ALL: [Self; 9] = [
        Self::Message,
        Self::MessageEdited,
        Self::MessageDeleted,
        Self::Reaction,
        Self::MemberJoined,
        Self::MemberLeft,
        Self::MemberChanged,
        Self::RoomChanged,
        Self::RoomDeleted,
    ];

    /// Whether a client frame causes it, so that the recording must contain the send.
    pub(crate) const fn is_client_send(self) -> bool {
        matches!(
            self,
            Self::Message | Self::MessageEdited | Self::MessageDeleted | Self::Reaction
        )
    }

    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::MessageEdited => "edit",
            Self::MessageDeleted => "delete",
            Self::Reaction => "reaction",
            Self::MemberJoined => "join",
            Self::MemberLeft => "leave",
            Self::MemberChanged => "change of role",
            Self::RoomChanged => "change of the room",
            Self::RoomDeleted => "end of the room",
        }
    }
}

/// Hashes a text; never zero, equal in all processes of one build.
pub fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish().max(1)
}

/// Hashes the addition or removal of a reaction.
pub(crate) fn reaction_fingerprint(emoji: &str, removed: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(u8::from(removed));
    hasher.write(emoji.as_bytes());
    hasher.finish().max(1)
}

/// An event without its texts: equal views show the same event with the same `prev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) room: u32,
    pub(crate) sender: u32,
    pub(crate) kind: EventKind,
    pub(crate) deleted: bool,
    pub(crate) seq: u64,
    /// [`NO_PREV`] where the frame had none.
    pub(crate) prev: u64,
    /// The message's fingerprint or, when the event is about a member, that user's; zero without one.
    pub(crate) subject: u64,
    /// The fingerprint of its `clientMsgId`; zero without one.
    pub(crate) client: u64,
    /// The fingerprint of its content; zero without content.
    pub(crate) content: u64,
}

/// The frame had no `prev`. (A seq is below 2^53.)
pub(crate) const NO_PREV: u64 = u64::MAX;

impl View {
    /// Whether the frame had a `prev`.
    pub(crate) const fn has_prev(&self) -> bool {
        self.prev != NO_PREV
    }

    pub(crate) fn of(room: u32, sender: u32, event: &Event<'_>) -> Self {
        let print =
            |text: &Option<Text<'_>>| text.as_ref().map_or(0, |Text(text)| fingerprint(text));
        let content = match &event.emoji {
            Some(Text(emoji)) => reaction_fingerprint(emoji, event.removed),
            None => print(&event.content),
        };
        Self {
            room,
            sender,
            kind: event.kind,
            deleted: event.deleted,
            seq: event.seq.get(),
            prev: event.prev.map_or(NO_PREV, Seq::get),
            subject: print(if event.user_id.is_some() {
                &event.user_id
            } else {
                &event.message_id
            }),
            client: print(&event.client_msg_id),
            content,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_and_a_line_of_history_are_read_without_copying_plain_text() {
        let json = r#"{"type":"MESSAGE","roomId":"r","seq":7,"prev":3,"ts":"x","messageId":"m",
            "senderId":"u","content":"plain","clientMsgId":"c","reactions":[{"emoji":"+"}]}"#;
        let event: Event<'_> = serde_json::from_str(json).unwrap();
        let content = event.content.clone().unwrap().0;
        assert!(matches!(content, Cow::Borrowed("plain")), "{content:?}");
        let view = View::of(1, 2, &event);
        assert_eq!((view.seq, view.prev, view.kind), (7, 3, EventKind::Message));
        assert_eq!(view.content, fingerprint("plain"));
        assert_eq!(view.client, fingerprint("c"));
    }

    #[test]
    fn a_reaction_and_its_taking_back_differ() {
        assert_ne!(
            reaction_fingerprint("+", true),
            reaction_fingerprint("+", false)
        );
    }
}
