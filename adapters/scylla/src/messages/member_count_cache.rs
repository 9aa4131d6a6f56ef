//! How many members very large rooms had a moment ago.
//!
//! Members are counted on reading, which takes a server a millisecond for a thousand of them.
//! For a room with many thousands an older count is good enough: it is
//! counted again only after [`CACHE_TTL`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use roomcast_protocol::RoomId;

/// Rooms with fewer members are counted every time.
const LARGE: u64 = 5_000;
/// How old a count may be.
const CACHE_TTL: Duration = Duration::from_secs(3);
/// Counts kept at most; past it all are forgotten.
const CACHE_CAPACITY: usize = 1_024;

/// Counts of very large rooms.
#[derive(Debug, Default)]
pub(super) struct MemberCountCache {
    kept: Mutex<HashMap<RoomId, (u64, Instant)>>,
}

impl MemberCountCache {
    /// The room's members, if it is large and was counted a moment ago.
    pub(super) fn get(&self, room_id: &RoomId) -> Option<u64> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (members, at) = kept.get(room_id)?;
        (at.elapsed() < CACHE_TTL).then_some(*members)
    }

    /// The room was counted.
    pub(super) fn put(&self, room_id: &RoomId, members: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if members < LARGE {
            kept.remove(room_id);
            return;
        }
        if kept.len() >= CACHE_CAPACITY {
            kept.clear();
        }
        kept.insert(room_id.clone(), (members, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_rooms_are_remembered_and_only_so_many() {
        let (counts, small, large) = (
            MemberCountCache::default(),
            RoomId::generate(),
            RoomId::generate(),
        );
        counts.put(&small, LARGE - 1);
        counts.put(&large, LARGE);
        assert_eq!(
            (counts.get(&small), counts.get(&large)),
            (None, Some(LARGE))
        );
        counts.put(&large, 3);
        assert_eq!(counts.get(&large), None);
        for _ in 0..2 * CACHE_CAPACITY {
            counts.put(&RoomId::generate(), LARGE);
        }
        let kept = counts.kept.lock().expect("nobody panicked").len();
        assert!(kept <= CACHE_CAPACITY, "{kept}");
    }
}
