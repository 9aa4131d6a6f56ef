//! Every field and parameter of every call, with values it must refuse by name.

use serde_json::{Value, json};

use crate::http_api::{PASSWORD, person, public_room, refused, user};
use crate::support::node::Node;

/// Method, path with `ROOM`, a good body, and wrong values for some of its fields.
type Row = (
    &'static str,
    &'static str,
    Value,
    Vec<(&'static str, Value)>,
);

// tidy: long: one row per call, one entry per field
fn wrong_fields() -> Vec<Row> {
    let long = |bytes: usize| json!("x".repeat(bytes));
    let not_ids = || vec![json!("a"), json!([1]), json!(["a b"]), json!({})];
    let each =
        |name: &'static str, values: Vec<Value>| values.into_iter().map(move |value| (name, value));
    let account = [
        each(
            "name",
            vec![json!(null), json!(1), json!("ab"), json!("a b c"), long(33)],
        ),
        each(
            "password",
            vec![json!(null), json!(1), json!("short"), long(257)],
        ),
        each("displayName", vec![json!(1), long(129)]),
    ];
    let room = [
        each("kind", vec![json!(null), json!("group"), json!(1)]),
        each("name", vec![json!(1), long(129)]),
        each("visibility", vec![json!("public"), json!(true)]),
        each("memberIds", not_ids()),
        each("roomId", vec![json!(1), json!("a b"), json!("..")]),
    ];
    let message = [
        each("content", vec![json!(null), json!(1)]),
        each("clientMsgId", vec![json!(1), json!(""), long(65)]),
        each("replyTo", vec![json!(1), json!("a/b")]),
        each("senderId", vec![json!(1), json!("ä")]),
        each("mentions", [not_ids(), vec![json!(vec!["u"; 51])]].concat()),
        each(
            "attachments",
            [not_ids(), vec![json!(vec!["a"; 11])]].concat(),
        ),
    ];
    vec![
        (
            "POST",
            "/v1/accounts",
            json!({ "name": "abc", "password": PASSWORD }),
            account.into_iter().flatten().collect(),
        ),
        (
            "POST",
            "/v1/sessions",
            json!({ "name": "abc", "password": PASSWORD }),
            vec![("name", json!(1)), ("password", json!(null))],
        ),
        (
            "POST",
            "/v1/sessions/refresh",
            json!({}),
            vec![("refreshToken", json!(1)), ("refreshToken", json!(null))],
        ),
        (
            "PATCH",
            "/v1/me",
            json!({}),
            vec![("displayName", json!(1)), ("password", json!([]))],
        ),
        (
            "POST",
            "/v1/rooms",
            json!({ "kind": "GROUP" }),
            room.into_iter().flatten().collect(),
        ),
        (
            "PATCH",
            "/v1/rooms/ROOM",
            json!({}),
            vec![
                ("name", json!(1)),
                ("name", long(129)),
                ("topic", long(1_025)),
                ("visibility", json!("HIDDEN")),
            ],
        ),
        (
            "PUT",
            "/v1/rooms/ROOM/members/u9",
            json!({}),
            vec![("role", json!("KING")), ("role", json!(1))],
        ),
        (
            "PATCH",
            "/v1/rooms/ROOM/members/u9",
            json!({}),
            vec![("role", json!("KING")), ("role", json!(null))],
        ),
        (
            "POST",
            "/v1/rooms/ROOM/messages",
            json!({ "content": "x" }),
            message.into_iter().flatten().collect(),
        ),
    ]
}

#[test]
fn a_wrong_value_of_any_field_is_a_bad_frame() {
    let node = Node::shared();
    let someone = person(&node);
    let room = public_room(&node, &someone.token);
    for (method, path, good, wrong) in wrong_fields() {
        let path = path.replace("ROOM", &room);
        for (field, value) in wrong {
            let mut body = good.clone();
            body[field] = value.clone();
            let reply = node.call(method, &path, &someone.token, body);
            let seen = (reply.status, reply.refused());
            assert_eq!(
                seen,
                (400, "BAD_FRAME".to_owned()),
                "{method} {path} {field} = {value}"
            );
        }
    }
}

#[test]
fn content_has_refusals_of_its_own() {
    let node = Node::shared();
    let (_, owner) = user(&node);
    let path = format!("/v1/rooms/{}/messages", public_room(&node, &owner));
    let send = |content: &str| node.call("POST", &path, &owner, json!({ "content": content }));
    refused(&send(""), 400, "CONTENT_EMPTY");
    refused(&send(&"x".repeat(16_385)), 413, "CONTENT_TOO_LARGE");
    send(&"x".repeat(16_384)).ok(201);
    send(" ").ok(201);
    let reply_to = json!({ "content": "x", "replyTo": "none" });
    refused(
        &node.call("POST", &path, &owner, reply_to),
        404,
        "NOT_FOUND",
    );
}

#[test]
fn a_wrong_parameter_or_id_is_a_bad_frame() {
    let node = Node::shared();
    let (_, owner) = user(&node);
    let room = public_room(&node, &owner);
    let many: Vec<_> = (0..201).map(|n| format!("userId=u{n}")).collect();
    let many = format!("/v1/presence?{}", many.join("&"));
    let rooms: Vec<_> = (0..101).map(|n| format!("roomId=r{n}")).collect();
    let rooms = format!("/v1/rooms?{}", rooms.join("&"));
    let paths = [
        "/v1/rooms/ROOM/messages?limit=0",
        "/v1/rooms/ROOM/messages?limit=201",
        "/v1/rooms/ROOM/messages?limit=ten",
        "/v1/rooms/ROOM/messages?limit=",
        "/v1/rooms/ROOM/messages?limit=1&limit=2",
        "/v1/rooms/ROOM/messages?before=-1",
        "/v1/rooms/ROOM/messages?after=1.5",
        "/v1/rooms/ROOM/messages?after=%2B1",
        "/v1/rooms/ROOM/messages?around=9007199254740992",
        "/v1/rooms/ROOM/messages?before=1&after=1",
        "/v1/rooms/ROOM/messages?before=1&around=1",
        "/v1/rooms/ROOM/members?limit=1001",
        "/v1/rooms/ROOM/members?cursor=!",
        "/v1/rooms?limit=201",
        "/v1/rooms?cursor=nonsense",
        "/v1/rooms?visibility=PRIVATE",
        "/v1/rooms?roomId=",
        "/v1/rooms?roomId=a%20b",
        "/v1/rooms?roomId=a&cursor=MS5h",
        "/v1/rooms?roomId=a&visibility=PUBLIC",
        "/v1/rooms?roomId=a&name=b",
        "/v1/rooms?roomId=a&limit=0",
        &rooms,
        "/v1/users",
        "/v1/users?name=a&limit=x",
        "/v1/users?name=a&cursor=%00",
        "/v1/presence",
        "/v1/presence?userId=a%20b",
        "/v1/rooms/a%20b",
        "/v1/rooms/a%2Fb/messages",
        "/v1/rooms/%FF/messages",
        "/v1/rooms/ROOM/messages/a%20b",
        "/v1/users/%C3%A4",
        &many,
    ];
    for path in paths {
        let path = path.replace("ROOM", &room);
        let reply = node.call("GET", &path, &owner, Value::Null);
        assert_eq!(
            (reply.status, &*reply.refused()),
            (400, "BAD_FRAME"),
            "{path}"
        );
    }
    let unknown = format!("/v1/rooms/{room}/messages?unknown=1&after=0");
    node.call("GET", &unknown, &owner, Value::Null).ok(200);
}
