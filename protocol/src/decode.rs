//! Decodes a client frame: first its fields, then each as the frame's type requires.
//!
//! In two steps because a field means something only with the frame's type: a `content` that is a
//! number is an unknown field of `PING` and a fault of `SEND_MESSAGE`. Nothing is copied but strings
//! with escapes in them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client_frame::{ClientFrame, RoomAfter};
use crate::id::{Id, IdRef};
use crate::limits::{
    ATTACHMENTS_MAX, EMOJI_BYTES_MAX, MENTIONS_MAX, REF_CHARS_MAX, ROOMS_PER_SUBSCRIBE_MAX,
    WATCHED_USERS_MAX,
};
use crate::{ClientMessageId, ErrorCode, PresenceStatus, Refusal, RoomId, Seq, number, text};

/// A frame's text, read: the frame or why not, and what its answer repeats.
#[derive(Debug)]
pub struct ParsedFrame<'a> {
    /// The client's own name for the frame.
    pub reference: Option<Cow<'a, str>>,
    /// The room it spoke of, for an `ERROR`.
    pub room_id: Option<IdRef<'a, RoomId>>,
    /// The client's name for what it sent, for an `ERROR`.
    pub client_message_id: Option<IdRef<'a, ClientMessageId>>,
    /// The frame, or its refusal (`BAD_FRAME` or `UNKNOWN_TYPE`).
    pub frame: Result<ClientFrame<'a>, Refusal>,
}

impl<'a> ParsedFrame<'a> {
    /// Reads a frame's text. What the frame's type does not know is ignored; `null` is absence.
    pub fn parse(text: &'a str) -> Self {
        read(text)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    reference: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
    #[serde(borrow)]
    room_id: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    presence: Option<&'a RawValue>,
    #[serde(borrow)]
    rooms: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    client_msg_id: Option<&'a RawValue>,
    #[serde(borrow)]
    reply_to: Option<&'a RawValue>,
    #[serde(borrow)]
    attachments: Option<&'a RawValue>,
    #[serde(borrow)]
    mentions: Option<&'a RawValue>,
    #[serde(borrow)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    emoji: Option<&'a RawValue>,
    #[serde(borrow)]
    remove: Option<&'a RawValue>,
    #[serde(borrow)]
    read: Option<&'a RawValue>,
    #[serde(borrow)]
    delivered: Option<&'a RawValue>,
    #[serde(borrow)]
    user_ids: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

/// An entry of `rooms`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoomFields<'a> {
    #[serde(borrow)]
    room_id: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
}

/// A JSON string, borrowed unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

pub(crate) fn read(text: &str) -> ParsedFrame<'_> {
    let mut decoded = ParsedFrame {
        reference: None,
        room_id: None,
        client_message_id: None,
        frame: Err(not_a_frame()),
    };
    let fields = match fields(text) {
        Ok(fields) => fields,
        Err(refusal) => {
            decoded.frame = Err(refusal);
            return decoded;
        }
    };
    let reference = reference(fields.reference);
    if let Ok(reference) = &reference {
        decoded.reference.clone_from(reference);
    }
    decoded.room_id = optional_id("roomId", fields.room_id).ok().flatten();
    decoded.client_message_id = optional_id("clientMsgId", fields.client_msg_id)
        .ok()
        .flatten();
    decoded.frame = reference.and_then(|_| frame(&fields));
    decoded
}

fn not_a_frame() -> Refusal {
    Refusal::bad_frame("a frame is one JSON object")
}

fn fields(text: &str) -> Result<Fields<'_>, Refusal> {
    // A derived struct would also be read from an array of its fields.
    if !text
        .trim_start_matches([' ', '\t', '\n', '\r'])
        .starts_with('{')
    {
        return Err(not_a_frame());
    }
    // Unread strings are skipped without decoding their escapes.
    if has_lone_surrogate(text) {
        return Err(not_a_frame());
    }
    serde_json::from_str(text).map_err(|_| not_a_frame())
}

