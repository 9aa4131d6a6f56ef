//! The encoding of events in the log and on the bus.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{EventBody, Message, RoomChange, RoomCreation, RoomEvent};
use crate::{
    AttachmentId, ClientMessageId, EventId, MemberRole, MessageId, RoomId, Timestamp, UserId,
    Visibility,
};

/// The bytes are no event that this version can read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the envelope at all.
    #[error("read the event envelope")]
    Envelope(#[from] serde_json::Error),
    /// A type of a later version, or none of ours.
    #[error("event type {0:?} is unknown")]
    UnknownType(String),
    /// A field its type needs is not there.
    #[error("event has no {0}")]
    Missing(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    payload: Payload<'a>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Payload<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
    room_id: RoomId,
    sender_id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_msg_id: Option<ClientMessageId>,
    sent_at: Timestamp,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    content: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attachments: Option<Cow<'a, [AttachmentId]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mentions: Option<Cow<'a, [UserId]>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    emoji: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<MemberRole>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    founding: Option<RoomCreation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_ids: Option<Cow<'a, [UserId]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member_count: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    topic: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    visibility: Option<Visibility>,
}

pub(super) const SENT: &str = "chat.message.sent.v1";
pub(super) const EDITED: &str = "chat.message.edited.v1";
pub(super) const DELETED: &str = "chat.message.deleted.v1";
pub(super) const REACTION: &str = "chat.reaction.changed.v1";
pub(super) const JOINED: &str = "chat.member.joined.v1";
pub(super) const LEFT: &str = "chat.member.left.v1";
pub(super) const MEMBER_CHANGED: &str = "chat.member.changed.v1";
pub(super) const MEMBERS_ADDED: &str = "chat.members.added.v1";
pub(super) const ROOM_CHANGED: &str = "chat.room.changed.v1";
pub(super) const ROOM_DELETED: &str = "chat.room.deleted.v1";

impl EventBody {
    /// The event's type on the bus.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::MessageSent(_) => SENT,
            Self::MessageEdited { .. } => EDITED,
            Self::MessageDeleted { .. } => DELETED,
            Self::ReactionChanged { .. } => REACTION,
            Self::MemberJoined { .. } => JOINED,
            Self::MemberLeft { .. } => LEFT,
            Self::MemberChanged { .. } => MEMBER_CHANGED,
            Self::MembersAdded { .. } => MEMBERS_ADDED,
            Self::RoomChanged(_) => ROOM_CHANGED,
            Self::RoomDeleted => ROOM_DELETED,
        }
    }
}

/// Writes an event as the log keeps it.
pub fn encode(event: &RoomEvent) -> Vec<u8> {
    let mut payload = Payload {
        event_id: Some(event.id.clone()),
        message_id: None,
        room_id: event.room_id.clone(),
        sender_id: event.sender_id.clone(),
        client_msg_id: event.client_message_id.clone(),
        sent_at: event.sent_at,
        content: None,
        reply_to: None,
        attachments: None,
        mentions: None,
        emoji: None,
        removed: None,
        user_id: None,
        role: None,
        founding: None,
        user_ids: None,
        member_count: None,
        name: None,
        topic: None,
        visibility: None,
    };
    fill(&mut payload, &event.body);
    let envelope = Envelope {
        event_type: event.body.event_type().into(),
        payload,
    };
    serde_json::to_vec(&envelope).expect("strings and numbers always serialize")
}

