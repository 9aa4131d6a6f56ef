//! Server frames: how an event becomes a frame, and that its length is computed exactly.

use std::borrow::Cow;

use roomcast_protocol::server_frame::{Limits, WarningCode};
use roomcast_protocol::{
    ConnectionId, ErrorCode, EventBody, MessageId, Refusal, RoomEvent, Seq, ServerFrame,
    StoredEvent, Timestamp, UserId, limits,
};

use crate::cases;
use crate::random::Random;
use crate::types::event_type;

fn stored(event: RoomEvent) -> StoredEvent {
    StoredEvent {
        seq: Seq::new(9).unwrap(),
        prev: Seq::new(7).unwrap(),
        event,
    }
}

#[test]
fn every_event_is_a_frame_of_its_room_with_its_place_and_time() {
    for case in cases::events::cases() {
        let stored = stored(case.value);
        let frame: serde_json::Value = serde_json::from_slice(&stored.frame().to_json()).unwrap();
        let kind = match event_type(&stored.event.body) {
            "chat.message.sent.v1" => "MESSAGE",
            "chat.message.edited.v1" => "MESSAGE_EDITED",
            "chat.message.deleted.v1" => "MESSAGE_DELETED",
            "chat.reaction.changed.v1" => "REACTION",
            "chat.member.joined.v1" => "MEMBER_JOINED",
            "chat.member.left.v1" => "MEMBER_LEFT",
            "chat.member.changed.v1" => "MEMBER_CHANGED",
            "chat.members.added.v1" | "chat.room.changed.v1" => "ROOM_CHANGED",
            _ => "ROOM_DELETED",
        };
        assert_eq!(frame["type"], kind);
        assert_eq!((&frame["seq"], &frame["prev"]), (&9.into(), &7.into()));
        assert_eq!(frame["roomId"], stored.event.room_id.as_str());
        assert_eq!(frame["senderId"], stored.event.sender_id.as_str());
        assert_eq!(frame["ts"], cases::SENT_AT.to_string());
        let message_id = stored.event.message_id();
        assert_eq!(
            frame.get("messageId").and_then(|id| id.as_str()),
            message_id.as_ref().map(MessageId::as_str)
        );
    }
}

#[test]
fn deleted_message_keeps_its_seq_and_loses_its_content() {
    let body = EventBody::MessageSent(cases::events::full_message());
    let mut event = cases::events::event(Some("c-1"), body);
    assert!(event.redact(), "it said something");
    assert!(!event.redact(), "nothing is left");
    let stored = stored(event);
    let frame: serde_json::Value = serde_json::from_slice(&stored.frame().to_json()).unwrap();
    assert_eq!(frame["deleted"], true);
    for gone in ["content", "attachments", "mentions"] {
        assert_eq!(frame.get(gone), None, "{gone}");
    }
}

#[test]
fn many_members_added_at_once_are_shown_as_their_number() {
    let body = EventBody::MembersAdded {
        user_ids: vec!["u-ben".parse().unwrap()],
        member_count: 503,
    };
    let stored = stored(cases::events::event(None, body));
    let json = String::from_utf8(stored.frame().to_json()).unwrap();
    assert!(json.ends_with(r#""memberCount":503}"#), "{json}");
    assert!(!json.contains("u-ben"), "{json}");
}

#[test]
fn a_refusal_is_an_error_frame_with_its_own_words() {
    for &code in ErrorCode::ALL {
        let frame = ServerFrame::error(&Refusal::new(code, "no")).to_json();
        let frame: serde_json::Value = serde_json::from_slice(&frame).unwrap();
        assert_eq!(frame["code"], code.as_str());
        assert_eq!(frame["retryable"], code.retryable());
    }
    let frame = ServerFrame::error(&Refusal::rate_limited(50)).to_json();
    let frame: serde_json::Value = serde_json::from_slice(&frame).unwrap();
    assert_eq!(frame["retryAfterMs"], 50);
}

#[test]
fn a_fleet_frame_with_unknown_fields_and_nulls_is_read_and_a_seq_out_of_bounds_is_not() {
    let frame = r#"{"future":[],"seq":5,"prev":0,"type":"MESSAGE","roomId":"r","senderId":"u",
        "messageId":"m","ts":"2023-11-14T22:13:20.007Z","content":null,"replyTo":null}"#;
    let read: ServerFrame<'_> = serde_json::from_str(frame).unwrap();
    assert!(matches!(
        read,
        ServerFrame::Message {
            content: None,
            reply_to: None,
            ..
        }
    ));
    let beyond = frame.replace(r#""seq":5"#, r#""seq":9007199254740992"#);
    assert!(serde_json::from_str::<ServerFrame<'_>>(&beyond).is_err());
}

#[test]
fn the_length_of_a_frame_is_known_before_it_is_written() {
    for case in cases::fleet::cases() {
        let json = case.value.to_json();
        let text = String::from_utf8_lossy(&json);
        assert_eq!(case.value.encoded_len(), json.len(), "{text}");
    }
    for seed in 0..5_000 {
        let mut random = Random::new(seed);
        let stored = random.stored_event();
        for frame in [stored.frame(), other_frame(&mut random)] {
            let json = frame.to_json();
            let text = String::from_utf8_lossy(&json);
            assert_eq!(frame.encoded_len(), json.len(), "seed {seed}: {text}");
            let read: ServerFrame<'_> = serde_json::from_slice(&json).unwrap();
            assert_eq!(read, frame, "seed {seed}");
        }
    }
}

/// Of those that are no events, the ones with words or numbers of many lengths.
fn other_frame(random: &mut Random) -> ServerFrame<'static> {
    let reference = random.maybe(|random| Cow::Owned(random.reference()));
    match random.below(6) {
        0 => ServerFrame::Ack {
            reference,
            room_id: random.owned_id(),
            message_id: random.owned_id(),
            client_msg_id: random.maybe(Random::owned_id),
            seq: random.seq(),
            ts: Timestamp::from_millis(random.next() >> 20),
            duplicate: random.flag(),
        },
        1 => ServerFrame::Error {
            reference,
            code: random.pick(ErrorCode::ALL),
            message: random.text(100).into(),
            retryable: random.flag(),
            retry_after_ms: random.maybe(Random::next),
            room_id: random.maybe(Random::owned_id),
            client_msg_id: random.maybe(Random::owned_id),
        },
        2 => ServerFrame::Warning {
            code: WarningCode::PresenceTooLarge,
            message: random.text(100).into(),
        },
        3 => ServerFrame::Reconnect {
            after_ms: random.below(20_000),
            reason: random.text(20).into(),
        },
        4 => ServerFrame::Receipt {
            room_id: random.owned_id(),
            user_id: random.owned_id(),
            read: random.maybe(Random::seq),
            delivered: random.maybe(Random::seq),
        },
        _ => welcome(random, reference),
    }
}

fn welcome(random: &mut Random, reference: Option<Cow<'static, str>>) -> ServerFrame<'static> {
    ServerFrame::Welcome {
        reference,
        connection_id: random.owned_id::<ConnectionId>(),
        user_id: random.owned_id::<UserId>(),
        protocol: 1,
        server_time: Timestamp::from_millis(random.next()),
        heartbeat_ms: random.below(100_000),
        limits: Limits {
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            content_bytes_max: limits::CONTENT_BYTES_MAX,
            rooms_per_connection_max: 0,
            sends_per_second: 1,
            send_burst: u32::MAX,
            connections_per_user_max: 9,
            watched_users_max: 10,
            replay_max: 99_999,
        },
    }
}
