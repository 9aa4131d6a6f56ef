//! A client's socket whose end is nothing unusual: the servers of these tests are killed under it.
//!
//! It pipelines, which is what makes it differ from `support::socket`, and it judges nothing.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything that must come may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// What came.
#[derive(Debug)]
pub(crate) enum Received {
    Frame(Value),
    Closed(u16),
    /// The server has gone without a word.
    Cut,
    /// Nothing within the time given.
    Nothing,
}

/// A greeted connection.
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    /// How much of `unread` has been taken.
    taken: usize,
    inbox: VecDeque<Value>,
    asked: u32,
}

impl Client {
    /// A greeted connection to `host:port`; what was answered instead, or nothing when it was cut.
    pub(crate) fn open(address: &str, token: &str) -> Result<Self, Option<u16>> {
        let mut line = Self::upgraded(address, Some(token))?;
        match line.next(TIMEOUT) {
            Received::Frame(frame) if frame["type"] == "WELCOME" => Ok(line),
            Received::Closed(code) => Err(Some(code)),
            Received::Cut => Err(None),
            other => panic!("no greeting but {other:?}"),
        }
    }

    /// A connection that has brought no token yet, or the status of its refusal.
    pub(crate) fn upgraded(address: &str, token: Option<&str>) -> Result<Self, Option<u16>> {
        let (line, status) = Self::upgrade(address, token).ok_or(None)?;
        if status == 101 {
            Ok(line)
        } else {
            Err(Some(status))
        }
    }

