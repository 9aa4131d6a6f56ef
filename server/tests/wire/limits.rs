//! §6: how fast is too fast.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixture::{Fixture, number, of_type, with};
use crate::support::node::{Node, pause, unique};
use crate::support::socket::{Socket, TEXT, masked};

/// Sends so many messages in one write; gives every answer.
fn burst(socket: &mut Socket, frame: &Value, count: usize) -> Vec<Value> {
    let bytes = masked(0x80 | TEXT, frame.to_string().as_bytes()).repeat(count);
    socket.send_raw(&bytes);
    let is_answer = |frame: &Value| frame["type"] == "ACK" || frame["type"] == "ERROR";
    (0..count)
        .map(|_| socket.find("an answer", is_answer))
        .collect()
}

/// The most that a budget can have let pass since `since`: its burst, and what it gained at `per_second` until now. The
/// gateway counts time in ticks of 50 ms, so one tick more may have passed on its clock.
fn most_passed(burst: u128, per_second: u128, since: Instant) -> u128 {
    burst + 1 + (since.elapsed().as_millis() + 50) * per_second / 1_000
}

fn count(frames: &[Value]) -> u128 {
    u128::try_from(frames.len()).expect("few")
}

fn retry_after(error: &Value) -> u64 {
    assert_eq!(error["code"], "RATE_LIMITED", "{error}");
    assert_eq!(error["retryable"], true, "{error}");
    number(&error["retryAfterMs"])
}

#[test]
fn a_burst_of_40_passes_and_then_20_a_second() {
    let fixture = Fixture::with(&["ann"]);
    let mut ann = fixture.connect("ann");
    let since = Instant::now();
    let answers = burst(&mut ann, &fixture.message_frame("hello"), 100);
    let (kept, most) = (of_type(&answers, "ACK").len(), most_passed(40, 20, since));
    let passed = count(&of_type(&answers, "ACK"));
    assert!((40..=most).contains(&passed), "{passed} of {most}");
    for error in of_type(&answers, "ERROR") {
        assert!((1..=1_000).contains(&retry_after(&error)), "{error}");
        assert_eq!(error["roomId"], json!(fixture.room));
    }
    assert_eq!(of_type(&fixture.log("ann"), "MESSAGE").len(), kept);
    ann.nothing_yet();
}

/// A private group of `ann` and so many others who need not exist.
fn room_of(members: usize) -> Value {
    let others: Vec<String> = (0..members).map(|n| format!("member-{n}")).collect();
    json!({ "kind": "GROUP", "name": "crowd", "memberIds": others })
}

#[test]
fn changing_calls_are_rate_limited_per_user_by_the_members_they_name() {
    // One process: a fleet has a budget in each.
    let node = Node::own(&[]);
    let (user, other) = (unique("ann"), unique("ben"));
    let token = node.token(&user);
    // 21 of a burst of 100 each, and 10 a second: four pass, and more where these take longer than half a second.
    let since = Instant::now();
    let (mut made, mut refused) = (0, None);
    while refused.is_none() {
        let most = most_passed(100, 10, since);
        assert!(made < 50 && 21 * made <= most, "{made} made");
        let reply = node.call("POST", "/v1/rooms", &token, room_of(200));
        match reply.status {
            201 => made += 1,
            _ => refused = Some(reply),
        }
    }
    let refused = refused.expect("a refusal");
    assert!(made >= 4, "{made} made, then {}", refused.text());
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.refused(), "RATE_LIMITED");
    let seconds = refused.header("retry-after").map(str::parse::<u64>);
    assert!(matches!(seconds, Some(Ok(1..=3))), "{refused:?}");
    // Another user, the host product and reads have their own.
    node.call("POST", "/v1/rooms", &node.token(&other), room_of(200))
        .ok(201);
    for _ in 0..6 {
        node.call("POST", "/v1/rooms", &node.admin_token(), room_of(200))
            .ok(201);
    }
    node.call("GET", "/v1/rooms", &token, Value::Null).ok(200);
}

#[test]
fn every_kind_of_changing_call_counts_and_sends_and_sign_outs_do_not() {
    let fixture = Fixture::on(&Node::own(&[]), &["ann", "ben"]);
    let (node, token) = (&fixture.node, fixture.token("ann"));
    let member = format!("/members/{}", fixture.id("ben"));
    let calls = [
        ("PATCH", String::new(), json!({ "topic": "a" })),
        ("PUT", member.clone(), json!({})),
        ("PATCH", member.clone(), json!({ "role": "MEMBER" })),
    ];
    let mut refused = [false; 3];
    for turn in 0..400 {
        let (method, below, body) = &calls[turn % 3];
        let reply = fixture.call("ann", method, below, body.clone());
        refused[turn % 3] |= reply.status == 429;
        if refused == [true; 3] {
            break;
        }
    }
    assert_eq!(refused, [true; 3], "each kind was refused in its turn");
    // One passes for every tenth of a second that has gone by.
    let body = json!({ "displayName": "Ann" });
    let is_refused = |_| node.call("PATCH", "/v1/me", &token, body.clone()).status == 429;
    assert!((0..100).any(is_refused), "the profile has no rate");
    let body = json!({ "content": "sends have a rate of their own" });
    fixture.call("ann", "POST", "/messages", body).ok(201);
    let signed_out = node.call("DELETE", "/v1/sessions/current", &token, Value::Null);
    assert_ne!(signed_out.status, 429, "{signed_out:?}");
}

