//! §3: from an HTTP request to a greeted connection.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::fixture::{assert_time, fields, text};
use crate::support::node::{Node, pause, unique};
use crate::support::socket::handshake::{Bring, Handshake};
use crate::support::socket::{Socket, TEXT, masked};

#[test]
fn a_token_is_taken_from_a_header_a_subprotocol_or_a_first_frame() {
    let node = Node::shared();
    let user = unique("user");
    for way in [Bring::Header, Bring::Subprotocol, Bring::FirstFrame] {
        let mut socket = Socket::ungreeted(way, &node, &node.token(&user));
        assert_eq!(socket.expect("WELCOME")["userId"], json!(user), "{way:?}");
    }
}

#[test]
fn welcome_has_the_connection_user_and_limits() {
    let node = Node::shared();
    let user = unique("user");
    let mut socket = Socket::ungreeted(Bring::Header, &node, &node.token(&user));
    let welcome = socket.next();
    assert_time(&welcome["serverTime"]);
    assert!(!text(&welcome["connectionId"]).is_empty());
    let expected = json!({
        "type": "WELCOME",
        "connectionId": welcome["connectionId"],
        "userId": user,
        "protocol": 1,
        "serverTime": welcome["serverTime"],
        "heartbeatMs": 15000,
        "limits": {
            "frameBytesMax": 65536, "contentBytesMax": 16384, "roomsPerConnectionMax": 1000,
            "sendsPerSecond": 20, "sendBurst": 40, "connectionsPerUserMax": 20,
            "watchedUsersMax": 200, "replayMax": 1000,
        },
    });
    assert_eq!(welcome, expected);
}

#[test]
fn welcome_has_the_configured_limits() {
    let node = Node::start(&[
        "--replay-max=7",
        "--sends-per-second=3",
        "--send-burst=4",
        "--connections-per-user=2",
    ]);
    let mut socket = Socket::ungreeted(Bring::Header, &node, &node.token("ann"));
    let limits = socket.next()["limits"].clone();
    assert_eq!(limits["replayMax"], 7);
    assert_eq!(limits["sendsPerSecond"], 3);
    assert_eq!(limits["sendBurst"], 4);
    assert_eq!(limits["connectionsPerUserMax"], 2);
}

#[test]
fn a_welcome_to_a_first_frame_carries_its_ref() {
    let node = Node::shared();
    let mut socket = Handshake::new(&node).socket();
    let token = node.token(&unique("user"));
    socket.send(json!({ "type": "AUTH", "token": token, "ref": "first" }));
    let welcome = socket.next();
    assert_eq!(welcome["type"], "WELCOME");
    assert_eq!(welcome["ref"], "first");
}

#[test]
fn a_header_counts_before_the_other_ways() {
    let node = Node::shared();
    let (ann, ben) = (unique("ann"), unique("ben"));
    let bens = format!("roomcast.v1, bearer.{}", node.token(&ben));

    let handshake = Handshake::new(&node).bearer(&node.token(&ann));
    let mut socket = handshake.protocols(&bens).socket();
    assert_eq!(socket.expect("WELCOME")["userId"], json!(ann));

    let handshake = Handshake::new(&node).bearer("no.good.token");
    assert_eq!(
        handshake.protocols(&bens).refusal().refused(),
        "UNAUTHORIZED"
    );
}

#[test]
fn a_token_in_the_query_string_is_refused_whatever_else_is_given() {
    let node = Node::shared();
    let token = node.token(&unique("user"));
    let queries = [
        format!("token={token}"),
        format!("access_token={token}"),
        format!("a=b&token={token}&c=d"),
        "token".to_owned(),
        "access_token=".to_owned(),
    ];
    for query in queries {
        let target = format!("/v1/ws?{query}");
        let bare = Handshake::new(&node).target(&target).refusal();
        assert_eq!(
            (bare.status, bare.refused().as_str()),
            (400, "BAD_FRAME"),
            "{query}"
        );
        let with_header = Handshake::new(&node).target(&target).bearer(&token);
        assert_eq!(with_header.refusal().status, 400, "{query}");
    }
    let harmless = Handshake::new(&node).target("/v1/ws?client=web&tokens=3");
    harmless.bearer(&token).socket().expect("WELCOME");
}

