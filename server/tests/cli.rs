//! The command line: starts, ends, and output.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::http::send;
use crate::support::node::Node;
use crate::support::program::{roomcast, run};
use crate::support::scratch::Scratch;

fn taken_port() -> (TcpListener, String) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("take a port");
    let address = taken.local_addr().expect("its address").to_string();
    (taken, address)
}

#[test]
fn the_ready_line_names_the_ports_and_the_roles() {
    let scratch = Scratch::new();
    let mut child = roomcast()
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--data", &scratch.join("data"), "--role", "rooms,accounts"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start roomcast");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("read the ready line");
    child.kill().expect("end it");
    child.wait().expect("wait for its end");
    assert!(
        line.starts_with(r#"{"event":"ready","http":"http://127.0.0.1:"#),
        "{line}"
    );
    assert!(
        line.ends_with("\"roles\":[\"accounts\",\"rooms\"]}\n"),
        "{line}"
    );
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("read the rest");
    assert_eq!(rest, "", "nothing else is there");
}

#[test]
fn a_server_that_serves_is_alive_and_ready() {
    let node = Node::shared();
    assert_eq!(node.probe("/readyz").ok(200)["ready"], true);
    assert_eq!(node.probe("/livez").status, 200);
}

#[test]
fn a_role_answers_its_own_calls_only() {
    let node = Node::own(&["--role", "accounts"]);
    let status = |method, path| send(node.http(), method, path, &[], None).status;
    assert_eq!(status("GET", "/v1/me"), 401);
    assert_eq!(status("GET", "/v1/rooms"), 404);
    assert_eq!(status("GET", "/v1/ws"), 404);
    assert_eq!(status("GET", "/"), 404);
}