    /// A connection to a server that is up, or will be soon; an edge answers 503 until then.
    pub(crate) fn connect(address: &str, token: &str) -> Self {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match Self::open(address, token) {
                Ok(line) => return line,
                Err(refused) => assert!(
                    matches!(refused, None | Some(502..=504)) && Instant::now() < deadline,
                    "no connection: {refused:?}"
                ),
            }
            pause(Duration::from_millis(5));
        }
    }

    fn upgrade(address: &str, token: Option<&str>) -> Option<(Self, u16)> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).ok()?;
        let mut line = Self {
            stream,
            unread: Vec::new(),
            taken: 0,
            inbox: VecDeque::new(),
            asked: 0,
        };
        let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let bearer = bearer.unwrap_or_default();
        let request = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {bearer}\r\n"
        );
        line.stream.write_all(request.as_bytes()).ok()?;
        let deadline = Instant::now() + TIMEOUT;
        let end = loop {
            let end = line.unread.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end;
            }
            match line.read(deadline) {
                Received::Frame(_) => {}
                Received::Nothing => panic!("no answer to the handshake"),
                _ => return None,
            }
        };
        let head = String::from_utf8_lossy(&line.unread[..end]).into_owned();
        line.taken = end + 4;
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        Some((line, status.expect("a status")))
    }

    /// Sends frames in one piece; `false` when the server has gone.
    pub(crate) fn send(&mut self, frames: &[Value]) -> bool {
        let mut bytes = Vec::new();
        for frame in frames {
            masked(TEXT, frame.to_string().as_bytes(), &mut bytes);
        }
        self.stream.write_all(&bytes).is_ok()
    }

    /// What comes next, but for `HEARTBEAT_INTERVAL`s.
    pub(crate) fn next(&mut self, within: Duration) -> Received {
        if let Some(frame) = self.inbox.pop_front() {
            return Received::Frame(frame);
        }
        self.come(within)
    }

    /// The next frame; `None` when the connection has ended.
    pub(crate) fn frame(&mut self) -> Option<Value> {
        match self.next(TIMEOUT) {
            Received::Frame(frame) => Some(frame),
            Received::Closed(_) | Received::Cut => None,
            Received::Nothing => panic!("nothing came within {TIMEOUT:?}"),
        }
    }

    /// Asks, and gives the answer that carries the question's `ref`; what comes before it waits.
    pub(crate) fn ask(&mut self, mut frame: Value) -> Value {
        self.asked += 1;
        let reference = format!("ask-{}", self.asked);
        frame["ref"] = json!(reference);
        assert!(self.send(&[frame]), "the server has gone");
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match self.come(deadline.saturating_duration_since(Instant::now())) {
                Received::Frame(frame) if frame["ref"] == reference => return frame,
                Received::Frame(frame) => self.inbox.push_back(frame),
                other => panic!("no answer to {reference} but {other:?}"),
            }
        }
    }

    /// Asks for what must be acknowledged.
    pub(crate) fn acknowledged(&mut self, frame: Value) -> Value {
        let asked = frame.to_string();
        let answer = self.ask(frame);
        assert_eq!(answer["type"], "ACK", "{answer} to {asked}");
        answer
    }

    /// All that came before now, in order.
    pub(crate) fn drain(&mut self) -> Vec<Value> {
        let pong = self.ask(json!({ "type": "PING" }));
        assert_eq!(pong["type"], "PONG");
        self.inbox.drain(..).collect()
    }

    fn come(&mut self, within: Duration) -> Received {
        let deadline = Instant::now() + within;
        loop {
            while let Some((kind, payload)) = self.take_frame() {
                match kind {
                    TEXT => {
                        let frame: Value = serde_json::from_slice(&payload).expect("JSON");
                        if frame["type"] != "HEARTBEAT" {
                            return Received::Frame(frame);
                        }
                    }
                    PING => {
                        let mut pong = Vec::new();
                        masked(PONG, &payload, &mut pong);
                        // A client that has gone needs none.
                        let _ = self.stream.write_all(&pong);
                    }
                    CLOSE => {
                        let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                        return Received::Closed(code.unwrap_or(1005));
                    }
                    other => panic!("a frame of kind {other:#x}"),
                }
            }
            match self.read(deadline) {
                Received::Frame(_) => {}
                ended => return ended,
            }
        }
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let unread = &self.unread[self.taken..];
        let (&kind, &second) = (unread.first()?, unread.get(1)?);
        let (length, start) = match second {
            126 => {
                let bytes = unread.get(2..4)?.try_into().expect("two bytes");
                (usize::from(u16::from_be_bytes(bytes)), 4)
            }
            127 => panic!("a frame of 64 KiB or more"),
            short => (usize::from(short), 2),
        };
        let payload = unread.get(start..start + length)?.to_vec();
        self.taken += start + length;
        if self.taken == self.unread.len() {
            self.unread.clear();
            self.taken = 0;
        }
        Some((kind, payload))
    }

    /// Reads once; a frame stands for anything having come.
    fn read(&mut self, deadline: Instant) -> Received {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Received::Nothing;
        }
        let set = self.stream.set_read_timeout(Some(left));
        set.expect("set a deadline");
        self.unread.drain(..self.taken);
        self.taken = 0;
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => Received::Cut,
            Ok(count) => {
                self.unread.extend_from_slice(&piece[..count]);
                Received::Frame(Value::Null)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Received::Nothing,
                ErrorKind::Interrupted => Received::Frame(Value::Null),
                _ => Received::Cut,
            },
        }
    }
}

/// A client's frame; its mask is zero, which masks as well as any.
fn masked(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    match u8::try_from(payload.len()) {
        Ok(short @ 0..=125) => out.push(0x80 | short),
        _ => {
            // With the mask bit: the length is in the next two bytes.
            out.push(0xfe);
            let length = u16::try_from(payload.len()).expect("a frame of less than 64 KiB");
            out.extend(length.to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
}

/// Whether the frame is an event of a room's log.
pub(crate) fn is_event(frame: &Value) -> bool {
    frame["prev"].is_u64()
}

/// The number in this field.
pub(crate) fn number(frame: &Value, field: &str) -> u64 {
    let number = frame[field].as_u64();
    number.unwrap_or_else(|| panic!("no {field} in {frame}"))
}

/// Lets time pass, where time is what the test is about, or before asking again.
#[expect(
    clippy::disallowed_methods,
    reason = "these tests are clients in threads of their own"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
