//! Frames from a seed: the same ones at every run, so that a failure names its seed.

use std::borrow::Cow;

use roomcast_protocol::event::{Message, RoomChange, RoomCreation};
use roomcast_protocol::id::{Id, IdRef};
use roomcast_protocol::{
    ClientFrame, EventBody, MemberRole, PresenceStatus, RoomEvent, RoomKind, Seq, StoredEvent,
    Timestamp, Visibility,
};

use crate::cases::ODD;

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) const fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len() as u64);
        from[usize::try_from(index).expect("an index fits")]
    }

    pub(crate) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    pub(crate) fn list<T>(&mut self, most: u64, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    /// Small ones, large ones, and the largest a client can write down.
    pub(crate) fn seq(&mut self) -> Seq {
        let bits = self.below(54);
        Seq::new(self.next() & ((1 << bits) - 1)).expect("at most 53 bits")
    }

    pub(crate) fn id_text(&mut self) -> String {
        const CHARACTERS: &[u8] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:";
        let length = 1 + self.below(64);
        let text: String = (0..length)
            .map(|_| char::from(self.pick(CHARACTERS)))
            .collect();
        if text == "." || text == ".." {
            "...".to_owned()
        } else {
            text
        }
    }

    /// Plain text, and now and then every kind of character.
    pub(crate) fn text(&mut self, most: u64) -> String {
        let odd: Vec<char> = ODD.chars().collect();
        (0..self.below(most + 1))
            .map(|_| match self.below(4) {
                0 => self.pick(&odd),
                1 => char::from_u32(u32::try_from(self.below(0x11_0000)).unwrap()).unwrap_or('x'),
                _ => self.pick(&['a', 'b', ' ', 'z']),
            })
            .collect()
    }

    pub(crate) fn reference(&mut self) -> String {
        self.text(64)
    }

    fn id<T: Id>(&mut self) -> IdRef<'static, T> {
        IdRef::new(self.id_text()).expect("it is made of good characters")
    }

    fn words(&mut self, most: u64) -> Cow<'static, str> {
        self.text(most).into()
    }

    pub(crate) fn client_frame(&mut self) -> ClientFrame<'static> {
        match self.below(12) {
            0 => ClientFrame::Auth {
                token: self.words(300),
            },
            1 => ClientFrame::Subscribe {
                room_id: Some(self.id()),
                after: self.maybe(Self::seq),
                presence: self.flag(),
                rooms: Vec::new(),
            },
            2 => ClientFrame::Unsubscribe { room_id: self.id() },
            3 => ClientFrame::SendMessage {
                room_id: self.id(),
                content: self.words(2_000),
                client_msg_id: self.maybe(Self::id),
                reply_to: self.maybe(Self::id),
                attachments: self.list(10, Self::id),
                mentions: self.list(50, Self::id),
            },
            4 => ClientFrame::EditMessage {
                room_id: self.id(),
                message_id: self.id(),
                content: self.words(2_000),
                client_msg_id: self.maybe(Self::id),
            },
            5 => ClientFrame::DeleteMessage {
                room_id: self.id(),
                message_id: self.id(),
                client_msg_id: self.maybe(Self::id),
            },
            6 => ClientFrame::React {
                room_id: self.id(),
                message_id: self.id(),
                emoji: format!("x{}", self.text(15)).into(),
                remove: self.flag(),
                client_msg_id: self.maybe(Self::id),
            },
            7 => ClientFrame::Typing { room_id: self.id() },
            8 => self.mark(),
            9 => ClientFrame::WatchPresence {
                user_ids: self.list(200, Self::id),
            },
            10 => ClientFrame::SetStatus {
                status: self.pick(&[PresenceStatus::Online, PresenceStatus::Away]),
            },
            _ => ClientFrame::Ping {},
        }
    }

    fn mark(&mut self) -> ClientFrame<'static> {
        let (one, other) = (Some(self.seq()), self.maybe(Self::seq));
        let (read, delivered) = if self.flag() {
            (one, other)
        } else {
            (other, one)
        };
        ClientFrame::Mark {
            room_id: self.id(),
            read,
            delivered,
        }
    }

    pub(crate) fn owned_id<T: Id>(&mut self) -> T {
        self.id().to_id()
    }

    pub(crate) fn stored_event(&mut self) -> StoredEvent {
        StoredEvent {
            seq: self.seq(),
            prev: self.seq(),
            event: RoomEvent {
                id: self.owned_id(),
                room_id: self.owned_id(),
                sender_id: self.owned_id(),
                client_message_id: self.maybe(Self::owned_id),
                sent_at: Timestamp::from_millis(self.next() >> 16),
                body: self.event_body(),
            },
        }
    }

    fn event_body(&mut self) -> EventBody {
        let roles = [MemberRole::Member, MemberRole::Admin, MemberRole::Owner];
        match self.below(10) {
            0 => EventBody::MessageEdited {
                message_id: self.owned_id(),
                content: self.maybe(|random| random.text(2_000)),
            },
            1 => EventBody::MessageDeleted {
                message_id: self.owned_id(),
            },
            2 => EventBody::ReactionChanged {
                message_id: self.owned_id(),
                emoji: self.text(16),
                removed: self.flag(),
            },
            3 => EventBody::MemberJoined {
                user_id: self.owned_id(),
                role: self.pick(&roles),
                founding: self.maybe(Self::founding),
            },
            4 => EventBody::MemberLeft {
                user_id: self.owned_id(),
                role: self.pick(&roles),
            },
            5 => EventBody::MemberChanged {
                user_id: self.owned_id(),
                role: self.pick(&roles),
            },
            6 => EventBody::MembersAdded {
                user_ids: self.list(500, Self::owned_id),
                member_count: self.next(),
            },
            7 => EventBody::RoomChanged(RoomChange {
                name: self.maybe(|random| random.text(32)),
                topic: self.maybe(|random| random.text(256)),
                visibility: self.maybe(Self::visibility),
            }),
            8 => EventBody::RoomDeleted,
            _ => EventBody::MessageSent(Message {
                content: self.maybe(|random| random.text(2_000)),
                reply_to: self.maybe(Self::owned_id),
                attachments: self.list(10, Self::owned_id),
                mentions: self.list(50, Self::owned_id),
            }),
        }
    }

    fn founding(&mut self) -> RoomCreation {
        RoomCreation {
            kind: self.pick(&[RoomKind::Direct, RoomKind::Group]),
            visibility: self.maybe(Self::visibility),
            name: self.maybe(|random| random.text(32)),
        }
    }

    fn visibility(&mut self) -> Visibility {
        self.pick(&[Visibility::Public, Visibility::Private])
    }
}
