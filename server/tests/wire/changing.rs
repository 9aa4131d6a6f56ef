//! §4: editing, deleting, reacting.

use serde_json::{Value, json};

use crate::fixture::{Fixture, assert_chain, assert_refused, contents, fields, list, number, text};

fn edit(fixture: &Fixture, message_id: &Value, content: &str) -> Value {
    json!({ "type": "EDIT_MESSAGE", "roomId": fixture.room, "messageId": message_id,
            "content": content })
}

fn delete(fixture: &Fixture, message_id: &Value) -> Value {
    json!({ "type": "DELETE_MESSAGE", "roomId": fixture.room, "messageId": message_id })
}

fn react(fixture: &Fixture, message_id: &Value, emoji: &str, remove: bool) -> Value {
    json!({ "type": "REACT", "roomId": fixture.room, "messageId": message_id, "emoji": emoji,
            "remove": remove })
}

fn assert_done(answer: &Value, duplicate: bool) {
    assert_eq!(answer["type"], "ACK", "{answer}");
    assert_eq!(answer["duplicate"], duplicate, "{answer}");
}

#[test]
fn edit_reaches_all_members_and_history_has_the_new_content() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.join("ben"));
    let sent = ann.say(&fixture.room, "helo");
    let ack = ann.ask(edit(&fixture, &sent["messageId"], "hello"));
    assert_done(&ack, false);
    assert_eq!(ack["messageId"], sent["messageId"]);
    ben.expect("MESSAGE");
    let expected = json!({
        "type": "MESSAGE_EDITED", "roomId": fixture.room, "seq": ack["seq"], "prev": sent["seq"],
        "ts": ack["ts"], "messageId": sent["messageId"], "senderId": fixture.id("ann"),
        "content": "hello",
    });
    assert_eq!(ben.next(), expected);
    let now = fixture.message("ben", &sent["messageId"]);
    assert_eq!(now["content"], "hello");
    crate::fixture::assert_time(&now["editedAt"]);
    assert_eq!(now["seq"], sent["seq"], "an edited message keeps its place");
    let page = fixture.call("ben", "GET", "/messages", Value::Null).ok(200);
    assert_eq!(contents(&list(&page["events"])), ["hello"]);
    assert!(page["events"][0].get("prev").is_none(), "{page}");
}

#[test]
fn only_its_sender_edits_a_message_and_only_while_it_is_there() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let other_room = fixture.another_room();
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.connect("ben"));
    let bens = ben.say(&fixture.room, "ben's")["messageId"].clone();
    let elsewhere = ann.say(&other_room, "elsewhere")["messageId"].clone();
    let gone = ann.say(&fixture.room, "gone")["messageId"].clone();
    assert_done(&ann.ask(delete(&fixture, &gone)), false);

    assert_refused(&ann.ask(edit(&fixture, &bens, "mine")), "FORBIDDEN");
    assert_refused(&ben.ask(edit(&fixture, &bens, "")), "CONTENT_EMPTY");
    for missing in [&elsewhere, &gone, &json!("never-there")] {
        assert_refused(&ann.ask(edit(&fixture, missing, "x")), "NOT_FOUND");
        assert_refused(&ann.ask(react(&fixture, missing, "+1", false)), "NOT_FOUND");
        let mut reply = fixture.message_frame("x");
        reply["replyTo"] = missing.clone();
        assert_refused(&ann.ask(reply), "NOT_FOUND");
    }
    assert_refused(&ann.ask(delete(&fixture, &elsewhere)), "NOT_FOUND");
    assert_refused(
        &ann.ask(delete(&fixture, &json!("never-there"))),
        "NOT_FOUND",
    );
    assert_eq!(
        fixture.log("ann").len(),
        5,
        "two joined, two messages, one deletion"
    );
}

