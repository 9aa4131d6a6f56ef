//! §6: every close a client can bring about by what it sends, and its own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixture::{Fixture, assert_chain, contents, number, of_type};
use crate::support::node::{Node, pause, unique};
use crate::support::socket::handshake::Bring;
use crate::support::socket::{BINARY, CLOSE, PING, Socket, TEXT, masked};

const CONTINUATION: u8 = 0;
const FINAL: u8 = 0x80;

fn connect(node: &Node) -> Socket {
    Socket::connect(node, &node.token(&unique("user")))
}

/// The code with which the fleet closes after these bytes.
fn closed_after(node: &Node, bytes: &[u8]) -> u16 {
    let mut socket = connect(node);
    socket.send_raw(bytes);
    socket.closed().0
}

#[test]
fn what_the_websocket_protocol_forbids_closes_1002() {
    let node = Node::shared();
    let ping = br#"{"type":"PING"}"#;
    let unmasked = [&[FINAL | TEXT, 15], &ping[..]].concat();
    let long_form = {
        let mut bytes = masked(FINAL | TEXT, ping);
        bytes.splice(1..2, [0x80 | 0x7e, 0, 15]);
        bytes
    };
    let close = |payload: &[u8]| masked(FINAL | CLOSE, payload);
    let two = |one: Vec<u8>, other: Vec<u8>| [one, other].concat();
    let cases = [
        ("no mask", unmasked),
        ("reserved bit 1", masked(FINAL | 0x40 | TEXT, ping)),
        ("reserved bit 2", masked(FINAL | 0x20 | TEXT, ping)),
        ("reserved bit 3", masked(FINAL | 0x10 | PING, b"")),
        ("unknown opcode 3", masked(FINAL | 0x3, b"")),
        ("unknown opcode 11", masked(FINAL | 0xb, b"")),
        ("a fragmented ping", masked(PING, b"")),
        ("a long ping", masked(FINAL | PING, &[0; 126])),
        ("nothing to continue", masked(FINAL | CONTINUATION, b"")),
        (
            "text within text",
            two(masked(TEXT, b"a"), masked(FINAL | TEXT, b"b")),
        ),
        ("a length in too many bytes", long_form),
        ("a close of one byte", close(&[3])),
        ("a close with 1005", close(&1005_u16.to_be_bytes())),
        ("a close with 1006", close(&1006_u16.to_be_bytes())),
        ("a close with 999", close(&999_u16.to_be_bytes())),
        ("a close with 5000", close(&5000_u16.to_be_bytes())),
    ];
    for (what, bytes) in cases {
        assert_eq!(closed_after(&node, &bytes), 1002, "{what}");
    }
}

#[test]
fn a_binary_frame_closes_1003() {
    let node = Node::shared();
    assert_eq!(closed_after(&node, &masked(FINAL | BINARY, b"{}")), 1003);
    assert_eq!(closed_after(&node, &masked(BINARY, b"")), 1003);
}

#[test]
fn text_that_is_not_utf8_closes_1007() {
    let node = Node::shared();
    let text = |bytes: &[u8]| masked(FINAL | TEXT, bytes);
    assert_eq!(closed_after(&node, &text(b"\xff")), 1007);
    assert_eq!(closed_after(&node, &text(b"{\"type\":\"PING\xc3\"}")), 1007);
    assert_eq!(closed_after(&node, &text(b"\xc0\xaf")), 1007, "overlong");
    assert_eq!(
        closed_after(&node, &text(b"\xed\xa0\x80")),
        1007,
        "a surrogate"
    );
    let cut = [
        masked(TEXT, b"\xe2\x82"),
        masked(FINAL | CONTINUATION, b"x"),
    ]
    .concat();
    assert_eq!(closed_after(&node, &cut), 1007);
    let reason = [&1000_u16.to_be_bytes()[..], b"\xff"].concat();
    assert_eq!(closed_after(&node, &masked(FINAL | CLOSE, &reason)), 1007);
}

