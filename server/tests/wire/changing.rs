//! §4: editing, deleting, reacting.

use serde_json::{Value, json};

use crate::scene::{Scene, assert_chain, assert_refused, contents, fields, list, number, text};

fn edit(scene: &Scene, message_id: &Value, content: &str) -> Value {
    json!({ "type": "EDIT_MESSAGE", "roomId": scene.room, "messageId": message_id,
            "content": content })
}

fn delete(scene: &Scene, message_id: &Value) -> Value {
    json!({ "type": "DELETE_MESSAGE", "roomId": scene.room, "messageId": message_id })
}

fn react(scene: &Scene, message_id: &Value, emoji: &str, remove: bool) -> Value {
    json!({ "type": "REACT", "roomId": scene.room, "messageId": message_id, "emoji": emoji,
            "remove": remove })
}

fn assert_done(answer: &Value, duplicate: bool) {
    assert_eq!(answer["type"], "ACK", "{answer}");
    assert_eq!(answer["duplicate"], duplicate, "{answer}");
}

#[test]
fn edit_reaches_all_members_and_history_has_the_new_content() {
    let scene = Scene::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (scene.connect("ann"), scene.join("ben"));
    let sent = ann.say(&scene.room, "helo");
    let ack = ann.ask(edit(&scene, &sent["messageId"], "hello"));
    assert_done(&ack, false);
    assert_eq!(ack["messageId"], sent["messageId"]);
    ben.expect("MESSAGE");
    let expected = json!({
        "type": "MESSAGE_EDITED", "roomId": scene.room, "seq": ack["seq"], "prev": sent["seq"],
        "ts": ack["ts"], "messageId": sent["messageId"], "senderId": scene.id("ann"),
        "content": "hello",
    });
    assert_eq!(ben.next(), expected);
    let now = scene.message("ben", &sent["messageId"]);
    assert_eq!(now["content"], "hello");
    crate::scene::assert_time(&now["editedAt"]);
    assert_eq!(now["seq"], sent["seq"], "an edited message keeps its place");
    let page = scene.call("ben", "GET", "/messages", Value::Null).ok(200);
    assert_eq!(contents(&list(&page["events"])), ["hello"]);
    assert!(page["events"][0].get("prev").is_none(), "{page}");
}

#[test]
fn only_its_sender_edits_a_message_and_only_while_it_is_there() {
    let scene = Scene::with(&["ann", "ben"]);
    let other_room = scene.another_room();
    let (mut ann, mut ben) = (scene.connect("ann"), scene.connect("ben"));
    let bens = ben.say(&scene.room, "ben's")["messageId"].clone();
    let elsewhere = ann.say(&other_room, "elsewhere")["messageId"].clone();
    let gone = ann.say(&scene.room, "gone")["messageId"].clone();
    assert_done(&ann.ask(delete(&scene, &gone)), false);

    assert_refused(&ann.ask(edit(&scene, &bens, "mine")), "FORBIDDEN");
    assert_refused(&ben.ask(edit(&scene, &bens, "")), "CONTENT_EMPTY");
    for missing in [&elsewhere, &gone, &json!("never-there")] {
        assert_refused(&ann.ask(edit(&scene, missing, "x")), "NOT_FOUND");
        assert_refused(&ann.ask(react(&scene, missing, "+1", false)), "NOT_FOUND");
        let mut reply = scene.message_frame("x");
        reply["replyTo"] = missing.clone();
        assert_refused(&ann.ask(reply), "NOT_FOUND");
    }
    assert_refused(&ann.ask(delete(&scene, &elsewhere)), "NOT_FOUND");
    assert_refused(&ann.ask(delete(&scene, &json!("never-there"))), "NOT_FOUND");
    assert_eq!(
        scene.log("ann").len(),
        5,
        "two joined, two messages, one deletion"
    );
}

