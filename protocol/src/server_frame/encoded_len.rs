//! The encoded length of a frame's JSON, computed before it is written.
//!
//! An event goes to every subscriber from one buffer. Counting first costs a look at each byte of the
//! content; growing a buffer costs a copy, and guessing too high costs memory for as long as the
//! slowest reader takes.

use super::ServerFrame;
use crate::{AttachmentId, RoomId, Seq, UserId};

/// The length of an object that has grown so far, closing brace included.
#[derive(Clone, Copy)]
struct Length(usize);

impl ServerFrame<'_> {
    /// The exact length of what [`write_json`](Self::write_json) appends.
    pub fn encoded_len(&self) -> usize {
        let length = match self {
            Self::Message { .. }
            | Self::MessageEdited { .. }
            | Self::MessageDeleted { .. }
            | Self::Reaction { .. } => self.length_about_message(),
            Self::MemberJoined { .. } | Self::MemberLeft { .. } | Self::MemberChanged { .. } => {
                self.length_about_member()
            }
            Self::RoomChanged { .. } | Self::RoomDeleted { .. } => self.length_about_room(),
            Self::Ack { .. } | Self::Error { .. } => self.len_of_reply(),
            Self::Subscribed { .. } | Self::Unsubscribed { .. } => self.length_about_subscription(),
            Self::Welcome { .. } | Self::Authenticated { .. } | Self::Pong { .. } => {
                self.length_about_session()
            }
            Self::Heartbeat {}
            | Self::TokenExpiring { .. }
            | Self::Typing { .. }
            | Self::Receipt { .. }
            | Self::Presence { .. }
            | Self::Notification { .. }
            | Self::Warning { .. }
            | Self::Reconnect { .. } => self.length_of_notice(),
        };
        length.0
    }

    fn length_about_message(&self) -> Length {
        match self {
            Self::Message {
                room_id,
                seq,
                prev,
                ts: _,
                message_id,
                sender_id,
                content,
                client_msg_id,
                reply_to,
                attachments,
                mentions,
                deleted,
            } => Length::of_event("MESSAGE", room_id, *seq, *prev, sender_id)
                .word("messageId", message_id.as_str())
                .optional(content.as_ref(), |length, text| {
                    length.text("content", text)
                })
                .optional(client_msg_id.as_ref(), |length, id| {
                    length.word("clientMsgId", id.as_str())
                })
                .optional(reply_to.as_ref(), |length, id| {
                    length.word("replyTo", id.as_str())
                })
                .list("attachments", attachments.iter().map(AttachmentId::as_str))
                .list("mentions", mentions.iter().map(UserId::as_str))
                .if_true("deleted", *deleted),
            Self::MessageEdited {
                room_id,
                seq,
                prev,
                ts: _,
                message_id,
                sender_id,
                content,
                deleted,
            } => Length::of_event("MESSAGE_EDITED", room_id, *seq, *prev, sender_id)
                .word("messageId", message_id.as_str())
                .optional(content.as_ref(), |length, text| {
                    length.text("content", text)
                })
                .if_true("deleted", *deleted),
            Self::MessageDeleted {
                room_id,
                seq,
                prev,
                ts: _,
                message_id,
                sender_id,
            } => Length::of_event("MESSAGE_DELETED", room_id, *seq, *prev, sender_id)
                .word("messageId", message_id.as_str()),
            Self::Reaction {
                room_id,
                seq,
                prev,
                ts: _,
                message_id,
                sender_id,
                emoji,
                removed,
            } => Length::of_event("REACTION", room_id, *seq, *prev, sender_id)
                .word("messageId", message_id.as_str())
                .text("emoji", emoji)
                .flag("removed", *removed),
            _ => unreachable!("not about a message"),
        }
    }

    fn length_about_member(&self) -> Length {
        let (kind, room_id, seq, prev, sender_id, user_id, role) = match self {
            Self::MemberJoined {
                room_id,
                seq,
                prev,
                ts: _,
                user_id,
                sender_id,
                role,
            } => (
                "MEMBER_JOINED",
                room_id,
                seq,
                prev,
                sender_id,
                user_id,
                role,
            ),
            Self::MemberLeft {
                room_id,
                seq,
                prev,
                ts: _,
                user_id,
                sender_id,
                role,
            } => ("MEMBER_LEFT", room_id, seq, prev, sender_id, user_id, role),
            Self::MemberChanged {
                room_id,
                seq,
                prev,
                ts: _,
                user_id,
                sender_id,
                role,
            } => (
                "MEMBER_CHANGED",
                room_id,
                seq,
                prev,
                sender_id,
                user_id,
                role,
            ),
            _ => unreachable!("not about a member"),
        };
        Length::of_event(kind, room_id, *seq, *prev, sender_id)
            .word("userId", user_id.as_str())
            .word("role", role.as_str())
    }

    fn length_about_room(&self) -> Length {
        match self {
            Self::RoomChanged {
                room_id,
                seq,
                prev,
                ts: _,
                sender_id,
                name,
                topic,
                visibility,
                member_count,
            } => Length::of_event("ROOM_CHANGED", room_id, *seq, *prev, sender_id)
                .optional(name.as_ref(), |length, name| length.text("name", name))
                .optional(topic.as_ref(), |length, topic| length.text("topic", topic))
                .optional(visibility.as_ref(), |length, word| {
                    length.word("visibility", word.as_str())
                })
                .optional(member_count.as_ref(), |length, count| {
                    length.number("memberCount", *count)
                }),
            Self::RoomDeleted {
                room_id,
                seq,
                prev,
                ts: _,
                sender_id,
            } => Length::of_event("ROOM_DELETED", room_id, *seq, *prev, sender_id),
            _ => unreachable!("not about a room"),
        }
    }

    fn len_of_reply(&self) -> Length {
        match self {
            Self::Ack {
                reference,
                room_id,
                message_id,
                client_msg_id,
                seq,
                ts: _,
                duplicate,
            } => Length::of_answer("ACK", reference.as_deref())
                .word("roomId", room_id.as_str())
                .word("messageId", message_id.as_str())
                .optional(client_msg_id.as_ref(), |length, id| {
                    length.word("clientMsgId", id.as_str())
                })
                .number("seq", seq.get())
                .time("ts")
                .flag("duplicate", *duplicate),
            Self::Error {
                reference,
                code,
                message,
                retryable,
                retry_after_ms,
                room_id,
                client_msg_id,
            } => Length::of_answer("ERROR", reference.as_deref())
                .word("code", code.as_str())
                .text("message", message)
                .flag("retryable", *retryable)
                .optional(retry_after_ms.as_ref(), |length, wait| {
                    length.number("retryAfterMs", *wait)
                })
                .optional(room_id.as_ref(), |length, id| {
                    length.word("roomId", id.as_str())
                })
                .optional(client_msg_id.as_ref(), |length, id| {
                    length.word("clientMsgId", id.as_str())
                }),
            _ => unreachable!("no verdict on what was sent"),
        }
    }

    fn length_about_subscription(&self) -> Length {
        match self {
            Self::Subscribed {
                reference,
                room_id,
                head,
                recovered,
                after,
            } => Length::of_answer("SUBSCRIBED", reference.as_deref())
                .word("roomId", room_id.as_str())
                .number("head", head.get())
                .flag("recovered", *recovered)
                .number("after", after.get()),
            Self::Unsubscribed { reference, room_id } => {
                Length::of_answer("UNSUBSCRIBED", reference.as_deref())
                    .word("roomId", room_id.as_str())
            }
            _ => unreachable!("not about a subscription"),
        }
    }

    fn length_about_session(&self) -> Length {
        match self {
            Self::Welcome {
                reference,
                connection_id,
                user_id,
                protocol,
                server_time: _,
                heartbeat_ms,
                limits,
            } => Length::of_answer("WELCOME", reference.as_deref())
                .word("connectionId", connection_id.as_str())
                .word("userId", user_id.as_str())
                .number("protocol", u64::from(*protocol))
                .time("serverTime")
                .number("heartbeatMs", *heartbeat_ms)
                .value("limits", limits.json_bytes()),
            Self::Authenticated {
                reference,
                expires_at: _,
            } => Length::of_answer("AUTHENTICATED", reference.as_deref()).time("expiresAt"),
            Self::Pong {
                reference,
                server_time: _,
            } => Length::of_answer("PONG", reference.as_deref()).time("serverTime"),
            _ => unreachable!("not about the session"),
        }
    }

    fn length_of_notice(&self) -> Length {
        match self {
            Self::Heartbeat {} => Length::of("HEARTBEAT"),
            Self::TokenExpiring { expires_at: _ } => Length::of("TOKEN_EXPIRING").time("expiresAt"),
            Self::Typing { room_id, user_id } => Length::of("TYPING")
                .word("roomId", room_id.as_str())
                .word("userId", user_id.as_str()),
            Self::Receipt {
                room_id,
                user_id,
                read,
                delivered,
            } => Length::of("RECEIPT")
                .word("roomId", room_id.as_str())
                .word("userId", user_id.as_str())
                .optional(read.as_ref(), |length, seq| {
                    length.number("read", seq.get())
                })
                .optional(delivered.as_ref(), |length, seq| {
                    length.number("delivered", seq.get())
                }),
            Self::Presence {
                user_id,
                status,
                last_seen,
            } => Length::of("PRESENCE")
                .word("userId", user_id.as_str())
                .word("status", status.as_str())
                .optional(last_seen.as_ref(), |length, _| length.time("lastSeen")),
            Self::Notification {
                kind,
                room_id,
                seq,
                message_id,
                sender_id,
            } => Length::of("NOTIFICATION")
                .word("kind", kind.as_str())
                .word("roomId", room_id.as_str())
                .number("seq", seq.get())
                .optional(message_id.as_ref(), |length, id| {
                    length.word("messageId", id.as_str())
                })
                .word("senderId", sender_id.as_str()),
            Self::Warning { code, message } => Length::of("WARNING")
                .word("code", code.as_str())
                .text("message", message),
            Self::Reconnect { after_ms, reason } => Length::of("RECONNECT")
                .number("afterMs", *after_ms)
                .text("reason", reason),
            _ => unreachable!("not a notice"),
        }
    }
}

