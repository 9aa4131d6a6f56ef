//! The header of a client's frame (2 to 14 bytes), and the rules it alone can break.

use std::borrow::Cow;

use super::{CONTROL_BYTES_MAX, MESSAGE_BYTES_MAX, ProtocolError};

/// The most a client frame's head takes: two bytes, a length of eight, a mask of four.
pub(super) const HEAD_BYTES_MAX: usize = 14;

pub(super) const FIN: u8 = 0b1000_0000;
const RESERVED: u8 = 0b0111_0000;
const OPCODE: u8 = 0b0000_1111;
const MASKED: u8 = 0b1000_0000;

/// A whole frame, its payload unmasked.
pub(super) struct Frame<'b> {
    pub(super) head: Head,
    pub(super) payload: Cow<'b, [u8]>,
}

/// A frame's header, validated.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    pub(super) mask: [u8; 4],
    /// How long the head is itself.
    pub(super) bytes: usize,
    pub(super) payload_bytes: usize,
}

/// The opcodes Roomcast speaks: all of RFC 6455's but binary.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Head {
    /// Reads the head at the front of `bytes`, or `None` if it extends past their end. `open` is the
    /// length of the message whose fragments are arriving.
    ///
    /// Each byte is judged before the next is looked at, so a violation is the same one however the
    /// bytes were split.
    pub(super) fn read(bytes: &[u8], open: Option<usize>) -> Result<Option<Self>, ProtocolError> {
        let &[first, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = Opcode::read(first, open.is_some())?;
        let &[second, ref rest @ ..] = rest else {
            return Ok(None);
        };
        if second & MASKED == 0 {
            return Err(ProtocolError::Unmasked);
        }
        let short = second & !MASKED;
        if opcode.is_control() && usize::from(short) > CONTROL_BYTES_MAX {
            return Err(ProtocolError::LongControl);
        }
        let Some((length, rest)) = read_length(short, rest)? else {
            return Ok(None);
        };
        let room = MESSAGE_BYTES_MAX - open.unwrap_or(0);
        let payload_bytes = match usize::try_from(length) {
            Ok(length) if opcode.is_control() || length <= room => length,
            _ => return Err(ProtocolError::TooLarge),
        };
        let Some((&mask, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        Ok(Some(Self {
            opcode,
            fin: first & FIN != 0,
            mask,
            bytes: bytes.len() - rest.len(),
            payload_bytes,
        }))
    }
}

impl Opcode {
    fn read(first: u8, message_is_open: bool) -> Result<Self, ProtocolError> {
        if first & RESERVED != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        let opcode = match first & OPCODE {
            0 if message_is_open => Self::Continuation,
            0 => return Err(ProtocolError::NothingToContinue),
            1 | 2 if message_is_open => return Err(ProtocolError::UnfinishedMessage),
            1 => Self::Text,
            2 => return Err(ProtocolError::Binary),
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(ProtocolError::UnknownOpcode),
        };
        if opcode.is_control() && first & FIN == 0 {
            return Err(ProtocolError::FragmentedControl);
        }
        Ok(opcode)
    }

    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The payload's length and what follows it, or `None` if `rest` ends inside it.
fn read_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    let (read, least) = match short {
        126 => (
            rest.split_first_chunk()
                .map(|(&wide, rest)| (u64::from(u16::from_be_bytes(wide)), rest)),
            126,
        ),
        127 => (
            rest.split_first_chunk()
                .map(|(&wide, rest)| (u64::from_be_bytes(wide), rest)),
            1 << 16,
        ),
        _ => (Some((u64::from(short), rest)), 0),
    };
    match read {
        Some((length, _)) if length < least || length >> 63 != 0 => Err(ProtocolError::BadLength),
        _ => Ok(read),
    }
}

/// The code in a close frame's payload, if it has one.
pub(super) fn read_close(payload: &[u8]) -> Result<Option<u16>, ProtocolError> {
    let Some((&code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(ProtocolError::BadClose)
        };
    };
    let code = u16::from_be_bytes(code);
    if !may_be_sent(code) {
        return Err(ProtocolError::BadClose);
    }
    str::from_utf8(reason).map_err(|_| ProtocolError::NotUtf8)?;
    Ok(Some(code))
}

/// Whether a close frame may carry `code`: those registered with IANA, and those left to libraries and
/// to applications. 1004, 1005, 1006 and 1015 are registered as never on the wire.
pub(super) fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Takes the mask off (or puts it on), eight bytes at a time: safe code that no byte loop keeps up with.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide_mask = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide_mask).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::unmask;

    #[test]
    fn unmasking_by_words_is_unmasking_by_bytes_at_every_length() {
        let mask = [0x12, 0x9a, 0x00, 0xff];
        for length in 0..=67 {
            let masked: Vec<u8> = (0..length).collect();
            let by_bytes: Vec<u8> = masked
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key)
                .collect();
            let mut by_words = masked;
            unmask(&mut by_words, mask);
            assert_eq!(by_words, by_bytes);
        }
    }
}
