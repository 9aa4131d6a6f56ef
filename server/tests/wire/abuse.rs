//! §6: what one abusive client costs the others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::support::node::{Node, pause, unique};
use crate::support::socket::handshake::Handshake;
use crate::support::socket::{PING, Socket, TEXT, masked};

const MIB: u64 = 1 << 20;
/// Below this a p99 measures the machine rather than the node.
const LEAST_P99: Duration = Duration::from_millis(20);

/// How long the acknowledgements of a well-behaved client take, sent within its rate for `time`: the 99th
/// percentile.
fn p99_of_sends(fixture: &Fixture, ann: &mut Socket, time: Duration) -> Duration {
    let until = Instant::now() + time;
    let mut took = Vec::new();
    while Instant::now() < until {
        let since = Instant::now();
        ann.say(&fixture.room, "hello");
        took.push(since.elapsed());
        pause(Duration::from_millis(60));
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// Every kind of frame, good and bad; those that ask for replays only `with_replays`, since others wait
/// behind them.
fn every_frame(room: &str, message_id: &str, token: &str, with_replays: bool) -> Vec<u8> {
    let many: Vec<String> = (0..200).map(|n| format!("user-{n}")).collect();
    let in_room = |kind: &str, fields: Value| {
        crate::fixture::with(json!({ "type": kind, "roomId": room }), fields)
    };
    let of_message = |kind: &str, fields: Value| {
        crate::fixture::with(in_room(kind, json!({ "messageId": message_id })), fields)
    };
    let after = if with_replays { json!(0) } else { Value::Null };
    let rooms = vec![json!({ "roomId": room, "after": after }); 20];
    let frames = [
        in_room("SUBSCRIBE", json!({ "after": after, "presence": true })),
        json!({ "type": "SUBSCRIBE", "rooms": rooms }),
        in_room("SEND_MESSAGE", json!({ "content": "x".repeat(16_384) })),
        of_message("EDIT_MESSAGE", json!({ "content": "y".repeat(16_384) })),
        of_message("REACT", json!({ "emoji": "+1" })),
        of_message("REACT", json!({ "emoji": "+1", "remove": true })),
        of_message("DELETE_MESSAGE", json!({})),
        in_room("TYPING", json!({})),
        in_room("MARK", json!({ "read": 5, "delivered": 9 })),
        json!({ "type": "WATCH_PRESENCE", "userIds": many }),
        json!({ "type": "SET_STATUS", "status": "AWAY" }),
        json!({ "type": "PING" }),
        json!({ "type": "AUTH", "token": token }),
        json!({ "type": "UNKNOWN" }),
        in_room("UNSUBSCRIBE", json!({})),
    ];
    let mut bytes: Vec<u8> = frames
        .iter()
        .flat_map(|frame| masked(0x80 | TEXT, frame.to_string().as_bytes()))
        .collect();
    bytes.extend(masked(0x80 | PING, b"ping"));
    bytes.extend(masked(0x80 | TEXT, b"not json"));
    bytes
}

/// One of the abuser's sockets: writes as fast as it can, reads what comes, comes back when closed.
fn flood(fixture: &Fixture, frames: &[u8], stop: &AtomicBool, rounds: &AtomicU64) {
    yield_to_others();
    while !stop.load(Ordering::Relaxed) {
        let upgraded = Handshake::new(&fixture.node)
            .bearer(&fixture.token("mal"))
            .send();
        let Ok((socket, _)) = upgraded else { continue };
        let stream = socket.into_stream();
        let deadline = Some(Duration::from_millis(200));
        stream.set_read_timeout(deadline).expect("set a deadline");
        stream.set_write_timeout(deadline).expect("set a deadline");
        let mut reader = stream.try_clone().expect("clone the socket");
        std::thread::scope(|scope| {
            scope.spawn(|| write_all(&stream, frames, stop, rounds));
            let mut piece = vec![0; 256 << 10];
            while !stop.load(Ordering::Relaxed) {
                match reader.read(&mut piece) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if is_late(&error) => {}
                    Err(_) => break,
                }
            }
            let _ = stream.shutdown(std::net::Shutdown::Both);
        });
    }
}

fn is_late(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}

fn write_all(mut stream: &TcpStream, frames: &[u8], stop: &AtomicBool, rounds: &AtomicU64) {
    yield_to_others();
    let mut at = 0;
    while !stop.load(Ordering::Relaxed) {
        match stream.write(&frames[at..]) {
            Ok(count) => at += count,
            Err(error) if is_late(&error) => {}
            Err(_) => return,
        }
        if at == frames.len() {
            at = 0;
            rounds.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The abuser's calls, one after another.
fn call_everything(fixture: &Fixture, stop: &AtomicBool, calls: &AtomicU64) {
    yield_to_others();
    let members: Vec<String> = (0..199).map(|n| format!("user-{n}")).collect();
    let group = json!({ "kind": "GROUP", "name": "again", "memberIds": members });
    let room = format!("/v1/rooms/{}", fixture.room);
    let user = unique("guest");
    let wrong = json!({ "name": "somebody", "password": "wrong and long" });
    let list = [
        ("GET", format!("{room}/messages?limit=200"), Value::Null),
        (
            "GET",
            format!("{room}/messages?after=0&limit=200"),
            Value::Null,
        ),
        ("GET", "/v1/rooms?limit=200".to_owned(), Value::Null),
        ("GET", format!("{room}/members?limit=1000"), Value::Null),
        ("GET", "/v1/users?name=a".to_owned(), Value::Null),
        (
            "GET",
            "/v1/presence?userId=ann&userId=ben".to_owned(),
            Value::Null,
        ),
        ("POST", "/v1/rooms".to_owned(), group),
        ("PUT", format!("{room}/members/{user}"), json!({})),
        ("DELETE", format!("{room}/members/{user}"), Value::Null),
        ("PATCH", room.clone(), json!({ "topic": "t" })),
        ("PATCH", "/v1/me".to_owned(), json!({ "displayName": "m" })),
        (
            "POST",
            format!("{room}/messages"),
            json!({ "content": "by HTTP" }),
        ),
        ("POST", "/v1/sessions".to_owned(), wrong),
        ("DELETE", "/v1/nothing".to_owned(), Value::Null),
    ];
    let token = fixture.token("mal");
    for (method, path, body) in list.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        fixture.node.call(method, path, &token, body.clone());
        calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// The abuser has a machine of its own: what it costs to be one must not be taken from the node here.
fn yield_to_others() {
    let _ = rustix::process::nice(19);
}

/// A room of the abuser's alone, with much in it, and one of its messages.
fn large_room(node: &Node) -> (Fixture, Value) {
    let fixture = Fixture::on(node, &["mal"]);
    let content = "z".repeat(16_384);
    let message = fixture.connect("mal").say(&fixture.room, &content);
    let host = node.admin_token();
    for _ in 0..400 {
        let body = json!({ "content": content, "senderId": fixture.id("mal") });
        let path = format!("/v1/rooms/{}/messages", fixture.room);
        node.call("POST", &path, &host, body).ok(201);
    }
    (fixture, message["messageId"].clone())
}

/// The most memory that the node's process has until `stop`.
fn most_memory(node: &Node, stop: &AtomicBool) -> u64 {
    let mut most = 0;
    while !stop.load(Ordering::Relaxed) {
        most = most.max(node.resident_bytes());
        pause(Duration::from_millis(50));
    }
    most
}

#[test]
fn one_abusive_client_does_not_slow_another_one_down_or_grow_the_process() {
    let node = Node::own(&[]);
    let (bad, message_id) = large_room(&node);
    let frames = [true, false].map(|with_replays| {
        let message_id = message_id.as_str().expect("an id");
        every_frame(&bad.room, message_id, &bad.token("mal"), with_replays)
    });
    let good = Fixture::on(&node, &["ann"]);
    let mut ann = good.connect("ann");
    let alone = p99_of_sends(&good, &mut ann, Duration::from_secs(5));
    let before = node.resident_bytes();

    let stop = AtomicBool::new(false);
    let (rounds, calls) = (AtomicU64::new(0), AtomicU64::new(0));
    let (abused, most) = std::thread::scope(|scope| {
        for frames in [&frames[0], &frames[1], &frames[1]] {
            scope.spawn(|| flood(&bad, frames, &stop, &rounds));
        }
        scope.spawn(|| call_everything(&bad, &stop, &calls));
        let watch = scope.spawn(|| most_memory(&node, &stop));
        let abused = p99_of_sends(&good, &mut ann, Duration::from_secs(10));
        stop.store(true, Ordering::Relaxed);
        (abused, watch.join().expect("the watch"))
    });
    let again = p99_of_sends(&good, &mut ann, Duration::from_secs(5));

    let (rounds, calls) = (rounds.into_inner(), calls.into_inner());
    assert!(rounds > 20 && calls > 20, "{rounds} rounds, {calls} calls");
    let grown = most.saturating_sub(before);
    assert!(grown < 64 * MIB, "grown by {} MiB", grown / MIB);
    let usual = alone.max(again).max(LEAST_P99);
    assert!(
        abused < 2 * usual,
        "p99 {abused:?}, without the abuser {alone:?} before and {again:?} after"
    );
}
