//! RFC 6455 codec of the client: decodes server frames, encodes masked client frames.
//!
//! Frames are decoded in place in a buffer shared by all connections of a process; a connection
//! keeps only an incomplete frame.

use std::ops::Range;

/// Limit of a message in bytes: sixteen times the fleet's limit of a frame.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// A complete message or control frame of the fleet.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a [u8]),
    /// A ping; the pong must carry the same bytes.
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// A close frame, with its code if present.
    Close(Option<u16>),
}

/// A violation of RFC 6455 by the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolError(pub &'static str);

/// Decodes the byte stream of one connection, in pieces of any size.
#[derive(Debug, Default)]
pub struct Reader {
    held: Option<Box<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    /// An incomplete frame.
    frame: Vec<u8>,
    /// The fragments of a message so far.
    message: Option<Vec<u8>>,
}

struct Frame {
    fin: bool,
    opcode: u8,
    payload: Range<usize>,
}

impl Reader {
    /// Adds received bytes and calls `each` for every complete item, until it returns `false`.
    pub fn take(
        &mut self,
        came: &[u8],
        each: &mut impl FnMut(Message<'_>) -> bool,
    ) -> Result<(), ProtocolError> {
        let Some(mut held) = self.held.take() else {
            let mut message = None;
            let left = items(came, &mut message, each)?;
            if !left.is_empty() || message.is_some() {
                let frame = left.to_vec();
                self.held = Some(Box::new(Held { frame, message }));
            }
            return Ok(());
        };
        held.frame.extend_from_slice(came);
        let left = items(&held.frame, &mut held.message, each)?.len();
        held.frame.drain(..held.frame.len() - left);
        if left > 0 || held.message.is_some() {
            self.held = Some(held);
        }
        Ok(())
    }
}

/// Decodes complete frames; returns the rest of the bytes.
fn items<'a>(
    mut bytes: &'a [u8],
    message: &mut Option<Vec<u8>>,
    each: &mut impl FnMut(Message<'_>) -> bool,
) -> Result<&'a [u8], ProtocolError> {
    while let Some(frame) = frame(bytes)? {
        let payload = &bytes[frame.payload.clone()];
        bytes = &bytes[frame.payload.end..];
        let more = match (frame.opcode, frame.fin) {
            (1, true) if message.is_none() => each(Message::Text(payload)),
            (1, false) if message.is_none() => {
                *message = Some(payload.to_vec());
                true
            }
            (0, fin) => {
                let parts = message
                    .as_mut()
                    .ok_or(ProtocolError("nothing to continue"))?;
                parts.extend_from_slice(payload);
                if parts.len() > MESSAGE_BYTES_MAX {
                    return Err(ProtocolError("message without an end"));
                }
                !fin || each(Message::Text(&message.take().unwrap_or_default()))
            }
            (8, true) => each(Message::Close(close_code(payload))),
            (9, true) => each(Message::Ping(payload)),
            (10, true) => each(Message::Pong),
            _ => return Err(ProtocolError("opcode out of place")),
        };
        if !more {
            return Ok(&[]);
        }
    }
    Ok(bytes)
}

fn close_code(payload: &[u8]) -> Option<u16> {
    let code = payload.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*code))
}

fn frame(bytes: &[u8]) -> Result<Option<Frame>, ProtocolError> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err(ProtocolError("reserved bit set"));
    }
    if second & 0x80 != 0 {
        return Err(ProtocolError("the fleet's frames are not masked"));
    }
    let (head, length) = match second & 0x7f {
        126 => match rest.first_chunk::<2>() {
            Some(length) => (4, usize::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (
                10,
                usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX),
            ),
            None => return Ok(None),
        },
        short => (2, usize::from(short)),
    };
    if length > MESSAGE_BYTES_MAX {
        return Err(ProtocolError("frame without an end"));
    }
    let payload = head..head + length;
    Ok((bytes.len() >= payload.end).then(|| Frame {
        fin: first & 0x80 != 0,
        opcode: first & 0x0f,
        payload,
    }))
}

