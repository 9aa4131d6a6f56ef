//! Frames that the server sends.

mod encoded_len;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::event::{EventBody, StoredEvent};
use crate::room::NotificationKind;
use crate::{
    AttachmentId, ClientMessageId, ConnectionId, ErrorCode, MemberRole, MessageId, PresenceStatus,
    Refusal, RoomId, Seq, Timestamp, UserId, Visibility,
};

/// One frame from the fleet. A client ignores types and fields it does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    tag = "type",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase"
)]
#[expect(
    missing_docs,
    reason = "the fields are the wire contract's, sections 3 to 5"
)]
pub enum ServerFrame<'a> {
    /// A message. With `deleted` it has lost its content.
    Message {
        room_id: RoomId,
        seq: Seq,
        prev: Seq,
        ts: Timestamp,
        message_id: MessageId,
        sender_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<ClientMessageId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<MessageId>,
        #[serde(default, skip_serializing_if = "is_empty")]
        attachments: Cow<'a, [AttachmentId]>,
        #[serde(default, skip_serializing_if = "is_empty")]
        mentions: Cow<'a, [UserId]>,
        #[serde(default, skip_serializing_if = "is_false")]
        deleted: bool,
    },
    /// New content for a message.
    MessageEdited {
        room_id: RoomId,
        seq: Seq,
        prev: Seq,
        ts: Timestamp,
        message_id: MessageId,
        sender_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "is_false")]
        deleted: bool,
    },
    /// A message's end.
    MessageDeleted {
        room_id: RoomId,
        seq: Seq,
        prev: Seq,
        ts: Timestamp,
        message_id: MessageId,
        sender_id: UserId,
    },
    /// A reaction given or taken back.
    Reaction {
        room_id: RoomId,
        seq: Seq,
        prev: Seq,
        ts: Timestamp,
        message_id: MessageId,
        sender_id: UserId,
        emoji: Cow<'a, str>,
        removed: bool,
    },
    /// Somebody is a member from here on.
    MemberJoined {
        room_id: RoomId,
        seq: Seq,
        prev: Seq,
        ts: Timestamp,
        user_id: UserId,
        sender_id: UserId,
        role: MemberRole,
    },
    /// Somebody is no member from here on.
    MemberLeft {
        room_id: RoomId,
        seq: Seq,
        prev: Seq,
        ts: Timestamp,
        user_id: UserId,
        sender_id: UserId,
        role: MemberRole,
    },
    /// A member has another role.
    MemberChanged {
        room_id: RoomId,
        seq: Seq,
        prev: Seq,
        ts: Timestamp,
        user_id: UserId,
        sender_id: UserId,
        role: MemberRole,
    },
    /// The room has other properties, or many more members.
    RoomChanged {
        room_id: RoomId,
        seq: Seq,
        prev: Seq,
        ts: Timestamp,
        sender_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topic: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        visibility: Option<Visibility>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member_count: Option<u64>,
    },
    /// The room's end.
    RoomDeleted {
        room_id: RoomId,
        seq: Seq,
        prev: Seq,
        ts: Timestamp,
        sender_id: UserId,
    },

    /// The log has stored it.
    Ack {
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Cow<'a, str>>,
        room_id: RoomId,
        message_id: MessageId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<ClientMessageId>,
        seq: Seq,
        ts: Timestamp,
        duplicate: bool,
    },
    /// The answer to `SUBSCRIBE`.
    Subscribed {
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Cow<'a, str>>,
        room_id: RoomId,
        head: Seq,
        recovered: bool,
        after: Seq,
    },
    /// The answer to `UNSUBSCRIBE`; also said when the fleet ends a subscription.
    Unsubscribed {
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Cow<'a, str>>,
        room_id: RoomId,
    },
    /// The greeting.
    Welcome {
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Cow<'a, str>>,
        connection_id: ConnectionId,
        user_id: UserId,
        protocol: u32,
        server_time: Timestamp,
        heartbeat_ms: u64,
        limits: Limits,
    },
    /// The answer to a later `AUTH`.
    Authenticated {
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Cow<'a, str>>,
        expires_at: Timestamp,
    },
    /// Nothing else to say.
    Heartbeat {},
    /// The answer to `PING`.
    Pong {
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Cow<'a, str>>,
        server_time: Timestamp,
    },
    /// The token ends soon; send a fresh `AUTH`.
    TokenExpiring { expires_at: Timestamp },
    /// Somebody types; shown for 6 s.
    Typing { room_id: RoomId, user_id: UserId },
    /// How far a member has read or received.
    Receipt {
        room_id: RoomId,
        user_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read: Option<Seq>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivered: Option<Seq>,
    },
    /// Who is here.
    Presence {
        user_id: UserId,
        status: PresenceStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_seen: Option<Timestamp>,
    },
    /// What concerns this user in rooms this connection is not subscribed to.
    Notification {
        kind: NotificationKind,
        room_id: RoomId,
        seq: Seq,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<MessageId>,
        sender_id: UserId,
    },
    /// The service goes on in a degraded way.
    Warning {
        code: WarningCode,
        message: Cow<'a, str>,
    },
    /// This gateway is leaving; come back after a while, elsewhere.
    Reconnect { after_ms: u64, reason: Cow<'a, str> },
    /// A refusal.
    Error {
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Cow<'a, str>>,
        code: ErrorCode,
        message: Cow<'a, str>,
        retryable: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room_id: Option<RoomId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<ClientMessageId>,
    },
}