/// Whether half of a surrogate pair is escaped somewhere. Backslashes stand in strings only, or the
/// text is no JSON anyway; so there is no need to parse, and depth does not matter.
fn has_lone_surrogate(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        rest = &rest[at..];
        let taken = match escaped_unit(rest) {
            Some(0xD800..=0xDBFF) => match escaped_unit(&rest[6..]) {
                Some(0xDC00..=0xDFFF) => 12,
                _ => return true,
            },
            Some(0xDC00..=0xDFFF) => return true,
            Some(_) => 6,
            None => 2,
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    false
}

/// The UTF-16 unit that a `\u` escape at the start of `text` stands for.
fn escaped_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn reference(raw: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, Refusal> {
    let Some(text) = optional_string("ref", raw)? else {
        return Ok(None);
    };
    if text.chars().count() > REF_CHARS_MAX {
        return Err(Refusal::bad_frame("ref is longer than 64 characters"));
    }
    Ok(Some(text))
}

fn frame<'a>(fields: &Fields<'a>) -> Result<ClientFrame<'a>, Refusal> {
    let kind = string("type", fields.kind)?;
    let room_id = || id("roomId", fields.room_id);
    let message_id = || id("messageId", fields.message_id);
    let client_msg_id = || optional_id("clientMsgId", fields.client_msg_id);
    Ok(match &*kind {
        "AUTH" => ClientFrame::Auth {
            token: string("token", fields.token)?,
        },
        "SUBSCRIBE" => subscribe(fields)?,
        "UNSUBSCRIBE" => ClientFrame::Unsubscribe {
            room_id: room_id()?,
        },
        "SEND_MESSAGE" => ClientFrame::SendMessage {
            room_id: room_id()?,
            content: string("content", fields.content)?,
            client_msg_id: client_msg_id()?,
            reply_to: optional_id("replyTo", fields.reply_to)?,
            attachments: ids("attachments", fields.attachments, ATTACHMENTS_MAX)?
                .unwrap_or_default(),
            mentions: ids("mentions", fields.mentions, MENTIONS_MAX)?.unwrap_or_default(),
        },
        "EDIT_MESSAGE" => ClientFrame::EditMessage {
            room_id: room_id()?,
            message_id: message_id()?,
            content: string("content", fields.content)?,
            client_msg_id: client_msg_id()?,
        },
        "DELETE_MESSAGE" => ClientFrame::DeleteMessage {
            room_id: room_id()?,
            message_id: message_id()?,
            client_msg_id: client_msg_id()?,
        },
        "REACT" => ClientFrame::React {
            room_id: room_id()?,
            message_id: message_id()?,
            emoji: emoji(fields.emoji)?,
            remove: flag("remove", fields.remove)?,
            client_msg_id: client_msg_id()?,
        },
        "TYPING" => ClientFrame::Typing {
            room_id: room_id()?,
        },
        "MARK" => mark(fields)?,
        "WATCH_PRESENCE" => ClientFrame::WatchPresence {
            user_ids: ids("userIds", fields.user_ids, WATCHED_USERS_MAX)?
                .ok_or_else(|| missing("userIds"))?,
        },
        "SET_STATUS" => ClientFrame::SetStatus {
            status: status(fields.status)?,
        },
        "PING" => ClientFrame::Ping {},
        _ => return Err(Refusal::new(ErrorCode::UnknownType, "unknown frame type")),
    })
}

fn subscribe<'a>(fields: &Fields<'a>) -> Result<ClientFrame<'a>, Refusal> {
    let presence = flag("presence", fields.presence)?;
    let Some(raw) = fields.rooms else {
        return Ok(ClientFrame::Subscribe {
            room_id: Some(id("roomId", fields.room_id)?),
            after: seq("after", fields.after)?,
            presence,
            rooms: Vec::new(),
        });
    };
    if fields.room_id.is_some() {
        return Err(Refusal::bad_frame("SUBSCRIBE has either roomId or rooms"));
    }
    let not_rooms = || wrong("rooms", "a list of rooms");
    let entries: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| not_rooms())?;
    if entries.len() > ROOMS_PER_SUBSCRIBE_MAX {
        let message = format!("rooms has more than {ROOMS_PER_SUBSCRIBE_MAX} entries");
        return Err(Refusal::bad_frame(message));
    }
    let room = |entry: &&'a RawValue| {
        if !entry.get().starts_with('{') {
            return Err(not_rooms());
        }
        let fields: RoomFields<'a> = serde_json::from_str(entry.get()).map_err(|_| not_rooms())?;
        Ok(RoomAfter {
            room_id: id("roomId", fields.room_id)?,
            after: seq("after", fields.after)?,
        })
    };
    Ok(ClientFrame::Subscribe {
        room_id: None,
        after: None,
        presence,
        rooms: entries.iter().map(room).collect::<Result<_, _>>()?,
    })
}

