//! A partition of a log with several rooms in which everything happens, by a seed.

use std::sync::Arc;

use roomcast_conformance::sample::{
    deleted, edited, founded, joined, left, message_id, reacted, said, user,
};
use roomcast_protocol::event::RoomChange;
use roomcast_protocol::{
    EventBody, EventId, MemberRole, MessageId, RoomEvent, RoomId, Seq, StoredEvent, Timestamp,
    UserId, Visibility,
};

/// Seqs of the third incarnation, as a cluster's log makes them.
const FIRST: u64 = 3 << 40;

/// Numbers by a seed.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("small")
    }
}

struct Room {
    room_id: RoomId,
    users: Vec<UserId>,
    sent: Vec<MessageId>,
    prev: Seq,
}

/// A partition's events, over all its rooms.
pub(crate) struct Log {
    pub(crate) events: Vec<Arc<StoredEvent>>,
    pub(crate) rooms: Vec<RoomId>,
}

impl Log {
    /// So many events in four rooms.
    pub(crate) fn new(seed: u64, events: usize) -> Self {
        let mut chance = Chance::new(seed);
        let mut rooms: Vec<Room> = (0..4).map(|_| Room::new()).collect();
        let mut log = Self {
            events: Vec::new(),
            rooms: rooms.iter().map(|room| room.room_id.clone()).collect(),
        };
        for room in &mut rooms {
            let owner = room.users[0].clone();
            log.add(room, &owner, founded(&owner, "a sample"));
        }
        while log.events.len() < events {
            let at = chance.below(rooms.len());
            let room = &mut rooms[at];
            let sender = room.users[chance.below(room.users.len())].clone();
            let body = room.next(&mut chance);
            log.add(room, &sender, body);
        }
        log
    }

    fn add(&mut self, room: &mut Room, sender: &UserId, body: EventBody) {
        let number = self.events.len() as u64;
        let seq = Seq::new(FIRST + number * 2 + 1).expect("a place");
        let event = RoomEvent {
            id: EventId::generate(),
            room_id: room.room_id.clone(),
            sender_id: sender.clone(),
            client_message_id: None,
            sent_at: Timestamp::from_millis(1_700_000_000_000 + number),
            body,
        };
        let prev = std::mem::replace(&mut room.prev, seq);
        let stored = Arc::new(StoredEvent { seq, prev, event });
        if matches!(stored.event.body, EventBody::MessageSent(_)) {
            room.sent.push(message_id(&stored));
        }
        self.events.push(stored);
    }

    /// The events of one room.
    pub(crate) fn of(&self, room_id: &RoomId) -> Vec<Arc<StoredEvent>> {
        let of_room = |stored: &&Arc<StoredEvent>| stored.event.room_id == *room_id;
        self.events.iter().filter(of_room).cloned().collect()
    }
}

impl Room {
    fn new() -> Self {
        Self {
            room_id: RoomId::generate(),
            users: (0..4).map(|_| user()).collect(),
            sent: Vec::new(),
            prev: Seq::ZERO,
        }
    }

    fn next(&mut self, chance: &mut Chance) -> EventBody {
        let user_id = self.users[chance.below(4)].clone();
        let number = chance.below(1_000);
        let target = match self.sent.len() {
            0 => return said("the first"),
            sent => self.sent[sent - 1 - chance.below(sent.min(6))].clone(),
        };
        match chance.below(20) {
            0..8 => said(&format!("message {number}")),
            8..11 => edited(&target, &format!("edit {number}")),
            11 => deleted(&target),
            12..16 => reacted(&target, ["+1", "-1"][chance.below(2)], chance.below(3) == 0),
            16 => joined(&user_id, MemberRole::Member),
            17 => left(&user_id),
            18 => EventBody::MemberChanged {
                user_id,
                role: [MemberRole::Owner, MemberRole::Admin][chance.below(2)],
            },
            _ => EventBody::RoomChanged(RoomChange {
                name: number.is_multiple_of(2).then(|| format!("name {number}")),
                topic: number.is_multiple_of(3).then(|| format!("topic {number}")),
                visibility: number.is_multiple_of(5).then_some(Visibility::Private),
            }),
        }
    }
}
