//! Every call of the contract's section 7: what it answers, and the name of each refusal.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::node::{Node, pause, unique};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A user with an account.
pub(crate) struct Person {
    pub(crate) user_id: String,
    name: String,
    pub(crate) token: String,
    refresh_token: String,
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

pub(crate) fn person(node: &Node) -> Person {
    let name = unique("p");
    let body = json!({ "name": name, "password": PASSWORD });
    // The host registers without a limit; every other address is limited.
    let host = node.admin_token();
    let user = node.call("POST", "/v1/accounts", &host, body.clone());
    let user = user.ok(201);
    let tokens = node.call("POST", "/v1/sessions", "", body).ok(201);
    Person {
        user_id: text(&user["userId"]),
        name,
        token: text(&tokens["accessToken"]),
        refresh_token: text(&tokens["refreshToken"]),
    }
}

/// A user of the host's, with a token.
pub(crate) fn user(node: &Node) -> (String, String) {
    let user_id = unique("u");
    let token = node.token(&user_id);
    (user_id, token)
}

pub(crate) fn public_room(node: &Node, token: &str) -> String {
    let body = json!({ "kind": "GROUP", "visibility": "PUBLIC", "name": unique("room") });
    text(&node.call("POST", "/v1/rooms", token, body).ok(201)["roomId"])
}

fn said(node: &Node, room: &str, token: &str, content: &str) -> Value {
    let path = format!("/v1/rooms/{room}/messages");
    node.call("POST", &path, token, json!({ "content": content }))
        .ok(201)
}

#[track_caller]
pub(crate) fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(
        (reply.status, &*reply.refused()),
        (status, code),
        "{}",
        reply.text()
    );
}

#[test]
fn an_account_is_made_used_changed_and_ended() {
    let node = Node::shared();
    let someone = person(&node);
    let me = node
        .call("GET", "/v1/me", &someone.token, Value::Null)
        .ok(200);
    assert_eq!(me["userId"], *someone.user_id);
    assert_eq!(me["name"], *someone.name);
    let again = json!({ "name": someone.name.to_uppercase(), "password": PASSWORD });
    refused(
        &node.call("POST", "/v1/accounts", "", again),
        409,
        "CONFLICT",
    );
    let change = json!({ "displayName": "Some One" });
    let changed = node.call("PATCH", "/v1/me", &someone.token, change).ok(200);
    assert_eq!(changed["displayName"], "Some One");
    let path = format!("/v1/users/{}", someone.user_id);
    let (_, other) = user(&node);
    assert_eq!(
        node.call("GET", &path, &other, Value::Null).ok(200)["displayName"],
        "Some One"
    );
    let path = format!("/v1/users?name={}", someone.name);
    let found = node.call("GET", &path, &other, Value::Null).ok(200);
    assert_eq!(found["users"][0]["userId"], *someone.user_id);
    assert_eq!(
        node.call("DELETE", "/v1/me", &someone.token, Value::Null)
            .status,
        204
    );
    let again = json!({ "name": someone.name, "password": PASSWORD });
    refused(
        &node.call("POST", "/v1/sessions", "", again),
        401,
        "UNAUTHORIZED",
    );
}

#[test]
fn a_sign_in_is_refreshed_and_ends_with_the_sign_out() {
    let node = Node::shared();
    let someone = person(&node);
    let body = json!({ "refreshToken": someone.refresh_token });
    let tokens = node
        .call("POST", "/v1/sessions/refresh", "", body.clone())
        .ok(200);
    assert!(
        tokens["expiresIn"]
            .as_u64()
            .is_some_and(|seconds| seconds > 0)
    );
    let again = node.call("POST", "/v1/sessions/refresh", "", body).ok(200);
    assert_eq!(
        again["refreshToken"], tokens["refreshToken"],
        "the same successor for a while"
    );
    let token = text(&tokens["accessToken"]);
    assert_eq!(
        node.call("DELETE", "/v1/sessions/current", &token, Value::Null)
            .status,
        204
    );
    refused(
        &node.call("GET", "/v1/me", &token, Value::Null),
        401,
        "UNAUTHORIZED",
    );
    let next = json!({ "refreshToken": tokens["refreshToken"] });
    refused(
        &node.call("POST", "/v1/sessions/refresh", "", next),
        401,
        "UNAUTHORIZED",
    );
}

