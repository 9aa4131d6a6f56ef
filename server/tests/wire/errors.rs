//! §4 and §6: what is wrong with a frame is named, and the connection stays open.

use serde_json::{Value, json};

use crate::fixture::{Fixture, assert_refused, fields, with};
use crate::support::node::{Node, unique};
use crate::support::socket::Socket;

/// Every client frame but `AUTH`, complete, in room `room`.
fn frames(room: &str) -> Vec<Value> {
    vec![
        json!({ "type": "SUBSCRIBE", "roomId": room, "after": 0, "presence": true }),
        json!({ "type": "UNSUBSCRIBE", "roomId": room }),
        json!({ "type": "SEND_MESSAGE", "roomId": room, "content": "hello", "clientMsgId": "c",
                "replyTo": "m", "attachments": ["a"], "mentions": ["u"] }),
        json!({ "type": "EDIT_MESSAGE", "roomId": room, "messageId": "m", "content": "hello",
                "clientMsgId": "c" }),
        json!({ "type": "DELETE_MESSAGE", "roomId": room, "messageId": "m", "clientMsgId": "c" }),
        json!({ "type": "REACT", "roomId": room, "messageId": "m", "emoji": "+1", "remove": false,
                "clientMsgId": "c" }),
        json!({ "type": "TYPING", "roomId": room }),
        json!({ "type": "MARK", "roomId": room, "read": 1, "delivered": 1 }),
        json!({ "type": "WATCH_PRESENCE", "userIds": ["u"] }),
        json!({ "type": "SET_STATUS", "status": "ONLINE" }),
        json!({ "type": "PING" }),
    ]
}

/// Fields that their frames need.
const NEEDED: [&str; 7] = [
    "roomId",
    "content",
    "messageId",
    "emoji",
    "userIds",
    "status",
    "token",
];

/// Values that a field of this name may not have, whatever its frame.
fn wrong_values(field: &str) -> Vec<Value> {
    let too_long = "x".repeat(65);
    let not_ids = [
        json!(""),
        json!("."),
        json!(".."),
        json!("a b"),
        json!("a/b"),
        json!("é"),
        json!("a\n"),
        json!(too_long),
        json!(5),
        json!(true),
        json!(["a"]),
        json!({}),
    ];
    let not_lists = |most: usize| {
        let mut values: Vec<Value> = not_ids.iter().map(|value| json!(["ok", value])).collect();
        values.extend([json!("a"), json!({ "0": "a" }), json!(3), json!([null])]);
        values.push(json!(vec!["a"; most + 1]));
        values
    };
    match field {
        "roomId" | "messageId" | "clientMsgId" | "replyTo" => not_ids.to_vec(),
        "attachments" => not_lists(10),
        "mentions" => not_lists(50),
        "userIds" => not_lists(200),
        "content" => vec![json!(5), json!(true), json!(["a"]), json!({})],
        "emoji" => vec![
            json!(""),
            json!("é".repeat(33)),
            json!(5),
            json!(["a"]),
            json!(false),
        ],
        "after" | "read" | "delivered" => vec![
            json!(-1),
            json!(1.5),
            json!("5"),
            json!(true),
            json!([1]),
            json!({}),
            json!(9_007_199_254_740_992_u64),
            json!(u64::MAX),
            json!(1e300),
        ],
        "presence" | "remove" => vec![json!("true"), json!(1), json!([]), json!({})],
        "status" => vec![
            json!("OFFLINE"),
            json!("online"),
            json!(""),
            json!(1),
            json!(true),
            json!(["ONLINE"]),
        ],
        "token" => vec![json!(5), json!(true), json!(["a"]), json!({})],
        other => panic!("no wrong value is known for {other}"),
    }
}

/// Sends each text on connections of at most nine bad frames, and checks its answer.
fn all_refused(node: &Node, cases: &[(String, Option<Value>)]) {
    let user = unique("user");
    for nine in cases.chunks(9) {
        let mut socket = Socket::connect(node, &node.token(&user));
        for (text, expected) in nine {
            socket.send_text(text);
            let answer = socket.next();
            assert_refused_as(&answer, text, expected.as_ref());
        }
        socket.nothing_yet();
    }
}

