//! Parsing client frames: what is accepted, what is refused, and what an `ERROR` repeats.

use std::borrow::Cow;

use roomcast_protocol::{ClientFrame, ErrorCode, ParsedFrame, PresenceStatus, Seq};

use crate::random::Random;

#[track_caller]
pub(crate) fn good(text: &str) -> ClientFrame<'_> {
    let decoded = ParsedFrame::parse(text);
    decoded
        .frame
        .unwrap_or_else(|refusal| panic!("{text}: {refusal}"))
}

/// The refusal's sentence, which names the field.
#[track_caller]
pub(crate) fn bad(text: &str) -> String {
    match ParsedFrame::parse(text).frame {
        Ok(frame) => panic!("{text} was read as {frame:?}"),
        Err(refusal) => {
            assert_eq!(refusal.code, ErrorCode::BadFrame, "{text}");
            assert_eq!(refusal.retry_after_ms, None);
            refusal.message.into_owned()
        }
    }
}

/// A frame of every type with all it needs, in JSON fields without the braces.
pub(crate) const ENOUGH: [&str; 12] = [
    r#""type":"AUTH","token":"t""#,
    r#""type":"SUBSCRIBE","roomId":"R88""#,
    r#""type":"UNSUBSCRIBE","roomId":"R88""#,
    r#""type":"SEND_MESSAGE","roomId":"R88","content":"hello""#,
    r#""type":"EDIT_MESSAGE","roomId":"R88","messageId":"m","content":"x""#,
    r#""type":"DELETE_MESSAGE","roomId":"R88","messageId":"m""#,
    r#""type":"REACT","roomId":"R88","messageId":"m","emoji":"👍""#,
    r#""type":"TYPING","roomId":"R88""#,
    r#""type":"MARK","roomId":"R88","read":1"#,
    r#""type":"WATCH_PRESENCE","userIds":[]"#,
    r#""type":"SET_STATUS","status":"AWAY""#,
    r#""type":"PING""#,
];

#[test]
fn the_frame_of_the_contract_is_complete() {
    let text = r#"{"type":"SEND_MESSAGE","roomId":"R88","content":"hello"}"#;
    let ClientFrame::SendMessage {
        room_id,
        content,
        client_msg_id,
        reply_to,
        attachments,
        mentions,
    } = good(text)
    else {
        panic!("another frame");
    };
    assert_eq!((room_id.as_str(), &*content), ("R88", "hello"));
    assert_eq!((client_msg_id, reply_to), (None, None));
    assert!(attachments.is_empty() && mentions.is_empty());
}

#[test]
fn text_without_escapes_is_borrowed_and_with_them_is_not() {
    let text = r#"{"type":"SEND_MESSAGE","roomId":"R88","content":"hé漢😀","ref":"7"}"#;
    let decoded = ParsedFrame::parse(text);
    assert!(matches!(decoded.reference, Some(Cow::Borrowed("7"))));
    let Ok(ClientFrame::SendMessage { content, .. }) = decoded.frame else {
        panic!("another frame");
    };
    assert!(matches!(content, Cow::Borrowed("hé漢😀")));

    let escaped =
        r#"{"type":"SEND_MESSAGE","roomId":"\u00528\u0038","content":"a\nb\ud83d\ude00"}"#;
    let ClientFrame::SendMessage {
        room_id, content, ..
    } = good(escaped)
    else {
        panic!("another frame");
    };
    assert_eq!(room_id.as_str(), "R88");
    assert!(matches!(content, Cow::Owned(_)));
    assert_eq!(content, "a\nb😀");
}