#[test]
fn more_than_64_kib_closes_1009_and_64_kib_is_a_frame() {
    let node = Node::shared();
    let padded = |bytes: usize| {
        let text = r#"{"type":"PING"}"#;
        format!("{text}{}", " ".repeat(bytes - text.len())).into_bytes()
    };
    let mut ours = connect(&node);
    ours.send_frame(TEXT, &padded(65_536));
    assert_eq!(ours.next()["type"], "PONG");
    assert_eq!(
        closed_after(&node, &masked(FINAL | TEXT, &padded(65_537))),
        1009
    );

    let announced = [FINAL | TEXT, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(closed_after(&node, &announced), 1009, "at the announcement");
    let fragments: Vec<u8> = padded(65_536)
        .chunks(8_192)
        .flat_map(|piece| masked(if piece[0] == b'{' { TEXT } else { CONTINUATION }, piece))
        .chain(masked(FINAL | CONTINUATION, b" "))
        .collect();
    assert_eq!(closed_after(&node, &fragments), 1009, "in fragments");
}

#[test]
fn a_message_may_come_in_fragments_and_bytes_with_pings_between() {
    let node = Node::shared();
    let mut socket = connect(&node);
    let text = "{\"type\":\"PING\",\"ref\":\"€\"}".as_bytes();
    let (start, end) = text.split_at(23);
    socket.send_raw(&masked(TEXT, start));
    socket.send_frame(PING, b"between");
    assert_eq!(socket.pong(), b"between");
    socket.send_raw(&masked(CONTINUATION, &end[..1]));
    socket.send_raw(&masked(CONTINUATION, b""));
    socket.send_raw(&masked(FINAL | CONTINUATION, &end[1..]));
    assert_eq!(socket.next()["ref"], "€");

    for byte in masked(FINAL | TEXT, text) {
        socket.send_raw(&[byte]);
    }
    assert_eq!(socket.next()["ref"], "€");
    socket.send_frame(PING, &[7; 125]);
    assert_eq!(socket.pong(), [7; 125]);
}

#[test]
fn the_tenth_bad_frame_in_a_minute_is_answered_and_then_closes_4400() {
    let node = Node::shared();
    let mut socket = connect(&node);
    for _ in 0..9 {
        let answer = socket.ask(json!({ "type": "TYPING" }));
        assert_eq!(answer["code"], "BAD_FRAME");
    }
    socket.nothing_yet();
    socket.send_text("the tenth");
    socket.send(json!({ "type": "PING", "ref": "too late" }));
    assert_eq!(socket.closed().0, 4400);
    let last = socket.waiting();
    assert_eq!(last.len(), 1, "{last:?}");
    assert_eq!(last[0]["code"], "BAD_FRAME");
}

#[test]
fn one_connection_too_many_is_closed_4409_and_the_others_stay() {
    let node = Node::start(&["--connections-per-user=2"]);
    let token = node.token("ann");
    let (mut first, mut second) = (
        Socket::connect(&node, &token),
        Socket::connect(&node, &token),
    );
    for way in [Bring::Header, Bring::FirstFrame] {
        let mut third = Socket::ungreeted(way, &node, &token);
        assert_eq!(third.closed().0, 4409, "{way:?}");
        assert!(third.waiting().is_empty(), "no WELCOME");
    }
    first.nothing_yet();
    second.nothing_yet();
    Socket::connect(&node, &node.token("ben"));

    second.send_close(1000, "");
    second.closed();
    // Its slot is free once the gateway has seen it go.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut again = Socket::ungreeted(Bring::Header, &node, &token);
        if again.greeted_or_closed().is_ok() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "its place is not given to another"
        );
    }
    first.nothing_yet();
}

#[test]
fn the_connection_that_was_silent_longest_makes_room_for_a_new_one() {
    let node = Node::start(&["--connections-per-user=2"]);
    let token = node.token("ann");
    let mut silent = Socket::connect(&node, &token);
    let mut alive = Socket::connect(&node, &token);
    // Longer than a heartbeat.
    pause(Duration::from_millis(15_300));
    alive.nothing_yet();
    let mut new = Socket::connect(&node, &token);
    assert_eq!(silent.closed().0, 4409);
    alive.nothing_yet();
    new.nothing_yet();
    let mut refused = Socket::ungreeted(Bring::Header, &node, &token);
    assert_eq!(
        refused.closed().0,
        4409,
        "now the others have just been heard"
    );
}

#[test]
fn far_over_the_rate_limit_closes_4429() {
    let fixture = Fixture::on(
        &Node::start(&["--sends-per-second=1", "--send-burst=1"]),
        &["ann"],
    );
    let mut ann = fixture.connect("ann");
    let frame = fixture.message_frame("hello").to_string();
    let frames: Vec<u8> = (0..250)
        .flat_map(|_| masked(FINAL | TEXT, frame.as_bytes()))
        .collect();
    let _ = ann.try_send_raw(&frames);
    assert_eq!(ann.closed().0, 4429);
    let errors = of_type(&ann.waiting(), "ERROR");
    assert_eq!(errors.len(), 200, "the last refusal is answered too");
    assert!(errors.iter().all(|error| error["code"] == "RATE_LIMITED"));
}

