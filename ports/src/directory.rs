//! Rooms, members and their marks. All but the marks is derived from the log.

use async_trait::async_trait;
use roomcast_protocol::api::Marks;
use roomcast_protocol::{MemberRole, RoomId, RoomKind, Seq, Timestamp, UserId, Visibility};

use crate::StoreError;
use crate::message_store::MessageState;

/// What a room is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRecord {
    /// Its name for programs.
    pub room_id: RoomId,
    /// For two or for many.
    pub kind: RoomKind,
    /// Who finds it; groups only.
    pub visibility: Option<Visibility>,
    /// Its name for people.
    pub name: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many are members.
    pub member_count: u64,
    /// It has ended; its id is not used again.
    pub deleted: bool,
}

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// Who.
    pub user_id: UserId,
    /// As what.
    pub role: MemberRole,
    /// How far they have read and received.
    pub marks: Marks,
    /// The seq of their last joining.
    pub joined: Seq,
}

/// One of a user's rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomListing {
    /// The room.
    pub room: RoomRecord,
    /// The seq of its last event.
    pub head: Seq,
    /// When it was last active: its last message, or its making.
    pub active_at: Timestamp,
    /// The user's role in it.
    pub role: MemberRole,
    /// The other member of a direct room.
    pub peer_id: Option<UserId>,
    /// The user's marks in it.
    pub marks: Marks,
    /// Messages after the user's read mark.
    pub unread: u64,
    /// Its last message, in its current state.
    pub last_message: Option<MessageState>,
}

/// Cursor of a list of rooms: after the room of this activity and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingCursor {
    /// The activity of the last room given.
    pub active_at: Timestamp,
    /// Its id.
    pub room_id: RoomId,
}

/// Cursor of a list of public rooms: after the room of this key and id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicCursor {
    /// The [`name_key`] of the last room given.
    pub name_key: String,
    /// Its id.
    pub room_id: RoomId,
}

impl PublicCursor {
    /// The position of this room in the list.
    #[must_use]
    pub fn of(room: &RoomRecord) -> Self {
        Self {
            name_key: name_key(room.name.as_deref().unwrap_or_default()),
            room_id: room.room_id.clone(),
        }
    }
}

/// The range of a search of public rooms: keys that begin with a prefix, after a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicRange {
    /// The key that the range starts after, together with `room_id`.
    pub name_key: String,
    /// The id that it starts after; empty, before every id, at the prefix's beginning.
    pub room_id: String,
    /// The first key that no longer begins with the prefix.
    pub end: String,
}

impl PublicRange {
    /// The rooms whose name begins so, after `after`. A cursor before the prefix is its beginning.
    #[must_use]
    pub fn of(name_prefix: &str, after: Option<&PublicCursor>) -> Self {
        let prefix = name_key(name_prefix);
        // The last code point, which no name contains: all that begins with the prefix is below.
        let end = format!("{prefix}\u{10FFFF}");
        let after = after.filter(|after| after.name_key >= prefix);
        let (name_key, room_id) = after.map_or((prefix, String::new()), |after| {
            (after.name_key.clone(), after.room_id.to_string())
        });
        Self {
            name_key,
            room_id,
            end,
        }
    }
}

impl RoomRecord {
    /// The key that a search of public rooms finds the room by; `None` if it finds it by none.
    #[must_use]
    pub fn public_key(&self) -> Option<String> {
        let found = self.kind == RoomKind::Group
            && self.visibility == Some(Visibility::Public)
            && !self.deleted;
        found.then(|| name_key(self.name.as_deref().unwrap_or_default()))
    }
}

/// The key that names of public rooms are compared and sorted by: the name in lower case.
#[must_use]
pub fn name_key(name: &str) -> String {
    name.to_lowercase()
}

/// Rooms and members as far as the log has been derived. Rooms that ended are given only by
/// [`room`](RoomDirectory::room).
#[async_trait]
pub trait RoomDirectory: Send + Sync {
    /// The room, also when it has ended.
    async fn room(&self, room_id: &RoomId) -> Result<Option<RoomRecord>, StoreError>;

    /// The member, unless they are none or the room has ended.
    async fn member(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<MemberRecord>, StoreError>;

    /// Members by user id, after `after`, at most `limit`.
    async fn members(
        &self,
        room_id: &RoomId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<MemberRecord>, StoreError>;

    /// How many owners the room has.
    async fn owner_count(&self, room_id: &RoomId) -> Result<u64, StoreError>;

    /// The user's rooms by latest activity, then id, after `after`, at most `limit`.
    async fn rooms_of(
        &self,
        user_id: &UserId,
        after: Option<&ListingCursor>,
        limit: usize,
    ) -> Result<Vec<RoomListing>, StoreError>;

    /// Those of these rooms that the user is a member of, each once, in the order of
    /// [`rooms_of`](RoomDirectory::rooms_of); others are left out.
    async fn rooms_of_among(
        &self,
        user_id: &UserId,
        room_ids: &[RoomId],
    ) -> Result<Vec<RoomListing>, StoreError>;

    /// The ids of the user's rooms; of more than `limit`, the most recently
    /// active. Rooms that were deleted may be among them.
    async fn room_ids_of(&self, user_id: &UserId, limit: usize) -> Result<Vec<RoomId>, StoreError>;

    /// Public groups whose name begins with `name_prefix`, compared without case, by [`name_key`]
    /// (order of code points), then id, after `after`, at most `limit`.
    async fn public_rooms(
        &self,
        name_prefix: &str,
        after: Option<&PublicCursor>,
        limit: usize,
    ) -> Result<Vec<RoomRecord>, StoreError>;

    /// Moves the member's marks forward, never back; `read` takes `delivered` along. Gives the marks
    /// after it when either has moved, `None` when neither has or the user is no member.
    async fn advance_markers(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        read: Seq,
        delivered: Seq,
    ) -> Result<Option<Marks>, StoreError>;
}
