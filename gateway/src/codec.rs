//! The RFC 6455 codec, server side: decodes client frames, encodes server frames.
//!
//! No socket, no task, no clock: the connection reads into a buffer it shares with thousands of
//! others and hands it over. A frame that lies whole in that buffer is unmasked there and lent out;
//! only an unfinished one costs memory, as much as has arrived and not as much as was announced, and
//! that is given back with its last byte.
//!
//! The peer is not trusted. Whatever RFC 6455 forbids, and whatever Roomcast has no use for, is a
//! [`ProtocolError`] at the first byte that shows it, wherever the network cut the stream. After one, or
//! after [`Message::Close`], nothing more may be read from that connection.

#![expect(
    clippy::mut_mut,
    reason = "`input` is moved forward through the read buffer, whose bytes outlive the call"
)]

mod head;

use std::borrow::Cow;
use std::mem;
use std::ops::Deref;

use bytes::{Buf, Bytes};

use head::{Frame, HEAD_BYTES_MAX, Head, Opcode};

/// The most one message may hold, over all its fragments.
pub const MESSAGE_BYTES_MAX: usize = 65_536;
/// The most a ping, pong or close may hold (RFC 6455 §5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// One complete thing a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message, its fragments joined.
    Text(Cow<'a, str>),
    /// To be answered with [`encode_pong`] and the same bytes.
    Ping(Cow<'a, [u8]>),
    /// A sign of life; what it carries is not ours to read.
    Pong,
    /// The client leaves, giving a code that may be sent back to it, or none.
    Close(Option<u16>),
}

/// How a client broke RFC 6455 or asked for what we do not offer. Its text may be the close reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// An extension's bit, though none was agreed on.
    #[error("reserved bit set")]
    ReservedBits,
    /// An opcode RFC 6455 does not define.
    #[error("unknown opcode")]
    UnknownOpcode,
    /// A client frame without a mask.
    #[error("frame is not masked")]
    Unmasked,
    /// A length in more bytes than it needs, or with its highest bit set.
    #[error("length is not minimally encoded")]
    BadLength,
    /// A ping, pong or close without FIN.
    #[error("control frame is fragmented")]
    FragmentedControl,
    /// A ping, pong or close of more than [`CONTROL_BYTES_MAX`].
    #[error("control frame is too long")]
    LongControl,
    /// A continuation with no message to continue.
    #[error("nothing to continue")]
    NothingToContinue,
    /// A new message before the last fragment of the one before it.
    #[error("message is not finished")]
    UnfinishedMessage,
    /// A close of one byte, or with a code that must not be sent.
    #[error("close frame is malformed")]
    BadClose,
    /// A binary message.
    #[error("binary messages are not accepted")]
    Binary,
    /// Text or a close reason that is not UTF-8.
    #[error("text is not utf-8")]
    NotUtf8,
    /// A message of more than [`MESSAGE_BYTES_MAX`].
    #[error("message is too large")]
    TooLarge,
}

impl ProtocolError {
    /// The code of the close frame that answers it.
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Binary => 1003,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
            Self::ReservedBits
            | Self::UnknownOpcode
            | Self::Unmasked
            | Self::BadLength
            | Self::FragmentedControl
            | Self::LongControl
            | Self::NothingToContinue
            | Self::UnfinishedMessage
            | Self::BadClose => 1002,
        }
    }
}

/// Finds the items in what one client sends, in whatever pieces it arrives.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
}

/// What must outlive the read buffer: the start of a frame, the fragments of a message, or both.
#[derive(Debug, Default)]
struct Partial {
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: usize,
    payload: Vec<u8>,
    message: Option<Vec<u8>>,
}

impl Decoder {
    /// A decoder for a connection that has just been upgraded.
    pub const fn new() -> Self {
        Self { partial: None }
    }

