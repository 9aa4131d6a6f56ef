//! Sign-ins and registrations past their limits, counted by the address of the client.

use serde_json::{Value, json};

use crate::http_api::{PASSWORD, person, refused};
use crate::support::http::{self, Reply};
use crate::support::node::{Node, unique};

/// A call that a proxy on this machine has handed on for `client`.
fn call_from(node: &Node, client: &str, path: &str, body: &Value) -> Reply {
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Forwarded-For", client),
    ];
    let body = body.to_string();
    http::send(node.http(), "POST", path, &headers, Some(body.as_bytes()))
}

#[test]
fn sign_ins_are_limited_by_the_address_that_a_trusted_proxy_names() {
    let node = Node::own(&["--trusted-proxies", "127.0.0.1,10.0.0.0/8"]);
    let someone = person(&node);
    let me = node
        .call("GET", "/v1/me", &someone.token, Value::Null)
        .ok(200);
    let right = json!({ "name": me["name"], "password": PASSWORD });
    let wrong = json!({ "name": me["name"], "password": "not the one" });
    let sign_in = |client: &str, body| call_from(&node, client, "/v1/sessions", body);
    for number in 0..10 {
        // What the client itself has written before the proxy's word counts for nothing.
        let client = format!("203.0.113.{number}, 198.51.100.7, 10.0.0.2");
        refused(&sign_in(&client, &wrong), 401, "UNAUTHORIZED");
    }
    for body in [&right, &wrong] {
        let reply = sign_in("198.51.100.7", body);
        refused(&reply, 429, "RATE_LIMITED");
        let seconds = reply.header("retry-after").expect("Retry-After");
        let seconds: u64 = seconds.parse().expect("seconds");
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    sign_in("198.51.100.8", &right).ok(201);
    node.call("POST", "/v1/sessions", &node.admin_token(), right)
        .ok(201);
}

#[test]
fn registrations_are_limited_by_the_address_of_the_connection_without_a_trusted_proxy() {
    let node = Node::own(&[]);
    let register = |number: u32| {
        let body = json!({ "name": unique("r"), "password": PASSWORD });
        call_from(
            &node,
            &format!("198.51.100.{number}"),
            "/v1/accounts",
            &body,
        )
    };
    for number in 0..20 {
        register(number).ok(201);
    }
    refused(&register(20), 429, "RATE_LIMITED");
    person(&node);
    assert!(
        node.stderr().contains("--trusted-proxies"),
        "it is said once"
    );
}
