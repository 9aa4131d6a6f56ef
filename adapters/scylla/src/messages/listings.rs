//! A user's rooms by latest activity.
//!
//! A new message writes nothing per member, so the order is computed on reading:
//! from one small row of each of the user's rooms, read concurrently. Only those that are shown are read
//! further.

use std::collections::HashSet;

use futures_util::future::{try_join_all, try_join3};
use roomcast_ports::StoreError;
use roomcast_ports::directory::{ListingCursor, RoomListing, RoomRecord};
use roomcast_ports::message_store::MessageState;
use roomcast_protocol::api::Marks;
use roomcast_protocol::{RoomId, RoomKind, Timestamp, UserId};

use super::ScyllaMessages;
use super::rooms::RoomHead;
use crate::rows::id;

/// Rooms of one user that are looked at; of who has more, some are not listed.
const ROOMS_OF_USER_MAX: i32 = 10_000;
/// Members of a direct room that are looked at to find the other one.
const PEERS_MAX: usize = 4;

impl ScyllaMessages {
    /// The user's rooms by latest activity, then id, after `after`.
    pub(super) async fn listings(
        &self,
        user_id: &UserId,
        after: Option<&ListingCursor>,
        limit: usize,
    ) -> Result<Vec<RoomListing>, StoreError> {
        let mut rooms = self.standings(&self.ids_of(user_id).await?).await?;
        rooms.retain(|standing| after.is_none_or(|after| key(standing) > key_of_cursor(after)));
        rooms.truncate(limit);
        self.listings_of(user_id, rooms).await
    }

    /// Those of these rooms that are the user's, in the same order.
    pub(super) async fn listings_among(
        &self,
        user_id: &UserId,
        room_ids: &[RoomId],
    ) -> Result<Vec<RoomListing>, StoreError> {
        let wanted: HashSet<&RoomId> = room_ids.iter().collect();
        let wanted: Vec<RoomId> = wanted.into_iter().cloned().collect();
        let rooms = self.standings(&wanted).await?;
        self.listings_of(user_id, rooms).await
    }

    async fn listings_of(
        &self,
        user_id: &UserId,
        rooms: Vec<RoomHead>,
    ) -> Result<Vec<RoomListing>, StoreError> {
        let last = rooms.iter().filter_map(|standing| {
            let (bucket, place) = standing.last_message?;
            Some((standing.room.room_id.clone(), bucket, place))
        });
        let mut last = self.messages_at(last.collect()).await?;
        let listings = rooms.into_iter().map(|standing| {
            let last_message = last.remove(&standing.room.room_id);
            self.listing(user_id, standing, last_message)
        });
        let listings = listings.collect::<Vec<_>>();
        Ok(try_join_all(listings)
            .await?
            .into_iter()
            .flatten()
            .collect())
    }

    /// The ids of the user's rooms; only of more than `limit` it matters when they were active. So a
    /// gateway whose clients all connect at the same time asks for a row of each, and not for a row of each room.
    pub(super) async fn listed_ids(
        &self,
        user_id: &UserId,
        limit: usize,
    ) -> Result<Vec<RoomId>, StoreError> {
        let ids = self.ids_of(user_id).await?;
        if ids.len() <= limit {
            return Ok(ids);
        }
        let rooms = self.standings(&ids).await?.into_iter().take(limit);
        Ok(rooms.map(|standing| standing.room.room_id).collect())
    }

    async fn ids_of(&self, user_id: &UserId) -> Result<Vec<RoomId>, StoreError> {
        let values = (user_id.as_str(), ROOMS_OF_USER_MAX);
        let rows = self
            .client
            .rows::<(String,)>(&self.statements.rooms_of_user, values);
        rows.await?.iter().map(|(room_id,)| id(room_id)).collect()
    }

    /// Where those of the rooms stand that were founded and have not ended, in order.
    async fn standings(&self, ids: &[RoomId]) -> Result<Vec<RoomHead>, StoreError> {
        let standings = try_join_all(ids.iter().map(|room_id| self.standing(room_id))).await?;
        let open = standings
            .into_iter()
            .flatten()
            .filter(|standing| !standing.room.deleted);
        let mut open: Vec<RoomHead> = open.collect();
        open.sort_by(|one, other| key(one).cmp(&key(other)));
        Ok(open)
    }

    /// `None` when the user is no member, or has just left.
    async fn listing(
        &self,
        user_id: &UserId,
        standing: RoomHead,
        last_message: Option<MessageState>,
    ) -> Result<Option<RoomListing>, StoreError> {
        let room_id = &standing.room.room_id;
        let (member, member_count, peer_id) = try_join3(
            self.member_of(room_id, user_id),
            self.member_count(&standing),
            self.peer(&standing.room, user_id),
        )
        .await?;
        let Some(member) = member else {
            return Ok(None);
        };
        let unread = self.unread(&standing, &member).await?;
        // A mark may have been written already whose message is not in the head that was read before it:
        // what is shown is of one moment.
        let marks = Marks {
            read: member.marks.read.min(standing.head),
            delivered: member.marks.delivered.min(standing.head),
        };
        Ok(Some(RoomListing {
            room: RoomRecord {
                member_count,
                ..standing.room
            },
            head: standing.head,
            active_at: standing.active_at,
            role: member.role,
            peer_id,
            marks,
            unread,
            last_message,
        }))
    }

    async fn peer(
        &self,
        room: &RoomRecord,
        user_id: &UserId,
    ) -> Result<Option<UserId>, StoreError> {
        if room.kind == RoomKind::Group {
            return Ok(None);
        }
        let members = self
            .members_after(&room.room_id, None, PEERS_MAX)
            .await?
            .into_iter();
        Ok(members
            .map(|member| member.user_id)
            .find(|it| it != user_id))
    }
}

/// Latest activity first, then by id.
fn key(standing: &RoomHead) -> (std::cmp::Reverse<Timestamp>, &RoomId) {
    (
        std::cmp::Reverse(standing.active_at),
        &standing.room.room_id,
    )
}

fn key_of_cursor(cursor: &ListingCursor) -> (std::cmp::Reverse<Timestamp>, &RoomId) {
    (std::cmp::Reverse(cursor.active_at), &cursor.room_id)
}