/// Appends a masked text frame.
pub fn put_text(out: &mut Vec<u8>, payload: &[u8], mask: [u8; 4]) {
    put(out, 1, payload, mask);
}

/// Appends a masked pong.
pub fn put_pong(out: &mut Vec<u8>, payload: &[u8], mask: [u8; 4]) {
    put(out, 10, payload, mask);
}

/// Appends a masked close.
pub fn put_close(out: &mut Vec<u8>, code: u16, mask: [u8; 4]) {
    put(out, 8, &code.to_be_bytes(), mask);
}

fn put(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: [u8; 4]) {
    out.push(0x80 | opcode);
    let length = payload.len();
    if let Some(short) = u8::try_from(length).ok().filter(|length| *length < 126) {
        out.push(0x80 | short);
    } else if let Ok(medium) = u16::try_from(length) {
        out.push(0x80 | 0x7e);
        out.extend_from_slice(&medium.to_be_bytes());
    } else {
        out.push(0x80 | 0x7f);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    fastwebsockets::unmask(&mut out[start..], mask);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            length @ 0..126 => out.push(u8::try_from(length).unwrap()),
            length @ 126..=0xffff => {
                out.push(126);
                out.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                out.push(127);
                out.extend((length as u64).to_be_bytes());
            }
        }
        out.extend(payload);
        out
    }

    fn read(
        reader: &mut Reader,
        bytes: &[u8],
        into: &mut Vec<String>,
    ) -> Result<(), ProtocolError> {
        reader.take(bytes, &mut |item| {
            into.push(match item {
                Message::Text(text) => format!("text {} {:?}", text.len(), text.first()),
                other => format!("{other:?}"),
            });
            true
        })
    }

    #[test]
    fn stream_decodes_the_same_however_it_is_split() {
        let mut stream = Vec::new();
        for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            stream.extend(server_frame(0x81, &vec![b'x'; length]));
            stream.extend(server_frame(0x89, b"ping"));
        }
        stream.extend(server_frame(0x01, b"be"));
        stream.extend(server_frame(0x8a, b""));
        stream.extend(server_frame(0x00, b"gin"));
        stream.extend(server_frame(0x80, b" end"));
        stream.extend(server_frame(0x88, &4508_u16.to_be_bytes()));
        let mut whole = Vec::new();
        read(&mut Reader::default(), &stream, &mut whole).unwrap();
        assert_eq!(whole.len(), 17);
        assert_eq!(whole[15], "text 9 Some(98)");
        assert_eq!(whole[16], "Close(Some(4508))");
        let mut rng = Rng::new(3, 0);
        for _ in 0..200 {
            let (mut reader, mut said, mut at) = (Reader::default(), Vec::new(), 0);
            while at < stream.len() {
                let most = if rng.below(2) == 0 { 4 } else { 60_000 };
                let to = stream.len().min(at + 1 + rng.below(most));
                read(&mut reader, &stream[at..to], &mut said).unwrap();
                at = to;
            }
            assert_eq!(said, whole);
            assert!(reader.held.is_none(), "nothing is kept after a whole frame");
        }
    }

    #[test]
    fn what_no_server_may_send_is_broken() {
        let masked = [0x81, 0x80, 1, 2, 3, 4];
        let reserved = [0xc1, 0];
        let lost = [0x80, 0];
        let binary = [0x82, 0];
        for bytes in [&masked[..], &reserved, &lost, &binary] {
            let mut said = Vec::new();
            assert!(
                read(&mut Reader::default(), bytes, &mut said).is_err(),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn client_frames_are_masked_and_unmask_to_the_payload() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![7_u8; length];
            let mut out = Vec::new();
            put_text(&mut out, &payload, [1, 2, 3, 4]);
            assert_eq!((out[0], out[1] & 0x80), (0x81, 0x80));
            let start = out.len() - length;
            fastwebsockets::unmask(&mut out[start..], [1, 2, 3, 4]);
            assert_eq!(out[start..], payload);
        }
    }
}