#[test]
fn after_the_time_that_a_refusal_names_the_same_send_passes() {
    let node = Node::start(&["--sends-per-second=2", "--send-burst=1"]);
    let fixture = Fixture::on(&node, &["ann"]);
    let mut ann = fixture.connect("ann");
    let frame = fixture.message_frame("hello");
    assert_eq!(ann.ask(frame.clone())["type"], "ACK");
    // One more passes for every half a second that has gone by.
    let mut answers = std::iter::repeat_with(|| ann.ask(frame.clone())).take(100);
    let error = answers.find(|answer| answer["type"] == "ERROR");
    let error = &error.expect("a refusal");
    let wait = retry_after(error);
    assert!((1..=500).contains(&wait), "{error}");
    pause(Duration::from_millis(wait + 5));
    assert_eq!(ann.ask(frame)["type"], "ACK");
}

#[test]
fn sockets_and_http_resends_and_edits_share_one_rate() {
    let node = Node::start(&["--sends-per-second=1", "--send-burst=5"]);
    let fixture = Fixture::on(&node, &["ann", "ben"]);
    let (mut desk, mut phone) = (fixture.connect("ann"), fixture.connect("ann"));
    let named = with(
        fixture.message_frame("hello"),
        json!({ "clientMsgId": "c" }),
    );
    let first = desk.ask(named.clone());
    assert_eq!(phone.ask(named.clone())["duplicate"], true);
    let mut frame = json!({ "type": "REACT", "roomId": fixture.room, "emoji": "+1",
                            "messageId": first["messageId"] });
    assert_eq!(phone.ask(frame.clone())["type"], "ACK");
    let body = json!({ "content": "over HTTP" });
    fixture
        .call("ann", "POST", "/messages", body.clone())
        .ok(201);
    // Whatever is refused for another reason was a send too; at least one of these is too many.
    let mut limited = Vec::new();
    for _ in 0..8 {
        limited.push(desk.ask(named.clone()));
        frame["emoji"] = json!("-1");
        limited.push(phone.ask(frame.clone()));
    }
    let limited = of_type(&limited, "ERROR");
    assert!(limited.len() > 8, "{limited:?}");
    for error in &limited {
        assert!(retry_after(error) <= 1_000, "{error}");
    }

    let mut refused = None;
    for _ in 0..20 {
        let reply = fixture.call("ann", "POST", "/messages", body.clone());
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("HTTP is limited too");
    assert_eq!(refused.refused(), "RATE_LIMITED");
    let seconds = refused
        .header("retry-after")
        .and_then(|text| text.parse::<u64>().ok());
    assert!(
        seconds.is_some_and(|seconds| (1..=2).contains(&seconds)),
        "{refused:?}"
    );

    fixture
        .connect("ben")
        .say(&fixture.room, "others have their own");
    for _ in 0..20 {
        let body = json!({ "content": "by the host", "senderId": fixture.id("ann") });
        let path = format!("/v1/rooms/{}/messages", fixture.room);
        node.call("POST", &path, &node.admin_token(), body).ok(201);
    }
}

#[test]
fn what_is_not_a_send_is_not_limited_as_one() {
    let node = Node::start(&["--sends-per-second=1", "--send-burst=1"]);
    let fixture = Fixture::on(&node, &["ann"]);
    let mut ann = fixture.connect("ann");
    for _ in 0..30 {
        assert_eq!(ann.ask(json!({ "type": "PING" }))["type"], "PONG");
        ann.subscribe(&fixture.room);
        ann.send(json!({ "type": "TYPING", "roomId": fixture.room }));
        ann.send(json!({ "type": "MARK", "roomId": fixture.room, "read": 0 }));
    }
    assert!(of_type(&ann.drain(), "ERROR").is_empty());
}

#[test]
fn other_frames_pass_in_a_burst_of_200_and_then_50_a_second() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ann = fixture.connect("ann");
    let since = Instant::now();
    let frame = json!({ "type": "UNSUBSCRIBE", "roomId": fixture.room });
    ann.send_raw(&masked(0x80 | TEXT, frame.to_string().as_bytes()).repeat(350));
    let is_answer = |it: &Value| it["type"] == "UNSUBSCRIBED" || it["type"] == "ERROR";
    let answers: Vec<_> = (0..350).map(|_| ann.find("an answer", is_answer)).collect();
    let (passed, most) = (
        count(&of_type(&answers, "UNSUBSCRIBED")),
        most_passed(200, 50, since),
    );
    assert!((200..=most).contains(&passed), "{passed} of {most}");
    let refused = of_type(&answers, "ERROR");
    for error in &refused {
        assert!((1..=1_000).contains(&retry_after(error)), "{error}");
        assert_eq!(error["roomId"], json!(fixture.room));
    }
    if let Some(last) = refused.last() {
        pause(Duration::from_millis(retry_after(last)));
    }
    assert_eq!(ann.ask(frame)["type"], "UNSUBSCRIBED");
    // These have rates of their own, or none.
    for _ in 0..20 {
        assert_eq!(ann.ask(json!({ "type": "PING" }))["type"], "PONG");
        assert_eq!(ann.subscribe(&fixture.room)["type"], "SUBSCRIBED");
    }
    let token = fixture.token("ann");
    let renewed = ann.ask(json!({ "type": "AUTH", "token": token }));
    assert_eq!(renewed["type"], "AUTHENTICATED");
    ann.say(&fixture.room, "hello");
    let mut other = fixture.connect("ann");
    other.send(json!({ "type": "UNSUBSCRIBE", "roomId": fixture.room }));
    other.expect("UNSUBSCRIBED");
}