    /// Takes the next item from the front of `input`, unmasking it in place. `None` means that all of
    /// `input` was taken and the item's end has not arrived.
    pub fn next<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Message<'b>>, ProtocolError> {
        let item = self.next_item(input);
        if item.is_err() || self.partial.as_deref().is_some_and(Partial::is_empty) {
            self.partial = None;
        }
        item
    }

    /// Whether nothing is held: the last byte read was the last of an item.
    pub fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// The heap this connection's unfinished item takes: at most twice what has arrived of it, and a
    /// small constant.
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| {
            let message = partial.message.as_ref().map_or(0, Vec::capacity);
            size_of::<Partial>() + partial.payload.capacity() + message
        })
    }

    fn next_item<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Message<'b>>, ProtocolError> {
        while let Some(frame) = self.next_frame(input)? {
            if let Some(item) = self.accept(frame)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn next_frame<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Frame<'b>>, ProtocolError> {
        let partial = self.partial.as_ref();
        let open = partial.and_then(|partial| Some(partial.message.as_ref()?.len()));
        if partial.is_none_or(|partial| partial.head_bytes == 0) {
            if let Some(head) = Head::read(input, open)?
                && input.len() - head.bytes >= head.payload_bytes
            {
                take_front(input, head.bytes);
                let payload = take_front(input, head.payload_bytes);
                head::unmask(payload, head.mask);
                return Ok(Some(Frame {
                    head,
                    payload: Cow::Borrowed(payload),
                }));
            }
            if input.is_empty() {
                return Ok(None);
            }
        }
        self.partial.get_or_insert_default().fill(input, open)
    }

    /// The item `frame` is or completes. Text is checked with every fragment, not at the message's end:
    /// a client should learn of its mistake while it is making it.
    fn accept<'b>(&mut self, frame: Frame<'b>) -> Result<Option<Message<'b>>, ProtocolError> {
        let Frame { head, payload } = frame;
        Ok(match head.opcode {
            Opcode::Ping => Some(Message::Ping(payload)),
            Opcode::Pong => Some(Message::Pong),
            Opcode::Close => Some(Message::Close(head::read_close(&payload)?)),
            Opcode::Text if head.fin => Some(Message::Text(text(payload)?)),
            Opcode::Text | Opcode::Continuation => {
                let partial = self.partial.get_or_insert_default();
                let mut message = partial.message.take().unwrap_or_default();
                let unchecked = last_character(&message);
                append(&mut message, &payload, MESSAGE_BYTES_MAX);
                if head.fin {
                    Some(Message::Text(text(Cow::Owned(message))?))
                } else {
                    check_fragment(&message[unchecked..])?;
                    partial.message = Some(message);
                    None
                }
            }
        })
    }
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.head_bytes == 0 && self.message.is_none()
    }

    /// Adds from `input` what the frame held here still lacks, and takes it out once it is whole.
    fn fill<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        open: Option<usize>,
    ) -> Result<Option<Frame<'b>>, ProtocolError> {
        let head = loop {
            if let Some(head) = Head::read(&self.head[..self.head_bytes], open)? {
                break head;
            }
            let &mut [byte] = take_front(input, 1) else {
                return Ok(None);
            };
            self.head[self.head_bytes] = byte;
            self.head_bytes += 1;
        };
        let missing = head.payload_bytes - self.payload.len();
        let arrived = take_front(input, missing);
        append(&mut self.payload, arrived, head.payload_bytes);
        if arrived.len() < missing {
            return Ok(None);
        }
        self.head_bytes = 0;
        let mut payload = mem::take(&mut self.payload);
        head::unmask(&mut payload, head.mask);
        Ok(Some(Frame {
            head,
            payload: Cow::Owned(payload),
        }))
    }
}

/// The first `bytes` of `input`, or all of it if there are fewer.
fn take_front<'b>(input: &mut &'b mut [u8], bytes: usize) -> &'b mut [u8] {
    let bytes = bytes.min(input.len());
    input.split_off_mut(..bytes).unwrap_or_default()
}

/// Adds `more` to `held`, which grows with what arrives, by doubling: `bytes_max` is only what the peer
/// announced, and caps the last step.
fn append(held: &mut Vec<u8>, more: &[u8], bytes_max: usize) {
    let needed = held.len() + more.len();
    if needed > held.capacity() {
        let capacity = needed.max(bytes_max.min(2 * held.len()));
        held.reserve_exact(capacity - held.len());
    }
    held.extend_from_slice(more);
}

