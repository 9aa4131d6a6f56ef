//! Bodies of the HTTP API.

use serde::{Deserialize, Serialize};

use crate::room::{MemberRole, PresenceStatus, RoomKind, Visibility};
use crate::{
    AttachmentId, ClientMessageId, ErrorCode, MessageId, RoomId, Seq, SessionId, Timestamp, UserId,
};

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "camelCase")]
        #[expect(missing_docs, reason = "the fields are the wire contract's, section 7")]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }
    )*};
}

shapes! {
    /// A room as one user sees it.
    RoomView {
        room_id: RoomId,
        kind: RoomKind,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        visibility: Option<Visibility>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer_id: Option<UserId>,
        created_at: Timestamp,
        head: Seq,
        member_count: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<MemberRole>,
    }
    /// How far a member has read and received.
    Marks {
        read: Seq,
        delivered: Seq,
    }
    /// One of my rooms.
    RoomEntry {
        #[serde(flatten)]
        room: RoomView,
        unread: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_message: Option<MessageView>,
        marks: Marks,
    }
    /// A page of my rooms.
    RoomEntries {
        rooms: Vec<RoomEntry>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
    }
    /// A page of public rooms.
    RoomViews {
        rooms: Vec<RoomView>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
    }
    /// A member.
    MemberView {
        user_id: UserId,
        role: MemberRole,
        marks: Marks,
    }
    /// A page of members.
    MemberViews {
        members: Vec<MemberView>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
    }
    /// A user.
    UserView {
        user_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display_name: Option<String>,
    }
    /// Users whose name begins so.
    UserViews {
        users: Vec<UserView>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
    }
    /// A reaction with who gave it.
    ReactionView {
        emoji: String,
        count: u64,
        user_ids: Vec<UserId>,
    }
    /// A message in its current state.
    MessageView {
        r#type: MessageType,
        room_id: RoomId,
        seq: Seq,
        ts: Timestamp,
        message_id: MessageId,
        sender_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<ClientMessageId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<MessageId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<AttachmentId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edited_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deleted: bool,
        reactions: Vec<ReactionView>,
    }
    /// A page of history; the events are `MessageView`s or event frames.
    HistoryPage {
        events: Vec<serde_json::Value>,
        head: Seq,
        has_more_before: bool,
        has_more_after: bool,
    }
    /// Somebody's presence.
    PresenceView {
        user_id: UserId,
        status: PresenceStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_seen: Option<Timestamp>,
    }
    /// The presence of those asked for.
    PresenceViews {
        users: Vec<PresenceView>,
    }
    /// What a sign-in or a refresh gives.
    TokensView {
        access_token: String,
        /// Seconds.
        expires_in: u64,
        refresh_token: String,
    }
    /// One of my sign-ins.
    SessionView {
        session_id: SessionId,
        created_at: Timestamp,
        /// The sign-in, or the last refresh.
        last_used_at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_agent: Option<String>,
        /// The call comes from it.
        current: bool,
    }
    /// My sign-ins, the last used first.
    SessionViews {
        sessions: Vec<SessionView>,
    }
    /// A refusal over HTTP (RFC 9457).
    Problem {
        r#type: String,
        title: String,
        status: u16,
        detail: String,
        code: ErrorCode,
        retryable: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }
}

impl Problem {
    /// A refusal as a problem document of this status, whose title goes with it.
    pub fn new(status: u16, title: &str, refusal: &crate::Refusal) -> Self {
        Self {
            r#type: "about:blank".to_owned(),
            title: title.to_owned(),
            status,
            detail: refusal.message.to_string(),
            code: refusal.code,
            retryable: refusal.code.retryable(),
            retry_after_ms: refusal.retry_after_ms,
        }
    }
}

/// The type of every `MessageView`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum MessageType {
    /// A message.
    #[serde(rename = "MESSAGE")]
    Message,
}
