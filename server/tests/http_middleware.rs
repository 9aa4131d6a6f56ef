//! What holds for every call: tokens, bodies, origins, pages, the shape of refusals.

use serde_json::{Value, json};

use crate::support::http::{Reply, exchange, send};
use crate::support::node::{Node, unique};

fn post(node: &Node, path: &str, content_type: Option<&str>, body: &[u8]) -> Reply {
    let headers: Vec<_> = content_type
        .map(|kind| ("Content-Type", kind))
        .into_iter()
        .collect();
    send(node.http(), "POST", path, &headers, Some(body))
}

#[test]
fn call_without_a_valid_token_is_401_with_a_challenge() {
    let node = Node::shared();
    for header in [
        None,
        Some("Bearer"),
        Some("Bearer nonsense"),
        Some("Basic YTpi"),
        Some(""),
    ] {
        let headers: Vec<_> = header
            .map(|header| ("Authorization", header))
            .into_iter()
            .collect();
        let reply = send(node.http(), "GET", "/v1/me", &headers, None);
        assert_eq!(
            (reply.status, &*reply.refused()),
            (401, "UNAUTHORIZED"),
            "{header:?}"
        );
        assert!(
            reply
                .header("www-authenticate")
                .is_some_and(|how| how.starts_with("Bearer"))
        );
    }
}

#[test]
fn a_token_in_the_address_is_refused_everywhere() {
    let node = Node::shared();
    let bearer = format!("Bearer {}", node.admin_token());
    for path in [
        "/v1/me?token=x",
        "/v1/me?access_token=x",
        "/v1/ws?token=x",
        "/v1/ws?a=b&access_token=",
        "/v1/me?t%6Fken=x",
        "/v1/ws?t%6fken=x",
        "/v1/me?Token=x",
        "/v1/ws?%61ccess_Token=x",
    ] {
        let reply = send(
            node.http(),
            "GET",
            path,
            &[("Authorization", &bearer)],
            None,
        );
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
    }
}

#[test]
fn client_that_closes_its_side_after_a_request_gets_the_answer() {
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpStream};

    let node = Node::shared();
    let mut stream = TcpStream::connect(node.http()).expect("connect");
    let request = format!(
        "GET /v1/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        node.token("half-closed")
    );
    stream.write_all(request.as_bytes()).expect("send");
    stream.shutdown(Shutdown::Write).expect("close one side");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("read the answer");
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply:?}");
}

#[test]
fn unknown_routes_are_404_and_unknown_methods_405_with_allow() {
    let node = Node::shared();
    for path in [
        "/v1/nope",
        "/v1/rooms/",
        "/nope.html",
        "/v1/attachments",
        "/v1/me/blocks",
        "/v2/rooms",
        "//",
    ] {
        let reply = node.call("GET", path, "", Value::Null);
        assert_eq!(
            (reply.status, &*reply.refused()),
            (404, "NOT_FOUND"),
            "{path}"
        );
    }
    for (method, path, allowed) in [
        ("PUT", "/v1/rooms", "POST"),
        ("DELETE", "/v1/presence", "GET"),
        ("POST", "/v1/rooms/a/members/b", "PATCH"),
        ("POST", "/", "GET"),
        ("OPTIONS", "/v1/rooms", "GET"),
    ] {
        let reply = node.call(method, path, "", Value::Null);
        assert_eq!(
            (reply.status, &*reply.refused()),
            (405, "METHOD_NOT_ALLOWED"),
            "{path}"
        );
        let allow = reply.header("allow").unwrap_or_default();
        assert!(allow.contains(allowed), "{path}: {allow}");
    }
}

#[test]
fn a_body_is_one_strict_json_object() {
    let node = Node::shared();
    let json = Some("application/json");
    for body in [
        "",
        "{",
        "[]",
        "\"a\"",
        "null",
        "{}{}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"x\":{\"a\":1,\"a\":2}}",
        "{\"x\":\"\\ud800\"}",
        "{\"name\":\"abc\"}\0",
    ] {
        let reply = post(&node, "/v1/sessions", json, body.as_bytes());
        assert_eq!(
            (reply.status, &*reply.refused()),
            (400, "BAD_FRAME"),
            "{body}"
        );
    }
    let reply = post(&node, "/v1/sessions", json, b"{\"name\":\"\xff\"}");
    assert_eq!(reply.refused(), "BAD_FRAME");
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let reply = post(&node, "/v1/sessions", kind, b"{}");
        assert_eq!(
            (reply.status, &*reply.refused()),
            (415, "UNSUPPORTED_MEDIA_TYPE"),
            "{kind:?}"
        );
    }
    let body = json!({ "name": unique("u"), "password": "correct horse battery", "unknown": [1, { "a": null }], "displayName": null });
    let kind = Some("Application/JSON; charset=utf-8");
    post(&node, "/v1/accounts", kind, body.to_string().as_bytes()).ok(201);
}