/// Whose a group is, as the host sees it: its members with their roles.
fn members(node: &Node, room: &str) -> Vec<String> {
    let path = format!("/v1/rooms/{room}/members");
    let page = node.call("GET", &path, &node.admin_token(), Value::Null);
    let page = page.ok(200);
    let members = page["members"].as_array().expect("members").iter();
    let line = |member: &Value| format!("{} {}", text(&member["userId"]), text(&member["role"]));
    members.map(line).collect()
}

#[test]
fn account_that_ends_leaves_its_groups_with_an_owner_and_its_own_group_is_gone() {
    let node = Node::shared();
    let (someone, host) = (person(&node), node.admin_token());
    let (guest, _) = user(&node);
    let shared = node.room(&[&someone.user_id, &guest]);
    let own = node.room(&[&someone.user_id]);
    let direct = json!({ "kind": "DIRECT", "memberIds": [guest] });
    let direct = node.call("POST", "/v1/rooms", &someone.token, direct);
    let direct = text(&direct.ok(201)["roomId"]);
    node.call("DELETE", "/v1/me", &someone.token, Value::Null)
        .ok(204);
    assert_eq!(members(&node, &shared), [format!("{guest} OWNER")]);
    assert_eq!(members(&node, &direct).len(), 2);
    let path = format!("/v1/rooms/{own}");
    refused(
        &node.call("GET", &path, &host, Value::Null),
        403,
        "NOT_MEMBER",
    );
    let path = format!("/v1/rooms/{shared}/messages?after=0");
    let page = node.call("GET", &path, &host, Value::Null).ok(200);
    let events = page["events"].as_array().expect("events");
    let last: Vec<_> = events[events.len() - 2..]
        .iter()
        .map(|event| (&event["type"], &event["userId"], &event["senderId"]))
        .collect();
    let (ended, guest_id) = (json!(someone.user_id), json!(guest));
    let expected = [
        (&json!("MEMBER_CHANGED"), &guest_id, &ended),
        (&json!("MEMBER_LEFT"), &ended, &ended),
    ];
    assert_eq!(last, expected);

    // The guest is the host product's user, whom only the host ends.
    let path = format!("/v1/users/{guest}");
    let (_, stranger) = user(&node);
    refused(
        &node.call("DELETE", &path, &stranger, Value::Null),
        403,
        "FORBIDDEN",
    );
    refused(
        &node.call("DELETE", "/v1/me", &node.token(&guest), Value::Null),
        404,
        "NOT_FOUND",
    );
    for _ in 0..2 {
        node.call("DELETE", &path, &host, Value::Null).ok(204);
    }
    let path = format!("/v1/rooms/{shared}");
    refused(
        &node.call("GET", &path, &host, Value::Null),
        403,
        "NOT_MEMBER",
    );
}

#[test]
fn a_room_is_made_found_changed_and_ended() {
    let node = Node::shared();
    let (owner_id, owner) = user(&node);
    let room = public_room(&node, &owner);
    let path = format!("/v1/rooms/{room}");
    let seen = node.call("GET", &path, &owner, Value::Null).ok(200);
    assert_eq!(
        (&seen["role"], &seen["memberCount"]),
        (&json!("OWNER"), &json!(1))
    );
    let name = unique("renamed");
    let change = json!({ "name": name, "topic": "tea" });
    let changed = node.call("PATCH", &path, &owner, change).ok(200);
    assert_eq!(
        (&changed["name"], &changed["topic"]),
        (&json!(name), &json!("tea"))
    );
    let (_, other) = user(&node);
    let found = format!("/v1/rooms?visibility=PUBLIC&name={name}");
    let found = node.call("GET", &found, &other, Value::Null).ok(200);
    assert_eq!(found["rooms"][0]["roomId"], *room);
    refused(
        &node.call("PATCH", &path, &other, json!({ "name": "x" })),
        403,
        "NOT_MEMBER",
    );
    let mine = node.call("GET", "/v1/rooms", &owner, Value::Null).ok(200);
    assert_eq!(mine["rooms"][0]["roomId"], *room);
    assert_eq!(mine["rooms"][0]["unread"], 0);
    assert_eq!(node.call("DELETE", &path, &owner, Value::Null).status, 204);
    refused(
        &node.call("GET", &path, &owner, Value::Null),
        403,
        "NOT_MEMBER",
    );
    let again = json!({ "kind": "GROUP", "roomId": room, "memberIds": [owner_id] });
    refused(
        &node.call("POST", "/v1/rooms", &node.admin_token(), again),
        409,
        "CONFLICT",
    );
}

