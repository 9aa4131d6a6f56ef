//! Room positions as this process last wrote them, so that the next event needs no read.
//!
//! Only so many per partition of the log: a room that has not spoken for two generations of others is
//! read again. An entry is the room's position after an event, which stays true; what
//! may be wrong is that nothing came after it, so a partition that is opened again is evicted.

use std::collections::HashMap;

use parking_lot::Mutex;
use roomcast_protocol::RoomId;

use super::position::RoomPosition;

/// Rooms of one generation, of which each partition has two.
const CACHE_CAPACITY: usize = 2_048;

#[derive(Debug, Default)]
struct CachedRoom {
    young: HashMap<RoomId, RoomPosition>,
    old: HashMap<RoomId, RoomPosition>,
    /// The recorded incarnation of the log.
    incarnation: Option<u64>,
}

/// What is remembered of each partition of the log.
#[derive(Debug, Default)]
pub(super) struct Cache {
    partitions: Mutex<HashMap<u16, CachedRoom>>,
}

impl Cache {
    /// Where the room stood.
    pub(super) fn get(&self, partition: u16, room_id: &RoomId) -> Option<RoomPosition> {
        self.with(partition, |it| {
            it.young
                .get(room_id)
                .or_else(|| it.old.get(room_id))
                .copied()
        })
    }

    /// Remembers where the room stands.
    pub(super) fn put(&self, partition: u16, room_id: &RoomId, chain: RoomPosition) {
        self.with(partition, |it| {
            if it.young.len() >= CACHE_CAPACITY && !it.young.contains_key(room_id) {
                it.old = std::mem::take(&mut it.young);
            }
            it.young.insert(room_id.clone(), chain);
        });
    }

    /// Forgets the rooms of a partition.
    pub(super) fn forget(&self, partition: u16) {
        self.with(partition, |it| *it = CachedRoom::default());
    }

    /// Whether this incarnation of the partition's log has been recorded.
    pub(super) fn has_reached(&self, partition: u16, incarnation: u64) -> bool {
        self.with(partition, |it| {
            it.incarnation.is_some_and(|reached| reached >= incarnation)
        })
    }

    /// Marks it as recorded.
    pub(super) fn reached(&self, partition: u16, incarnation: u64) {
        self.with(partition, |it| it.incarnation = Some(incarnation));
    }

    fn with<T>(&self, partition: u16, ask: impl FnOnce(&mut CachedRoom) -> T) -> T {
        let mut partitions = self.partitions.lock();
        ask(partitions.entry(partition).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rooms_that_spoke_last_are_remembered_and_no_more_than_two_generations() {
        let (cache, quiet, busy) = (Cache::default(), RoomId::generate(), RoomId::generate());
        cache.put(3, &quiet, RoomPosition::START);
        for _ in 0..3 * CACHE_CAPACITY {
            cache.put(3, &RoomId::generate(), RoomPosition::START);
            cache.put(3, &busy, RoomPosition::START);
        }
        assert_eq!(cache.get(3, &busy), Some(RoomPosition::START));
        assert_eq!(cache.get(3, &quiet), None);
        let remembered = cache.with(3, |it| it.young.len() + it.old.len());
        assert!(remembered <= 2 * CACHE_CAPACITY, "{remembered}");
        cache.forget(3);
        assert_eq!(cache.get(3, &busy), None);
    }
}