/// Asserts that `answer` is a `BAD_FRAME` of the contract's shape with its frame's references.
fn assert_refused_as(answer: &Value, text: &str, frame: Option<&Value>) {
    assert_eq!(answer["code"], "BAD_FRAME", "{text}: {answer}");
    assert_eq!(answer["type"], "ERROR", "{text}: {answer}");
    assert_eq!(answer["retryable"], false, "{text}: {answer}");
    assert!(answer["message"].is_string(), "{text}: {answer}");
    let is_id = |value: &Value| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        value.as_str().is_some_and(|id| {
            (1..=64).contains(&id.len()) && id.chars().all(allowed) && id != "." && id != ".."
        })
    };
    let mut expected = vec!["code", "message", "retryable", "type"];
    if let Some(frame) = frame {
        for field in ["ref", "roomId", "clientMsgId"] {
            if frame[field].is_string() && (field == "ref" || is_id(&frame[field])) {
                assert_eq!(answer[field], frame[field], "{text}: {answer}");
                expected.push(field);
            }
        }
    }
    expected.sort_unstable();
    assert_eq!(fields(answer), expected, "{text}");
}

#[test]
fn every_missing_or_wrong_value_of_every_field_is_a_bad_frame() {
    let fixture = Fixture::with(&["ann"]);
    let mut all = frames(&fixture.room);
    all.push(json!({ "type": "AUTH", "token": "t" }));
    let mut cases = Vec::new();
    for (number, frame) in all.into_iter().enumerate() {
        let frame = with(frame, json!({ "ref": format!("r{number}") }));
        for field in fields(&frame) {
            if matches!(field, "type" | "ref") {
                continue;
            }
            let mut bad: Vec<Value> = wrong_values(field)
                .into_iter()
                .map(|value| with(frame.clone(), json!({ field: value })))
                .collect();
            if NEEDED.contains(&field) {
                bad.push(with(frame.clone(), json!({ field: null })));
                let mut without = frame.clone();
                without.as_object_mut().expect("an object").remove(field);
                bad.push(without);
            }
            cases.extend(
                bad.into_iter()
                    .map(|frame| (frame.to_string(), Some(frame))),
            );
        }
    }
    let nothing = json!({ "type": "MARK", "roomId": fixture.room, "ref": "r" });
    let nulls = with(nothing.clone(), json!({ "read": null, "delivered": null }));
    cases.push((nothing.to_string(), Some(nothing)));
    cases.push((nulls.to_string(), Some(nulls)));
    assert!(cases.len() > 250, "{}", cases.len());
    all_refused(&fixture.node, &cases);
}

#[test]
fn what_is_no_json_object_with_a_type_is_a_bad_frame() {
    let texts = [
        "",
        " ",
        "null",
        "true",
        "5",
        "\"PING\"",
        "[]",
        "[{\"type\":\"PING\"}]",
        "{",
        "{}",
        "{\"type\"}",
        "{\"type\":\"PING\"",
        "{\"type\":\"PING\"}x",
        "{\"type\":\"PING\"}{\"type\":\"PING\"}",
        "{\"type\":\"PING\",}",
        "{type:\"PING\"}",
        "{'type':'PING'}",
        "{\"type\":null}",
        "{\"type\":5}",
        "{\"type\":[\"PING\"]}",
        "{\"type\":{}}",
        "{\"Type\":\"PING\"}",
        "\u{feff}{\"type\":\"PING\"}",
        "{\"type\":\"PING\",\"ref\":\"\u{1}\"}",
        "{\"type\":\"PING\",\"x\":01}",
        "{\"type\":\"PING\",\"x\":NaN}",
        "{\"type\":\"PING\",\"x\":\"\\x\"}",
        "{\"type\":\"PING\",\"type\":\"PING\"}",
        "{\"type\":\"PING\",\"ref\":\"a\",\"ref\":\"b\"}",
    ];
    let cases: Vec<_> = texts.map(|text| (text.to_owned(), None)).to_vec();
    all_refused(&Node::shared(), &cases);
}

