//! §2 and §4: acknowledged messages are kept once, in one order.

use serde_json::{Value, json};

use crate::fixture::{
    Fixture, assert_chain, assert_refused, assert_time, contents, fields, list, number, of_type,
    text, with,
};
use crate::support::node::{Node, unique};
use crate::support::socket::{Socket, TEXT, masked};

#[test]
fn an_ack_names_the_message_its_place_and_its_time() {
    let fixture = Fixture::with(&["ann"]);
    let mut ann = fixture.connect("ann");
    let ack = ann.ask(with(
        fixture.message_frame("hello"),
        json!({ "clientMsgId": "c:1" }),
    ));
    assert_time(&ack["ts"]);
    assert!(number(&ack["seq"]) > 0 && number(&ack["seq"]) < 1 << 53);
    let expected = json!({
        "type": "ACK", "ref": "ref-1", "roomId": fixture.room, "messageId": ack["messageId"],
        "clientMsgId": "c:1", "seq": ack["seq"], "ts": ack["ts"], "duplicate": false,
    });
    assert_eq!(ack, expected);
    assert_eq!(
        fixture.message("ann", &ack["messageId"])["content"],
        "hello",
        "it is in history"
    );
}

#[test]
fn every_subscriber_gets_the_message_the_senders_own_connections_included() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut phone, mut ben) = (
        fixture.join("ann"),
        fixture.join("ann"),
        fixture.join("ben"),
    );
    let head = fixture.log("ann").last().expect("a joining")["seq"].clone();
    let first = ann.say(&fixture.room, "first")["messageId"].clone();
    let full = json!({ "clientMsgId": "c", "replyTo": first, "attachments": ["a1", "a2"],
                       "mentions": [fixture.id("ben")] });
    let ack = ann.ask(with(fixture.message_frame("second"), full));
    for socket in [&mut ann, &mut phone, &mut ben] {
        let one = socket.expect("MESSAGE");
        let names = [
            "content",
            "messageId",
            "prev",
            "roomId",
            "senderId",
            "seq",
            "ts",
            "type",
        ];
        assert_eq!(fields(&one), names);
        let other = socket.expect("MESSAGE");
        assert_chain(&[one.clone(), other.clone()], number(&head));
        let expected = json!({
            "type": "MESSAGE", "roomId": fixture.room, "seq": ack["seq"], "prev": one["seq"],
            "ts": ack["ts"], "messageId": ack["messageId"], "senderId": fixture.id("ann"),
            "content": "second", "clientMsgId": "c", "replyTo": first,
            "attachments": ["a1", "a2"], "mentions": [fixture.id("ben")],
        });
        assert_eq!(other, expected);
        socket.nothing_yet();
    }
}

#[test]
fn what_one_connection_sends_is_ordered_as_it_was_sent() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.join("ben"));
    let said: Vec<String> = (0..30).map(|n| format!("message {n}")).collect();
    let frame = |content: &String| {
        let frame = with(fixture.message_frame(content), json!({ "ref": content }));
        masked(0x80 | TEXT, frame.to_string().as_bytes())
    };
    let all: Vec<u8> = said.iter().flat_map(frame).collect();
    ann.send_raw(&all);
    let mut acks: Vec<Value> = said.iter().map(|_| ann.expect("ACK")).collect();
    acks.sort_by_key(|ack| number(&ack["seq"]));
    let order: Vec<&str> = acks.iter().map(|ack| text(&ack["ref"])).collect();
    assert_eq!(order, said);
    let events: Vec<Value> = said.iter().map(|_| ben.expect("MESSAGE")).collect();
    assert_eq!(contents(&events), said);
}

