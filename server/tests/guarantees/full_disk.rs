//! A disk that takes nothing more: refused by name, nothing lost, and all well once there is room again.
//!
//! No file may grow past a bound (`RLIMIT_FSIZE`), which needs no mount and no privilege, and which the
//! test can lift under the running program. The signal that comes with the bound is ignored, so that
//! writes fail as they do on a full disk.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::client::{Client, number};
use crate::support::http::send;
use crate::support::node::unix_seconds;
use crate::support::program::roomcast;
use crate::support::scratch::Scratch;

const SECRET: &str = "the secret of the program with a full disk";
/// More than a start needs, less than the messages do.
const ROOM_BYTES: u64 = 1 << 20;

/// The program with its files held down.
struct Small {
    child: Child,
    address: String,
}

impl Small {
    fn start(scratch: &Scratch) -> Self {
        let key = scratch.write("hs256", SECRET);
        let program = roomcast();
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(program.get_program())
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--data", &scratch.join("data")])
            .args(["--token-key", &format!("hs256:{key}")])
            .args(crate::UNLIMITED)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for (name, _) in program.get_envs() {
            shell.env_remove(name);
        }
        let mut child = shell.spawn().expect("start roomcast by /bin/sh");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its standard output");
        let read = BufReader::new(stdout).read_line(&mut line);
        read.expect("read the ready line");
        let ready: Value = serde_json::from_str(&line).expect("a ready line");
        let http = ready["http"].as_str().expect("an address");
        let address = http.strip_prefix("http://").expect("http").to_owned();
        Self { child, address }
    }

    /// How large any of its files may be from now on.
    fn hold_files_to(&self, bytes: Option<u64>) {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        let pid = Pid::from_child(&self.child);
        prlimit(Some(pid), Resource::Fsize, limit).expect("set the program's RLIMIT_FSIZE");
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {}", token("host", "admin"));
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let body = (!body.is_null()).then(|| body.to_string());
        let reply = send(
            &self.address,
            method,
            path,
            &headers,
            body.as_ref().map(String::as_bytes),
        );
        assert!(reply.status < 300, "{}", reply.text());
        reply.json()
    }

    fn kill(mut self) {
        self.child.kill().expect("kill it");
        self.child.wait().expect("wait for its end");
    }
}

fn token(sub: &str, scope: &str) -> String {
    let claims = json!({ "sub": sub, "scope": scope, "exp": unix_seconds() + 3_600 });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).expect("sign a token")
}

/// Sends one message; its seq, or the refusal's code.
fn say(line: &mut Client, room: &str, message: usize) -> Result<u64, String> {
    let content = format!("{message} {}", "x".repeat(8_000));
    let answer = line.ask(json!({
        "type": "SEND_MESSAGE", "roomId": room, "content": content, "clientMsgId": format!("m{message}")
    }));
    if answer["type"] == "ACK" {
        return Ok(number(&answer, "seq"));
    }
    assert_eq!(answer["type"], "ERROR", "{answer}");
    assert_eq!(answer["retryable"], true, "{answer}");
    assert_eq!(answer["clientMsgId"], format!("m{message}"), "{answer}");
    Err(answer["code"].as_str().expect("a code").to_owned())
}

fn seqs_of(small: &Small, room: &str) -> Vec<u64> {
    let (mut after, mut seqs) = (0, Vec::new());
    loop {
        let path = format!("/v1/rooms/{room}/messages?after={after}&limit=100");
        let page = small.call("GET", &path, &Value::Null);
        for event in page["events"].as_array().expect("events") {
            assert_eq!(number(event, "prev"), after, "{}", event["seq"]);
            after = number(event, "seq");
            if event["type"] == "MESSAGE" {
                seqs.push(after);
            }
        }
        if page["hasMoreAfter"] == false {
            return seqs;
        }
    }
}

#[test]
fn a_full_disk_refuses_by_name_loses_nothing_and_is_well_again_with_room() {
    let scratch = Scratch::new();
    let small = Small::start(&scratch);
    let members = json!({ "kind": "GROUP", "memberIds": ["alice"] });
    let room = small.call("POST", "/v1/rooms", &members);
    let room = room["roomId"].as_str().expect("an id").to_owned();
    let mut line = Client::connect(&small.address, &token("alice", ""));

    small.hold_files_to(Some(ROOM_BYTES));
    let (mut acked, mut refused) = (Vec::new(), Vec::new());
    for message in 0.. {
        assert!(message < 10_000, "the disk never fills up");
        match say(&mut line, &room, message) {
            Ok(seq) => acked.push(seq),
            Err(code) => refused.push((message, code)),
        }
        if refused.len() == 20 {
            break;
        }
    }
    let codes: Vec<&str> = refused.iter().map(|(_, code)| code.as_str()).collect();
    for code in &codes {
        assert!(
            ["LOG_UNAVAILABLE", "UNCONFIRMED"].contains(code),
            "{codes:?}"
        );
    }
    println!("{} acknowledged, then {codes:?}", acked.len());
    assert!(acked.len() > 5, "it was full from the start");
    let read = seqs_of(&small, &room);
    assert_eq!(read, acked, "all of it can be read while the disk is full");

    small.hold_files_to(None);
    for (message, _) in &refused {
        let seq = say(&mut line, &room, *message).expect("there is room again");
        acked.push(seq);
    }
    assert_eq!(seqs_of(&small, &room), acked, "nothing lost, nothing twice");

    small.hold_files_to(Some(ROOM_BYTES));
    while say(&mut line, &room, 20_000 + acked.len()).is_ok_and(|seq| {
        acked.push(seq);
        true
    }) {}
    small.kill();
    let again = Small::start(&scratch);
    assert_eq!(
        seqs_of(&again, &room),
        acked,
        "all of it is there after a kill"
    );
    let mut line = Client::connect(&again.address, &token("alice", ""));
    say(&mut line, &room, 30_000).expect("there is room");
    again.kill();
}
