//! The codec against `fastwebsockets`, which was written by others from the same RFC.

#[path = "../fuzz/invariants.rs"]
#[allow(dead_code, reason = "each test needs its part of it")]
mod invariants;
#[path = "../fuzz/streams.rs"]
#[allow(dead_code, reason = "each test needs its part of it")]
mod streams;

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use fastwebsockets::{FragmentCollector, Frame, OpCode, Role, WebSocket, WebSocketError};
use futures_util::FutureExt;
use invariants::{End, Outcome, check};
use roomcast_gateway::codec::{
    MESSAGE_BYTES_MAX, Message, ProtocolError, encode_close, encode_ping, encode_pong, encode_text,
};
use streams::{Rng, Script, SeedOnPanic, mutate};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket whose peer has sent everything already and stays open.
#[derive(Default)]
struct Tape {
    unread: Vec<u8>,
    written: Vec<u8>,
}

impl AsyncRead for Tape {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = into.remaining().min(self.unread.len());
        into.put_slice(&self.unread[..bytes]);
        self.unread.drain(..bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tape {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// `script`'s frames as `fastwebsockets` puts them on the wire for a client.
fn sent_by_peer(script: &Script, rng: &mut Rng) -> Vec<u8> {
    let mut peer = WebSocket::after_handshake(Tape::default(), Role::Client);
    for frame in &script.frames {
        let opcode = OpCode::try_from(frame.opcode).unwrap();
        let payload = frame.payload.clone().into();
        let frame = Frame::new(frame.fin, opcode, Some(rng.mask()), payload);
        let sent = peer.write_frame(frame).now_or_never();
        sent.expect("a tape never waits").unwrap();
    }
    peer.into_inner().written
}

/// What `fastwebsockets` reads from `stream` as `role`, until it fails, ends or is closed. Binary
/// messages count as text of no length: ours never gets that far.
fn read_by_peer(stream: &[u8], role: Role) -> (Vec<Message<'static>>, Option<WebSocketError>) {
    let tape = Tape {
        unread: stream.to_vec(),
        ..Tape::default()
    };
    let mut peer = WebSocket::after_handshake(tape, role);
    peer.set_auto_pong(false);
    peer.set_max_message_size(MESSAGE_BYTES_MAX + 1);
    let mut peer = FragmentCollector::new(peer);
    let mut items = Vec::new();
    loop {
        let frame = match peer
            .read_frame()
            .now_or_never()
            .expect("a tape never waits")
        {
            Ok(frame) => frame,
            Err(error) => return (items, Some(error)),
        };
        let payload = frame.payload.to_vec();
        items.push(match frame.opcode {
            OpCode::Text => Message::Text(String::from_utf8(payload).unwrap().into()),
            OpCode::Binary => Message::Text("".into()),
            OpCode::Ping => Message::Ping(Cow::Owned(payload)),
            OpCode::Pong => Message::Pong,
            OpCode::Continuation => unreachable!("fragments are collected"),
            OpCode::Close => {
                let code = payload.first_chunk().map(|&code| u16::from_be_bytes(code));
                items.push(Message::Close(code));
                return (items, None);
            }
        });
    }
}

/// What we refuse and `fastwebsockets` 0.10 does not, on purpose.
fn stricter_than_peer(violation: ProtocolError) -> bool {
    matches!(
        violation,
        ProtocolError::Unmasked
            | ProtocolError::BadLength
            | ProtocolError::Binary
            // It limits a frame but not a message, and a ping but no other control frame.
            | ProtocolError::TooLarge
            | ProtocolError::LongControl
            // It forgets an unfinished message when another begins with a fragment.
            | ProtocolError::UnfinishedMessage
            // It cuts off half a character at the end of a fragmented message.
            | ProtocolError::NotUtf8
    )
}

/// Panics if `fastwebsockets` refuses what we take, reads it as something else, or takes what we
/// refuse for another reason than the known ones.
fn compare(stream: &[u8], ours: &Outcome) {
    let (theirs, error) = read_by_peer(stream, Role::Server);
    if let End::Broken(violation) = ours.end
        && stricter_than_peer(violation)
    {
        assert!(theirs.starts_with(&ours.items), "{ours:?} {theirs:?}");
        return;
    }
    if ours.items.last() == Some(&Message::Close(Some(1014))) {
        // Registered with IANA after RFC 6455; it does not know it.
        assert!(matches!(error, Some(WebSocketError::InvalidCloseCode)));
        return;
    }
    assert_eq!(ours.items, theirs, "{ours:?} {error:?}");
    match ours.end {
        End::Closed => assert!(error.is_none(), "{error:?}"),
        End::Idle | End::Unfinished => {
            assert!(
                matches!(error, Some(WebSocketError::UnexpectedEOF)),
                "{ours:?} {error:?}"
            );
        }
        End::Broken(_) => assert!(error.is_some(), "{ours:?}"),
    }
}

#[test]
fn what_fastwebsockets_sends_is_read_as_it_was_meant() {
    for seed in 0..5_000 {
        let _seed = SeedOnPanic(seed);
        let mut rng = Rng::new(seed);
        let script = Script::valid(&mut rng);
        let stream = sent_by_peer(&script, &mut rng);
        let Outcome { items, end } = check(&stream, seed);
        assert_eq!(items, script.items);
        assert!(matches!(end, End::Idle | End::Closed));
    }
}

#[test]
fn a_valid_stream_is_read_as_fastwebsockets_reads_it() {
    for seed in 0..5_000 {
        let _seed = SeedOnPanic(seed);
        let mut rng = Rng::new(seed);
        let script = Script::valid(&mut rng);
        let (stream, _) = script.bytes(&mut rng);
        let ours = check(&stream, seed);
        assert_eq!(ours.items, script.items);
        compare(&stream, &ours);
    }
}

#[test]
fn nothing_is_taken_that_fastwebsockets_refuses() {
    for seed in 0..100_000 {
        let _seed = SeedOnPanic(seed);
        let mut rng = Rng::new(seed);
        let (mut stream, starts) = Script::valid(&mut rng).bytes(&mut rng);
        mutate(&mut stream, &starts, &mut rng);
        compare(&stream, &check(&stream, seed));
    }
}

#[test]
fn what_we_send_is_read_by_fastwebsockets_as_it_was_meant() {
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for bytes in [0, 1, 125, 126, 127, 65_535, 65_536] {
        let text = "x".repeat(bytes);
        stream.extend(encode_text(text.as_bytes()));
        expected.push(Message::Text(text.into()));
    }
    stream.extend(encode_text("größer, 😀".as_bytes()));
    expected.push(Message::Text("größer, 😀".into()));
    for payload in [vec![], vec![0xff; 125]] {
        stream.extend(encode_ping(&payload));
        stream.extend(encode_pong(&payload));
        expected.extend([Message::Ping(payload.into()), Message::Pong]);
    }
    stream.extend(encode_close(4508, "too slow"));
    expected.push(Message::Close(Some(4508)));
    let (items, error) = read_by_peer(&stream, Role::Client);
    assert_eq!(items, expected);
    assert!(error.is_none(), "{error:?}");
}
