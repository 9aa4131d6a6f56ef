//! Standard output and standard error that are closed, or that have no reader: the process goes on.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::http::send;
use crate::support::node::{Node, pause};
use crate::support::program::roomcast;
use crate::support::scratch::Scratch;
use crate::support::socket::Socket;
use crate::support::socket::handshake::Handshake;

/// How long a drain and the end after it may take.
const ENDED_TIMEOUT: Duration = Duration::from_secs(40);
const SECRET: &str = "a secret of at least thirty-two bytes";

/// A process whose standard streams are pipes in this test's hands; killed when dropped.
struct Piped {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Option<BufReader<ChildStderr>>,
    _scratch: Scratch,
}

impl Piped {
    fn start(arguments: &[&str]) -> Self {
        let scratch = Scratch::new();
        let key = scratch.write("hs256", SECRET);
        let mut child = roomcast()
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--data", &scratch.join("data")])
            .args(["--token-key", &format!("hs256:{key}")])
            .args(["--drain-within", "3s"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start roomcast");
        Self {
            stdout: child.stdout.take().map(BufReader::new),
            stderr: child.stderr.take().map(BufReader::new),
            child,
            _scratch: scratch,
        }
    }

    /// Reads the ready line; the node it names.
    fn node(&mut self) -> Node {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().expect("standard output is open");
        stdout.read_line(&mut line).expect("read the ready line");
        let ready: Value = serde_json::from_str(&line).expect("the ready line is JSON");
        let address = |name: &str| {
            let url = ready[name].as_str().expect("an address");
            url.trim_start_matches("http://").to_owned()
        };
        Node::of(&address("http"), &address("admin"), SECRET.as_bytes())
    }

    /// Sends SIGTERM and waits for the end: the exit status, `None` when a signal ended the process.
    fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("send SIGTERM");
        let until = Instant::now() + ENDED_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for its end") {
                return status.code();
            }
            assert!(Instant::now() < until, "no end within {ENDED_TIMEOUT:?}");
            pause(Duration::from_millis(10));
        }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connects a client, terminates the process, and asserts a drain in order.
fn assert_drains(process: &mut Piped, node: &Node) {
    let mut socket = Socket::connect(node, &node.token("ann"));
    let status = process.terminate();
    assert_eq!(socket.expect("RECONNECT")["reason"], "draining");
    assert_eq!(socket.closed().0, 1001);
    assert_eq!(status, Some(0));
}

#[test]
fn process_drains_and_ends_with_0_when_standard_error_is_closed() {
    for format in ["text", "json"] {
        let mut process = Piped::start(&["--log-format", format, "--log-filter", "debug"]);
        let node = process.node();
        process.stderr = None;
        assert_drains(&mut process, &node);
    }
}

#[test]
fn process_starts_and_drains_when_both_standard_streams_are_closed() {
    let mut process = Piped::start(&[]);
    process.stdout = None;
    let mut line = String::new();
    let stderr = process.stderr.as_mut().expect("standard error is open");
    let http = loop {
        line.clear();
        let read = stderr.read_line(&mut line).expect("read standard error");
        assert_ne!(read, 0, "the process ended before it served");
        if let Some((_, rest)) = line.split_once("open http://") {
            break rest.split(' ').next().unwrap_or_default().to_owned();
        }
    };
    process.stderr = None;
    // The operators' port is not known without the ready line, and this test does not need it.
    let node = Node::of(&http, &http, SECRET.as_bytes());
    assert_drains(&mut process, &node);
}

#[test]
fn process_serves_and_drains_when_standard_error_is_not_read() {
    // Each refused token is a line of debug; 1,000 of them exceed the 64 KiB of a pipe.
    let mut process = Piped::start(&["--log-filter", "debug"]);
    let node = process.node();
    for _ in 0..1_000 {
        let reply = Handshake::new(&node).bearer("nonsense").refusal();
        assert_eq!(reply.status, 401);
    }
    let metrics = send(node.admin(), "GET", "/metrics", &[], None).text();
    let dropped = metrics
        .lines()
        .find_map(|line| line.strip_prefix("chat_log_lines_dropped_total "))
        .map_or(0, |count| count.parse::<u64>().expect("a count"));
    assert!(dropped > 0, "the pipe never filled");
    assert_drains(&mut process, &node);
}

#[test]
fn wrong_configuration_still_ends_with_78_when_standard_error_is_closed() {
    let mut child = roomcast()
        .args(["--replay-max", "x"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start roomcast");
    drop(child.stderr.take());
    let status = child.wait().expect("wait for its end");
    assert_eq!(status.code(), Some(78));
}