#[test]
fn the_room_list_has_the_rows_of_named_rooms_when_asked_by_id() {
    let node = Node::shared();
    let ((_, owner), (_, other)) = (user(&node), user(&node));
    let rooms: Vec<String> = (0..4).map(|_| public_room(&node, &owner)).collect();
    let foreign = public_room(&node, &other);
    let ack = said(&node, &rooms[1], &owner, "latest");
    // The list follows the log within a second.
    let until = Instant::now() + Duration::from_secs(10);
    let list = loop {
        let list = node.call("GET", "/v1/rooms", &owner, Value::Null).ok(200);
        if list["rooms"][0]["lastMessage"]["seq"] == ack["seq"] {
            break list;
        }
        assert!(Instant::now() < until, "{list}");
        pause(Duration::from_millis(10));
    };
    let wanted = [&rooms[3], &rooms[1], &rooms[0], &rooms[1], &foreign];
    let wanted: Vec<_> = wanted.map(|room| format!("roomId={room}")).into();
    let path = format!("/v1/rooms?limit=1&{}&roomId=no-such-room", wanted.join("&"));
    let named = node.call("GET", &path, &owner, Value::Null).ok(200);
    let mut rows = list["rooms"].as_array().expect("a list").clone();
    rows.retain(|row| row["roomId"] != *rooms[2]);
    assert_eq!(named, json!({ "rooms": rows }));
    assert_eq!(rows.len(), 3);
}

#[test]
fn members_join_are_promoted_and_leave() {
    let node = Node::shared();
    let ((owner_id, owner), (guest_id, guest)) = (user(&node), user(&node));
    let room = public_room(&node, &owner);
    let path = format!("/v1/rooms/{room}/members/{guest_id}");
    node.call("PUT", &path, &guest, Value::Null).ok(201);
    let again = node.call("PUT", &path, &guest, json!({})).ok(200);
    assert_eq!(again["role"], "MEMBER");
    refused(
        &node.call("PATCH", &path, &guest, json!({ "role": "OWNER" })),
        403,
        "FORBIDDEN",
    );
    let changed = node
        .call("PATCH", &path, &owner, json!({ "role": "ADMIN" }))
        .ok(200);
    assert_eq!(changed["role"], "ADMIN");
    let list = format!("/v1/rooms/{room}/members?limit=1000");
    let members = node.call("GET", &list, &guest, Value::Null).ok(200);
    assert_eq!(members["members"].as_array().map(Vec::len), Some(2));
    let first = node
        .call(
            "GET",
            &format!("/v1/rooms/{room}/members?limit=1"),
            &guest,
            Value::Null,
        )
        .ok(200);
    let cursor = text(&first["nextCursor"]);
    let next = format!("/v1/rooms/{room}/members?limit=1&cursor={cursor}");
    let next = node.call("GET", &next, &guest, Value::Null).ok(200);
    assert_ne!(next["members"], first["members"]);
    assert_eq!(next.get("nextCursor"), None);
    assert_eq!(node.call("DELETE", &path, &guest, Value::Null).status, 204);
    let last = format!("/v1/rooms/{room}/members/{owner_id}");
    refused(
        &node.call("DELETE", &last, &owner, Value::Null),
        403,
        "FORBIDDEN",
    );
}

