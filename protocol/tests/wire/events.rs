//! Reading events: those of any version are read, and foreign ones are recognised.

use std::error::Error as _;

use roomcast_protocol::event::{DecodeError, Message};
use roomcast_protocol::{EventBody, event};

use crate::random::Random;

fn envelope(event_type: &str, more: &str) -> String {
    format!(
        r#"{{"eventType":"{event_type}","payload":{{"roomId":"R88","senderId":"u-ann","sentAt":"2023-11-14T22:13:20.007Z"{more}}}}}"#
    )
}

#[test]
fn every_event_reads_as_it_was_written() {
    for seed in 0..3_000 {
        let written = Random::new(seed).stored_event().event;
        let bytes = event::encode(&written);
        let read = event::decode(&bytes);
        assert_eq!(read.unwrap(), written, "seed {seed}");
    }
}

#[test]
fn the_least_a_message_can_be_is_read() {
    let text = envelope(
        "chat.message.sent.v1",
        r#","messageId":"m","content":"hello""#,
    );
    let read = event::decode(text.as_bytes()).unwrap();
    assert_eq!(read.id.as_str(), "m");
    let hello = Message {
        content: Some("hello".to_owned()),
        ..Message::default()
    };
    assert_eq!(read.body, EventBody::MessageSent(hello));
}

#[test]
fn fields_of_later_versions_and_nulls_are_passed_over() {
    let more = r#","messageId":"m","content":null,"mentions":null,"future":{"a":[1e9]}"#;
    let text = envelope("chat.message.sent.v1", more).replacen('{', r#"{"future":1,"#, 1);
    let read = event::decode(text.as_bytes()).unwrap();
    assert_eq!(read.body, EventBody::MessageSent(Message::default()));
}

#[test]
fn a_missing_field_is_named() {
    for (event_type, more, name) in [
        ("chat.message.sent.v1", "", "eventId"),
        ("chat.message.edited.v1", r#","eventId":"e""#, "messageId"),
        ("chat.message.deleted.v1", r#","eventId":"e""#, "messageId"),
        (
            "chat.reaction.changed.v1",
            r#","eventId":"e","messageId":"m""#,
            "emoji",
        ),
        (
            "chat.member.joined.v1",
            r#","eventId":"e","role":"ADMIN""#,
            "userId",
        ),
        (
            "chat.member.left.v1",
            r#","eventId":"e","userId":"u""#,
            "role",
        ),
        (
            "chat.member.changed.v1",
            r#","eventId":"e","userId":"u""#,
            "role",
        ),
        (
            "chat.members.added.v1",
            r#","eventId":"e","memberCount":1"#,
            "userIds",
        ),
        (
            "chat.members.added.v1",
            r#","eventId":"e","userIds":[]"#,
            "memberCount",
        ),
        ("chat.room.deleted.v1", "", "eventId"),
    ] {
        let fault = event::decode(envelope(event_type, more).as_bytes()).unwrap_err();
        assert!(
            matches!(fault, DecodeError::Missing(missing) if missing == name),
            "{event_type}: {fault}"
        );
    }
}

#[test]
fn foreign_event_type_differs_from_bytes_that_are_no_event() {
    for unknown in [
        "chat.message.flagged.v1",
        "chat.message.sent.v2",
        "order.paid.v1",
        "",
    ] {
        let fault = event::decode(envelope(unknown, "").as_bytes()).unwrap_err();
        assert!(matches!(fault, DecodeError::UnknownType(name) if name == unknown));
    }
    let bad_id = envelope("chat.room.deleted.v1", r#","eventId":"a/b""#);
    for no_event in ["", "{}", "[]", "null", bad_id.as_str()] {
        let fault = event::decode(no_event.as_bytes()).unwrap_err();
        assert!(matches!(fault, DecodeError::Envelope(_)), "{no_event}");
        assert!(fault.source().is_some());
    }
}
