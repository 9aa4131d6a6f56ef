//! Setup and teardown: what a run creates is gone after it, and an impossible run ends with an error.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::node::Node;
use crate::run::loadtest;

#[test]
fn run_registers_accounts_and_removes_them() {
    let node = Node::start(&[]);
    let ended = loadtest(
        &node.address,
        &node.path(""),
        "--accounts --connections 24 --rooms 2 --rate 20 --duration 2s",
    );
    ended.expect(0);
    assert!(ended.checked("deliveries") > 20);
}

#[test]
fn run_removes_its_rooms_unless_kept() {
    let node = Node::start(&[]);
    let key = node.token_key();
    for (keep, status) in [("", "403"), ("--keep", "200")] {
        let options =
            format!("--token-key {key} --connections 4 --rooms 2 --rate 10 --duration 1s {keep}");
        let ended = loadtest(&node.address, &node.path(""), &options);
        ended.expect(0);
        assert_eq!(
            status_of_first_room(&node, &ended.stderr),
            status,
            "{}",
            ended.stderr
        );
    }
}

/// The HTTP status of the first room of a run, read through the server API.
fn status_of_first_room(node: &Node, said: &str) -> String {
    let room = said
        .split_whitespace()
        .find(|word| word.starts_with("lt") && word.ends_with("-r0"));
    let room = room.unwrap_or_else(|| panic!("no room is named: {said}"));
    let token = jsonwebtoken::encode(
        &jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256),
        &serde_json::json!({ "sub": "host", "scope": "admin", "exp": 4_000_000_000_u64 }),
        &jsonwebtoken::EncodingKey::from_secret(&std::fs::read(node.path("key")).expect("the key")),
    );
    let request = format!(
        "GET /v1/rooms/{room} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        node.address,
        token.expect("sign a token")
    );
    let mut stream = TcpStream::connect(&node.address).expect("connect");
    stream.write_all(request.as_bytes()).expect("ask");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("read the reply");
    reply.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn impossible_run_ends_with_status_3() {
    let node = Node::start(&[]);
    let wrong = node.path("wrong");
    std::fs::write(&wrong, "not the node's secret").expect("write a key");
    let options = format!(
        "--token-key hs256:{} --connections 4 --rooms 2 --rate 10 --duration 1s",
        wrong.display()
    );
    let ended = loadtest(&node.address, &node.path(""), &options);
    ended.expect(3);
    assert!(ended.stdout.contains("401"), "{}", ended.stdout);
    let reasons = ended.report["reasons"].as_array().map(Vec::len);
    assert_eq!(reasons, Some(1), "{}", Value::to_string(&ended.report));
}

#[test]
fn unreachable_fleet_ends_with_status_3() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("take a free port");
    let address = nowhere.local_addr().expect("its address").to_string();
    drop(nowhere);
    let scratch = std::env::temp_dir().join(format!("roomcast-nowhere-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("make a scratch directory");
    let ended = loadtest(
        &address,
        &scratch,
        "--accounts --connections 2 --rooms 1 --rate 1 --duration 1s",
    );
    ended.expect(3);
    assert!(ended.stdout.contains(&address), "{}", ended.stdout);
    let _ = std::fs::remove_dir_all(&scratch);
}

#[test]
fn html_report_is_written_to_the_given_file() {
    let node = Node::start(&[]);
    let page = node.path("run.html");
    let options = format!(
        "--token-key {} --connections 10 --rooms 2 --rate 20 --duration 2s --html {}",
        node.token_key(),
        page.display()
    );
    loadtest(&node.address, &node.path(""), &options).expect(0);
    let page = std::fs::read_to_string(&page).expect("the page");
    assert!(
        page.to_lowercase().starts_with("<!doctype html>"),
        "{page:.200}"
    );
    assert!(
        page.contains("steady") && page.len() > 5_000,
        "{} bytes",
        page.len()
    );
}

#[test]
fn compare_reports_no_regression_for_equal_runs_and_fails_without_a_report() {
    let node = Node::start(&[]);
    let options = format!(
        "--token-key {} --connections 10 --rooms 2 --rate 40 --duration 5s",
        node.token_key()
    );
    loadtest(&node.address, &node.path(""), &options).expect(0);
    let report = node.path("report.json");
    let compare = |after: &std::path::Path| {
        let mut compare = std::process::Command::new(env!("CARGO_BIN_EXE_loadtest"));
        compare.arg("compare").args([&report, after]);
        compare.output().expect("run loadtest compare")
    };
    let same = compare(&report);
    let said = String::from_utf8_lossy(&same.stdout);
    assert_eq!(same.status.code(), Some(0), "{said}");
    assert!(!said.is_empty());
    assert_eq!(compare(&node.path("none.json")).status.code(), Some(3));
}
