//! Reading a client's text as JSON: what is no frame at all, however it is broken.

use roomcast_protocol::{ClientFrame, ParsedFrame};

use crate::client_frames::{ENOUGH, bad, good};
use crate::random::Random;

#[test]
fn fields_a_type_does_not_know_are_ignored_whatever_they_hold() {
    let odd = [
        r#""future":{"a":[1,{"b":null}]}"#,
        r#""future":1e999,"":0,"Type":5"#,
        r#""futu\u0072e":"\u0000\ud83d\ude00","future":-0.0E-7"#,
        r#""future":1,"future":2"#,
    ];
    for fields in ENOUGH {
        for odd in odd {
            let text = format!("{{{odd},{fields}}}");
            assert_eq!(good(&text), good(&format!("{{{fields}}}")), "{text}");
        }
    }
    // A field of another type is unknown to this one.
    assert_eq!(
        good(r#"{"type":"PING","content":5,"userIds":"x","read":-1,"status":[]}"#),
        ClientFrame::Ping {}
    );
}

#[test]
fn a_lone_surrogate_is_refused_wherever_it_stands() {
    for half in [
        r"\ud800",
        r"\uDBFF",
        r"\uDC00",
        r"\udfff",
        r"\ud83d\ud83d\ude00",
        r"\ude00\ud83d",
        r"\ud83dx",
        r"\ud83d\n",
        r"\ud83d\\ude00",
    ] {
        let places = [
            format!(r#"{{"type":"SEND_MESSAGE","roomId":"r","content":"{half}"}}"#),
            format!(r#"{{"type":"PING","ref":"{half}"}}"#),
            format!(r#"{{"type":"PING","unknown":"a{half}b"}}"#),
            format!(r#"{{"type":"PING","content":"{half}"}}"#),
            format!(r#"{{"type":"PING","unknown":{{"a":[["{half}"]]}}}}"#),
            format!(r#"{{"type":"PING","unknown":{{"{half}":1}}}}"#),
            format!(r#"{{"type":"PING","{half}":1}}"#),
            format!(r#"{{"type":"{half}"}}"#),
            format!(r#"{{"type":"WATCH_PRESENCE","userIds":["{half}"]}}"#),
        ];
        for text in places {
            bad(&text);
        }
    }
    // What only looks like one.
    for whole in [
        r"\ud83d\ude00",
        r"\\ud800",
        r"\\\\udc00",
        r"\u0064800",
        r"\uD83D\uDE00\u0000",
    ] {
        good(&format!(
            r#"{{"type":"PING","unknown":"{whole}","ref":"x"}}"#
        ));
    }
}

#[test]
fn duplicate_field_is_refused() {
    for text in [
        r#"{"type":"PING","type":"PING"}"#,
        r#"{"type":"PING","typ\u0065":"TYPING"}"#,
        r#"{"type":"PING","ref":"1","ref":"1"}"#,
        r#"{"type":"PING","content":null,"content":"x"}"#,
        r#"{"type":"TYPING","roomId":"a","roomId":"b"}"#,
    ] {
        bad(text);
    }
}

#[test]
fn what_is_not_one_object_is_refused() {
    for text in [
        "",
        " ",
        "\n",
        "null",
        "true",
        "5",
        "\"PING\"",
        "[]",
        r#"["PING"]"#,
        r#"[{"type":"PING"}]"#,
        "{",
        "}",
        "{]",
        r#"{"type"}"#,
        r#"{"type":}"#,
        r#"{"type":"PING""#,
        r#"{"type":"PING"}x"#,
        r#"{"type":"PING"}{}"#,
        r#"{"type":"PING",}"#,
        r"{'type':'PING'}",
        r#"{type:"PING"}"#,
        "\u{feff}{\"type\":\"PING\"}",
        "\u{a0}{\"type\":\"PING\"}",
        "\0{\"type\":\"PING\"}",
        "{\"type\":\"PING\"}\0",
        "{\"type\":\"PING\",\"a\":\"\n\"}",
        r#"{"type":"PING","a":"\x"}"#,
        r#"{"type":"PING","a":"\u12"}"#,
        r#"{"type":"PING","a":"\u+123"}"#,
        r#"{"type":"PING","a":"\"#,
        r#"{"a":"\ud83d\"#,
        r#"{"type":"PING","a":tru}"#,
        r#"{"type":"PING"} // comment"#,
    ] {
        assert_eq!(bad(text), "a frame is one JSON object", "{text:?}");
    }
    assert_eq!(
        good(" \t\r\n{ \"type\" : \"PING\" }\r\n "),
        ClientFrame::Ping {}
    );
}

#[test]
fn depth_costs_no_stack() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let nested = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        for escape in ["", r#""b":"\u0041","#] {
            let ignored = format!(r#"{{{escape}"type":"PING","unknown":{nested}}}"#);
            assert_eq!(good(&ignored), ClientFrame::Ping {});
        }
        for field in ["content", "roomId", "after", "mentions", "presence", "ref"] {
            let type_name = if field == "content" || field == "mentions" {
                r#""type":"SEND_MESSAGE","content":"""#
            } else {
                r#""type":"SUBSCRIBE""#
            };
            bad(&format!(
                r#"{{"{field}":{nested},{type_name},"roomId":"r"}}"#
            ));
        }
        bad(&nested);
        bad(&open.repeat(30_000));
    }
}

#[test]
fn damaged_frames_are_answered_whatever_they_are() {
    for seed in 0..5_000 {
        let mut random = Random::new(seed);
        let mut text = random.client_frame().to_json(Some("7")).into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len() as u64);
            let at = usize::try_from(at).unwrap();
            match random.below(3) {
                0 => text[at] = random.pick(b"\"\\{}[],:u0d "),
                1 => text.truncate(at.max(1)),
                _ => text.insert(at, random.pick(b"\"\\{}[],:u0d ")),
            }
        }
        if let Ok(text) = std::str::from_utf8(&text) {
            let decoded = ParsedFrame::parse(text);
            let is_json = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert!(is_json || decoded.frame.is_err(), "seed {seed}: {text}");
        }
    }
}
