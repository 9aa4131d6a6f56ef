//! Seqs that this process has observed, so that a lagging replica's answer is detected.
//!
//! Rooms are kept in two generations: one in use moves to the young one, and when that is full the old
//! one is forgotten. Bounded, without a clock and without order to keep.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use roomcast_protocol::RoomId;

use crate::subjects::PARTITIONS;

/// Rooms of one generation of the cache.
const ROOMS_MAX: usize = 32_768;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct ObservedSeqs {
    last: [AtomicU64; PARTITIONS as usize],
    replicas: [AtomicUsize; PARTITIONS as usize],
    heads: Mutex<Heads>,
}

/// The last seqs of the rooms that were lately spoken in.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    young: HashMap<RoomId, u64>,
    old: HashMap<RoomId, u64>,
}

impl Heads {
    /// The room's seq, unless it is forgotten or was never there.
    pub(crate) fn get(&self, room_id: &RoomId) -> Option<u64> {
        self.young
            .get(room_id)
            .or_else(|| self.old.get(room_id))
            .copied()
    }

    /// The room has come to `place`, if it was not further already; at most `rooms_max` are kept twice.
    pub(crate) fn advance(&mut self, room_id: &RoomId, place: u64, rooms_max: usize) {
        if let Some(known) = self.young.get_mut(room_id) {
            *known = place.max(*known);
            return;
        }
        if self.young.len() >= rooms_max {
            self.old = std::mem::take(&mut self.young);
        }
        let older = self.old.get(room_id).copied().unwrap_or(0);
        self.young.insert(room_id.clone(), place.max(older));
    }
}

impl ObservedSeqs {
    /// The highest seq seen of a partition.
    pub(crate) fn last(&self, partition: u16) -> u64 {
        self.last[usize::from(partition)].load(Ordering::Relaxed)
    }

    /// A partition has come at least this far.
    pub(crate) fn observe(&self, partition: u16, place: u64) {
        self.last[usize::from(partition)].fetch_max(place, Ordering::Relaxed);
    }

    /// How many copies the partition's stream had when it was last looked at; 0 before that.
    pub(crate) fn replicas(&self, partition: u16) -> usize {
        self.replicas[usize::from(partition)].load(Ordering::Relaxed)
    }

    /// The partition's stream has this many copies now.
    pub(crate) fn has_replicas(&self, partition: u16, replicas: usize) {
        self.replicas[usize::from(partition)].store(replicas, Ordering::Relaxed);
    }

    /// Whether the stream has copies that may lag behind its leader.
    pub(crate) fn may_lag(&self, partition: u16) -> bool {
        self.replicas(partition) > 1
    }

    /// The highest stored seq of the room that this process observed; 0 if none, or evicted.
    pub(crate) fn head(&self, room_id: &RoomId) -> u64 {
        let heads = self.heads.lock();
        heads.get(room_id).unwrap_or(0)
    }

    /// The room has come at least this far.
    pub(crate) fn observe_head(&self, room_id: &RoomId, place: u64) {
        let mut heads = self.heads.lock();
        heads.advance(room_id, place, ROOMS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_never_goes_back_and_rooms_are_bounded() {
        let known = ObservedSeqs::default();
        let room_id = RoomId::generate();
        for place in [3, 9, 5] {
            known.observe(4, place);
            known.observe_head(&room_id, place);
        }
        assert_eq!((known.last(4), known.last(5)), (9, 0));
        for _ in 0..ROOMS_MAX + 10 {
            known.observe_head(&RoomId::generate(), 1);
        }
        assert_eq!(known.head(&room_id), 9);
        known.observe_head(&room_id, 2);
        assert_eq!(
            known.head(&room_id),
            9,
            "an older place of the old generation"
        );
        for _ in 0..3 * ROOMS_MAX {
            known.observe_head(&RoomId::generate(), 1);
        }
        let heads = known.heads.lock();
        assert!(heads.young.len() + heads.old.len() <= 2 * ROOMS_MAX);
    }
}