fn fill<'a>(payload: &mut Payload<'a>, body: &'a EventBody) {
    payload.message_id = body.target().cloned();
    match body {
        EventBody::MessageSent(message) => {
            payload.message_id = payload.event_id.take().map(MessageId::from);
            payload.content = message.content.as_deref().map(Cow::Borrowed);
            payload.reply_to.clone_from(&message.reply_to);
            payload.attachments = Some(Cow::Borrowed(&message.attachments));
            payload.mentions =
                (!message.mentions.is_empty()).then_some(Cow::Borrowed(&message.mentions));
        }
        EventBody::MessageEdited { content, .. } => {
            payload.content = content.as_deref().map(Cow::Borrowed);
        }
        EventBody::MessageDeleted { .. } | EventBody::RoomDeleted => {}
        EventBody::ReactionChanged { emoji, removed, .. } => {
            payload.emoji = Some(Cow::Borrowed(emoji));
            payload.removed = Some(*removed);
        }
        EventBody::MemberJoined {
            user_id,
            role,
            founding,
        } => {
            payload.user_id = Some(user_id.clone());
            payload.role = Some(*role);
            payload.founding.clone_from(founding);
        }
        EventBody::MemberLeft { user_id, role } | EventBody::MemberChanged { user_id, role } => {
            payload.user_id = Some(user_id.clone());
            payload.role = Some(*role);
        }
        EventBody::MembersAdded {
            user_ids,
            member_count,
        } => {
            payload.user_ids = Some(Cow::Borrowed(user_ids));
            payload.member_count = Some(*member_count);
        }
        EventBody::RoomChanged(change) => {
            payload.name = change.name.as_deref().map(Cow::Borrowed);
            payload.topic = change.topic.as_deref().map(Cow::Borrowed);
            payload.visibility = change.visibility;
        }
    }
}

/// Reads an event that [`encode`] of this or any earlier version wrote.
pub fn decode(bytes: &[u8]) -> Result<RoomEvent, DecodeError> {
    let Envelope {
        event_type,
        payload,
    } = serde_json::from_slice(bytes)?;
    let event_id = payload
        .event_id
        .clone()
        .or_else(|| payload.message_id.clone().map(EventId::from));
    let (room_id, sender_id) = (payload.room_id.clone(), payload.sender_id.clone());
    let (client_message_id, sent_at) = (payload.client_msg_id.clone(), payload.sent_at);
    let body = body(&event_type, payload)?;
    Ok(RoomEvent {
        id: event_id.ok_or(DecodeError::Missing("eventId"))?,
        room_id,
        sender_id,
        client_message_id,
        sent_at,
        body,
    })
}

fn body(event_type: &str, payload: Payload<'_>) -> Result<EventBody, DecodeError> {
    let message_id = payload.message_id.ok_or(DecodeError::Missing("messageId"));
    let user_id = payload.user_id.ok_or(DecodeError::Missing("userId"));
    let role = payload.role.ok_or(DecodeError::Missing("role"));
    Ok(match event_type {
        SENT => EventBody::MessageSent(Message {
            content: payload.content.map(Cow::into_owned),
            reply_to: payload.reply_to,
            attachments: payload.attachments.unwrap_or_default().into_owned(),
            mentions: payload.mentions.unwrap_or_default().into_owned(),
        }),
        EDITED => EventBody::MessageEdited {
            message_id: message_id?,
            content: payload.content.map(Cow::into_owned),
        },
        DELETED => EventBody::MessageDeleted {
            message_id: message_id?,
        },
        REACTION => EventBody::ReactionChanged {
            message_id: message_id?,
            emoji: payload
                .emoji
                .ok_or(DecodeError::Missing("emoji"))?
                .into_owned(),
            removed: payload.removed.unwrap_or(false),
        },
        JOINED => EventBody::MemberJoined {
            user_id: user_id?,
            role: role?,
            founding: payload.founding,
        },
        LEFT => EventBody::MemberLeft {
            user_id: user_id?,
            role: role?,
        },
        MEMBER_CHANGED => EventBody::MemberChanged {
            user_id: user_id?,
            role: role?,
        },
        MEMBERS_ADDED => EventBody::MembersAdded {
            user_ids: payload
                .user_ids
                .ok_or(DecodeError::Missing("userIds"))?
                .into_owned(),
            member_count: payload
                .member_count
                .ok_or(DecodeError::Missing("memberCount"))?,
        },
        ROOM_CHANGED => EventBody::RoomChanged(RoomChange {
            name: payload.name.map(Cow::into_owned),
            topic: payload.topic.map(Cow::into_owned),
            visibility: payload.visibility,
        }),
        ROOM_DELETED => EventBody::RoomDeleted,
        other => return Err(DecodeError::UnknownType(other.to_owned())),
    })
}
