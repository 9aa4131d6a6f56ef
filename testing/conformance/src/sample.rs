//! Rooms and events for the tests.

use std::sync::Arc;

use roomcast_protocol::event::{Message, RoomCreation};
use roomcast_protocol::{
    EventBody, EventId, MemberRole, MessageId, RoomEvent, RoomId, RoomKind, Seq, StoredEvent,
    Timestamp, UserId, Visibility,
};

/// A unique user.
pub fn user() -> UserId {
    UserId::generate()
}

/// A unique name prefix of a few words.
pub fn unique_name() -> String {
    let id = UserId::generate();
    format!("n{}", &id.as_str()[24..])
}

/// A message.
pub fn said(content: &str) -> EventBody {
    EventBody::MessageSent(Message {
        content: Some(content.to_owned()),
        ..Message::default()
    })
}

/// The first event of a public group.
pub fn founded(owner: &UserId, name: &str) -> EventBody {
    founded_as(owner, RoomKind::Group, Some(Visibility::Public), Some(name))
}

/// The first event of a room.
pub fn founded_as(
    owner: &UserId,
    kind: RoomKind,
    visibility: Option<Visibility>,
    name: Option<&str>,
) -> EventBody {
    let founding = RoomCreation {
        kind,
        visibility,
        name: name.map(ToOwned::to_owned),
    };
    let role = match kind {
        RoomKind::Direct => MemberRole::Member,
        RoomKind::Group => MemberRole::Owner,
    };
    EventBody::MemberJoined {
        user_id: owner.clone(),
        role,
        founding: Some(founding),
    }
}

/// A member joins.
pub fn joined(user_id: &UserId, role: MemberRole) -> EventBody {
    EventBody::MemberJoined {
        user_id: user_id.clone(),
        role,
        founding: None,
    }
}

/// A member leaves.
pub fn left(user_id: &UserId) -> EventBody {
    EventBody::MemberLeft {
        user_id: user_id.clone(),
        role: MemberRole::Member,
    }
}

/// A message is edited.
pub fn edited(message_id: &MessageId, content: &str) -> EventBody {
    EventBody::MessageEdited {
        message_id: message_id.clone(),
        content: Some(content.to_owned()),
    }
}

/// A message ends.
pub fn deleted(message_id: &MessageId) -> EventBody {
    EventBody::MessageDeleted {
        message_id: message_id.clone(),
    }
}

/// A reaction is given, or taken back.
pub fn reacted(message_id: &MessageId, emoji: &str, removed: bool) -> EventBody {
    EventBody::ReactionChanged {
        message_id: message_id.clone(),
        emoji: emoji.to_owned(),
        removed,
    }
}

/// An event that no log has placed yet.
pub fn event(room_id: &RoomId, sender_id: &UserId, body: EventBody) -> RoomEvent {
    RoomEvent {
        id: EventId::generate(),
        room_id: room_id.clone(),
        sender_id: sender_id.clone(),
        client_message_id: None,
        sent_at: Timestamp::now(),
        body,
    }
}

/// One event of each kind.
pub fn one_of_each() -> Vec<EventBody> {
    let (owner, other) = (user(), user());
    let message_id = MessageId::generate();
    vec![
        founded(&owner, "a room"),
        EventBody::MessageSent(Message {
            content: Some("\u{1f44b} \"quoted\"\n\u{0}".to_owned()),
            reply_to: Some(MessageId::generate()),
            attachments: vec![roomcast_protocol::AttachmentId::generate()],
            mentions: vec![other.clone()],
        }),
        EventBody::MessageSent(Message::default()),
        edited(&message_id, "otherwise"),
        deleted(&MessageId::generate()),
        reacted(&message_id, "\u{1f44d}", false),
        left(&other),
        EventBody::MemberChanged {
            user_id: other.clone(),
            role: MemberRole::Admin,
        },
        EventBody::MembersAdded {
            user_ids: vec![owner, other],
            member_count: 2,
        },
        EventBody::RoomChanged(roomcast_protocol::event::RoomChange {
            name: Some("another name".to_owned()),
            topic: Some(String::new()),
            visibility: Some(Visibility::Private),
        }),
        EventBody::RoomDeleted,
    ]
}

/// A room's log as it might be: its events have seqs, as if a log had given them.
#[derive(Debug, Clone)]
pub struct Script {
    /// The room.
    pub room_id: RoomId,
    /// Its first member.
    pub owner: UserId,
    /// Its events.
    pub events: Vec<Arc<StoredEvent>>,
    clock: u64,
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl Script {
    /// A log without events.
    pub fn new() -> Self {
        let clock = 1_700_000_000_000;
        Self {
            room_id: RoomId::generate(),
            owner: user(),
            events: Vec::new(),
            clock,
        }
    }

    /// The log of a public group with its owner.
    pub fn group(name: &str) -> Self {
        let mut script = Self::new();
        script.does(&script.owner.clone(), founded(&script.owner, name));
        script
    }

    /// Adds an event and gives it; seqs are not consecutive, and every event is a second later.
    pub fn does(&mut self, sender_id: &UserId, body: EventBody) -> Arc<StoredEvent> {
        self.clock += 1_000;
        let prev = self.head();
        let event = RoomEvent {
            sent_at: Timestamp::from_millis(self.clock),
            ..event(&self.room_id, sender_id, body)
        };
        let seq = Seq::new(prev.get() + 3).expect("tests have few events");
        let stored = Arc::new(StoredEvent { seq, prev, event });
        self.events.push(Arc::clone(&stored));
        stored
    }

    /// The owner sends a message.
    pub fn says(&mut self, content: &str) -> Arc<StoredEvent> {
        self.does(&self.owner.clone(), said(content))
    }

    /// The last seq.
    pub fn head(&self) -> Seq {
        self.events.last().map_or(Seq::ZERO, |event| event.seq)
    }

    /// The events in another order, by a seed.
    pub fn shuffled(&self, seed: u64) -> Vec<Arc<StoredEvent>> {
        let mut events = self.events.clone();
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        for last in (1..events.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let bound = u64::try_from(last).unwrap_or(u64::MAX) + 1;
            events.swap(last, usize::try_from(state % bound).unwrap_or(0));
        }
        events
    }
}

/// The message an event sends.
pub fn message_id(stored: &StoredEvent) -> MessageId {
    stored.event.id.clone().into()
}