#[test]
fn a_taken_port_ends_the_start_with_1_and_names_it() {
    let (_taken, address) = taken_port();
    let scratch = Scratch::new();
    for option in ["--listen", "--admin"] {
        let other = if option == "--listen" {
            "--admin"
        } else {
            "--listen"
        };
        let data = scratch.join("data");
        let ended = run(
            &[option, &address, other, "127.0.0.1:0", "--data", &data],
            &[],
        );
        assert_eq!(ended.status, 1, "{ended:?}");
        assert!(
            ended.stderr.contains(option) && ended.stderr.contains(&address),
            "{ended:?}"
        );
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_data_directory_in_use_ends_the_start_with_1_and_names_it() {
    let node = Node::own(&[]);
    let data = node.scratch().join("data");
    let line = [
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--data",
        &data,
    ];
    let ended = run(&line, &[]);
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(
        ended.stderr.contains(&data) && ended.stderr.contains("in use"),
        "{ended:?}"
    );
    let checked = run(&["check", "--data", &data], &[]);
    assert_eq!(checked.status, 1, "{checked:?}");
    assert!(checked.stdout.contains("in use"), "{checked:?}");
    assert_eq!(
        send(node.admin(), "GET", "/readyz", &[], None).status,
        200,
        "undisturbed"
    );
}

#[test]
fn replay_reports_its_counts_and_needs_exclusive_access() {
    let scratch = Scratch::new();
    let data = scratch.join("data");
    let none = run(&["replay", "--data", &data], &[]);
    assert_eq!(none.status, 0, "{none:?}");
    assert_eq!(none.stdout, "0 dead letters written, 0 still unreadable\n");
    assert_eq!(run(&["replay", "--replay-max", "x"], &[]).status, 78);
    let node = Node::own(&[]);
    let taken = run(&["replay", "--data", &node.scratch().join("data")], &[]);
    assert_eq!(taken.status, 1, "{taken:?}");
}

#[test]
fn check_changes_nothing_and_reports_its_findings() {
    let scratch = Scratch::new();
    let data = scratch.join("data");
    let fresh = run(&["check", "--data", &data], &[]);
    assert_eq!(fresh.status, 0, "{fresh:?}");
    assert!(fresh.stdout.contains(&data), "{fresh:?}");
    assert!(!std::path::Path::new(&data).exists(), "nothing was made");
    assert_eq!(
        run(&["check", "--data", &data, "--replay-max", "x"], &[]).status,
        78
    );
    let file = scratch.write("file", "not a directory");
    let wrong = run(&["check", "--data", &file], &[]);
    assert_eq!(wrong.status, 1, "{wrong:?}");
    assert!(wrong.stdout.contains(&file), "{wrong:?}");
}

#[test]
fn sigterm_ends_with_0_and_what_was_kept_is_there_after_a_restart() {
    let node = Node::own(&["--drain-within", "2s"]);
    let data = node.scratch().join("data");
    let minted = run(
        &[
            "token", "--sub", "host", "--scope", "admin", "--data", &data,
        ],
        &[],
    );
    let token = minted.stdout.trim();
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let room = br#"{"kind":"GROUP","roomId":"R1","memberIds":["u1"]}"#;
    send(node.http(), "POST", "/v1/rooms", &headers, Some(room)).ok(201);
    let message = br#"{"content":"hello","senderId":"u1"}"#;
    let path = "/v1/rooms/R1/messages";
    let ack = send(node.http(), "POST", path, &headers, Some(message)).ok(201);
    assert_eq!(node.terminate(), 0, "{}", node.stderr());
    node.restart();
    let page = send(node.http(), "GET", path, &headers, None).ok(200);
    assert_eq!(page["events"][0]["messageId"], ack["messageId"]);
    node.kill9();
    node.restart();
    let again = send(node.http(), "GET", path, &headers, None).ok(200);
    assert_eq!(again["events"], page["events"]);
}

#[test]
fn while_draining_it_is_alive_not_ready_and_takes_no_new_sockets() {
    let node = Node::own(&["--drain-within", "8s"]);
    let upgrade = format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         Authorization: Bearer {}\r\n\r\n",
        node.http(),
        node.token("u1")
    );
    let mut early = TcpStream::connect(node.http()).expect("connect");
    let mut late = TcpStream::connect(node.http()).expect("connect");
    early
        .write_all(upgrade.as_bytes())
        .expect("ask for a socket");
    let mut head = [0; 12];
    early.read_exact(&mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 101");
    // After `WELCOME` the gateway knows a connection to drain.
    let mut greeting = Vec::new();
    while !greeting.windows(7).any(|seven| seven == b"WELCOME") {
        let mut byte = [0];
        early.read_exact(&mut byte).expect("a greeting");
        greeting.push(byte[0]);
    }
    // No client answers the close, so draining takes until its timeout.
    node.ask_to_leave();
    let until = Instant::now() + Duration::from_secs(5);
    while node.probe("/readyz").status != 503 {
        assert!(Instant::now() < until, "never not ready");
    }
    assert_eq!(
        node.probe("/readyz").json()["notReady"],
        json!(["draining"])
    );
    assert_eq!(node.probe("/livez").status, 200);
    late.write_all(upgrade.as_bytes())
        .expect("ask for a socket");
    late.read_exact(&mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 503");
    assert_eq!(node.ended(), 0);
}

#[test]
fn only_the_ready_line_is_on_standard_output_and_logs_can_be_json() {
    let node = Node::own(&["--log-format", "json", "--drain-within", "1s"]);
    assert_eq!(node.terminate(), 0);
    assert_eq!(node.rest_of_stdout(), [""; 0]);
    for line in node.stderr().lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(line["level"].is_string(), "{line}");
    }
}

#[test]
fn the_four_metrics_are_there_from_the_first_scrape() {
    let node = Node::shared();
    let reply = send(node.admin(), "GET", "/metrics", &[], None);
    assert_eq!(reply.status, 200);
    let text = reply.text();
    for (name, kind) in [
        ("chat_ws_active_sessions", "gauge"),
        ("chat_messages_ingested_total", "counter"),
        ("chat_messages_fanout_latency_ms", "histogram"),
        ("presence_online_users", "gauge"),
    ] {
        assert!(text.contains(&format!("# HELP {name} ")), "{name}\n{text}");
        assert!(
            text.contains(&format!("# TYPE {name} {kind}\n")),
            "{name}\n{text}"
        );
        assert!(text.contains(&format!("\n{name}")), "{name}\n{text}");
    }
    for bucket in [
        "1", "2.5", "5", "10", "25", "50", "75", "100", "150", "250", "500", "1000", "2500",
    ] {
        let line = format!("chat_messages_fanout_latency_ms_bucket{{le=\"{bucket}\"}}");
        assert!(text.contains(&line), "{line}\n{text}");
    }
}

#[test]
fn the_admin_port_refuses_by_name() {
    let node = Node::shared();
    let refused = |method, path| send(node.admin(), method, path, &[], None);
    assert_eq!(refused("GET", "/nope").refused(), "NOT_FOUND");
    let wrong = refused("POST", "/readyz");
    assert_eq!(
        (wrong.status, &*wrong.refused()),
        (405, "METHOD_NOT_ALLOWED")
    );
    assert!(
        wrong
            .header("allow")
            .is_some_and(|allow| allow.contains("GET"))
    );
}
