//! Departures: the accounts service asks the rooms service to remove an ended user from groups.

use async_trait::async_trait;
use roomcast_protocol::{Refusal, RoomId, UserId};

/// What became of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The user is no member, or the room is not a group: nothing is left to do.
    Left,
    /// The user is the last member, and was to leave no group empty.
    WouldBeEmpty,
}

/// Takes a user out of groups, with the events that follow from it. Every call may be repeated.
#[async_trait]
pub trait Departures: Send + Sync {
    /// Rooms in which the user may be a member, at most `limit`; direct ones are among them.
    async fn rooms_of(&self, user_id: &UserId, limit: usize) -> Result<Vec<RoomId>, Refusal>;

    /// Takes the user out of a group. Where they were the last owner, the longest-standing admin, else
    /// member, becomes owner first. A group that is left without members is deleted; this happens only
    /// when it `may_empty`.
    async fn leave(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        may_empty: bool,
    ) -> Result<Departure, Refusal>;

    /// Deletes a group that has no members, in the name of the user who left it last.
    async fn delete_if_empty(&self, user_id: &UserId, room_id: &RoomId) -> Result<(), Refusal>;
}