#[test]
fn a_deleted_messages_content_is_gone_everywhere() {
    let scene = Scene::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (scene.connect("ann"), scene.join("ben"));
    let kept = ann.say(&scene.room, "kept");
    let sent = ann.say(&scene.room, "a secret");
    let message = &sent["messageId"];
    assert_done(&ann.ask(edit(&scene, message, "another secret")), false);
    assert_done(&ann.ask(react(&scene, message, "+1", false)), false);
    let ack = ann.ask(delete(&scene, message));
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

    let log = scene.log("ben");
    let mut late = scene.connect("ben");
    late.ask(json!({ "type": "SUBSCRIBE", "roomId": scene.room, "after": 0 }));
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
        let body = scene.call("ben", "GET", below, Value::Null).ok(200);
        assert!(!body.to_string().contains("secret"), "{below}: {body}");
    }
    assert!(
        !late
            .waiting()
            .iter()
            .any(|frame| frame.to_string().contains("secret"))
    );
    let state = scene.message("ben", message);
    assert_eq!(state["deleted"], true);
    assert!(state.get("content").is_none(), "{state}");
    let page = scene.call("ben", "GET", &around, Value::Null).ok(200);
    assert_eq!(list(&page["events"]).len(), 2);
    assert_eq!(page["events"][0]["seq"], kept["seq"]);
    assert_eq!(page["events"][1]["deleted"], true);
}

#[test]
fn deleting_again_is_acknowledged_and_adds_nothing() {
    let scene = Scene::with(&["ann", "ben"]);
    let mut ben = scene.join("ben");
    let message = ben.say(&scene.room, "mine")["messageId"].clone();
    assert_done(&ben.ask(delete(&scene, &message)), false);
    let mut ann = scene.connect("ann");
    for socket in [&mut ben, &mut ann] {
        let again = socket.ask(delete(&scene, &message));
        assert_done(&again, true);
        assert_eq!(again["messageId"], message);
    }
    assert_eq!(scene.log("ann").len(), 4);
}

#[test]
fn others_messages_are_deleted_by_owners_and_admins_only() {
    let scene = Scene::with(&["ann", "ben", "cid"]);
    let (mut ann, mut ben, mut cid) = (
        scene.connect("ann"),
        scene.connect("ben"),
        scene.connect("cid"),
    );
    let cids = cid.say(&scene.room, "one")["messageId"].clone();
    assert_refused(&ben.ask(delete(&scene, &cids)), "FORBIDDEN");
    let below = format!("/members/{}", scene.id("ben"));
    scene
        .call("ann", "PATCH", &below, json!({ "role": "ADMIN" }))
        .ok(200);
    assert_done(&ben.ask(delete(&scene, &cids)), false);
    let log = scene.log("cid");
    assert_eq!(
        log.last().expect("the deletion")["senderId"],
        json!(scene.id("ben"))
    );
    let cids = cid.say(&scene.room, "two")["messageId"].clone();
    assert_done(&ann.ask(delete(&scene, &cids)), false);
    assert_refused(&ann.ask(edit(&scene, &cids, "x")), "NOT_FOUND");
}

#[test]
fn a_reaction_is_given_once_and_taken_back_once() {
    let scene = Scene::with(&["ann", "ben"]);
    let (mut ann, mut ben) = (scene.join("ann"), scene.connect("ben"));
    let message = ben.say(&scene.room, "hello")["messageId"].clone();
    ann.expect("MESSAGE");
    let toggles = [
        (false, false),
        (false, true),
        (true, false),
        (true, true),
        (false, false),
    ];
    for (remove, duplicate) in toggles {
        let ack = ben.ask(react(&scene, &message, "👍", remove));
        assert_done(&ack, duplicate);
        assert_eq!(ack["messageId"], message);
        if !duplicate {
            let event = ann.next();
            let expected = json!({
                "type": "REACTION", "roomId": scene.room, "seq": ack["seq"],
                "prev": event["prev"], "ts": ack["ts"], "messageId": message,
                "senderId": scene.id("ben"), "emoji": "👍", "removed": remove,
            });
            assert_eq!(event, expected);
        }
    }
    assert_done(&ann.ask(react(&scene, &message, "👍", false)), false);
    assert_done(
        &ann.ask(react(&scene, &message, &"x".repeat(64), false)),
        false,
    );
    assert_done(&ann.ask(react(&scene, &message, "never given", true)), true);
    let reactions = list(&scene.message("ann", &message)["reactions"]);
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
    let mut both = [scene.id("ann"), scene.id("ben")];
    both.sort_unstable();
    assert_eq!(who, both);
    assert_eq!(reactions.len(), 2);
    assert_chain(&scene.log("ben"), 0);
}