#[test]
fn a_deleted_messages_content_is_gone_everywhere() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.connect("ann"), fixture.join("ben"));
    let kept = ann.say(&fixture.room, "kept");
    let sent = ann.say(&fixture.room, "a secret");
    let message = &sent["messageId"];
    assert_done(&ann.ask(edit(&fixture, message, "another secret")), false);
    assert_done(&ann.ask(react(&fixture, message, "+1", false)), false);
    let ack = ann.ask(delete(&fixture, message));
    assert_done(&ack, false);
    let deletion = ben.expect("MESSAGE_DELETED");
    assert_eq!(
        fields(&deletion),
        [
            "messageId",
            "prev",
            "roomId",
            "senderId",
            "seq",
            "ts",
            "type"
        ]
    );
    assert_eq!(
        (&deletion["seq"], &deletion["messageId"]),
        (&ack["seq"], message)
    );

    let log = fixture.log("ben");
    let mut late = fixture.connect("ben");
    late.ask(json!({ "type": "SUBSCRIBE", "roomId": fixture.room, "after": 0 }));
    assert_eq!(late.drain(), log, "a replay and an after page are the same");
    assert_chain(&log, 0);
    let tombstone = log
        .iter()
        .find(|event| event["seq"] == sent["seq"])
        .expect("its place");
    assert_eq!(
        (&tombstone["type"], &tombstone["deleted"]),
        (&json!("MESSAGE"), &json!(true))
    );
    let around = format!("/messages?around={}", sent["seq"]);
    let before = format!("/messages?before={}", number(&ack["seq"]) + 1);
    let single = format!("/messages/{}", text(message));
    for below in ["/messages?after=0", "/messages", &around, &before, &single] {
        let body = fixture.call("ben", "GET", below, Value::Null).ok(200);
        assert!(!body.to_string().contains("secret"), "{below}: {body}");
    }
    assert!(
        !late
            .waiting()
            .iter()
            .any(|frame| frame.to_string().contains("secret"))
    );
    let state = fixture.message("ben", message);
    assert_eq!(state["deleted"], true);
    assert!(state.get("content").is_none(), "{state}");
    let page = fixture.call("ben", "GET", &around, Value::Null).ok(200);
    assert_eq!(list(&page["events"]).len(), 2);
    assert_eq!(page["events"][0]["seq"], kept["seq"]);
    assert_eq!(page["events"][1]["deleted"], true);
}

#[test]
fn deleting_again_is_acknowledged_and_adds_nothing() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ben = fixture.join("ben");
    let message = ben.say(&fixture.room, "mine")["messageId"].clone();
    assert_done(&ben.ask(delete(&fixture, &message)), false);
    let mut ann = fixture.connect("ann");
    for socket in [&mut ben, &mut ann] {
        let again = socket.ask(delete(&fixture, &message));
        assert_done(&again, true);
        assert_eq!(again["messageId"], message);
    }
    assert_eq!(fixture.log("ann").len(), 4);
}

#[test]
fn others_messages_are_deleted_by_owners_and_admins_only() {
    let fixture = Fixture::with(&["ann", "ben", "cid"]);
    let (mut ann, mut ben, mut cid) = (
        fixture.connect("ann"),
        fixture.connect("ben"),
        fixture.connect("cid"),
    );
    let cids = cid.say(&fixture.room, "one")["messageId"].clone();
    assert_refused(&ben.ask(delete(&fixture, &cids)), "FORBIDDEN");
    let below = format!("/members/{}", fixture.id("ben"));
    fixture
        .call("ann", "PATCH", &below, json!({ "role": "ADMIN" }))
        .ok(200);
    assert_done(&ben.ask(delete(&fixture, &cids)), false);
    let log = fixture.log("cid");
    assert_eq!(
        log.last().expect("the deletion")["senderId"],
        json!(fixture.id("ben"))
    );
    let cids = cid.say(&fixture.room, "two")["messageId"].clone();
    assert_done(&ann.ask(delete(&fixture, &cids)), false);
    assert_refused(&ann.ask(edit(&fixture, &cids, "x")), "NOT_FOUND");
}

#[test]
fn a_reaction_is_given_once_and_taken_back_once() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (fixture.join("ann"), fixture.connect("ben"));
    let message = ben.say(&fixture.room, "hello")["messageId"].clone();
    ann.expect("MESSAGE");
    let toggles = [
        (false, false),
        (false, true),
        (true, false),
        (true, true),
        (false, false),
    ];
    for (remove, duplicate) in toggles {
        let ack = ben.ask(react(&fixture, &message, "👍", remove));
        assert_done(&ack, duplicate);
        assert_eq!(ack["messageId"], message);
        if !duplicate {
            let event = ann.next();
            let expected = json!({
                "type": "REACTION", "roomId": fixture.room, "seq": ack["seq"],
                "prev": event["prev"], "ts": ack["ts"], "messageId": message,
                "senderId": fixture.id("ben"), "emoji": "👍", "removed": remove,
            });
            assert_eq!(event, expected);
        }
    }
    assert_done(&ann.ask(react(&fixture, &message, "👍", false)), false);
    assert_done(
        &ann.ask(react(&fixture, &message, &"x".repeat(64), false)),
        false,
    );
    assert_done(
        &ann.ask(react(&fixture, &message, "never given", true)),
        true,
    );
    let reactions = list(&fixture.message("ann", &message)["reactions"]);
    let thumbs = reactions
        .iter()
        .find(|one| one["emoji"] == "👍")
        .expect("thumbs");
    assert_eq!(thumbs["count"], 2);
    let mut who: Vec<&str> = thumbs["userIds"]
        .as_array()
        .expect("ids")
        .iter()
        .map(text)
        .collect();
    who.sort_unstable();
    let mut both = [fixture.id("ann"), fixture.id("ben")];
    both.sort_unstable();
    assert_eq!(who, both);
    assert_eq!(reactions.len(), 2);
    assert_chain(&fixture.log("ben"), 0);
}

