//! The clients: many sockets, one epoll set, frames counted and thrown away.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use crate::floor::EVENT_BYTES;
use crate::product::{self, IDLE_ROOM_MEMBERS};

/// Characters of a message that make its frame about [`EVENT_BYTES`] long.
const CONTENT: &str = "............................";

struct Client {
    socket: TcpStream,
    received: Received,
}

/// Counts what comes in.
enum Received {
    /// Bare bytes: events are as long as they are.
    Bytes(usize),
    /// Frames: events are counted, and acknowledgements.
    Frames {
        skip: usize,
        head: Vec<u8>,
        events: usize,
        acks: usize,
    },
}

struct Reader {
    address: String,
    kind: String,
    clients: Vec<Client>,
    poll: OwnedFd,
    buffer: Vec<u8>,
    wanted: usize,
}

/// Runs the commands on standard input.
pub(crate) fn run(kind: &str, address: &str) {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    let (address, kind) = (address.to_owned(), kind.to_owned());
    let mut reader = Reader {
        address,
        kind,
        clients: Vec::new(),
        poll,
        buffer: vec![0; 1 << 18],
        wanted: 0,
    };
    say("ready");
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let words: Vec<&str> = line.split(' ').collect();
        let number = |place: usize| words[place].parse::<usize>().expect("a number");
        match words[0] {
            "connect" => reader.connect(number(1), number(2)),
            "send" => reader.send(number(1)),
            "expect" => reader.expect(number(1)),
            "ping" => reader.ping(),
            "burst" => reader.burst(),
            "pump" => reader.pump(number(1), number(2)),
            "drain" => reader.drain(Duration::from_millis(number(1) as u64)),
            other => panic!("no such command: {other}"),
        }
        say("done");
    }
}

fn say(word: &str) {
    println!("{word}");
    std::io::stdout().flush().expect("somebody listens");
}