#[test]
fn a_bad_token_at_the_upgrade_is_a_401_with_a_problem_document() {
    let node = Node::shared();
    let expired = node.token_for(&unique("user"), -60);
    let good = node.token(&unique("user"));
    let headers = [
        format!("Bearer {expired}"),
        "Bearer nonsense".to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {good}"),
        good.clone(),
    ];
    for value in headers {
        let reply = Handshake::new(&node)
            .header("Authorization", &value)
            .refusal();
        assert_eq!(reply.status, 401, "{value}");
        assert_eq!(reply.refused(), "UNAUTHORIZED", "{value}");
        let challenge = reply.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Bearer"), "{value}: {challenge}");
    }
    let offered = format!("roomcast.v1, bearer.{expired}");
    let reply = Handshake::new(&node).protocols(&offered).refusal();
    assert_eq!(
        (reply.status, reply.refused().as_str()),
        (401, "UNAUTHORIZED")
    );
}

#[test]
fn without_a_token_the_first_frame_is_a_good_auth_or_the_connection_closes_4401() {
    let node = Node::shared();
    let expired = node.token_for(&unique("user"), -60);
    let firsts = [
        json!({ "type": "AUTH", "token": "nonsense" }).to_string(),
        json!({ "type": "AUTH", "token": expired }).to_string(),
        json!({ "type": "AUTH" }).to_string(),
        json!({ "type": "AUTH", "token": 5 }).to_string(),
        json!({ "type": "PING" }).to_string(),
        json!({ "type": "NEVER_HEARD_OF" }).to_string(),
        json!({ "type": "SUBSCRIBE", "roomId": "r" }).to_string(),
        "not JSON".to_owned(),
    ];
    for first in firsts {
        let mut socket = Handshake::new(&node).socket();
        socket.send_text(&first);
        assert_eq!(socket.closed().0, 4401, "{first}");
        assert_eq!(socket.waiting(), [] as [serde_json::Value; 0], "{first}");
    }
}

#[test]
fn a_socket_without_auth_is_closed_4401_five_seconds_after_the_upgrade_and_not_before() {
    let node = Node::shared();
    // At different moments within a second.
    let sockets: Vec<_> = (0..6)
        .map(|_| {
            let since = Instant::now();
            let mut socket = Handshake::new(&node).socket();
            // Signs of life are no token.
            socket.send_frame(crate::support::socket::PING, b"here");
            assert_eq!(socket.pong(), b"here");
            pause(Duration::from_millis(170));
            (socket, since)
        })
        .collect();
    for (mut socket, since) in sockets {
        assert_eq!(socket.closed().0, 4401);
        let took = since.elapsed();
        assert!(took >= Duration::from_secs(5), "{took:?}");
        assert!(took < Duration::from_secs(9), "{took:?}");
    }
}

#[test]
fn an_auth_of_another_user_closes_4401() {
    let node = Node::shared();
    let mut socket = Socket::connect(&node, &node.token(&unique("ann")));
    socket.send(json!({ "type": "AUTH", "token": node.token(&unique("ben")) }));
    assert_eq!(socket.closed().0, 4401);
}

#[test]
fn the_reply_names_the_subprotocol_only_when_it_was_offered_and_never_the_token() {
    let node = Node::shared();
    let token = node.token(&unique("user"));
    let named = |handshake: Handshake| {
        let (_, reply) = handshake.send().unwrap_or_else(|reply| panic!("{reply:?}"));
        reply.header("sec-websocket-protocol").map(str::to_owned)
    };
    let new = || Handshake::new(&node);
    let ours = Some("roomcast.v1".to_owned());
    assert_eq!(named(new().bearer(&token)), None);
    assert_eq!(named(new().bearer(&token).protocols("roomcast.v1")), ours);
    assert_eq!(named(new().protocols("chat, roomcast.v1")), ours);
    assert_eq!(
        named(new().protocols(&format!("roomcast.v1, bearer.{token}"))),
        ours
    );
    assert_eq!(
        named(new().protocols(&format!("bearer.{token},roomcast.v1"))),
        ours
    );
    let two_lines = new()
        .protocols("roomcast.v1")
        .protocols(&format!("bearer.{token}"));
    assert_eq!(named(two_lines), ours);
}

#[test]
fn a_client_that_offers_only_other_subprotocols_gets_400() {
    let node = Node::shared();
    let token = node.token(&unique("user"));
    for list in [
        "chat",
        "roomcast.v2, mqtt",
        "Roomcast.V1",
        &format!("bearer.{token}"),
    ] {
        let reply = Handshake::new(&node)
            .bearer(&token)
            .protocols(list)
            .refusal();
        assert_eq!(
            (reply.status, reply.refused().as_str()),
            (400, "BAD_FRAME"),
            "{list}"
        );
    }
}