#[test]
fn unknown_frames_count_as_others_do() {
    let fixture = Fixture::with(&["ann"]);
    let mut ann = fixture.connect("ann");
    let since = Instant::now();
    ann.send_raw(&masked(0x80 | TEXT, br#"{"type":"NEWS"}"#).repeat(300));
    let mut answers: Vec<_> = (0..300).map(|_| ann.expect("ERROR")).collect();
    let most = most_passed(200, 50, since);
    answers.retain(|answer| answer["code"] != "RATE_LIMITED");
    assert!(
        (200..=most).contains(&count(&answers)),
        "{most}: {answers:?}"
    );
    assert!(answers.iter().all(|it| it["code"] == "UNKNOWN_TYPE"));
}

#[test]
fn pings_past_their_pace_are_answered_later_and_none_is_refused() {
    let node = Node::shared();
    let mut ann = Socket::connect(&node, &node.token(&unique("ann")));
    let since = Instant::now();
    ann.send_raw(&masked(0x80 | TEXT, br#"{"type":"PING"}"#).repeat(1_400));
    for _ in 0..1_400 {
        ann.expect("PONG");
    }
    assert!(
        since.elapsed() > Duration::from_secs(1),
        "two hundred a second"
    );
    ann.nothing_yet();
}

#[test]
fn a_burst_of_marks_reaches_others_as_few_receipts_and_the_last_state() {
    let node = Node::start(&["--sends-per-second=1000", "--send-burst=1000"]);
    let fixture = Fixture::on(&node, &["ann", "ben"]);
    let mut ann = fixture.connect("ann");
    let seqs: Vec<_> = (0..150)
        .map(|_| number(&ann.say(&fixture.room, "hello")["seq"]))
        .collect();
    let mut ben = fixture.join("ben");
    let since = Instant::now();
    let marks = seqs.iter().flat_map(|seq| {
        let frame = json!({ "type": "MARK", "roomId": fixture.room, "read": seq });
        masked(0x80 | TEXT, frame.to_string().as_bytes())
    });
    fixture.connect("ben").send_raw(&marks.collect::<Vec<u8>>());
    let mut receipts = 0;
    loop {
        let receipt = ben.expect("RECEIPT");
        receipts += 1;
        assert_eq!(receipt["userId"], json!(fixture.id("ben")));
        if number(&receipt["read"]) == *seqs.last().expect("many") {
            break;
        }
    }
    let most = 2 + since.elapsed().as_millis() / 250;
    assert!(receipts <= most, "{receipts} receipts instead of {most}");
}

#[test]
fn the_sixty_fifth_send_without_an_ack_waits_its_turn() {
    let node = Node::start(&["--sends-per-second=100000", "--send-burst=100000"]);
    let fixture = Fixture::on(&node, &["ann"]);
    let mut ann = fixture.connect("ann");
    // The gateway has to know the sender for its sends to run ahead of the log.
    ann.subscribe(&fixture.room);
    let frame = fixture.message_frame("x");
    let (mut kept, mut refused) = (0, Vec::new());
    for _ in 0..20 {
        let answers = burst(&mut ann, &frame, 150);
        let acks = of_type(&answers, "ACK").len();
        assert!(acks >= 64, "{acks}");
        kept += acks;
        refused.extend(of_type(&answers, "ERROR"));
        if !refused.is_empty() {
            break;
        }
    }
    assert!(!refused.is_empty(), "the log was never behind by 64");
    for error in &refused {
        assert!(retry_after(error) > 0, "{error}");
    }
    let events = (0..kept).map(|_| ann.expect("MESSAGE")).count();
    assert_eq!(events, kept, "what was refused was not kept");
    ann.nothing_yet();
}
