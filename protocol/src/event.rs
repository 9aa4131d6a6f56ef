//! The events of a room's log.
//!
//! The log keeps an event as the shared envelope of the bus, `{"eventType", "payload"}`, so that other
//! services of the host product read the same bytes. Every published envelope stays readable.

mod envelope;
#[cfg(feature = "schema")]
mod schema;

pub use envelope::{DecodeError, decode, encode};
#[cfg(feature = "schema")]
pub(crate) use schema::schema_of_events;

use crate::{
    AttachmentId, ClientMessageId, EventId, MemberRole, MessageId, RoomId, RoomKind, Seq,
    Timestamp, UserId, Visibility,
};

/// What somebody did in a room, before or after the log has placed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomEvent {
    /// The log keeps one event of this id in a room. For a message it is also the [`MessageId`].
    pub id: EventId,
    /// Where it happened.
    pub room_id: RoomId,
    /// Who did it.
    pub sender_id: UserId,
    /// What the client called it.
    pub client_message_id: Option<ClientMessageId>,
    /// When the fleet took it.
    pub sent_at: Timestamp,
    /// What it was.
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventBody {
    /// A message. Without content it has been deleted since.
    MessageSent(Message),
    /// New content for a message. Without content the message has been deleted since.
    MessageEdited {
        /// Which message.
        message_id: MessageId,
        /// Its content from now on.
        content: Option<String>,
    },
    /// A message's end; its place stays.
    MessageDeleted {
        /// Which message.
        message_id: MessageId,
    },
    /// A reaction given or taken back.
    ReactionChanged {
        /// To which message.
        message_id: MessageId,
        /// The reaction.
        emoji: String,
        /// Taken back.
        removed: bool,
    },
    /// Somebody is a member from here on.
    MemberJoined {
        /// Who.
        user_id: UserId,
        /// As what.
        role: MemberRole,
        /// What the room is, on the first event of its log.
        founding: Option<RoomCreation>,
    },
    /// Somebody is no member from here on.
    MemberLeft {
        /// Who.
        user_id: UserId,
        /// What they were.
        role: MemberRole,
    },
    /// A member's role.
    MemberChanged {
        /// Whose.
        user_id: UserId,
        /// From now on.
        role: MemberRole,
    },
    /// Many members at once, all of them [`MemberRole::Member`].
    MembersAdded {
        /// Who, at most [`MEMBERS_PER_EVENT_MAX`](crate::limits::MEMBERS_PER_EVENT_MAX).
        user_ids: Vec<UserId>,
        /// How many the room has then.
        member_count: u64,
    },
    /// The room's name, topic or visibility; what is absent stays.
    RoomChanged(RoomChange),
    /// The room's end. Its id is not used again.
    RoomDeleted,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Absent once deleted.
    pub content: Option<String>,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// Files that go with it.
    pub attachments: Vec<AttachmentId>,
    /// Whom it mentions.
    pub mentions: Vec<UserId>,
}

/// What a room is from its start.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Founding")
)]
pub struct RoomCreation {
    /// For two or for many.
    pub kind: RoomKind,
    /// Who finds it; groups only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What changes about a room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomChange {
    /// A new name.
    pub name: Option<String>,
    /// A new topic.
    pub topic: Option<String>,
    /// Who finds it from now on.
    pub visibility: Option<Visibility>,
}

impl EventBody {
    /// Whether it changes who is a member, or what the room is.
    pub const fn changes_room(&self) -> bool {
        !matches!(
            self,
            Self::MessageSent(_)
                | Self::MessageEdited { .. }
                | Self::MessageDeleted { .. }
                | Self::ReactionChanged { .. }
        )
    }

    /// Whether it is the first event of its room.
    pub const fn creates_room(&self) -> bool {
        matches!(
            self,
            Self::MemberJoined {
                founding: Some(_),
                ..
            }
        )
    }

    /// The message an edit, a deletion or a reaction is about.
    pub const fn target(&self) -> Option<&MessageId> {
        match self {
            Self::MessageEdited { message_id, .. }
            | Self::MessageDeleted { message_id }
            | Self::ReactionChanged { message_id, .. } => Some(message_id),
            _ => None,
        }
    }
}

impl RoomEvent {
    /// The message this event is about: the one it sends, edits, deletes or reacts to.
    pub fn message_id(&self) -> Option<MessageId> {
        match &self.body {
            EventBody::MessageSent(_) => Some(self.id.clone().into()),
            body => body.target().cloned(),
        }
    }

    /// Redacts a deleted message; returns whether there was content.
    pub fn redact(&mut self) -> bool {
        match &mut self.body {
            EventBody::MessageSent(message) => {
                let said = message.content.is_some();
                *message = Message {
                    reply_to: message.reply_to.take(),
                    ..Message::default()
                };
                said
            }
            EventBody::MessageEdited { content, .. } => content.take().is_some(),
            _ => false,
        }
    }
}

/// An event with its place in the room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place.
    pub seq: Seq,
    /// The place of the event before it; or an older one, or zero, when the log no longer held that.
    pub prev: Seq,
    /// What happened.
    pub event: RoomEvent,
}

impl StoredEvent {
    /// Whether nothing of the room can be missing between `place` and this event, which comes after it.
    /// A `prev` of zero proves that of the room's first event only: for others it means that the log no
    /// longer held their predecessor.
    pub fn continues(&self, place: Seq) -> bool {
        self.event.body.creates_room() || (self.prev > Seq::ZERO && self.prev <= place)
    }
}