#[test]
fn opposite_reactions_at_the_same_moment_leave_a_log_that_adds_up() {
    let scene = Scene::with(&["ann"]);
    let mut one = scene.connect("ann");
    let message = one.say(&scene.room, "hello")["messageId"].clone();
    let mut other = scene.connect("ann");
    for n in 0..8 {
        let frame = react(&scene, &message, "+1", n % 2 == 1);
        one.send(frame.clone());
        other.send(frame);
        let answers = [one.expect("ACK"), other.expect("ACK")];
        let added = answers
            .iter()
            .filter(|ack| ack["duplicate"] == false)
            .count();
        assert_eq!(added, 1, "{answers:?}");
    }
    assert_eq!(scene.log("ann").len(), 10);
    let state = scene.message("ann", &message);
    assert!(
        state["reactions"].as_array().is_none_or(Vec::is_empty),
        "{state}"
    );
}

#[test]
fn former_member_can_change_nothing() {
    let scene = Scene::with(&["ann", "ben"]);
    let mut ben = scene.connect("ben");
    let message = ben.say(&scene.room, "mine")["messageId"].clone();
    scene.remove("ann", scene.id("ben"));
    ben.find("the removal", |frame| frame["kind"] == "REMOVAL");
    let mut fresh = scene.connect("ben");
    for socket in [&mut ben, &mut fresh] {
        for frame in [
            edit(&scene, &message, "x"),
            delete(&scene, &message),
            react(&scene, &message, "+1", false),
        ] {
            assert_refused(&socket.ask(frame), "NOT_MEMBER");
        }
    }
    assert_eq!(scene.message("ann", &message)["content"], "mine");
}

#[test]
fn a_message_has_at_most_50_reactions_and_one_user_at_most_20_of_them() {
    let scene = Scene::with(&["ann", "ben", "cat"]);
    let (mut ann, mut ben, mut cat) = (
        scene.connect("ann"),
        scene.connect("ben"),
        scene.join("cat"),
    );
    let sent = ann.say(&scene.room, "well?")["messageId"].clone();
    cat.expect("MESSAGE");
    let heart = "\u{2764}\u{fe0f}";
    assert_done(&ann.ask(react(&scene, &sent, heart, false)), false);
    for number in 1..20 {
        let emoji = format!("a{number}");
        assert_done(&ann.ask(react(&scene, &sent, &emoji, false)), false);
    }
    assert_refused(
        &ann.ask(react(&scene, &sent, "one more", false)),
        "TOO_MANY_REACTIONS",
    );
    assert_done(&ann.ask(react(&scene, &sent, "\u{2764}", false)), true);
    for number in 0..20 {
        let emoji = format!("b{number}");
        assert_done(&ben.ask(react(&scene, &sent, &emoji, false)), false);
    }
    let mut own = 0;
    let refused = loop {
        let answer = cat.ask(react(&scene, &sent, &format!("c{own}"), false));
        if answer["type"] == "ERROR" {
            break answer;
        }
        own += 1;
    };
    assert_refused(&refused, "TOO_MANY_REACTIONS");
    assert_eq!(own, 10);
    // An emoji that is held already is none more, and is spelt as it is held.
    assert_done(&cat.ask(react(&scene, &sent, "\u{2764}", false)), false);
    assert_done(
        &ann.ask(react(&scene, &sent, "\u{2764}\u{fe0e}", true)),
        false,
    );
    let message = scene.message("ben", &sent);
    let reactions = list(&message["reactions"]);
    assert_eq!(reactions.len(), 50);
    let hearts = reactions.iter().find(|it| it["emoji"] == heart);
    assert_eq!(hearts.expect("hearts")["count"], 1, "{message}");
    assert_done(&ann.ask(react(&scene, &sent, "a1", true)), false);
    assert_done(&ann.ask(react(&scene, &sent, "another", false)), false);
}