#[test]
fn white_space_is_content_and_the_empty_string_is_content_too() {
    for content in ["", " ", "\u{a0}\u{feff}"] {
        let text = format!(r#"{{"type":"SEND_MESSAGE","roomId":"r","content":"{content}"}}"#);
        let ClientFrame::SendMessage { content: read, .. } = good(&text) else {
            panic!("another frame");
        };
        assert_eq!(read, content);
    }
}

#[test]
fn null_is_absence() {
    let optional = r#""after":null,"presence":null,"clientMsgId":null,"replyTo":null,
        "attachments":null,"mentions":null,"remove":null,"delivered":null,"ref":null"#;
    for fields in ENOUGH {
        let with_nulls = format!("{{{fields},{optional}}}");
        assert_eq!(
            good(&with_nulls),
            good(&format!("{{{fields}}}")),
            "{fields}"
        );
        assert_eq!(ParsedFrame::parse(&with_nulls).reference, None);
    }
    assert_eq!(bad(r#"{"type":null}"#), "type is missing");
    assert_eq!(
        bad(r#"{"type":"SUBSCRIBE","roomId":null}"#),
        "roomId is missing"
    );
    assert_eq!(
        bad(r#"{"type":"MARK","roomId":"r","read":null}"#),
        "MARK needs read or delivered"
    );
}

#[test]
fn a_missing_field_is_named() {
    for fields in ENOUGH {
        let parts: Vec<&str> = fields.split(r#",""#).collect();
        for without in 1..parts.len() {
            let mut rest = parts.clone();
            let name = rest.remove(without).split('"').next().unwrap();
            let message = bad(&format!("{{{}}}", rest.join(r#",""#)));
            assert!(message.contains(name), "{fields}: {message}");
        }
    }
    assert_eq!(bad("{}"), "type is missing");
}

pub(crate) const WRONG: &[(&str, &str)] = &[
    (r#""type":5"#, "type is not a string"),
    (r#""type":"AUTH","token":1"#, "token is not a string"),
    (r#""type":"TYPING","roomId":7"#, "roomId is not a string"),
    (r#""type":"TYPING","roomId":"a b""#, "roomId is not an id"),
    (r#""type":"TYPING","roomId":"..""#, "roomId is not an id"),
    (r#""type":"TYPING","roomId":"""#, "roomId is not an id"),
    (
        r#""type":"SUBSCRIBE","rooms":{}"#,
        "rooms is not a list of rooms",
    ),
    (
        r#""type":"SUBSCRIBE","rooms":["r"]"#,
        "rooms is not a list of rooms",
    ),
    (
        r#""type":"SUBSCRIBE","rooms":[["r",1]]"#,
        "rooms is not a list of rooms",
    ),
    (
        r#""type":"SUBSCRIBE","rooms":[{"after":1}]"#,
        "roomId is missing",
    ),
    (
        r#""type":"SUBSCRIBE","rooms":[{"roomId":"r","after":-1}]"#,
        "after is not an integer from 0 to 2^53-1",
    ),
    (
        r#""type":"SUBSCRIBE","roomId":"r","rooms":[{"roomId":"r"}]"#,
        "SUBSCRIBE has either roomId or rooms",
    ),
    (
        r#""type":"SUBSCRIBE","roomId":"r","presence":1"#,
        "presence is not true or false",
    ),
    (
        r#""type":"SUBSCRIBE","roomId":"r","presence":"true""#,
        "presence is not true or false",
    ),
    (
        r#""type":"SEND_MESSAGE","roomId":"r","content":["x"]"#,
        "content is not a string",
    ),
    (
        r#""type":"SEND_MESSAGE","roomId":"r","content":"","clientMsgId":"é""#,
        "clientMsgId is not an id",
    ),
    (
        r#""type":"SEND_MESSAGE","roomId":"r","content":"","replyTo":{}"#,
        "replyTo is not a string",
    ),
    (
        r#""type":"SEND_MESSAGE","roomId":"r","content":"","mentions":"u""#,
        "mentions is not a list of ids",
    ),
    (
        r#""type":"SEND_MESSAGE","roomId":"r","content":"","mentions":["u",null]"#,
        "mentions is not a list of ids",
    ),
    (
        r#""type":"SEND_MESSAGE","roomId":"r","content":"","attachments":[1]"#,
        "attachments is not a list of ids",
    ),
    (
        r#""type":"SEND_MESSAGE","roomId":"r","content":"","attachments":["/"]"#,
        "attachments is not a list of ids",
    ),
    (
        r#""type":"REACT","roomId":"r","messageId":"m","emoji":"x","remove":0"#,
        "remove is not true or false",
    ),
    (
        r#""type":"REACT","roomId":"r","messageId":"m","emoji":"""#,
        "emoji is not 1 to 64 bytes",
    ),
    (
        r#""type":"REACT","roomId":"r","messageId":"m","emoji":"\ufe0f\uFE0E""#,
        "emoji is not more than variation selectors",
    ),
    (
        r#""type":"WATCH_PRESENCE","userIds":{}"#,
        "userIds is not a list of ids",
    ),
    (
        r#""type":"SET_STATUS","status":"OFFLINE""#,
        "status is not ONLINE or AWAY",
    ),
    (
        r#""type":"SET_STATUS","status":"online""#,
        "status is not ONLINE or AWAY",
    ),
    (
        r#""type":"SET_STATUS","status":true"#,
        "status is not a string",
    ),
];

#[test]
fn a_wrong_type_or_value_is_named_with_its_field() {
    for &(fields, says) in WRONG {
        assert_eq!(bad(&format!("{{{fields}}}")), says, "{fields}");
    }
}

#[test]
fn an_unknown_type_is_not_a_bad_frame() {
    for kind in ["", "ping", "PING ", "MESSAGE", "CALL_OFFER"] {
        let text = format!(r#"{{"type":"{kind}","ref":"7","roomId":"r","clientMsgId":"c"}}"#);
        let decoded = ParsedFrame::parse(&text);
        assert_eq!(
            decoded.frame.unwrap_err().code,
            ErrorCode::UnknownType,
            "{kind}"
        );
        assert_eq!(decoded.reference.as_deref(), Some("7"));
        assert_eq!(decoded.room_id.unwrap().as_str(), "r");
        assert_eq!(decoded.client_message_id.unwrap().as_str(), "c");
    }
}

#[test]
fn subscribe_names_up_to_1000_rooms_and_null_is_absence() {
    let list = |count| {
        let rooms: Vec<_> = (0..count)
            .map(|n| format!(r#"{{"roomId":"r{n}"}}"#))
            .collect();
        format!(r#"{{"type":"SUBSCRIBE","rooms":[{}]}}"#, rooms.join(","))
    };
    let text = list(1_000);
    let ClientFrame::Subscribe { room_id, rooms, .. } = good(&text) else {
        panic!("another frame");
    };
    assert_eq!((room_id, rooms.len()), (None, 1_000));
    assert_eq!(rooms[999].room_id.as_str(), "r999");
    assert_eq!(bad(&list(1_001)), "rooms has more than 1000 entries");
    let nulls = r#"{"type":"SUBSCRIBE","roomId":null,"rooms":[{"roomId":"r","after":null,"x":1}]}"#;
    let ClientFrame::Subscribe { rooms, .. } = good(nulls) else {
        panic!("another frame");
    };
    assert_eq!(rooms[0].after, None);
    good(r#"{"type":"SUBSCRIBE","rooms":[]}"#);
}

#[test]
fn seqs_are_integers_a_client_can_write_down() {
    let subscribe = |after: &str| format!(r#"{{"type":"SUBSCRIBE","roomId":"r","after":{after}}}"#);
    for (text, number) in [
        ("0", 0),
        ("1", 1),
        ("9007199254740991", (1 << 53) - 1),
        ("-0", 0),
        ("5.0", 5),
        ("5e0", 5),
        ("1E3", 1_000),
        ("0.0e-9", 0),
        ("9007199254740991.000", (1 << 53) - 1),
    ] {
        let text = subscribe(text);
        let ClientFrame::Subscribe { after, .. } = good(&text) else {
            panic!("another frame");
        };
        assert_eq!(after.map(Seq::get), Some(number));
    }
    for odd in [
        "9007199254740992",
        "18446744073709551616",
        "-1",
        "1.5",
        "1e-3",
        "5.0000000000000000000001",
        "9007199254740991.5",
        "\"5\"",
        "true",
        "[]",
        "{}",
        "1e999",
    ] {
        let says = "is not an integer from 0 to 2^53-1";
        assert_eq!(bad(&subscribe(odd)), format!("after {says}"), "{odd}");
        for field in ["read", "delivered"] {
            let text = format!(r#"{{"type":"MARK","roomId":"r","{field}":{odd}}}"#);
            assert_eq!(bad(&text), format!("{field} {says}"), "{odd}");
        }
    }
    for no_json in ["01", "+1", "NaN", "0x1", ".5", "1."] {
        assert_eq!(bad(&subscribe(no_json)), "a frame is one JSON object");
    }
}

#[test]
fn a_ref_is_at_most_64_characters_and_comes_back_when_another_field_is_bad() {
    let longest = "😀".repeat(64);
    let ping = format!(r#"{{"type":"PING","ref":"{longest}"}}"#);
    assert_eq!(
        ParsedFrame::parse(&ping).reference.as_deref(),
        Some(&*longest)
    );
    good(&ping);
    let escaped = format!(
        r#"{{"ref":"{}","type":"PING"}}"#,
        r"\ud83d\ude00".repeat(64)
    );
    assert_eq!(
        ParsedFrame::parse(&escaped).reference.as_deref(),
        Some(&*longest)
    );

    let longer = format!(r#"{{"type":"PING","ref":"{longest}x"}}"#);
    assert_eq!(bad(&longer), "ref is longer than 64 characters");
    assert_eq!(ParsedFrame::parse(&longer).reference, None);
    for wrong in ["1", "[]", "{}", "true"] {
        let text = format!(r#"{{"ref":{wrong},"type":"PING"}}"#);
        assert_eq!(bad(&text), "ref is not a string");
        assert_eq!(ParsedFrame::parse(&text).reference, None);
    }

    let text = r#"{"content":5,"type":"SEND_MESSAGE","clientMsgId":"c","roomId":"r","ref":""}"#;
    assert_eq!(bad(text), "content is not a string");
    let decoded = ParsedFrame::parse(text);
    assert_eq!(decoded.reference.as_deref(), Some(""));
    assert_eq!(decoded.room_id.unwrap().as_str(), "r");
    assert_eq!(decoded.client_message_id.unwrap().as_str(), "c");
    let decoded = ParsedFrame::parse(r#"{"type":"TYPING","roomId":"/","clientMsgId":7,"ref":"1"}"#);
    assert_eq!(decoded.reference.as_deref(), Some("1"));
    assert!(decoded.room_id.is_none() && decoded.client_message_id.is_none());
}

#[test]
fn lists_and_strings_end_at_their_bounds() {
    let ids = |count: usize| format!("[{}]", vec![r#""u""#; count].join(","));
    let send = |field: &str, count| {
        format!(
            r#"{{"type":"SEND_MESSAGE","roomId":"r","content":"","{field}":{}}}"#,
            ids(count)
        )
    };
    good(&send("mentions", 50));
    assert_eq!(
        bad(&send("mentions", 51)),
        "mentions has more than 50 entries"
    );
    good(&send("attachments", 10));
    assert_eq!(
        bad(&send("attachments", 11)),
        "attachments has more than 10 entries"
    );
    let watch = |count| format!(r#"{{"type":"WATCH_PRESENCE","userIds":{}}}"#, ids(count));
    good(&watch(200));
    assert_eq!(bad(&watch(201)), "userIds has more than 200 entries");

    let react = |emoji: &str| {
        format!(r#"{{"type":"REACT","roomId":"r","messageId":"m","emoji":"{emoji}"}}"#)
    };
    good(&react(&"😀".repeat(16)));
    good(&react(&"\\u0041".repeat(64)));
    assert_eq!(
        bad(&react(&format!("{}x", "😀".repeat(16)))),
        "emoji is not 1 to 64 bytes"
    );

    let typing = |id: &str| format!(r#"{{"type":"TYPING","roomId":"{id}"}}"#);
    good(&typing(&"x".repeat(64)));
    good(&typing(&"\\u0078".repeat(64)));
    assert_eq!(bad(&typing(&"x".repeat(65))), "roomId is not an id");
    // Content over its bound is a frame all the same: its refusal has a code of its own.
    let content = "x".repeat(60_000);
    good(&format!(
        r#"{{"type":"SEND_MESSAGE","roomId":"r","content":"{content}"}}"#
    ));
}

#[test]
fn every_frame_reads_as_it_was_written() {
    for seed in 0..5_000 {
        let mut random = Random::new(seed);
        let (reference, frame) = (random.maybe(Random::reference), random.client_frame());
        let text = frame.to_json(reference.as_deref());
        let decoded = ParsedFrame::parse(&text);
        assert_eq!(decoded.frame, Ok(frame), "seed {seed}: {text}");
        assert_eq!(
            decoded.reference.as_deref(),
            reference.as_deref(),
            "seed {seed}"
        );
    }
}

#[test]
fn a_status_is_one_a_client_may_set() {
    for (word, status) in [
        ("ONLINE", PresenceStatus::Online),
        ("AWAY", PresenceStatus::Away),
    ] {
        let text = format!(r#"{{"type":"SET_STATUS","status":"{word}"}}"#);
        assert_eq!(good(&text), ClientFrame::SetStatus { status });
    }
}
