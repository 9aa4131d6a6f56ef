//! Encoding of records: a tag byte, then integers of variable length.

use std::io;

/// The first bytes of every recording, with the version of the encoding.
pub(crate) const MAGIC: &[u8] = b"roomcast recording 1\n";

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    Name,
    View,
    Connected,
    Ended,
    Subscribed,
    Unsubscribed,
    Delivered,
    Attempt,
    Acked,
    Refused,
    Page,
}

impl Tag {
    const ALL: [Self; 11] = [
        Self::Name,
        Self::View,
        Self::Connected,
        Self::Ended,
        Self::Subscribed,
        Self::Unsubscribed,
        Self::Delivered,
        Self::Attempt,
        Self::Acked,
        Self::Refused,
        Self::Page,
    ];
}

/// Appends an integer, seven bits per byte.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends a difference in zigzag encoding.
pub(crate) fn put_difference(out: &mut Vec<u8>, from: u64, to: u64) {
    let difference = to.wrapping_sub(from).cast_signed();
    put(
        out,
        ((difference << 1) ^ (difference >> 63)).cast_unsigned(),
    );
}

/// Appends an optional integer.
pub(crate) fn put_optional(out: &mut Vec<u8>, number: Option<u64>) {
    put(out, number.map_or(0, |number| number + 1));
}

/// Appends a fingerprint of eight bytes.
pub(crate) fn put_fingerprint(out: &mut Vec<u8>, fingerprint: u64) {
    out.extend_from_slice(&fingerprint.to_le_bytes());
}

/// Decodes records in the order of their encoding.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn tag(&mut self) -> io::Result<Tag> {
        let tag = self.byte()?;
        Tag::ALL.get(usize::from(tag)).copied().ok_or_else(damaged)
    }

    pub(crate) fn byte(&mut self) -> io::Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(damaged)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn number(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(damaged())
    }

    pub(crate) fn small(&mut self) -> io::Result<u32> {
        u32::try_from(self.number()?).map_err(|_| damaged())
    }

    pub(crate) fn difference(&mut self, from: u64) -> io::Result<u64> {
        let coded = self.number()?;
        let difference = (coded >> 1) ^ (coded & 1).wrapping_neg();
        Ok(from.wrapping_add(difference))
    }

    pub(crate) fn optional(&mut self) -> io::Result<Option<u64>> {
        Ok(self.number()?.checked_sub(1))
    }

    pub(crate) fn fingerprint(&mut self) -> io::Result<u64> {
        let bytes = self.bytes(8)?;
        Ok(u64::from_le_bytes(
            bytes.try_into().expect("8 bytes were read"),
        ))
    }

    pub(crate) fn bytes(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(damaged)?;
        self.rest = rest;
        Ok(bytes)
    }
}

/// The error of a malformed recording.
pub(crate) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the recording is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read_back() {
        let numbers = [0, 1, 127, 128, 300, 1 << 53, u64::MAX];
        let mut bytes = Vec::new();
        for number in numbers {
            put(&mut bytes, number);
            put_difference(&mut bytes, 1000, number);
            put_optional(&mut bytes, (number < 1000).then_some(number));
            put_fingerprint(&mut bytes, number);
        }
        let mut reader = Reader::new(&bytes);
        for number in numbers {
            assert_eq!(reader.number().unwrap(), number);
            assert_eq!(reader.difference(1000).unwrap(), number);
            assert_eq!(
                reader.optional().unwrap(),
                (number < 1000).then_some(number)
            );
            assert_eq!(reader.fingerprint().unwrap(), number);
        }
        assert!(reader.is_empty());
        assert!(reader.number().is_err());
    }
}
