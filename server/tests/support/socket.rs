//! A WebSocket client that can also misbehave.
//!
//! It frames by itself, over a blocking socket, so that a test can send what no library would: bytes
//! without a mask, half a frame, a reserved bit. Everything it waits for has a deadline, and a failure
//! shows all that came.

pub(crate) mod handshake;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::node::Node;
use super::schema;
use handshake::{Bring, Handshake};

/// How long anything that must come may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// What came over the socket.
enum Received {
    Frame(Value),
    Closed(u16, String),
    /// Nothing within the deadline.
    Nothing,
    /// The connection ended without a close frame.
    Cut,
}

/// One client's socket.
pub(crate) struct Socket {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Received already, not asked for yet.
    inbox: VecDeque<Value>,
    closed: Option<(u16, String)>,
    /// Everything that ever came, for failures.
    log: Vec<String>,
    pongs: VecDeque<Vec<u8>>,
    /// When the fleet's own pings came.
    pings: Vec<Instant>,
    /// Pings are not answered.
    is_mute: bool,
    heartbeats: bool,
    /// The stream has ended, or was reset.
    ended: bool,
    refs: u32,
}

impl Socket {
    /// A bare connection to `host:port`, nothing sent yet.
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        let deadline = Some(Duration::from_secs(30));
        stream.set_write_timeout(deadline).expect("set a deadline");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        Self {
            stream,
            unread: Vec::new(),
            inbox: VecDeque::new(),
            closed: None,
            log: Vec::new(),
            pongs: VecDeque::new(),
            pings: Vec::new(),
            is_mute: false,
            heartbeats: false,
            ended: false,
            refs: 0,
        }
    }

    /// The bare connection, for a test that frames by itself from now on.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// A greeted connection.
    pub(crate) fn connect(node: &Node, token: &str) -> Self {
        Self::connect_by(Bring::Header, node, token)
    }

    /// A greeted connection whose token came this way.
    pub(crate) fn connect_by(way: Bring, node: &Node, token: &str) -> Self {
        let mut socket = Self::ungreeted(way, node, token);
        socket.expect("WELCOME");
        socket
    }

    /// A connection whose `WELCOME` is still to come.
    pub(crate) fn ungreeted(way: Bring, node: &Node, token: &str) -> Self {
        let handshake = Handshake::new(node);
        match way {
            Bring::Header => handshake.bearer(token).socket(),
            Bring::Subprotocol => handshake
                .protocols(&format!("roomcast.v1, bearer.{token}"))
                .socket(),
            Bring::FirstFrame => {
                let mut socket = handshake.socket();
                socket.send(json!({ "type": "AUTH", "token": token }));
                socket
            }
        }
    }

    /// A greeted connection of `user`, subscribed to `room` from now on.
    pub(crate) fn subscribed(node: &Node, user: &str, room: &str) -> Self {
        let mut socket = Self::connect(node, &node.token(user));
        socket.subscribe(room);
        socket
    }

    pub(crate) fn subscribe(&mut self, room: &str) -> Value {
        self.ask(json!({ "type": "SUBSCRIBE", "roomId": room }))
    }

    /// Sends a message and gives its `ACK`.
    pub(crate) fn say(&mut self, room: &str, content: &str) -> Value {
        let ack = self.ask(json!({ "type": "SEND_MESSAGE", "roomId": room, "content": content }));
        assert_eq!(ack["type"], "ACK", "{ack}");
        ack
    }

    /// Sends a frame with a `ref` of its own and gives the answer that carries it.
    pub(crate) fn ask(&mut self, mut frame: Value) -> Value {
        self.refs += 1;
        let reference = format!("ref-{}", self.refs);
        frame["ref"] = json!(reference);
        self.send(frame);
        self.find(&reference, |came| came["ref"] == reference.as_str())
    }

    pub(crate) fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string());
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.send_frame(TEXT, text.as_bytes());
    }

    /// A masked frame of this kind, all in one.
    pub(crate) fn send_frame(&mut self, opcode: u8, payload: &[u8]) {
        self.send_raw(&masked(0x80 | opcode, payload));
    }

    /// Starts the client's own close.
    pub(crate) fn send_close(&mut self, code: u16, reason: &str) {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        self.send_frame(CLOSE, &payload);
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        if let Err(error) = self.try_send_raw(bytes) {
            panic!("send: {error}; {}", self.so_far());
        }
    }

    /// As [`Self::send_raw`], where the other side may have closed already.
    pub(crate) fn try_send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame; a `HEARTBEAT_INTERVAL` only if asked for with [`Self::with_heartbeats`].
    pub(crate) fn next(&mut self) -> Value {
        match self.next_within(TIMEOUT) {
            Some(frame) => frame,
            None => panic!("nothing came within {TIMEOUT:?}; {}", self.so_far()),
        }
    }

    /// The next frame, if one comes in time.
    pub(crate) fn next_within(&mut self, time: Duration) -> Option<Value> {
        if let Some(frame) = self.inbox.pop_front() {
            return Some(frame);
        }
        match self.come(Instant::now() + time) {
            Received::Frame(frame) => Some(frame),
            Received::Nothing => None,
            Received::Closed(..) | Received::Cut => {
                panic!("the connection closed; {}", self.so_far())
            }
        }
    }

    /// From now on `HEARTBEAT_INTERVAL`s are frames like others.
    pub(crate) fn with_heartbeats(&mut self) {
        self.heartbeats = true;
    }

    /// From now on pings are not answered, as no browser would do.
    pub(crate) fn mute(&mut self) {
        self.is_mute = true;
    }

    /// When the fleet's own pings came.
    pub(crate) fn pings(&self) -> &[Instant] {
        &self.pings
    }

    /// The next frame of this type; others before it are kept for later calls.
    pub(crate) fn expect(&mut self, kind: &str) -> Value {
        self.find(kind, |frame| frame["type"] == kind)
    }

    /// The next frame that is `wanted`; others before it are kept for later calls.
    pub(crate) fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.find_within(TIMEOUT, what, wanted)
    }

    pub(crate) fn find_within(
        &mut self,
        time: Duration,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        if let Some(place) = self.inbox.iter().position(&wanted) {
            return self.inbox.remove(place).expect("it is there");
        }
        let deadline = Instant::now() + time;
        loop {
            match self.come(deadline) {
                Received::Frame(frame) if wanted(&frame) => return frame,
                Received::Frame(frame) => self.inbox.push_back(frame),
                Received::Nothing => panic!("no {what} within {time:?}; {}", self.so_far()),
                Received::Closed(..) | Received::Cut => {
                    panic!("closed before {what}; {}", self.so_far())
                }
            }
        }
    }

    /// All that came before now, in order: a `PING` goes out and its `PONG` ends the list.
    pub(crate) fn drain(&mut self) -> Vec<Value> {
        let pong = self.ask(json!({ "type": "PING" }));
        assert_eq!(pong["type"], "PONG", "{pong}");
        self.inbox.drain(..).collect()
    }

    /// Asserts that no unexpected frame arrived until now.
    pub(crate) fn nothing_yet(&mut self) {
        let came = self.drain();
        assert!(came.is_empty(), "{came:?} came unasked; {}", self.so_far());
    }

    /// Nothing comes for this long (but `HEARTBEAT_INTERVAL`).
    pub(crate) fn nothing_for(&mut self, time: Duration) {
        if let Some(frame) = self.next_within(time) {
            panic!("{frame} came unasked; {}", self.so_far());
        }
    }

    /// The fleet closes; what comes before stays to be asked for.
    pub(crate) fn closed(&mut self) -> (u16, String) {
        self.closed_within(TIMEOUT)
    }

    pub(crate) fn closed_within(&mut self, time: Duration) -> (u16, String) {
        let deadline = Instant::now() + time;
        loop {
            match self.come(deadline) {
                Received::Frame(frame) => self.inbox.push_back(frame),
                Received::Closed(code, reason) => return (code, reason),
                Received::Nothing => panic!("no close within {time:?}; {}", self.so_far()),
                Received::Cut => panic!("cut without a close; {}", self.so_far()),
            }
        }
    }

    /// The `WELCOME`, or the code of the close that came instead.
    pub(crate) fn greeted_or_closed(&mut self) -> Result<Value, u16> {
        match self.come(Instant::now() + TIMEOUT) {
            Received::Frame(frame) if frame["type"] == "WELCOME" => Ok(frame),
            Received::Closed(code, _) => Err(code),
            _ => panic!("neither greeted nor closed; {}", self.so_far()),
        }
    }

    /// Lets the kernel keep little for us, so that not reading is soon felt on the other side.
    pub(crate) fn keep_little(&mut self) {
        let stream = socket2::SockRef::from(&self.stream);
        stream.set_recv_buffer_size(4_096).expect("set SO_RCVBUF");
    }

    /// Lets the kernel keep as much as it likes again.
    pub(crate) fn keep_much(&mut self) {
        let stream = socket2::SockRef::from(&self.stream);
        stream.set_recv_buffer_size(1 << 20).expect("set SO_RCVBUF");
    }

    /// The connection ends without a word, or is reset.
    pub(crate) fn cut_within(&mut self, time: Duration) {
        match self.come(Instant::now() + time) {
            Received::Cut => {}
            Received::Nothing => panic!("not cut within {time:?}; {}", self.so_far()),
            Received::Frame(_) | Received::Closed(..) => {
                panic!("something came; {}", self.so_far())
            }
        }
    }

    /// What came and was not asked for yet.
    pub(crate) fn waiting(&mut self) -> Vec<Value> {
        self.inbox.drain(..).collect()
    }

    /// The payload of the next WebSocket pong.
    pub(crate) fn pong(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + TIMEOUT;
        while self.pongs.is_empty() {
            match self.come(deadline) {
                Received::Frame(frame) => self.inbox.push_back(frame),
                Received::Nothing if !self.pongs.is_empty() => {}
                _ => panic!("no pong; {}", self.so_far()),
            }
        }
        self.pongs.pop_front().expect("one has come")
    }

    fn come(&mut self, deadline: Instant) -> Received {
        if let Some((code, reason)) = &self.closed {
            return Received::Closed(*code, reason.clone());
        }
        loop {
            while let Some((opcode, payload)) = self.take_frame() {
                match opcode {
                    TEXT => {
                        let text = String::from_utf8(payload).expect("the fleet speaks UTF-8");
                        let frame: Value = serde_json::from_str(&text).expect("and JSON");
                        schema::check(&frame);
                        self.log.push(text);
                        if self.heartbeats || frame["type"] != "HEARTBEAT" {
                            return Received::Frame(frame);
                        }
                    }
                    PING => {
                        self.pings.push(Instant::now());
                        if !self.is_mute {
                            self.send_frame(PONG, &payload);
                        }
                    }
                    PONG => {
                        self.pongs.push_back(payload);
                        return Received::Nothing;
                    }
                    CLOSE => return self.take_close(&payload),
                    other => panic!("opcode {other} came; {}", self.so_far()),
                }
            }
            if self.ended {
                return Received::Cut;
            }
            if !self.read_more(deadline) {
                return Received::Nothing;
            }
        }
    }

    fn take_close(&mut self, payload: &[u8]) -> Received {
        let (code, reason) = match payload.split_first_chunk() {
            Some((code, reason)) => (u16::from_be_bytes(*code), reason),
            None => (1005, payload),
        };
        let reason = String::from_utf8(reason.to_vec()).expect("a reason is UTF-8");
        self.log.push(format!("close {code} {reason}"));
        self.closed = Some((code, reason.clone()));
        // The answer that the protocol asks for; the other side may be gone already.
        let _ = self.try_send_raw(&masked(0x80 | CLOSE, payload));
        Received::Closed(code, reason)
    }

    /// One whole frame out of the bytes read so far.
    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (&first, &second) = (self.unread.first()?, self.unread.get(1)?);
        assert_eq!(
            first & 0xf0,
            0x80,
            "the fleet neither fragments nor extends"
        );
        let (length, start) = match second {
            126 => {
                let bytes = self.unread.get(2..4)?.try_into().expect("two bytes");
                (usize::from(u16::from_be_bytes(bytes)), 4)
            }
            127 => {
                let bytes = self.unread.get(2..10)?.try_into().expect("eight bytes");
                (
                    usize::try_from(u64::from_be_bytes(bytes)).expect("a length"),
                    10,
                )
            }
            short => (usize::from(short), 2),
        };
        assert!(second & 0x80 == 0, "the fleet does not mask");
        assert!(length <= 65_536, "a frame of {length} bytes");
        let payload = self.unread.get(start..start + length)?.to_vec();
        self.unread.drain(..start + length);
        Some((first & 0x0f, payload))
    }

    /// Reads once; `false` past the deadline.
    fn read_more(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        self.stream
            .set_read_timeout(Some(left))
            .expect("set a deadline");
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => self.ended = true,
            Ok(count) => self.unread.extend_from_slice(&piece[..count]),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return false,
                ErrorKind::Interrupted => {}
                _ => self.ended = true,
            },
        }
        true
    }

    fn so_far(&self) -> String {
        let shown = self.log.len().min(40);
        let last = &self.log[self.log.len() - shown..];
        format!("the last {shown} of {}: {last:#?}", self.log.len())
    }
}

/// A client's frame: `first` is its first byte, with the final bit and the opcode.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | u8::try_from(length).expect("short")),
        length @ 126..=65_535 => {
            bytes.push(0x80 | 0x7e);
            bytes.extend(u16::try_from(length).expect("short").to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 0x7f);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}
