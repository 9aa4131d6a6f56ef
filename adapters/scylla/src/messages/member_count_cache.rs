//! A cache of member counts.
//!
//! Counting takes a server a millisecond for a thousand members, and a list would count each of its rooms.
//! A count is valid until the room's `members_changed` differs, which the row that a list reads anyway
//! shows. A very large room is not counted again for [`LARGE_TTL`] even then.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use roomcast_protocol::RoomId;

/// Members from which a room is very large.
const LARGE: u64 = 5_000;
/// Maximum age of a very large room's count.
const LARGE_TTL: Duration = Duration::from_secs(3);
/// Maximum age of any count: a store node that lost writes may have been counted.
const CACHE_TTL: Duration = Duration::from_secs(60);
/// Counts kept at most; past it all are evicted.
const CACHE_CAPACITY: usize = 16_384;

/// Counts of rooms.
#[derive(Debug, Default)]
pub(super) struct MemberCountCache {
    kept: Mutex<HashMap<RoomId, Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    members: u64,
    members_changed: Option<i64>,
    at: Instant,
}

impl MemberCountCache {
    /// The room's members, if they were counted and `members_changed` is still the same.
    pub(super) fn get(&self, room_id: &RoomId, members_changed: Option<i64>) -> Option<u64> {
        let kept = self.kept.lock();
        let count = kept.get(room_id)?;
        let age = count.at.elapsed();
        let is_unchanged = members_changed.is_some() && count.members_changed == members_changed;
        let is_valid =
            (is_unchanged && age < CACHE_TTL) || (count.members >= LARGE && age < LARGE_TTL);
        is_valid.then_some(count.members)
    }

    /// The room was counted after `members_changed` was read.
    pub(super) fn put(&self, room_id: &RoomId, members_changed: Option<i64>, members: u64) {
        let mut kept = self.kept.lock();
        if kept.len() >= CACHE_CAPACITY {
            kept.clear();
        }
        let count = Count {
            members,
            members_changed,
            at: Instant::now(),
        };
        kept.insert(room_id.clone(), count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_is_valid_until_a_member_joins_or_leaves() {
        let (counts, room_id) = (MemberCountCache::default(), RoomId::generate());
        counts.put(&room_id, Some(7), 3);
        assert_eq!(counts.get(&room_id, Some(7)), Some(3));
        assert_eq!(counts.get(&room_id, Some(8)), None);
        counts.put(&room_id, None, 3);
        assert_eq!(counts.get(&room_id, None), None, "nothing proves it");
    }

    #[test]
    fn very_large_rooms_are_not_counted_again_at_every_change() {
        let (counts, room_id) = (MemberCountCache::default(), RoomId::generate());
        counts.put(&room_id, Some(7), LARGE);
        assert_eq!(counts.get(&room_id, Some(8)), Some(LARGE));
    }

    #[test]
    fn counts_are_bounded() {
        let counts = MemberCountCache::default();
        for _ in 0..2 * CACHE_CAPACITY {
            counts.put(&RoomId::generate(), Some(1), 2);
        }
        let kept = counts.kept.lock().len();
        assert!(kept <= CACHE_CAPACITY, "{kept}");
    }
}