#[test]
fn all_members_see_one_order_live_in_a_replay_and_in_history() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.join("ann"), fixture.join("ben"));
    for n in 0..15 {
        ann.send(fixture.message_frame(&format!("ann {n}")));
        ben.send(fixture.message_frame(&format!("ben {n}")));
    }
    let take = |socket: &mut Socket| -> Vec<Value> {
        let events: Vec<Value> = (0..30).map(|_| socket.expect("MESSAGE")).collect();
        events
    };
    let seen = take(&mut ann);
    assert_eq!(take(&mut ben), seen);
    let log = fixture.log("ben");
    assert_chain(&log, 0);
    assert_eq!(of_type(&log, "MESSAGE"), seen);
    let mut late = fixture.connect("ben");
    late.ask(json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "after": 0 }));
    assert_eq!(late.drain(), log);
}

#[test]
fn a_resend_returns_the_first_answer_and_adds_nothing() {
    let fixture = Fixture::with(&["ann"]);
    let mut ann = fixture.connect("ann");
    let frame = with(
        fixture.message_frame("hello"),
        json!({ "clientMsgId": "c" }),
    );
    let first = ann.ask(frame.clone());
    let mut other = fixture.connect("ann");
    let message = first["messageId"].clone();
    let resends = [
        frame.clone(),
        with(frame.clone(), json!({ "content": "something else" })),
        json!({ "type": "EDIT_MESSAGE", "roomId": fixture.room, "messageId": message,
                "content": "edited", "clientMsgId": "c" }),
        json!({ "type": "DELETE_MESSAGE", "roomId": fixture.room, "messageId": message,
                "clientMsgId": "c" }),
        json!({ "type": "REACT", "roomId": fixture.room, "messageId": message, "emoji": "+1",
                "clientMsgId": "c" }),
    ];
    for resend in resends {
        for socket in [&mut ann, &mut other] {
            let again = socket.ask(resend.clone());
            assert_same_answer(&again, &first);
            assert_eq!(again["clientMsgId"], "c");
        }
        let body = json!({ "content": "over HTTP", "clientMsgId": "c" });
        let again = fixture.call("ann", "POST", "/messages", body).ok(200);
        assert_same_answer(&again, &first);
    }
    assert_eq!(fixture.log("ann").len(), 2, "a joining and a message");
    assert_eq!(fixture.message("ann", &message)["content"], "hello");
}

fn assert_same_answer(again: &Value, first: &Value) {
    assert_eq!(again["type"], "ACK", "{again}");
    assert_eq!(again["duplicate"], true, "{again}");
    for field in ["messageId", "seq", "ts", "roomId"] {
        assert_eq!(again[field], first[field], "{field} of {again}");
    }
}

#[test]
fn what_was_first_sent_over_http_is_known_on_sockets() {
    let fixture = Fixture::with(&["ann"]);
    let body = json!({ "content": "over HTTP", "clientMsgId": "c" });
    let first = fixture.call("ann", "POST", "/messages", body).ok(201);
    assert_eq!(
        (&first["type"], &first["duplicate"]),
        (&json!("ACK"), &json!(false))
    );
    let mut ann = fixture.connect("ann");
    let again = ann.ask(with(
        fixture.message_frame("again"),
        json!({ "clientMsgId": "c" }),
    ));
    assert_same_answer(&again, &first);
}

#[test]
fn an_edit_a_reaction_and_a_deletion_sent_again_are_done_once() {
    let fixture = Fixture::with(&["ann"]);
    let mut ann = fixture.connect("ann");
    let message = ann.say(&fixture.room, "hello")["messageId"].clone();
    let frames = [
        json!({ "type": "REACT", "emoji": "+1" }),
        json!({ "type": "EDIT_MESSAGE", "content": "edited" }),
        json!({ "type": "DELETE_MESSAGE" }),
    ];
    for (number, frame) in frames.into_iter().enumerate() {
        let name = format!("c{number}");
        let fields = json!({ "roomId": fixture.room, "messageId": message, "clientMsgId": name });
        let frame = with(frame, fields);
        let first = ann.ask(frame.clone());
        assert_eq!(
            (&first["type"], &first["duplicate"]),
            (&json!("ACK"), &json!(false))
        );
        assert_eq!(first["messageId"], message, "{first}");
        assert_same_answer(&ann.ask(frame.clone()), &first);
    }
    assert_eq!(fixture.log("ann").len(), 5);
}