fn text(payload: Cow<'_, [u8]>) -> Result<Cow<'_, str>, ProtocolError> {
    match payload {
        Cow::Borrowed(bytes) => str::from_utf8(bytes).map(Cow::Borrowed).ok(),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).ok(),
    }
    .ok_or(ProtocolError::NotUtf8)
}

/// Where the last character of `message` begins, which the next fragment may have to finish. All before
/// it was checked already; checking it again with every fragment would let small ones cost a lot.
fn last_character(message: &[u8]) -> usize {
    let begins = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    message.iter().rposition(begins).unwrap_or(0)
}

/// A fragment may end inside a character, but not hold a wrong one.
fn check_fragment(bytes: &[u8]) -> Result<(), ProtocolError> {
    match str::from_utf8(bytes) {
        Err(error) if error.error_len().is_some() => Err(ProtocolError::NotUtf8),
        _ => Ok(()),
    }
}

/// The most a server frame's header takes.
pub const HEADER_MAX: usize = 10;

/// A server frame's header: what goes before a payload that is sent from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Right-aligned, so that it can be copied in front of a payload as it is.
    bytes: [u8; HEADER_MAX],
    start: usize,
}

impl Deref for Header {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl Header {
    fn new(opcode: Opcode, payload_bytes: usize) -> Self {
        let mut bytes = [0; HEADER_MAX];
        let length = (payload_bytes as u64).to_be_bytes();
        bytes[2..].copy_from_slice(&length);
        let (start, short) = match payload_bytes {
            0..=CONTROL_BYTES_MAX => (8, length[7]),
            126..=0xffff => (6, 126),
            _ => (0, 127),
        };
        bytes[start] = head::FIN | opcode as u8;
        bytes[start + 1] = short;
        Self { bytes, start }
    }
}

/// The header of a text frame whose payload has `payload_bytes`.
pub fn text_header(payload_bytes: usize) -> Header {
    Header::new(Opcode::Text, payload_bytes)
}

/// A text frame holding `payload`, which must be UTF-8.
pub fn encode_text(payload: &[u8]) -> Bytes {
    encode_text_with(payload.len(), |frame| frame.extend_from_slice(payload))
}

/// A text frame whose payload `write` appends where it is sent from: one allocation and no copy if
/// `payload_bytes_hint` is right, a larger and a smaller hint both cost memory.
///
/// # Panics
/// If `write` takes away the room in front, which it may not touch.
pub fn encode_text_with(payload_bytes_hint: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    encode(Opcode::Text, payload_bytes_hint, write)
}

/// The answer to a ping: its bytes, of which there are at most [`CONTROL_BYTES_MAX`]; more are cut off.
pub fn encode_pong(payload: &[u8]) -> Bytes {
    encode_control(Opcode::Pong, payload)
}

/// A ping. A payload over [`CONTROL_BYTES_MAX`] is cut off.
pub fn encode_ping(payload: &[u8]) -> Bytes {
    encode_control(Opcode::Ping, payload)
}

/// A close frame. A `reason` that does not fit is cut off between two characters.
pub fn encode_close(code: u16, reason: &str) -> Bytes {
    debug_assert!(
        head::may_be_sent(code),
        "close code {code} must not be sent"
    );
    let code = code.to_be_bytes();
    let mut end = reason.len().min(CONTROL_BYTES_MAX - code.len());
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    encode(Opcode::Close, code.len() + end, |frame| {
        frame.extend_from_slice(&code);
        frame.extend_from_slice(&reason.as_bytes()[..end]);
    })
}

fn encode_control(opcode: Opcode, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    encode(opcode, payload.len(), |frame| {
        frame.extend_from_slice(payload);
    })
}

fn encode(opcode: Opcode, payload_bytes_hint: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut frame = Vec::with_capacity(HEADER_MAX + payload_bytes_hint);
    frame.extend_from_slice(&[0; HEADER_MAX]);
    write(&mut frame);
    let header = Header::new(opcode, frame.len() - HEADER_MAX);
    frame[header.start..HEADER_MAX].copy_from_slice(&header);
    let mut frame = crate::outbound::counted(frame);
    frame.advance(header.start);
    frame
}
