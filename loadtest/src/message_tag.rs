//! The `clientMsgId` of a send: a UUIDv7 that encodes the run, the send, and when it was due.
//!
//! Fleets read the time of a client's UUIDv7, so it is correct. The random bits encode the run, the
//! worker and the send, so that every receiver in any process computes the latency from
//! the id alone, and recognises messages that the run did not send.

use std::fmt::Write as _;

use crate::clock::RunClock;

/// The identity of one send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageTag {
    /// The number of the send in its worker, from zero.
    pub number: u32,
    /// The worker process.
    pub worker: u8,
    /// The run, so that two runs in one room are distinct.
    pub run: u32,
    /// When it was due, in microseconds of the run.
    pub due: u64,
    /// Whether its sender was not connected when it was due.
    pub away: bool,
}

/// The number of bits of a run.
pub const RUN_BITS: u32 = 22;

impl MessageTag {
    /// The id on the wire.
    pub fn to_id(self, clock: &RunClock) -> String {
        let time_ms = clock.began_ms() + self.due / 1_000;
        let high = ((time_ms & 0xffff_ffff_ffff) << 16)
            | 0x7000
            | (u64::from(self.away) << 10)
            | (self.due % 1_000);
        let low = (0b10 << 62)
            | (u64::from(self.run & ((1 << RUN_BITS) - 1)) << 40)
            | (u64::from(self.worker) << 32)
            | u64::from(self.number);
        let mut id = String::with_capacity(36);
        let _ = write!(
            id,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        );
        id
    }

    /// Parses an id; `None` for other ids.
    pub fn from_id(id: &[u8], clock: &RunClock) -> Option<Self> {
        if id.len() != 36 || [8, 13, 18, 23].iter().any(|&at| id[at] != b'-') {
            return None;
        }
        let high = (hex(&id[..8])? << 32) | (hex(&id[9..13])? << 16) | hex(&id[14..18])?;
        let low = (hex(&id[19..23])? << 48) | hex(&id[24..])?;
        let ours = high & 0xf800 == 0x7000 && low >> 62 == 0b10 && high & 0x3ff < 1_000;
        let since_ms = (high >> 16).checked_sub(clock.began_ms())?;
        ours.then(|| Self {
            number: u32::try_from(low & 0xffff_ffff).expect("32 bits"),
            worker: u8::try_from((low >> 32) & 0xff).expect("8 bits"),
            run: u32::try_from((low >> 40) & ((1 << RUN_BITS) - 1)).expect("22 bits"),
            due: since_ms * 1_000 + (high & 0x3ff),
            away: high & 0x400 != 0,
        })
    }
}

fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn every_stamp_reads_back_and_is_a_uuid_of_its_time() {
        let clock = RunClock::start();
        let mut rng = Rng::new(5, 0);
        for _ in 0..10_000 {
            let bits = rng.next_u64();
            let tag = MessageTag {
                number: u32::try_from(bits >> 32).unwrap(),
                worker: u8::try_from(bits & 0xff).unwrap(),
                run: u32::try_from((bits >> 40) & ((1 << RUN_BITS) - 1)).unwrap(),
                due: rng.next_u64() % 10_000_000_000,
                away: rng.below(2) == 1,
            };
            let id = tag.to_id(&clock);
            assert_eq!(
                MessageTag::from_id(id.as_bytes(), &clock),
                Some(tag),
                "{id}"
            );
            assert!(
                id.as_bytes()[14] == b'7' && b"89ab".contains(&id.as_bytes()[19]),
                "{id}"
            );
        }
    }

    #[test]
    fn what_another_client_named_is_no_stamp() {
        let clock = RunClock::start();
        for id in [
            "",
            "hello",
            "01890a5d-ac96-474c-bcce-b302099a8057",
            "01890a5d-ac96-7fff-bcce-b302099a8057",
        ] {
            assert_eq!(MessageTag::from_id(id.as_bytes(), &clock), None, "{id}");
        }
    }
}