#[test]
fn the_same_name_in_another_room_or_by_another_user_is_something_else() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let other_room = fixture.another_room();
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.connect("ben"));
    let frame = with(
        fixture.message_frame("hello"),
        json!({ "clientMsgId": "c" }),
    );
    let elsewhere = with(frame.clone(), json!({ "roomId": other_room }));
    let answers = [ann.ask(frame.clone()), ben.ask(frame), ann.ask(elsewhere)];
    assert!(
        answers.iter().all(|ack| ack["duplicate"] == false),
        "{answers:?}"
    );
    assert_ne!(answers[0]["messageId"], answers[1]["messageId"]);
    assert_ne!(answers[0]["messageId"], answers[2]["messageId"]);
}

#[test]
fn a_resend_that_would_be_refused_is_answered_from_memory() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.connect("ben"));
    let bens = ben.say(&fixture.room, "ben's")["messageId"].clone();
    let named = json!({ "clientMsgId": "c" });
    let first = ann.ask(with(fixture.message_frame("hello"), named.clone()));
    let to = |kind: &str, message: Value| {
        json!({ "type": kind, "roomId": fixture.room, "messageId": message, "clientMsgId": "c",
                "content": "x", "emoji": "+1" })
    };
    let refused = [
        with(fixture.message_frame(""), named.clone()),
        with(fixture.message_frame(&"x".repeat(16_385)), named.clone()),
        with(fixture.message_frame(&too_many_escapes()), named.clone()),
        with(
            fixture.message_frame("x"),
            json!({ "clientMsgId": "c", "replyTo": "missing" }),
        ),
        to("EDIT_MESSAGE", json!("missing")),
        to("EDIT_MESSAGE", bens.clone()),
        with(
            to("EDIT_MESSAGE", first["messageId"].clone()),
            json!({ "content": "" }),
        ),
        to("DELETE_MESSAGE", json!("missing")),
        to("DELETE_MESSAGE", bens),
        to("REACT", json!("missing")),
    ];
    // Whether the gateway knows the sender as a member already must not matter.
    let mut others = [fixture.join("ann"), fixture.connect("ann")];
    for frame in refused {
        for socket in &mut others {
            assert_same_answer(&socket.ask(frame.clone()), &first);
        }
    }
    for content in ["", &"x".repeat(16_385)] {
        let body = json!({ "content": content, "clientMsgId": "c" });
        let reply = fixture.call("ann", "POST", "/messages", body);
        assert_same_answer(&reply.ok(200), &first);
    }
}

/// Content whose event would pass a frame's bound, though a client's frame does not.
fn too_many_escapes() -> String {
    "\u{1}".repeat(10_895)
}

#[test]
fn two_sends_of_one_name_at_the_same_moment_are_one_message() {
    let fixture = Fixture::with(&["ann"]);
    let (mut one, mut other) = (fixture.connect("ann"), fixture.connect("ann"));
    for n in 0..10 {
        let frame = with(
            fixture.message_frame("hello"),
            json!({ "clientMsgId": format!("c{n}") }),
        );
        one.send(frame.clone());
        other.send(frame);
        let (a, b) = (one.expect("ACK"), other.expect("ACK"));
        assert_eq!((&a["messageId"], &a["seq"]), (&b["messageId"], &b["seq"]));
        assert_ne!(a["duplicate"], b["duplicate"]);
    }
    assert_eq!(fixture.log("ann").len(), 11);
}