#[test]
fn only_pages_of_our_own_origin_or_of_a_listed_one_connect() {
    let node = Node::shared();
    let connect = |node: &Node, origin: &str| {
        Handshake::new(node)
            .bearer(&node.token("user"))
            .header("Origin", origin)
            .send()
    };
    let own = format!("http://{}", node.http());
    assert!(connect(&node, &own).is_ok());
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1:1",
        "nonsense",
    ] {
        let reply = connect(&node, origin).err().expect("a refusal");
        assert_eq!(
            (reply.status, reply.refused().as_str()),
            (403, "FORBIDDEN"),
            "{origin}"
        );
    }

    let open = Node::start(&[
        "--allowed-origins=https://chat.example:443,HTTPS://B.example,capacitor://localhost,null",
    ]);
    for origin in [
        "https://chat.example",
        "https://chat.example:443",
        "https://b.example",
        "capacitor://localhost",
        "null",
    ] {
        assert!(connect(&open, origin).is_ok(), "{origin}");
    }
    for origin in [
        "https://c.example",
        "https://chat.example:444",
        "ionic://localhost",
    ] {
        let reply = connect(&open, origin).err().expect("a refusal");
        assert_eq!(reply.status, 403, "{origin}");
    }
}

#[test]
fn a_handshake_of_more_than_8_kib_is_refused_or_cut() {
    let node = Node::shared();
    let token = node.token(&unique("user"));
    let padded = |bytes: usize| {
        let padding = "x".repeat(bytes);
        Handshake::new(&node)
            .bearer(&token)
            .header("X-Padding", &padding)
    };
    padded(6_000).socket().expect("WELCOME");
    for bytes in [8_192, 20_000, 60_000, 100_000] {
        let mut socket = Socket::open(node.http());
        let head = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: {}\r\nX-Padding: {}\r\n\r\n",
            node.http(),
            "x".repeat(bytes)
        );
        // It may be cut while we still write.
        let _ = socket.try_send_raw(head.as_bytes());
        if let Some(reply) = socket.try_read_reply() {
            assert_eq!(reply.status, 431, "{bytes}: {}", reply.text());
            assert_eq!(reply.refused(), "BAD_FRAME", "{bytes}");
        }
    }
}

#[test]
fn handshake_of_more_than_100_headers_is_431() {
    let node = Node::shared();
    for count in [101, 400] {
        let headers = (0..count).map(|n| (format!("X-{n}"), "x"));
        let handshake = headers.fold(Handshake::new(&node), |handshake, (name, value)| {
            handshake.header(&name, value)
        });
        let reply = handshake.refusal();
        assert_eq!((reply.status, &*reply.refused()), (431, "BAD_FRAME"));
    }
}

#[test]
fn request_that_is_not_http_is_a_problem_document() {
    let node = Node::shared();
    for request in [
        "hello there\r\n\r\n",
        "GET /v1/ws HTTP/1.1\r\nHost: roomcast\r\nno colon\r\n\r\n",
        "GET /v1/\u{e9} HTTP/1.1\r\nHost: roomcast\r\nBad Name: x\r\n\r\n",
        "GET /v1/me HTTP/1.1\r\nHost: roomcast\r\nBad(Name: x\r\n\r\n",
        "G(T /v1/me HTTP/1.1\r\nHost: roomcast\r\n\r\n",
        "GET /v1/me HTTP/1.1\r\nHost: roomcast\r\nHost: other\r\n\r\n",
        "GET /v1/ws HTTP/1.1\r\nHost: roomcast\r\nX: y\r\nhost: roomcast\r\n\r\n",
        "GET http://other/v1/me HTTP/1.1\r\nHost: roomcast\r\n\r\n",
        "CONNECT roomcast:80 HTTP/1.1\r\nHost: roomcast:80\r\n\r\n",
        "POST /v1/sessions HTTP/1.1\r\nHost: roomcast\r\nContent-Length: x\r\n\r\n{}",
        "POST /v1/sessions HTTP/1.1\r\nHost: roomcast\r\nContent-Length: -1\r\n\r\n{}",
        "POST /v1/sessions HTTP/1.1\r\nHost: roomcast\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "POST /v1/sessions HTTP/1.1\r\nHost: roomcast\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        "POST /v1/sessions HTTP/1.1\r\nHost: roomcast\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut socket = Socket::open(node.http());
        socket.send_raw(request.as_bytes());
        let reply = socket.read_reply();
        assert_eq!(reply.status, 400, "{request:?}: {}", reply.text());
        assert_eq!(reply.refused(), "BAD_FRAME", "{request:?}");
    }
}