fn mark<'a>(fields: &Fields<'a>) -> Result<ClientFrame<'a>, Refusal> {
    let read = seq("read", fields.read)?;
    let delivered = seq("delivered", fields.delivered)?;
    if read.is_none() && delivered.is_none() {
        return Err(Refusal::bad_frame("MARK needs read or delivered"));
    }
    Ok(ClientFrame::Mark {
        room_id: id("roomId", fields.room_id)?,
        read,
        delivered,
    })
}

fn missing(name: &'static str) -> Refusal {
    Refusal::bad_frame(format!("{name} is missing"))
}

fn wrong(name: &'static str, what: &'static str) -> Refusal {
    Refusal::bad_frame(format!("{name} is not {what}"))
}

fn optional_string<'a>(
    name: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<Option<Cow<'a, str>>, Refusal> {
    raw.map(|raw| serde_json::from_str::<Text<'a>>(raw.get()))
        .transpose()
        .map(|text| text.map(|text| text.0))
        .map_err(|_| wrong(name, "a string"))
}

fn string<'a>(name: &'static str, raw: Option<&'a RawValue>) -> Result<Cow<'a, str>, Refusal> {
    optional_string(name, raw)?.ok_or_else(|| missing(name))
}

fn optional_id<'a, T: Id>(
    name: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<Option<IdRef<'a, T>>, Refusal> {
    let Some(text) = optional_string(name, raw)? else {
        return Ok(None);
    };
    IdRef::new(text).map(Some).map_err(|_| wrong(name, "an id"))
}

fn id<'a, T: Id>(name: &'static str, raw: Option<&'a RawValue>) -> Result<IdRef<'a, T>, Refusal> {
    optional_id(name, raw)?.ok_or_else(|| missing(name))
}

fn ids<'a, T: Id>(
    name: &'static str,
    raw: Option<&'a RawValue>,
    most: usize,
) -> Result<Option<Vec<IdRef<'a, T>>>, Refusal> {
    let Some(raw) = raw else { return Ok(None) };
    let texts: Vec<Text<'a>> =
        serde_json::from_str(raw.get()).map_err(|_| wrong(name, "a list of ids"))?;
    if texts.len() > most {
        return Err(Refusal::bad_frame(format!(
            "{name} has more than {most} entries"
        )));
    }
    texts
        .into_iter()
        .map(|text| IdRef::new(text.0))
        .collect::<Result<_, _>>()
        .map(Some)
        .map_err(|_| wrong(name, "a list of ids"))
}

fn seq(name: &'static str, raw: Option<&RawValue>) -> Result<Option<Seq>, Refusal> {
    let Some(raw) = raw else { return Ok(None) };
    number::unsigned(raw.get())
        .and_then(Seq::new)
        .map(Some)
        .ok_or_else(|| wrong(name, "an integer from 0 to 2^53-1"))
}

fn flag(name: &'static str, raw: Option<&RawValue>) -> Result<bool, Refusal> {
    let Some(raw) = raw else { return Ok(false) };
    serde_json::from_str(raw.get()).map_err(|_| wrong(name, "true or false"))
}

fn emoji(raw: Option<&RawValue>) -> Result<Cow<'_, str>, Refusal> {
    let emoji = string("emoji", raw)?;
    if emoji.is_empty() || emoji.len() > EMOJI_BYTES_MAX {
        return Err(wrong("emoji", "1 to 64 bytes"));
    }
    if text::emoji_key(&emoji).is_empty() {
        return Err(wrong("emoji", "more than variation selectors"));
    }
    Ok(emoji)
}

fn status(raw: Option<&RawValue>) -> Result<PresenceStatus, Refusal> {
    match PresenceStatus::from_wire(&string("status", raw)?) {
        Some(status @ (PresenceStatus::Online | PresenceStatus::Away)) => Ok(status),
        _ => Err(wrong("status", "ONLINE or AWAY")),
    }
}