#[test]
fn a_body_over_two_mebibytes_is_413() {
    let node = Node::shared();
    let large = vec![b' '; (2 << 20) + 1];
    let reply = post(&node, "/v1/sessions", Some("application/json"), &large);
    assert_eq!(
        (reply.status, &*reply.refused()),
        (413, "CONTENT_TOO_LARGE")
    );
    let mut chunked = format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        node.http(),
        large.len()
    )
    .into_bytes();
    chunked.extend_from_slice(&large);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let reply = exchange(node.http(), &chunked);
    assert!(
        reply.starts_with(b"HTTP/1.1 413 "),
        "{}",
        String::from_utf8_lossy(&reply)
    );
    let fits = vec![b' '; 2 << 20];
    assert_eq!(
        post(&node, "/v1/sessions", Some("application/json"), &fits).status,
        400
    );
}

#[test]
fn a_head_over_eight_kibibytes_is_431() {
    let node = Node::shared();
    let long = "x".repeat(20_000);
    let reply = send(node.http(), "GET", "/v1/me", &[("X-Long", &long)], None);
    assert_eq!((reply.status, &*reply.refused()), (431, "BAD_FRAME"));
}

#[test]
fn pages_of_other_origins_may_not_call() {
    let node = Node::shared();
    let own = format!("http://{}", node.http());
    let ask = |origin: &str| send(node.http(), "GET", "/v1/nope", &[("Origin", origin)], None);
    let reply = ask(&own);
    assert_eq!(reply.status, 404);
    assert_eq!(reply.header("access-control-allow-origin"), Some(&*own));
    for foreign in [
        "https://evil.example",
        "null",
        "http://127.0.0.1:1",
        "nonsense",
    ] {
        let reply = ask(foreign);
        assert_eq!(
            (reply.status, &*reply.refused()),
            (403, "FORBIDDEN"),
            "{foreign}"
        );
        assert_eq!(
            reply.header("access-control-allow-origin"),
            None,
            "{foreign}"
        );
        assert!(
            reply
                .header("vary")
                .is_some_and(|vary| vary.contains("origin"))
        );
    }
}

#[test]
fn a_listed_origin_is_answered_before_it_asks() {
    let node = Node::own(&["--allowed-origins", "https://app.example"]);
    let ask = |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "PATCH"),
        ];
        send(node.http(), "OPTIONS", "/v1/rooms/R1", &headers, None)
    };
    let reply = ask("https://app.example");
    assert_eq!(reply.status, 204);
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    let has = |name, part| {
        reply
            .header(name)
            .is_some_and(|value: &str| value.contains(part))
    };
    assert!(has("access-control-allow-methods", "PATCH"));
    assert!(has("access-control-allow-headers", "Authorization"));
    assert_eq!(ask("https://other.example").status, 403);
}

#[test]
fn call_from_a_listed_app_is_answered_and_exposes_the_contract_s_headers() {
    let list = "https://app.example:443,capacitor://localhost,null";
    let node = Node::own(&["--allowed-origins", list]);
    for origin in ["https://app.example", "capacitor://localhost", "null"] {
        let reply = send(node.http(), "GET", "/v1/nope", &[("Origin", origin)], None);
        assert_eq!(reply.status, 404, "{origin}");
        assert_eq!(
            reply.header("access-control-allow-origin"),
            Some(origin),
            "{origin}"
        );
        let exposed = reply.header("access-control-expose-headers");
        let mut exposed: Vec<_> = exposed.unwrap_or_default().split(", ").collect();
        exposed.sort_unstable();
        let expected = [
            "Content-Disposition",
            "Content-Range",
            "ETag",
            "Location",
            "Retry-After",
        ];
        assert_eq!(exposed, expected, "{origin}");
    }
    for origin in ["http://app.example", "ionic://localhost", "file://"] {
        let reply = send(node.http(), "GET", "/v1/nope", &[("Origin", origin)], None);
        assert_eq!(reply.status, 403, "{origin}");
    }
}

#[test]
fn the_page_is_served_with_a_policy_and_a_tag() {
    let node = Node::shared();
    let page = node.call("GET", "/", "", Value::Null);
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let tag = page.header("etag").expect("a tag");
    for known in [tag, "*", &format!("\"other\", W/{tag}")] {
        let again = send(node.http(), "GET", "/", &[("If-None-Match", known)], None);
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
    }
    assert_eq!(
        node.call("HEAD", "/index.html", "", Value::Null).status,
        200
    );
}

#[test]
fn replies_stay_out_of_caches() {
    let node = Node::shared();
    let reply = node.call("GET", "/v1/me", &node.admin_token(), Value::Null);
    assert_eq!(reply.ok(200)["userId"], "host");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}
