//! The upgrade from HTTP, good or as broken as a test wants it.

use std::time::Instant;

use super::{Socket, TIMEOUT};
use crate::support::http::Reply;
use crate::support::node::Node;

/// The handshake's key and its answer, from RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A way of bringing the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bring {
    Header,
    Subprotocol,
    FirstFrame,
}

/// An upgrade request in the making.
pub(crate) struct Handshake {
    address: String,
    target: String,
    headers: Vec<(String, String)>,
    early: Vec<u8>,
}

impl Handshake {
    /// The plainest good one: no token, no subprotocol.
    pub(crate) fn new(node: &Node) -> Self {
        let address = node.http().to_owned();
        let headers = [
            ("Host", address.as_str()),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            headers: headers.map(owned).to_vec(),
            address,
            target: "/v1/ws".to_owned(),
            early: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn protocols(self, list: &str) -> Self {
        self.header("Sec-WebSocket-Protocol", list)
    }

    pub(crate) fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// Bytes that go out together with the request.
    pub(crate) fn early(mut self, bytes: &[u8]) -> Self {
        self.early.extend_from_slice(bytes);
        self
    }

    /// The socket, or the refusal as HTTP. Also gives the reply to the upgrade.
    pub(crate) fn send(self) -> Result<(Socket, Reply), Reply> {
        let mut request = format!("GET {} HTTP/1.1\r\n", self.target);
        for (name, value) in &self.headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(&self.early);
        let mut socket = Socket::open(&self.address);
        socket.send_raw(&bytes);
        let reply = socket.read_reply();
        if reply.status != 101 {
            return Err(reply);
        }
        assert_eq!(reply.header("sec-websocket-accept"), Some(ACCEPT));
        Ok((socket, reply))
    }

    /// The socket of a handshake that must succeed.
    pub(crate) fn socket(self) -> Socket {
        match self.send() {
            Ok((socket, _)) => socket,
            Err(reply) => panic!("no upgrade: {} {}", reply.status, reply.text()),
        }
    }

    /// The refusal of a handshake that must fail.
    pub(crate) fn refusal(self) -> Reply {
        match self.send() {
            Ok(_) => panic!("the upgrade was made"),
            Err(reply) => reply,
        }
    }
}

impl Socket {
    /// An HTTP reply; what follows it stays unread.
    pub(crate) fn read_reply(&mut self) -> Reply {
        let reply = self.try_read_reply();
        reply.unwrap_or_else(|| panic!("cut before a reply"))
    }

    /// An HTTP reply, or `None` when the connection is cut instead.
    pub(crate) fn try_read_reply(&mut self) -> Option<Reply> {
        let deadline = Instant::now() + 2 * TIMEOUT;
        let end = loop {
            let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end;
            }
            if self.ended {
                return None;
            }
            assert!(self.read_more(deadline), "no reply in time");
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("a reply's head is text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let mut reply = Reply {
            status: status.and_then(|text| text.parse().ok()).expect("a status"),
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: Vec::new(),
        };
        let length = reply.header("content-length").map_or(0, |length| {
            length.parse::<usize>().expect("a length is a number")
        });
        while self.unread.len() < length && reply.status != 101 {
            assert!(self.read_more(deadline), "no body within {TIMEOUT:?}");
            assert!(!self.ended, "cut within the reply");
        }
        if reply.status != 101 {
            reply.body = self.unread.drain(..length).collect();
        }
        Some(reply)
    }
}
