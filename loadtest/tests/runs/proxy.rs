//! A proxy that damages every n-th `MESSAGE` frame in one way.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The interval of damaged frames. A run of this size has some 1,800.
const ONE_IN: u64 = 500;

/// The fault of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    None,
    /// Dropped.
    Drop,
    /// Duplicated.
    Double,
    /// Swapped with the next frame of its connection.
    Reorder,
    /// Followed by a message that no client sent.
    Invent,
}

/// The proxy; stops accepting connections on drop.
pub(crate) struct Proxy {
    address: String,
    over: Arc<AtomicBool>,
}

struct Way {
    damage: Damage,
    messages: AtomicU64,
}

impl Proxy {
    pub(crate) fn start(upstream: &str, damage: Damage) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("take a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let over = Arc::new(AtomicBool::new(false));
        let way = Arc::new(Way {
            damage,
            messages: AtomicU64::new(0),
        });
        let (upstream, ended) = (upstream.to_owned(), Arc::clone(&over));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                let Ok(server) = TcpStream::connect(&upstream) else {
                    continue;
                };
                way.carry(client, server);
            }
        });
        Self { address, over }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // Wakes the listener, so that its thread sees the end.
        if let Ok(address) = self.address.parse() {
            let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        }
    }
}

impl Way {
    fn carry(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let twice = |stream: &TcpStream| stream.try_clone().expect("share a socket");
        let (mut up_from, mut up_to) = (twice(&client), twice(&server));
        let (way, mut down_from, mut down_to) = (Arc::clone(self), server, client);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut up_from, &mut up_to);
            let _ = up_to.shutdown(Shutdown::Both);
        });
        std::thread::spawn(move || {
            let _ = way.down(&mut down_from, &mut down_to);
            let _ = down_to.shutdown(Shutdown::Both);
            let _ = down_from.shutdown(Shutdown::Both);
        });
    }

    /// Forwards replies unchanged, and frames after an upgrade one by one.
    fn down(&self, from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
        let mut start = [0; 12];
        from.read_exact(&mut start)?;
        to.write_all(&start)?;
        if &start != b"HTTP/1.1 101" {
            return std::io::copy(from, to).map(drop);
        }
        let mut end = [0; 4];
        while &end != b"\r\n\r\n" {
            end.rotate_left(1);
            from.read_exact(&mut end[3..])?;
            to.write_all(&end[3..])?;
        }
        let mut held: Option<Vec<u8>> = None;
        loop {
            let frame = frame(from)?;
            let is_message = find(&frame, b"\"type\":\"MESSAGE\"").is_some();
            if is_message && let Some(held) = held.take() {
                to.write_all(&frame)?;
                to.write_all(&held)?;
                continue;
            }
            let place = if is_message {
                self.messages.fetch_add(1, Ordering::Relaxed) + 1
            } else {
                1
            };
            match self.damage {
                Damage::Drop if place % ONE_IN == 0 => {}
                Damage::Double if place % ONE_IN == 0 => {
                    to.write_all(&frame)?;
                    to.write_all(&frame)?;
                }
                Damage::Reorder if place % ONE_IN == 0 => held = Some(frame),
                Damage::Invent if place % ONE_IN == 0 => {
                    to.write_all(&frame)?;
                    to.write_all(&invented(frame))?;
                }
                _ => to.write_all(&frame)?,
            }
        }
    }
}

/// A complete server frame, with its header.
fn frame(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 2];
    from.read_exact(&mut frame)?;
    let more = match frame[1] & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    frame.resize(2 + more, 0);
    from.read_exact(&mut frame[2..])?;
    let length = match more {
        0 => usize::from(frame[1]),
        _ => frame[2..]
            .iter()
            .fold(0, |length, &byte| (length << 8) | usize::from(byte)),
    };
    let head = frame.len();
    frame.resize(head + length, 0);
    from.read_exact(&mut frame[head..])?;
    Ok(frame)
}

/// The same message under another id and at the next seq, as if a client had sent it.
fn invented(mut frame: Vec<u8>) -> Vec<u8> {
    for name in [&b"\"messageId\":\""[..], b"\"clientMsgId\":\""] {
        let at = find(&frame, name).expect("every message has one") + name.len();
        // Any other character of the same kind.
        for byte in &mut frame[at..at + 2] {
            *byte = if *byte == b'7' { b'8' } else { b'7' };
        }
    }
    let seq = find(&frame, b"\"seq\":").expect("every event has one") + 6;
    let digits = frame[seq..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    // The last digit that can grow makes a place that no other event is likely to have.
    if let Some(at) = (seq..seq + digits).rev().find(|&at| frame[at] != b'9') {
        frame[at] += 1;
    }
    frame
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