#[test]
fn a_name_is_remembered_after_the_node_was_killed() {
    let node = Node::own(&[]);
    let fixture = Fixture::on(&node, &["ann"]);
    let mut ann = fixture.connect("ann");
    let frame = with(
        fixture.message_frame("hello"),
        json!({ "clientMsgId": "c" }),
    );
    let first = ann.ask(frame.clone());
    let last = ann.say(&fixture.room, "unnamed");
    node.restart();
    let mut ann = fixture.connect("ann");
    assert_same_answer(&ann.ask(frame), &first);
    let next = ann.say(&fixture.room, "after the restart");
    assert!(number(&next["seq"]) > number(&last["seq"]));
    let log = fixture.log("ann");
    assert_chain(&log, 0);
    assert_eq!(contents(&log), ["hello", "unnamed", "after the restart"]);
}

#[test]
fn content_is_1_byte_to_16_kib_and_white_space_is_content() {
    let fixture = Fixture::with(&["ann"]);
    let mut ann = fixture.join("ann");
    let all_kept = [
        " ",
        "\n\t",
        "a",
        &"x".repeat(16_384),
        &"€".repeat(5_461),
        "\u{0}\u{7f}\u{2028}",
    ];
    for content in all_kept {
        ann.say(&fixture.room, content);
        assert_eq!(ann.expect("MESSAGE")["content"], content);
    }
    let large = ["x".repeat(16_385), "€".repeat(5_462), too_many_escapes()];
    for content in &large {
        let answer = ann.ask(fixture.message_frame(content));
        assert_refused(&answer, "CONTENT_TOO_LARGE");
        assert_eq!(answer["roomId"], json!(fixture.room));
        let message = ann.ask(fixture.message_frame("short"))["messageId"].clone();
        let edit = json!({ "type": "EDIT_MESSAGE", "roomId": fixture.room, "messageId": message,
                           "content": content });
        assert_refused(&ann.ask(edit), "CONTENT_TOO_LARGE");
    }
    assert_refused(&ann.ask(fixture.message_frame("")), "CONTENT_EMPTY");
    let over_http = |content: &str| {
        let reply = fixture.call("ann", "POST", "/messages", json!({ "content": content }));
        (reply.status, reply.refused())
    };
    assert_eq!(
        over_http(&"\u{1}".repeat(16_384)),
        (413, "CONTENT_TOO_LARGE".to_owned())
    );
    assert_eq!(
        over_http(&"x".repeat(16_385)),
        (413, "CONTENT_TOO_LARGE".to_owned())
    );
    assert_eq!(over_http(""), (400, "CONTENT_EMPTY".to_owned()));
}

#[test]
fn largest_message_reaches_all_members_in_one_frame() {
    let fixture = Fixture::with(&["ann"]);
    let mut ann = fixture.join("ann");
    let id = |n: usize| format!("{n:0>64}");
    let full = json!({
        "clientMsgId": id(1),
        "attachments": (0..10).map(id).collect::<Vec<_>>(),
        "mentions": (0..50).map(id).collect::<Vec<_>>(),
    });
    let ack = ann.ask(with(
        fixture.message_frame(&"\"".repeat(16_384)),
        full.clone(),
    ));
    assert_eq!(ack["type"], "ACK");
    let event = ann.expect("MESSAGE");
    assert_eq!(event["mentions"], full["mentions"]);
    assert_eq!(list(&event["attachments"]).len(), 10);
}

#[test]
fn a_user_of_two_sockets_has_their_messages_in_history_at_once() {
    let fixture = Fixture::with(&["ann"]);
    let user = unique("new");
    fixture.add("ann", &user);
    let mut socket = Socket::connect(&fixture.node, &fixture.node.token(&user));
    for n in 0..5 {
        let ack = socket.say(&fixture.room, &format!("message {n}"));
        let page = fixture
            .call("ann", "GET", "/messages?limit=1", Value::Null)
            .ok(200);
        assert_eq!(page["events"][0]["messageId"], ack["messageId"]);
        assert_eq!(page["head"], ack["seq"]);
    }
}