#[test]
fn a_handshake_that_takes_longer_than_ten_seconds_is_cut() {
    let node = Node::shared();
    let mut socket = Socket::open(node.http());
    let since = Instant::now();
    socket.send_raw(b"GET /v1/ws HTTP/1.1\r\nHost: roomcast\r\nUpgrade: web");
    if let Some(reply) = socket.try_read_reply() {
        assert!(matches!(reply.status, 408 | 431), "{}", reply.status);
    }
    let took = since.elapsed();
    assert!(took > Duration::from_secs(8), "{took:?}");
    assert!(took < Duration::from_secs(18), "{took:?}");
}

#[test]
fn what_a_client_sends_along_with_its_upgrade_request_is_not_lost() {
    let node = Node::shared();
    let (user, room) = (unique("user"), String::from("nowhere"));
    let auth = json!({ "type": "AUTH", "token": node.token(&user) }).to_string();
    let subscribe = json!({ "type": "SUBSCRIBE", "roomId": room, "ref": "1" }).to_string();
    let ping = json!({ "type": "PING", "ref": "2" }).to_string();
    let frame = |text: &str| masked(0x80 | TEXT, text.as_bytes());

    let early = [frame(&auth), frame(&subscribe), frame(&ping)].concat();
    let mut socket = Handshake::new(&node).early(&early).socket();
    assert_eq!(socket.next()["type"], "WELCOME");
    assert_eq!(socket.next()["code"], "NOT_MEMBER");
    assert_eq!(socket.next()["type"], "PONG");

    // Half a frame with the request, the rest later.
    let ping = frame(&ping);
    let handshake = Handshake::new(&node).bearer(&node.token(&user));
    let mut socket = handshake.early(&ping[..9]).socket();
    assert_eq!(socket.next()["type"], "WELCOME");
    socket.send_raw(&ping[9..]);
    assert_eq!(socket.next()["type"], "PONG");
}

#[test]
fn a_request_that_is_no_websocket_handshake_is_refused_as_http() {
    let node = Node::shared();
    let token = node.token(&unique("user"));
    let new = || Handshake::new(&node).bearer(&token);
    let broken = [
        new().without("Upgrade"),
        new().without("Connection"),
        new().without("Sec-WebSocket-Version"),
        new()
            .without("Sec-WebSocket-Version")
            .header("Sec-WebSocket-Version", "8"),
    ];
    for handshake in broken {
        let reply = handshake.refusal();
        assert!((400..500).contains(&reply.status), "{}", reply.status);
        assert_eq!(reply.refused(), "BAD_FRAME");
    }
    let reply = node.call("POST", "/v1/ws", &token, json!({}));
    assert_eq!(
        (reply.status, reply.refused().as_str()),
        (405, "METHOD_NOT_ALLOWED")
    );
    assert!(fields(&reply.json()).contains(&"code"));
}

#[test]
fn handshake_is_400_unless_its_key_is_16_bytes_of_base64() {
    let node = Node::shared();
    let token = node.token(&unique("user"));
    let with = |key: &str| {
        let handshake = Handshake::new(&node).bearer(&token);
        handshake
            .without("Sec-WebSocket-Key")
            .header("Sec-WebSocket-Key", key)
    };
    let refused = |handshake: Handshake, key: &str| {
        let reply = handshake.refusal();
        let code = reply.refused();
        assert_eq!((reply.status, code.as_str()), (400, "BAD_FRAME"), "{key:?}");
    };
    refused(Handshake::new(&node).without("Sec-WebSocket-Key"), "none");
    for key in [
        "",
        "x",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        // 15, 17 and 32 bytes.
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZWU=",
        "dGhlIHNhbXBsZSBub25jZWRoZSBzYW1wbGUgbm9uY2U=",
        // Not canonical: bits beside the 16 bytes.
        "dGhlIHNhbXBsZSBub25jZR==",
        // The alphabet of URLs.
        "-_____________________==",
        "dGhlIHNhbXBsZSBub25j ZQ=",
        "dGhlIHNhbXBsZSBub25j\u{e9}Q=",
    ] {
        refused(with(key), key);
    }
    let twice = Handshake::new(&node).header("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
    refused(twice, "two");
}

#[test]
fn connection_ends_with_a_refused_upgrade() {
    let node = Node::shared();
    for upgrade in [
        "",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    ] {
        let mut socket = Socket::open(node.http());
        let host = node.http();
        let first = format!("GET /v1/ws HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n");
        let second = format!("GET /v1/me HTTP/1.1\r\nHost: {host}\r\n\r\n");
        socket.send_raw((first + &second).as_bytes());
        let reply = socket.read_reply();
        assert!(matches!(reply.status, 400 | 426), "{reply:?}");
        assert!(socket.try_read_reply().is_none(), "{upgrade:?}");
    }
}