/// In which way the service is degraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WarningCode {
    /// Messages wait in the gateway's bounded buffer.
    LogUnavailable,
    /// The room has more members than one connection may watch.
    PresenceTooLarge,
}

/// The bounds a client is told in `WELCOME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the wire contract's, section 3")]
pub struct Limits {
    pub frame_bytes_max: usize,
    pub content_bytes_max: usize,
    pub rooms_per_connection_max: usize,
    pub sends_per_second: u32,
    pub send_burst: u32,
    pub connections_per_user_max: usize,
    pub watched_users_max: usize,
    pub replay_max: usize,
}

fn is_empty<T: Clone>(list: &[T]) -> bool {
    list.is_empty()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl WarningCode {
    /// The code as it goes over the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LogUnavailable => "LOG_UNAVAILABLE",
            Self::PresenceTooLarge => "PRESENCE_TOO_LARGE",
        }
    }
}

impl<'a> ServerFrame<'a> {
    /// The frame's JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.encoded_len());
        self.write_json(&mut json);
        json
    }

    /// Appends the frame's JSON to `out`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("strings and numbers always serialize");
    }

    /// A refusal as a frame.
    pub fn error(refusal: &'a Refusal) -> Self {
        Self::Error {
            reference: None,
            code: refusal.code,
            message: Cow::Borrowed(&refusal.message),
            retryable: refusal.code.retryable(),
            retry_after_ms: refusal.retry_after_ms,
            room_id: None,
            client_msg_id: None,
        }
    }

    /// The event frame that every subscriber gets.
    pub fn of_event(stored: &'a StoredEvent) -> Self {
        let (seq, prev, event) = (stored.seq, stored.prev, &stored.event);
        let (room_id, sender_id) = (event.room_id.clone(), event.sender_id.clone());
        let ts = event.sent_at;
        match &event.body {
            EventBody::MessageSent(message) => Self::Message {
                room_id,
                seq,
                prev,
                ts,
                message_id: event.id.clone().into(),
                sender_id,
                content: message.content.as_deref().map(Cow::Borrowed),
                client_msg_id: event.client_message_id.clone(),
                reply_to: message.reply_to.clone(),
                attachments: Cow::Borrowed(&message.attachments),
                mentions: Cow::Borrowed(&message.mentions),
                deleted: message.content.is_none(),
            },
            EventBody::MessageEdited {
                message_id,
                content,
            } => Self::MessageEdited {
                room_id,
                seq,
                prev,
                ts,
                message_id: message_id.clone(),
                sender_id,
                content: content.as_deref().map(Cow::Borrowed),
                deleted: content.is_none(),
            },
            EventBody::MessageDeleted { message_id } => Self::MessageDeleted {
                room_id,
                seq,
                prev,
                ts,
                message_id: message_id.clone(),
                sender_id,
            },
            EventBody::ReactionChanged {
                message_id,
                emoji,
                removed,
            } => Self::Reaction {
                room_id,
                seq,
                prev,
                ts,
                message_id: message_id.clone(),
                sender_id,
                emoji: Cow::Borrowed(emoji),
                removed: *removed,
            },
            body => Self::of_control_event(stored, body),
        }
    }

    fn of_control_event(stored: &'a StoredEvent, body: &'a EventBody) -> Self {
        let (seq, prev, event) = (stored.seq, stored.prev, &stored.event);
        let (room_id, sender_id) = (event.room_id.clone(), event.sender_id.clone());
        let ts = event.sent_at;
        match body {
            EventBody::RoomDeleted => Self::RoomDeleted {
                room_id,
                seq,
                prev,
                ts,
                sender_id,
            },
            EventBody::MembersAdded { member_count, .. } => Self::RoomChanged {
                room_id,
                seq,
                prev,
                ts,
                sender_id,
                name: None,
                topic: None,
                visibility: None,
                member_count: Some(*member_count),
            },
            EventBody::RoomChanged(change) => Self::RoomChanged {
                room_id,
                seq,
                prev,
                ts,
                sender_id,
                name: change.name.as_deref().map(Cow::Borrowed),
                topic: change.topic.as_deref().map(Cow::Borrowed),
                visibility: change.visibility,
                member_count: None,
            },
            body => Self::of_member_event(stored, body),
        }
    }

    fn of_member_event(stored: &'a StoredEvent, body: &'a EventBody) -> Self {
        let (seq, prev, event) = (stored.seq, stored.prev, &stored.event);
        let (room_id, sender_id) = (event.room_id.clone(), event.sender_id.clone());
        let ts = event.sent_at;
        match body {
            EventBody::MemberJoined { user_id, role, .. } => Self::MemberJoined {
                room_id,
                seq,
                prev,
                ts,
                user_id: user_id.clone(),
                sender_id,
                role: *role,
            },
            EventBody::MemberLeft { user_id, role } => Self::MemberLeft {
                room_id,
                seq,
                prev,
                ts,
                user_id: user_id.clone(),
                sender_id,
                role: *role,
            },
            EventBody::MemberChanged { user_id, role } => Self::MemberChanged {
                room_id,
                seq,
                prev,
                ts,
                user_id: user_id.clone(),
                sender_id,
                role: *role,
            },
            _ => unreachable!("events of messages and rooms have frames of their own"),
        }
    }
}

impl StoredEvent {
    /// The frame that every subscriber of the room gets.
    pub fn frame(&self) -> ServerFrame<'_> {
        ServerFrame::of_event(self)
    }
}