#[test]
fn a_lone_surrogate_anywhere_is_a_bad_frame() {
    let texts = [
        r#"{"type":"SEND_MESSAGE","roomId":"r","content":"\ud800"}"#,
        r#"{"type":"SEND_MESSAGE","roomId":"r","content":"a\udc00b"}"#,
        r#"{"type":"SEND_MESSAGE","roomId":"r","content":"\ud800\ud800"}"#,
        r#"{"type":"SEND_MESSAGE","roomId":"r","content":"\ud83d \ude00"}"#,
        r#"{"type":"SEND_MESSAGE","roomId":"r","content":"\uDFFF\uD83D"}"#,
        r#"{"type":"PING","ref":"\ud800"}"#,
        r#"{"type":"PING","unknown":"\ud800"}"#,
        r#"{"type":"PING","unknown":{"deep":["\udead"]}}"#,
        r#"{"type":"PING","unknown\ud800":1}"#,
        r#"{"type":"\ud800"}"#,
    ];
    let room = Some(json!({ "roomId": "r" }));
    let of = |text: &str| {
        if text.contains("roomId") {
            room.clone()
        } else {
            None
        }
    };
    let cases: Vec<_> = texts.map(|text| (text.to_owned(), of(text))).to_vec();
    let node = Node::shared();
    // The room of a frame that is no JSON text at all need not come back.
    let user = unique("user");
    for nine in cases.chunks(9) {
        let mut socket = Socket::connect(&node, &node.token(&user));
        for (text, _) in nine {
            socket.send_text(text);
            assert_refused(&socket.next(), "BAD_FRAME");
        }
        // A pair is a character, and an escaped backslash no escape.
        socket.send_text(r#"{"type":"PING","ref":"\ud83d\ude00 \\ud800"}"#);
        assert_eq!(socket.next()["ref"], "😀 \\ud800");
    }
}

#[test]
fn unknown_fields_are_ignored_however_odd() {
    let node = Node::shared();
    let mut socket = Socket::connect(&node, &node.token(&unique("user")));
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let odd = [
        "null".to_owned(),
        "1e999".to_owned(),
        "-0.0".to_owned(),
        "123456789012345678901234567890".to_owned(),
        r#"{"type":"SEND_MESSAGE","roomId":5}"#.to_owned(),
        deep.clone(),
        // Looking at the escapes must not make the rest less welcome.
        format!(r#""\u0041","y":{deep}"#),
        r#""\u0041","y":1e999"#.to_owned(),
    ];
    for value in odd {
        socket.send_text(&format!(r#"{{"type":"PING","ref":"r","x":{value}}}"#));
        let answer = socket.next();
        let shown = &value[..value.len().min(60)];
        assert_eq!(answer["type"], "PONG", "{shown}: {answer}");
    }
    // Fields of other frames are unknown to this one.
    socket.send(json!({ "type": "PING", "content": 5, "roomId": "a b", "after": -1 }));
    assert_eq!(socket.next()["type"], "PONG");
}

#[test]
fn null_in_an_optional_field_is_the_same_as_its_absence() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ann = fixture.connect("ann");
    let nulls = json!({ "clientMsgId": null, "replyTo": null, "attachments": null,
                        "mentions": null, "ref": null });
    ann.send(with(fixture.message_frame("hello"), nulls));
    let ack = ann.next();
    assert_eq!(ack["type"], "ACK", "{ack}");
    let frame =
        json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "after": null, "presence": null });
    let subscribed = ann.ask(frame);
    assert_eq!(subscribed["after"], subscribed["head"]);
    let react = json!({ "type": "REACT", "roomId": fixture.room, "messageId": ack["messageId"],
                        "emoji": "+1", "remove": null, "clientMsgId": null });
    assert_eq!(ann.ask(react)["type"], "ACK");
    let mark = json!({ "type": "MARK", "roomId": fixture.room, "read": ack["seq"],
                       "delivered": null });
    fixture.connect("ben").send(mark);
    ann.expect("RECEIPT");
}

#[test]
fn a_ref_of_64_characters_comes_back_and_a_longer_or_other_one_is_a_bad_frame() {
    let node = Node::shared();
    let mut socket = Socket::connect(&node, &node.token(&unique("user")));
    for reference in ["", "é".repeat(64).as_str(), "a\u{0}b\"\\"] {
        socket.send(json!({ "type": "PING", "ref": reference }));
        assert_eq!(socket.next()["ref"], reference);
    }
    for reference in [
        json!("x".repeat(65)),
        json!(5),
        json!(true),
        json!(["a"]),
        json!({}),
    ] {
        socket.send(json!({ "type": "PING", "ref": reference }));
        let answer = socket.next();
        assert_refused(&answer, "BAD_FRAME");
        assert_eq!(fields(&answer), ["code", "message", "retryable", "type"]);
    }
}

#[test]
fn an_unknown_type_is_named_so_however_often_it_comes() {
    let node = Node::shared();
    let mut socket = Socket::connect(&node, &node.token(&unique("user")));
    for kind in ["SHOUT", "ping", "", "WELCOME", "MESSAGE", "HEARTBEAT"]
        .iter()
        .cycle()
        .take(24)
    {
        let answer = socket.ask(json!({ "type": kind, "roomId": "r", "clientMsgId": "c" }));
        assert_refused(&answer, "UNKNOWN_TYPE");
        assert_eq!(answer["retryable"], false);
        assert_eq!(
            (&answer["roomId"], &answer["clientMsgId"]),
            (&json!("r"), &json!("c"))
        );
    }
}

#[test]
fn outside_a_room_everything_is_answered_alike_whether_the_room_exists_or_not() {
    let fixture = Fixture::with(&["ann"]);
    let stranger = unique("stranger");
    let missing = unique("missing");
    let mut socket = Socket::connect(&fixture.node, &fixture.node.token(&stranger));
    let mut answers = Vec::new();
    for room in [&fixture.room, &missing] {
        for frame in frames(room) {
            if frame["roomId"].is_null() || frame["type"] == "UNSUBSCRIBE" {
                continue;
            }
            let answer = socket.ask(frame.clone());
            assert_refused(&answer, "NOT_MEMBER");
            assert_eq!(answer["retryable"], false);
            assert_eq!(answer["roomId"], json!(room), "{answer}");
            assert_eq!(answer["clientMsgId"], frame["clientMsgId"], "{answer}");
            answers.push(answer["message"].clone());
        }
    }
    assert_eq!(answers.len(), 14);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    socket.nothing_yet();
    assert_eq!(fixture.log("ann").len(), 1, "only the owner's joining");
}

#[test]
fn the_shortest_valid_frames_of_the_page_are_valid() {
    let fixture = Fixture::with(&["ann"]);
    let mut ann = fixture.connect("ann");
    let room = &fixture.room;
    ann.send_text(&format!(
        r#"{{"type":"SEND_MESSAGE","roomId":"{room}","content":"hello"}}"#
    ));
    assert_eq!(
        fields(&ann.next()),
        ["duplicate", "messageId", "roomId", "seq", "ts", "type"]
    );
    ann.send_text(r#"{"type":"PING"}"#);
    let pong = ann.next();
    assert_eq!(fields(&pong), ["serverTime", "type"]);
    crate::fixture::assert_time(&pong["serverTime"]);
    // White space around, and escapes in names and values, are JSON too.
    ann.send_text("\n\t {\r\n \"t\\u0079pe\" : \"P\\u0049NG\" }\n ");
    assert_eq!(ann.next()["type"], "PONG");
}
