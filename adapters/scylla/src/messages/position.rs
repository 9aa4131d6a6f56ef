//! The position stored in an event's row: counters over all events before it, from the log alone.

use roomcast_protocol::Seq;

/// When a room's partition is full. Part of what is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct BucketLimits {
    pub(super) events: u32,
    pub(super) bytes: u64,
}

/// Where a room stands after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoomPosition {
    /// The event's seq.
    pub(super) seq: Seq,
    /// How many messages the room has up to it.
    pub(super) ordinal: u64,
    /// The partition it is in.
    pub(super) bucket: i32,
    /// Which of the partition's events it is, from one.
    pub(super) number: u32,
    /// The bytes of the partition's events up to it.
    pub(super) bytes: u64,
}

impl RoomPosition {
    /// Before the first event.
    pub(super) const START: Self = Self {
        seq: Seq::ZERO,
        ordinal: 0,
        bucket: 0,
        number: 0,
        bytes: 0,
    };

    /// After one more event of so many bytes.
    pub(super) fn advance(
        self,
        seq: Seq,
        is_message: bool,
        bytes: u64,
        bounds: BucketLimits,
    ) -> Self {
        let ordinal = self.ordinal + u64::from(is_message);
        let full = self.number >= bounds.events
            || (self.number > 0 && self.bytes.saturating_add(bytes) > bounds.bytes);
        if full {
            let bucket = self.bucket.saturating_add(1);
            return Self {
                seq,
                ordinal,
                bucket,
                number: 1,
                bytes,
            };
        }
        Self {
            seq,
            ordinal,
            bucket: self.bucket,
            number: self.number + 1,
            bytes: self.bytes.saturating_add(bytes),
        }
    }

    /// Whether the event begins a partition.
    pub(super) const fn starts_bucket(self) -> bool {
        self.number == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(bounds: BucketLimits, sizes: &[u64]) -> Vec<(i32, u32, u64)> {
        let mut chain = RoomPosition::START;
        let mut walked = Vec::new();
        for (size, seq) in sizes.iter().zip(1..) {
            chain = chain.advance(Seq::new(seq).expect("small"), true, *size, bounds);
            walked.push((chain.bucket, chain.number, chain.bytes));
        }
        walked
    }

    #[test]
    fn a_partition_rolls_at_its_events_or_its_bytes_and_holds_one_event_at_least() {
        let by_events = walk(
            BucketLimits {
                events: 2,
                bytes: 1_000,
            },
            &[1, 1, 1, 1, 1],
        );
        assert_eq!(
            by_events,
            [(0, 1, 1), (0, 2, 2), (1, 1, 1), (1, 2, 2), (2, 1, 1)]
        );
        let by_bytes = walk(
            BucketLimits {
                events: 9,
                bytes: 10,
            },
            &[6, 4, 1, 99, 1],
        );
        assert_eq!(
            by_bytes,
            [(0, 1, 6), (0, 2, 10), (1, 1, 1), (2, 1, 99), (3, 1, 1)]
        );
    }
}