impl Reader {
    fn connect(&mut self, from: usize, to: usize) {
        for user in from..to {
            let socket = TcpStream::connect(&self.address).expect("connect");
            socket.set_nodelay(true).expect("set no-delay");
            let received = if self.kind == "floor" {
                Received::Bytes(0)
            } else {
                self.enter(&socket, user);
                Received::Frames {
                    skip: 0,
                    head: Vec::new(),
                    events: 0,
                    acks: 0,
                }
            };
            socket.set_nonblocking(true).expect("set non-blocking");
            let place = epoll::EventData::new_u64(self.clients.len() as u64);
            epoll::add(&self.poll, &socket, place, epoll::EventFlags::IN).expect("watch a socket");
            self.clients.push(Client { socket, received });
        }
        if self.kind == "floor" {
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Shakes hands and subscribes.
    fn enter(&self, mut socket: &TcpStream, user: usize) {
        let token = product::token(&format!("u{user}"), None);
        write!(
            socket,
            "GET /v1/ws HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        )
        .expect("shake hands");
        let mut seen = Vec::new();
        await_text(socket, &mut seen, "WELCOME");
        let rooms = if self.kind == "idle" {
            (0..3)
                .map(|copy| format!("idle-{}-{copy}", user / IDLE_ROOM_MEMBERS))
                .collect()
        } else if self.kind == "sends" {
            vec![format!("sends-{user}")]
        } else {
            vec![self.kind.clone()]
        };
        for room_id in rooms {
            let frame = format!(r#"{{"type":"SUBSCRIBE","roomId":"{room_id}"}}"#);
            socket.write_all(&masked(&frame)).expect("subscribe");
            seen.clear();
            await_text(socket, &mut seen, "SUBSCRIBED");
        }
    }

    fn send(&mut self, events: usize) {
        let mut socket = &self.clients[0].socket;
        if self.kind == "floor" {
            socket
                .write_all(&[u8::try_from(events).expect("few events")])
                .expect("ask");
            return;
        }
        let frame = format!(
            r#"{{"type":"SEND_MESSAGE","roomId":"{}","content":"{CONTENT}"}}"#,
            self.kind
        );
        socket
            .write_all(&masked(&frame).repeat(events))
            .expect("send");
    }

    /// Sends a ping on every connection: a silent one is closed after 45 s.
    fn ping(&mut self) {
        if self.kind != "floor" {
            let frame = masked(r#"{"type":"PING"}"#);
            for client in &self.clients {
                (&client.socket).write_all(&frame).expect("send");
            }
        }
        self.drain(Duration::from_millis(300));
    }

    /// Eight messages in every idle room.
    fn burst(&mut self) {
        for first in (0..self.clients.len()).step_by(IDLE_ROOM_MEMBERS) {
            for copy in 0..3 {
                let room_id = format!("idle-{}-{copy}", first / IDLE_ROOM_MEMBERS);
                let frame = format!(
                    r#"{{"type":"SEND_MESSAGE","roomId":"{room_id}","content":"{CONTENT}"}}"#
                );
                let mut socket = &self.clients[first].socket;
                socket.write_all(&masked(&frame).repeat(8)).expect("send");
            }
            self.drain(Duration::ZERO);
        }
    }

    /// Every client sends `count` messages to its own room, `window` of them unacknowledged at most.
    fn pump(&mut self, count: usize, window: usize) {
        let frames: Vec<Vec<u8>> = (0..self.clients.len())
            .map(|user| {
                masked(&format!(
                    r#"{{"type":"SEND_MESSAGE","roomId":"sends-{user}","content":"{CONTENT}"}}"#
                ))
            })
            .collect();
        let begun: Vec<usize> = self.clients.iter().map(Client::acks).collect();
        let mut sent = vec![0; self.clients.len()];
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let mut open = 0;
            for (place, client) in self.clients.iter().enumerate() {
                let acked = client.acks() - begun[place];
                let may = count.min(acked + window) - sent[place];
                (&client.socket)
                    .write_all(&frames[place].repeat(may))
                    .expect("send");
                sent[place] += may;
                open += usize::from(acked < count);
            }
            if open == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{open} clients wait");
            self.turn(Duration::from_millis(100));
        }
    }

    /// Waits until every client has had so many events more.
    fn expect(&mut self, events: usize) {
        self.wanted += events;
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut behind = self
            .clients
            .iter()
            .filter(|client| client.events() < self.wanted)
            .count();
        while behind > 0 {
            assert!(
                Instant::now() < deadline,
                "{behind} clients wait for their events"
            );
            behind -= self.turn(Duration::from_millis(100));
        }
    }

    fn drain(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            self.turn(Duration::from_millis(10));
            if Instant::now() >= until {
                return;
            }
        }
    }

    /// Reads what has come; how many clients have all they wait for by that.
    fn turn(&mut self, timeout: Duration) -> usize {
        let mut ready = Vec::with_capacity(1_024);
        let timeout = Timespec::try_from(timeout).expect("a short time");
        epoll::wait(&self.poll, spare_capacity(&mut ready), Some(&timeout)).expect("wait");
        let mut complete = 0;
        for event in ready {
            let place = usize::try_from(event.data.u64()).expect("a place");
            let client = &mut self.clients[place];
            let before = client.events() >= self.wanted;
            let count = client
                .socket
                .read(&mut self.buffer)
                .expect("the server stays");
            assert_ne!(count, 0, "the server stays");
            client.received.take(&self.buffer[..count]);
            complete += usize::from(!before && client.events() >= self.wanted);
        }
        complete
    }
}

impl Client {
    fn events(&self) -> usize {
        match &self.received {
            Received::Bytes(bytes) => bytes / EVENT_BYTES,
            Received::Frames { events, .. } => *events,
        }
    }

    fn acks(&self) -> usize {
        match &self.received {
            Received::Bytes(_) => 0,
            Received::Frames { acks, .. } => *acks,
        }
    }
}

impl Received {
    fn take(&mut self, mut bytes: &[u8]) {
        let (skip, head, events, acks) = match self {
            Self::Bytes(count) => {
                *count += bytes.len();
                return;
            }
            Self::Frames {
                skip,
                head,
                events,
                acks,
            } => (skip, head, events, acks),
        };
        while !bytes.is_empty() {
            if *skip > 0 {
                let step = (*skip).min(bytes.len());
                *skip -= step;
                bytes = &bytes[step..];
                continue;
            }
            // The head and the first bytes of the payload, which distinguish an event from the rest.
            head.push(bytes[0]);
            bytes = &bytes[1..];
            let head_bytes = if head.len() > 1 && head[1] == 126 {
                4
            } else {
                2
            };
            if head.len() < head_bytes + 11 {
                continue;
            }
            let length = if head_bytes == 4 {
                usize::from(u16::from_be_bytes([head[2], head[3]]))
            } else {
                usize::from(head[1])
            };
            *events += usize::from(head[head_bytes..].starts_with(b"{\"type\":\"ME"));
            *acks += usize::from(head[head_bytes..].starts_with(b"{\"type\":\"AC"));
            *skip = length - 11;
            head.clear();
        }
    }
}

fn await_text(mut socket: &TcpStream, seen: &mut Vec<u8>, word: &str) {
    let mut buffer = [0; 4_096];
    while !String::from_utf8_lossy(seen).contains(word) {
        let count = socket.read(&mut buffer).expect("an answer");
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(seen));
        seen.extend_from_slice(&buffer[..count]);
    }
}

/// A client's text frame, masked with zeros.
fn masked(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126);
    let mut frame = vec![0x81, 0x80 | length.expect("a short frame"), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}
