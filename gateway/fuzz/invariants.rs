//! What holds for every byte stream a client could send. The fuzzer runs it on what it makes up, the
//! tests on what they do.

use std::borrow::Cow;

use roomcast_gateway::codec::{Decoder, MESSAGE_BYTES_MAX, Message, ProtocolError};

use crate::streams::Rng;

/// The box an unfinished frame is kept in.
const BOX_BYTES_MAX: usize = 128;

/// A decoder's whole output for a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) items: Vec<Message<'static>>,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The stream ended between two items.
    Idle,
    /// The stream ended inside one.
    Unfinished,
    /// The client closed; what it sent after that is not read.
    Closed,
    Broken(ProtocolError),
}

/// Panics unless `stream` means the same in one piece, in random pieces and byte by byte, and memory
/// stays bounded on the way.
pub(crate) fn check(stream: &[u8], seed: u64) -> Outcome {
    let outcome = read(stream, |rest| rest);
    let mut rng = Rng::new(seed);
    let piece_max = rng.pick(&[2, 16, 256]);
    let pieces = read(stream, |_| 1 + rng.below(piece_max));
    assert_eq!(outcome, pieces, "in pieces of up to {piece_max}");
    if stream.len() <= 1_000 {
        assert_eq!(outcome, read(stream, |_| 1), "byte by byte");
    }
    outcome
}

/// Reads `stream` in pieces whose size `next_piece` chooses, knowing how much is left.
pub(crate) fn read(stream: &[u8], mut next_piece: impl FnMut(usize) -> usize) -> Outcome {
    let mut decoder = Decoder::new();
    let mut items = Vec::new();
    let (mut rest, mut arrived) = (stream, 0);
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(next_piece(rest.len()).min(rest.len()));
        rest = later;
        arrived += piece.len();
        if let Some(end) = read_piece(&mut decoder, &mut piece.to_vec(), &mut items) {
            return Outcome { items, end };
        }
        let held = decoder.held_bytes();
        assert_eq!(decoder.is_idle(), held == 0);
        assert!(held <= BOX_BYTES_MAX + 2 * arrived.min(MESSAGE_BYTES_MAX));
        if decoder.is_idle() {
            arrived = 0;
        }
    }
    let end = if decoder.is_idle() {
        End::Idle
    } else {
        End::Unfinished
    };
    Outcome { items, end }
}

fn read_piece(
    decoder: &mut Decoder,
    mut piece: &mut [u8],
    items: &mut Vec<Message<'static>>,
) -> Option<End> {
    loop {
        let before = piece.len();
        match decoder.next(&mut piece) {
            Ok(Some(item)) => {
                assert!(piece.len() < before, "an item of no bytes");
                items.push(keep(item));
                if let Some(Message::Close(_)) = items.last() {
                    return Some(End::Closed);
                }
            }
            Ok(None) => {
                assert!(piece.is_empty(), "bytes were left without an item");
                return None;
            }
            Err(violation) => {
                assert_eq!(
                    decoder.held_bytes(),
                    0,
                    "memory is held for a broken client"
                );
                return Some(End::Broken(violation));
            }
        }
    }
}

fn keep(item: Message<'_>) -> Message<'static> {
    match item {
        Message::Text(text) => Message::Text(Cow::Owned(text.into_owned())),
        Message::Ping(payload) => Message::Ping(Cow::Owned(payload.into_owned())),
        Message::Pong => Message::Pong,
        Message::Close(code) => Message::Close(code),
    }
}