#[test]
fn opposite_reactions_at_the_same_moment_leave_a_log_that_adds_up() {
    let fixture = Fixture::with(&["ann"]);
    let mut one = fixture.connect("ann");
    let message = one.say(&fixture.room, "hello")["messageId"].clone();
    let mut other = fixture.connect("ann");
    for n in 0..8 {
        let frame = react(&fixture, &message, "+1", n % 2 == 1);
        one.send(frame.clone());
        other.send(frame);
        let answers = [one.expect("ACK"), other.expect("ACK")];
        let added = answers
            .iter()
            .filter(|ack| ack["duplicate"] == false)
            .count();
        assert_eq!(added, 1, "{answers:?}");
    }
    assert_eq!(fixture.log("ann").len(), 10);
    let state = fixture.message("ann", &message);
    assert!(
        state["reactions"].as_array().is_none_or(Vec::is_empty),
        "{state}"
    );
}

#[test]
fn former_member_can_change_nothing() {
    let fixture = Fixture::with(&["ann", "ben"]);
    let mut ben = fixture.connect("ben");
    let message = ben.say(&fixture.room, "mine")["messageId"].clone();
    fixture.remove("ann", fixture.id("ben"));
    ben.find("the removal", |frame| frame["kind"] == "REMOVAL");
    let mut fresh = fixture.connect("ben");
    for socket in [&mut ben, &mut fresh] {
        for frame in [
            edit(&fixture, &message, "x"),
            delete(&fixture, &message),
            react(&fixture, &message, "+1", false),
        ] {
            assert_refused(&socket.ask(frame), "NOT_MEMBER");
        }
    }
    assert_eq!(fixture.message("ann", &message)["content"], "mine");
}

#[test]
fn a_message_has_at_most_50_reactions_and_one_user_at_most_20_of_them() {
    let fixture = Fixture::with(&["ann", "ben", "cat"]);
    let (mut ann, mut ben, mut cat) = (
        fixture.connect("ann"),
        fixture.connect("ben"),
        fixture.join("cat"),
    );
    let sent = ann.say(&fixture.room, "well?")["messageId"].clone();
    cat.expect("MESSAGE");
    let heart = "\u{2764}\u{fe0f}";
    assert_done(&ann.ask(react(&fixture, &sent, heart, false)), false);
    for number in 1..20 {
        let emoji = format!("a{number}");
        assert_done(&ann.ask(react(&fixture, &sent, &emoji, false)), false);
    }
    assert_refused(
        &ann.ask(react(&fixture, &sent, "one more", false)),
        "TOO_MANY_REACTIONS",
    );
    assert_done(&ann.ask(react(&fixture, &sent, "\u{2764}", false)), true);
    for number in 0..20 {
        let emoji = format!("b{number}");
        assert_done(&ben.ask(react(&fixture, &sent, &emoji, false)), false);
    }
    let mut own = 0;
    let refused = loop {
        let answer = cat.ask(react(&fixture, &sent, &format!("c{own}"), false));
        if answer["type"] == "ERROR" {
            break answer;
        }
        own += 1;
    };
    assert_refused(&refused, "TOO_MANY_REACTIONS");
    assert_eq!(own, 10);
    // An emoji that is held already is none more, and is spelt as it is held.
    assert_done(&cat.ask(react(&fixture, &sent, "\u{2764}", false)), false);
    assert_done(
        &ann.ask(react(&fixture, &sent, "\u{2764}\u{fe0e}", true)),
        false,
    );
    let message = fixture.message("ben", &sent);
    let reactions = list(&message["reactions"]);
    assert_eq!(reactions.len(), 50);
    let hearts = reactions.iter().find(|it| it["emoji"] == heart);
    assert_eq!(hearts.expect("hearts")["count"], 1, "{message}");
    assert_done(&ann.ask(react(&fixture, &sent, "a1", true)), false);
    assert_done(&ann.ask(react(&fixture, &sent, "another", false)), false);
}