impl Length {
    fn of(kind: &str) -> Self {
        Self(r#"{"type":""}"#.len() + kind.len())
    }

    fn of_event(kind: &str, room_id: &RoomId, seq: Seq, prev: Seq, sender_id: &UserId) -> Self {
        Self::of(kind)
            .word("roomId", room_id.as_str())
            .number("seq", seq.get())
            .number("prev", prev.get())
            .time("ts")
            .word("senderId", sender_id.as_str())
    }

    fn of_answer(kind: &str, reference: Option<&str>) -> Self {
        Self::of(kind).optional(reference.as_ref(), |length, reference| {
            length.text("ref", reference)
        })
    }

    fn optional<T>(self, value: Option<&T>, add: impl FnOnce(Self, &T) -> Self) -> Self {
        match value {
            Some(value) => add(self, value),
            None => self,
        }
    }

    fn value(self, key: &str, bytes: usize) -> Self {
        Self(self.0 + r#","":"#.len() + key.len() + bytes)
    }

    /// A string that has nothing to escape: an id, or a word of ours.
    fn word(self, key: &str, word: &str) -> Self {
        self.value(key, quoted(word.len()))
    }

    /// A string that people wrote.
    fn text(self, key: &str, text: &str) -> Self {
        let escapes = text.bytes().map(escape_bytes).sum::<usize>();
        self.value(key, quoted(text.len() + escapes))
    }

    fn number(self, key: &str, number: u64) -> Self {
        self.value(key, digits(number))
    }

    fn flag(self, key: &str, flag: bool) -> Self {
        self.value(key, if flag { "true".len() } else { "false".len() })
    }

    fn if_true(self, key: &str, flag: bool) -> Self {
        if flag { self.flag(key, flag) } else { self }
    }

    fn time(self, key: &str) -> Self {
        self.value(key, quoted("2023-11-14T22:13:20.007Z".len()))
    }

    /// A list of ids, which is left out when it is empty.
    fn list<'a>(self, key: &str, ids: impl ExactSizeIterator<Item = &'a str>) -> Self {
        if ids.len() == 0 {
            return self;
        }
        let entries: usize = ids.map(|id| quoted(id.len()) + ",".len()).sum();
        self.value(key, "[]".len() + entries - ",".len())
    }
}

impl super::Limits {
    fn json_bytes(&self) -> usize {
        let Self {
            frame_bytes_max,
            content_bytes_max,
            rooms_per_connection_max,
            sends_per_second,
            send_burst,
            connections_per_user_max,
            watched_users_max,
            replay_max,
        } = *self;
        // No field has a comma in front of it that `value` did not count, but the first.
        let object = Length("{}".len() - ",".len());
        [
            ("frameBytesMax", frame_bytes_max as u64),
            ("contentBytesMax", content_bytes_max as u64),
            ("roomsPerConnectionMax", rooms_per_connection_max as u64),
            ("sendsPerSecond", u64::from(sends_per_second)),
            ("sendBurst", u64::from(send_burst)),
            ("connectionsPerUserMax", connections_per_user_max as u64),
            ("watchedUsersMax", watched_users_max as u64),
            ("replayMax", replay_max as u64),
        ]
        .into_iter()
        .fold(object, |length, (key, number)| length.number(key, number))
        .0
    }
}

fn quoted(bytes: usize) -> usize {
    r#""""#.len() + bytes
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// How many bytes more than itself a byte of a string takes in JSON.
fn escape_bytes(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0c | b'\r' => r"\".len(),
        0x00..=0x1f => r"\u00".len() + 1,
        _ => 0,
    }
}
