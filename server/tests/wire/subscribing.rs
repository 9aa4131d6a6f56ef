//! §4: subscribing, resuming, and no silent gap between.

use serde_json::{Value, json};

use crate::fixture::{Fixture, assert_chain, assert_refused, contents, number, of_type, with};
use crate::support::node::{Node, unique};
use crate::support::socket::{Socket, TEXT, masked};

fn after(fixture: &Fixture, seq: impl Into<Value>) -> Value {
    json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "after": seq.into() })
}

#[test]
fn without_after_a_subscription_starts_live_from_now() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ann = fixture.connect("ann");
    let before = ann.say(&fixture.room, "before");
    let mut ben = fixture.connect("ben");
    let subscribed = ben.subscribe(&fixture.room);
    let expected = json!({
        "type": "SUBSCRIBED", "ref": "ref-1", "roomId": fixture.room, "head": before["seq"],
        "recovered": true, "after": before["seq"],
    });
    assert_eq!(subscribed, expected);
    ann.say(&fixture.room, "after");
    let event = ben.expect("MESSAGE");
    assert_eq!(
        (&event["content"], &event["prev"]),
        (&json!("after"), &before["seq"])
    );
    ben.nothing_yet();
}

#[test]
fn with_after_the_missed_events_come_first_each_once_in_order() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ann = fixture.connect("ann");
    for n in 0..6 {
        ann.say(&fixture.room, &format!("message {n}"));
    }
    let log = fixture.log("ann");
    let head = &log.last().expect("an event")["seq"];
    for (known, event) in log.iter().enumerate() {
        let mut ben = fixture.connect("ben");
        let subscribed = ben.ask(after(&fixture, event["seq"].clone()));
        assert_eq!(subscribed["recovered"], true);
        assert_eq!(
            (&subscribed["after"], &subscribed["head"]),
            (&event["seq"], head)
        );
        assert_eq!(ben.drain(), log[known + 1..], "after {event}");
    }
    let mut ben = fixture.connect("ben");
    ben.ask(after(&fixture, 0));
    let replayed = ben.drain();
    assert_eq!(replayed, log);
    assert_chain(&replayed, 0);
    // A seq between two events is valid too.
    let between = number(&log[3]["seq"]) - 1;
    let mut ben = fixture.connect("ben");
    assert_eq!(ben.ask(after(&fixture, between))["after"], between);
    assert_eq!(ben.drain()[0]["seq"], log[3]["seq"]);
}

#[test]
fn beyond_the_head_nothing_is_recovered_and_the_subscription_is_live() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ann = fixture.connect("ann");
    let head = number(&ann.say(&fixture.room, "before")["seq"]);
    for beyond in [head + 1, (1 << 53) - 1] {
        let mut ben = fixture.connect("ben");
        let subscribed = ben.ask(after(&fixture, beyond));
        assert_eq!(subscribed["recovered"], false, "{subscribed}");
        assert_eq!(
            subscribed["head"],
            number(&fixture.log("ann").last().expect("one")["seq"])
        );
        ben.nothing_yet();
        let ack = ann.say(&fixture.room, "live");
        assert_eq!(ben.expect("MESSAGE")["seq"], ack["seq"]);
    }
}

#[test]
fn more_than_replay_max_is_not_recovered_and_not_sent() {
    let node = Node::start(&["--replay-max=5"]);
    let fixture = Fixture::on(&node, &["ann", "ben"]);
    let mut ann = fixture.connect("ann");
    for n in 0..6 {
        ann.say(&fixture.room, &format!("message {n}"));
    }
    let log = fixture.log("ann");
    let place = |missed: usize| log[log.len() - 1 - missed]["seq"].clone();
    let mut ben = fixture.connect("ben");
    let subscribed = ben.ask(after(&fixture, place(5)));
    assert_eq!(subscribed["recovered"], true);
    assert_eq!(ben.drain().len(), 5);

    let mut ben = fixture.connect("ben");
    let subscribed = ben.ask(after(&fixture, place(6)));
    assert_eq!(subscribed["recovered"], false);
    assert_eq!(subscribed["head"], log[log.len() - 1]["seq"]);
    ben.nothing_yet();
    ann.say(&fixture.room, "live");
    let event = ben.next();
    assert_eq!(
        (&event["content"], &event["prev"]),
        (&json!("live"), &subscribed["head"])
    );
}

#[test]
fn subscribing_again_restarts_the_room_and_nothing_comes_twice_live() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.join("ben"));
    ann.say(&fixture.room, "one");
    ben.expect("MESSAGE");
    let log = fixture.log("ann");
    for _ in 0..3 {
        ben.ask(after(&fixture, 0));
        assert_eq!(ben.drain(), log);
    }
    ben.subscribe(&fixture.room);
    ben.nothing_yet();
    ann.say(&fixture.room, "two");
    assert_eq!(ben.expect("MESSAGE")["content"], "two");
    ben.nothing_yet();
}

#[test]
fn unsubscribing_is_answered_subscribed_or_not_and_ends_the_events() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.join("ann"), fixture.join("ben"));
    let mut bens_phone = fixture.join("ben");
    let mut unsubscribe = |room: &str| {
        let answer = ben.ask(json!({ "type": "UNSUBSCRIBE", "roomId": room }));
        assert_eq!(answer["type"], "UNSUBSCRIBED", "{answer}");
        assert_eq!(answer["roomId"], json!(room));
    };
    unsubscribe(&fixture.room);
    unsubscribe(&fixture.room);
    unsubscribe(&unique("never-there"));
    ann.say(&fixture.room, "unheard");
    bens_phone.expect("MESSAGE");
    assert_eq!(of_type(&ben.drain(), "MESSAGE"), [] as [Value; 0]);
    ben.say(&fixture.room, "still a member");
}

