//! Frames that clients send.

use std::borrow::Cow;

use serde::Serialize;

use crate::id::IdRef;
use crate::{AttachmentId, ClientMessageId, MessageId, PresenceStatus, RoomId, Seq, UserId};

/// One frame from a client, borrowed from its text.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    tag = "type",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase"
)]
#[expect(missing_docs, reason = "the fields are the wire contract's, section 4")]
pub enum ClientFrame<'a> {
    /// Who is speaking: the first frame, or a fresh token.
    Auth { token: Cow<'a, str> },
    /// Receive a room's events, from `after` on or from now; or those of many `rooms` at once.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("oneOf" = [["roomId"], ["rooms"]].map(|one| serde_json::json!({"required": one}))))
    )]
    Subscribe {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room_id: Option<IdRef<'a, RoomId>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Seq>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        presence: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "schema", schemars(length(max = 1_000)))]
        rooms: Vec<RoomAfter<'a>>,
    },
    /// Receive them no more.
    Unsubscribe { room_id: IdRef<'a, RoomId> },
    /// Say something.
    SendMessage {
        room_id: IdRef<'a, RoomId>,
        #[cfg_attr(feature = "schema", schemars(length(max = 16_384)))]
        content: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<IdRef<'a, ClientMessageId>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<IdRef<'a, MessageId>>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "schema", schemars(length(max = 10)))]
        attachments: Vec<IdRef<'a, AttachmentId>>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "schema", schemars(length(max = 50)))]
        mentions: Vec<IdRef<'a, UserId>>,
    },
    /// Say it differently.
    EditMessage {
        room_id: IdRef<'a, RoomId>,
        message_id: IdRef<'a, MessageId>,
        #[cfg_attr(feature = "schema", schemars(length(max = 16_384)))]
        content: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<IdRef<'a, ClientMessageId>>,
    },
    /// Take it back.
    DeleteMessage {
        room_id: IdRef<'a, RoomId>,
        message_id: IdRef<'a, MessageId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<IdRef<'a, ClientMessageId>>,
    },
    /// React to a message, or take the reaction back.
    React {
        room_id: IdRef<'a, RoomId>,
        message_id: IdRef<'a, MessageId>,
        #[cfg_attr(
            feature = "schema",
            schemars(length(min = 1, max = 64), extend("pattern" = "[^\u{FE0E}\u{FE0F}]"))
        )]
        emoji: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        remove: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<IdRef<'a, ClientMessageId>>,
    },
    /// Typing now.
    Typing { room_id: IdRef<'a, RoomId> },
    /// Read or received so far; at least one of the two.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("anyOf" = [["read"], ["delivered"]].map(|one| serde_json::json!({"required": one}))))
    )]
    Mark {
        room_id: IdRef<'a, RoomId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read: Option<Seq>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivered: Option<Seq>,
    },
    /// Whose coming and going to be told; replaces the list before.
    WatchPresence {
        #[cfg_attr(feature = "schema", schemars(length(max = 200)))]
        user_ids: Vec<IdRef<'a, UserId>>,
    },
    /// Looking or not, on this connection.
    SetStatus {
        #[cfg_attr(feature = "schema", schemars(extend("enum" = ["ONLINE", "AWAY"])))]
        status: PresenceStatus,
    },
    /// Still there?
    Ping {},
}

/// One of the rooms of a `SUBSCRIBE`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RoomAfter<'a> {
    /// The room.
    pub room_id: IdRef<'a, RoomId>,
    /// From where on; from now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Seq>,
}

impl ClientFrame<'_> {
    /// The frame's JSON, with the client's own name for it if its answer is to be told apart.
    pub fn to_json(&self, reference: Option<&str>) -> String {
        #[derive(Serialize)]
        struct Named<'a> {
            #[serde(flatten)]
            frame: &'a ClientFrame<'a>,
            #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
            reference: Option<&'a str>,
        }
        let named = Named {
            frame: self,
            reference,
        };
        serde_json::to_string(&named).expect("strings and numbers always serialize")
    }
}
