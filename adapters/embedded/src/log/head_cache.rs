//! A cache of the heads of recently active rooms, so that an append needs no query.
//!
//! Two generations: a room in use moves to the young one, and when that is full the old one is
//! forgotten. Bounded, without a clock and without order to keep.

use std::collections::HashMap;

use roomcast_protocol::{RoomId, Seq};

/// Rooms of one generation.
const ROOMS_MAX: usize = 32_768;

/// A room as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Its number in the tables.
    pub(super) room: i64,
    /// Its last seq.
    pub(super) seq: Seq,
}

/// The heads.
#[derive(Debug, Default)]
pub(super) struct HeadCache {
    young: HashMap<RoomId, Head>,
    old: HashMap<RoomId, Head>,
}

impl HeadCache {
    /// The room's head, if it is known.
    pub(super) fn get(&mut self, room_id: &RoomId) -> Option<Head> {
        if let Some(head) = self.young.get(room_id) {
            return Some(*head);
        }
        let head = self.old.remove(room_id)?;
        self.set(room_id, head);
        Some(head)
    }

    /// Keeps the room's head.
    pub(super) fn set(&mut self, room_id: &RoomId, head: Head) {
        if let Some(known) = self.young.get_mut(room_id) {
            *known = head;
            return;
        }
        if self.young.len() >= ROOMS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(room_id.clone(), head);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_in_use_stay_and_the_number_of_all_is_bounded() {
        let mut heads = HeadCache::default();
        let used = RoomId::new("used").unwrap();
        heads.set(
            &used,
            Head {
                room: 0,
                seq: Seq::new(7).unwrap(),
            },
        );
        for number in 1..200_000 {
            let room_id = RoomId::new(&format!("room-{number}")).unwrap();
            heads.set(
                &room_id,
                Head {
                    room: number,
                    seq: Seq::ZERO,
                },
            );
            assert_eq!(heads.get(&used).unwrap().seq.get(), 7);
        }
        assert!(heads.young.len() + heads.old.len() <= 2 * ROOMS_MAX);
    }
}