#[test]
fn frames_sent_in_one_piece_are_obeyed_in_order() {
    let fixture = Fixture::with(&["ann"]);
    let mut ann = fixture.connect("ann");
    let frames = [
        with(after(&fixture, 0), json!({ "ref": "1" })),
        with(fixture.message_frame("one"), json!({ "ref": "2" })),
        json!({ "type": "UNSUBSCRIBE", "roomId": fixture.room, "ref": "3" }),
        json!({ "type": "PING", "ref": "4" }),
    ];
    let bytes: Vec<u8> = frames
        .iter()
        .flat_map(|frame| masked(0x80 | TEXT, frame.to_string().as_bytes()))
        .collect();
    ann.send_raw(&bytes);
    ann.find("the ACK", |frame| frame["ref"] == "2");
    let came = ann.drain();
    let answers: Vec<&Value> = came
        .iter()
        .filter(|frame| frame["ref"].is_string())
        .collect();
    let kinds: Vec<&Value> = answers.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(kinds, ["SUBSCRIBED", "UNSUBSCRIBED", "PONG"]);
    let end = came
        .iter()
        .position(|frame| frame["type"] == "UNSUBSCRIBED")
        .expect("it");
    assert!(
        !came[end..].iter().any(|frame| frame["type"] == "MESSAGE"),
        "{came:#?}"
    );
}

#[test]
fn resuming_again_and_again_in_a_busy_room_misses_nothing() {
    let node = Node::start(&["--sends-per-second=10000", "--send-burst=10000"]);
    let fixture = Fixture::on(&node, &["ann", "ben"]);
    let total = 600;
    let mut ann = fixture.connect("ann");
    let joined = number(&fixture.log("ann")[1]["seq"]);
    let frame = fixture.message_frame("on and on");
    let sender = std::thread::spawn(move || {
        for _ in 0..total / 20 {
            for _ in 0..20 {
                ann.send(frame.clone());
            }
            for _ in 0..20 {
                ann.expect("ACK");
            }
        }
    });
    let (mut last, mut got, mut resumes) = (joined, 0, 0);
    while got < total {
        let mut ben = fixture.connect("ben");
        let subscribed = ben.ask(after(&fixture, last));
        assert_eq!(subscribed["recovered"], true, "{subscribed}");
        for _ in 0..37.min(total - got) {
            let event = ben.expect("MESSAGE");
            assert_chain(std::slice::from_ref(&event), last);
            last = number(&event["seq"]);
            got += 1;
        }
        resumes += 1;
    }
    sender.join().expect("the sender is done");
    assert!(resumes > 10);
    assert_eq!(fixture.log("ben").len(), 200, "a page is a page");
}

#[test]
fn a_resume_after_the_node_was_killed_goes_on_where_the_client_stopped() {
    let node = Node::own(&[]);
    let fixture = Fixture::on(&node, &["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.join("ben"));
    ann.say(&fixture.room, "one");
    let seen = ben.expect("MESSAGE");
    ann.say(&fixture.room, "two");
    node.restart();
    fixture.connect("ann").say(&fixture.room, "three");
    let mut ben = fixture.connect("ben");
    assert_eq!(
        ben.ask(after(&fixture, seen["seq"].clone()))["recovered"],
        true
    );
    let missed = ben.drain();
    assert_chain(&missed, number(&seen["seq"]));
    assert_eq!(contents(&missed), ["two", "three"]);
}

#[test]
fn each_connection_of_a_user_subscribes_for_itself() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ben = fixture.connect("ben");
    let (mut desk, mut phone) = (fixture.join("ann"), fixture.connect("ann"));
    // Her rooms are known where the phone is once it has been answered.
    phone.nothing_yet();
    ben.say(&fixture.room, "hello");
    desk.expect("MESSAGE");
    assert_eq!(phone.expect("NOTIFICATION")["kind"], "MESSAGE");
    desk.nothing_yet();
    phone.nothing_yet();
}

#[test]
fn a_connection_subscribes_to_a_thousand_rooms_and_not_to_one_more() {
    let node = Node::start(&[]);
    let user = unique("ann");
    let rooms: Vec<String> = std::thread::scope(|scope| {
        let make = |count: usize| {
            let (node, user) = (&node, &user);
            scope.spawn(move || (0..count).map(|_| node.room(&[user])).collect::<Vec<_>>())
        };
        let makers = [make(250), make(250), make(250), make(251)];
        makers
            .into_iter()
            .flat_map(|maker| maker.join().expect("rooms"))
            .collect()
    });
    let (last, first) = rooms.split_last().expect("rooms");
    let mut ann = Socket::connect(&node, &node.token(&user));
    for hundred in first.chunks(100) {
        for room in hundred {
            ann.send(json!({ "type": "SUBSCRIBE", "roomId": room }));
        }
        for room in hundred {
            assert_eq!(ann.expect("SUBSCRIBED")["roomId"], json!(room));
        }
    }
    let answer = ann.subscribe(last);
    assert_refused(&answer, "TOO_MANY_ROOMS");
    assert_eq!(
        (&answer["retryable"], &answer["roomId"]),
        (&json!(false), &json!(last))
    );
    assert_eq!(
        ann.subscribe(&first[7])["type"],
        "SUBSCRIBED",
        "again is not one more"
    );
    ann.ask(json!({ "type": "UNSUBSCRIBE", "roomId": first[8] }));
    assert_eq!(ann.subscribe(last)["type"], "SUBSCRIBED");
    assert_refused(&ann.subscribe(&first[8]), "TOO_MANY_ROOMS");
    ann.say(&first[0], "hello");
    ann.expect("MESSAGE");
}