#[test]
fn a_slow_reader_is_closed_4508_and_resumes_without_a_gap() {
    let node = Node::own(&["--sends-per-second=1000", "--send-burst=10000"]);
    let fixture = Fixture::on(&node, &["ann", "ben"]);
    let mut ben = fixture.join("ben");
    ben.keep_little();
    let mut ann = fixture.connect("ann");
    let content = "x".repeat(16_384);
    let mut sent = 0;
    let too_slow = || {
        let metrics = node.probe("/metrics").text();
        let mut lines = metrics
            .lines()
            .filter(|line| line.starts_with("chat_ws_closes_total"));
        lines.any(|line| line.contains("too_slow"))
    };
    while !too_slow() {
        assert!(
            sent < 900,
            "the slow reader is still there after {sent} large messages"
        );
        for _ in 0..30 {
            ann.send(fixture.message_frame(&content));
        }
        for _ in 0..30 {
            ann.expect("ACK");
        }
        sent += 30;
    }
    assert_eq!(ben.closed().0, 4508);
    let got = of_type(&ben.waiting(), "MESSAGE");
    let joined = number(&fixture.log("ann")[1]["seq"]);
    assert_chain(&got, joined);
    let last = got.last().map_or(joined, |event| number(&event["seq"]));

    let mut again = fixture.connect("ben");
    let subscribed =
        again.ask(json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "after": last }));
    assert_eq!(subscribed["recovered"], true);
    let rest: Vec<Value> = (got.len()..sent).map(|_| again.expect("MESSAGE")).collect();
    assert_chain(&rest, last);
    assert_eq!(
        rest.last().map(|event| &event["seq"]),
        Some(&subscribed["head"])
    );
}

#[test]
fn silent_connection_gets_heartbeats_and_a_ping_and_is_closed_4408_after_45_seconds() {
    let node = Node::shared();
    // The silence begins when the gateway has the handshake, before the greeting arrives here.
    let since = Instant::now();
    let mut socket = Socket::connect(&node, &node.token(&unique("user")));
    socket.with_heartbeats();
    socket.mute();
    for _ in 0..3 {
        let before = Instant::now();
        let heartbeat = socket.next_within(Duration::from_millis(15_900));
        assert_eq!(
            heartbeat,
            Some(json!({ "type": "HEARTBEAT" })),
            "{:?}",
            before.elapsed()
        );
    }
    assert_eq!(socket.closed_within(Duration::from_secs(25)).0, 4408);
    let took = since.elapsed();
    assert!(
        took >= Duration::from_secs(45) && took < Duration::from_secs(52),
        "{took:?}"
    );
    let pings: Vec<_> = socket.pings().iter().map(|at| *at - since).collect();
    assert_eq!(pings.len(), 1, "one for each silence: {pings:?}");
    let in_time = Duration::from_secs(30)..Duration::from_secs(37);
    assert!(in_time.contains(&pings[0]), "{pings:?}");
}

#[test]
fn a_client_that_only_answers_pings_stays_connected() {
    let fixture = Fixture::with(&["ann"]);
    // A hidden tab: its script may run once a minute, its browser answers pings by itself.
    let mut hidden = fixture.join("ann");
    hidden.nothing_for(Duration::from_secs(48));
    assert_eq!(hidden.pings().len(), 1);
    hidden.say(&fixture.room, "still here");
}

#[test]
fn a_slow_reader_that_sends_pings_is_not_closed_during_its_replay() {
    let node = Node::own(&["--sends-per-second=1000", "--send-burst=10000"]);
    let fixture = Fixture::on(&node, &["ann", "ben"]);
    let mut ann = fixture.connect("ann");
    let content = "x".repeat(16_384);
    // More than socket buffers hold and this reader takes.
    for _ in 0..12 {
        for _ in 0..50 {
            ann.send(fixture.message_frame(&content));
        }
        for _ in 0..50 {
            ann.expect("ACK");
        }
    }
    let mut ben = fixture.connect("ben");
    ben.keep_little();
    let subscribed = ben.ask(json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "after": 0 }));
    assert_eq!(subscribed["recovered"], true);
    let since = Instant::now();
    let mut pinged = since;
    let mut got = Vec::new();
    while since.elapsed() < Duration::from_secs(48) {
        pause(Duration::from_millis(200));
        got.push(ben.find("an event", |frame| frame["prev"].is_u64()));
        if pinged.elapsed() > Duration::from_secs(5) {
            ben.send(json!({ "type": "PING" }));
            pinged = Instant::now();
        }
    }
    assert_chain(&got, 0);
    let last = got.last().map(|event| number(&event["seq"]));
    assert!(last < Some(number(&subscribed["head"])), "over too soon");
}

#[test]
fn a_clients_own_close_is_answered_with_its_code() {
    let node = Node::shared();
    for code in [1000, 1001, 1008, 3000, 4000, 4999] {
        let mut socket = connect(&node);
        socket.send_close(code, "bye");
        assert_eq!(socket.closed().0, code);
    }
    let mut socket = connect(&node);
    socket.send_frame(CLOSE, b"");
    assert!(matches!(socket.closed().0, 1000 | 1005));
}

#[test]
fn after_its_close_a_client_is_gone_for_others() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.join("ann"), fixture.join("ben"));
    ben.send_close(1000, "");
    // What follows a close is not read.
    ben.send(fixture.message_frame("from the grave"));
    assert_eq!(ben.closed().0, 1000);
    ann.say(&fixture.room, "hello");
    assert_eq!(contents(&ann.drain()), ["hello"]);
}