#[test]
fn a_message_is_acknowledged_once_and_is_at_once_in_history() {
    let node = Node::shared();
    let (_, owner) = user(&node);
    let room = public_room(&node, &owner);
    let path = format!("/v1/rooms/{room}/messages");
    let body = json!({ "content": "hello", "clientMsgId": "c1", "mentions": null });
    let first = node.call("POST", &path, &owner, body.clone()).ok(201);
    assert_eq!(
        (&first["type"], &first["duplicate"]),
        (&json!("ACK"), &json!(false))
    );
    let again = node.call("POST", &path, &owner, body).ok(200);
    assert_eq!(
        (&again["seq"], &again["duplicate"]),
        (&first["seq"], &json!(true))
    );
    let page = node.call("GET", &path, &owner, Value::Null).ok(200);
    assert_eq!(page["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["head"], first["seq"]);
    let one = format!("{path}/{}", text(&first["messageId"]));
    let message = node.call("GET", &one, &owner, Value::Null).ok(200);
    assert_eq!(
        (&message["content"], &message["reactions"]),
        (&json!("hello"), &json!([]))
    );
    let after = node
        .call("GET", &format!("{path}?after=0"), &owner, Value::Null)
        .ok(200);
    assert_eq!(after["events"][0]["type"], "MEMBER_JOINED");
    refused(
        &node.call("GET", &format!("{path}/none"), &owner, Value::Null),
        404,
        "NOT_FOUND",
    );
}

#[test]
fn only_members_and_the_host_read_a_room() {
    let node = Node::shared();
    let ((_, owner), (_, stranger)) = (user(&node), user(&node));
    let room = public_room(&node, &owner);
    let ack = said(&node, &room, &owner, "secret");
    let path = format!("/v1/rooms/{room}/messages");
    let one = format!("{path}/{}", text(&ack["messageId"]));
    for path in [&path, &one, &"/v1/rooms/no-such-room/messages".to_owned()] {
        refused(
            &node.call("GET", path, &stranger, Value::Null),
            403,
            "NOT_MEMBER",
        );
    }
    node.call("GET", &path, &node.admin_token(), Value::Null)
        .ok(200);
    refused(
        &node.call("POST", &path, &stranger, json!({ "content": "x" })),
        403,
        "NOT_MEMBER",
    );
}

#[test]
fn the_host_sends_as_members_and_others_only_as_themselves() {
    let node = Node::shared();
    let ((owner_id, owner), (other_id, _)) = (user(&node), user(&node));
    let room = public_room(&node, &owner);
    let path = format!("/v1/rooms/{room}/messages");
    let host = node.admin_token();
    let as_owner = json!({ "content": "x", "senderId": owner_id });
    node.call("POST", &path, &host, as_owner.clone()).ok(201);
    node.call("POST", &path, &owner, as_owner).ok(201);
    let as_other = json!({ "content": "x", "senderId": other_id });
    refused(
        &node.call("POST", &path, &owner, as_other.clone()),
        403,
        "FORBIDDEN",
    );
    refused(
        &node.call("POST", &path, &host, as_other),
        403,
        "NOT_MEMBER",
    );
    refused(
        &node.call("POST", &path, &host, json!({ "content": "x" })),
        403,
        "NOT_MEMBER",
    );
}

#[test]
fn presence_is_returned_for_every_requested_user() {
    let node = Node::shared();
    let ((a, token), (b, _)) = (user(&node), user(&node));
    let path = format!("/v1/presence?userId={a}&userId={b}");
    let views = node.call("GET", &path, &token, Value::Null).ok(200);
    assert_eq!(
        views["users"][1],
        json!({ "userId": b, "status": "OFFLINE" })
    );
    assert_eq!(views["users"][0]["userId"], *a);
}

#[test]
fn rate_limited_sender_gets_retry_after() {
    let node = Node::shared();
    let (_, owner) = user(&node);
    let room = public_room(&node, &owner);
    let path = format!("/v1/rooms/{room}/messages");
    let limited = (0..400)
        .map(|_| node.call("POST", &path, &owner, json!({ "content": "x" })))
        .find(|reply| reply.status != 201)
        .expect("a refusal");
    refused(&limited, 429, "RATE_LIMITED");
    let seconds = limited
        .header("retry-after")
        .and_then(|text| text.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds >= 1), "{limited:?}");
    assert!(limited.json()["retryAfterMs"].is_u64());
}
