//! The `RoomDirectory` port: rooms and members.

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::directory::{
    ListingCursor, MemberRecord, PublicCursor, RoomDirectory, RoomListing, RoomRecord,
};
use roomcast_protocol::api::Marks;
use roomcast_protocol::{RoomId, Seq, UserId};

use super::ScyllaMessages;

#[async_trait]
impl RoomDirectory for ScyllaMessages {
    async fn room(&self, room_id: &RoomId) -> Result<Option<RoomRecord>, StoreError> {
        self.record(room_id).await
    }

    async fn member(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<MemberRecord>, StoreError> {
        let member = self.member_of(room_id, user_id).await?;
        Ok(member.map(|member| MemberRecord {
            user_id: user_id.clone(),
            role: member.role,
            marks: member.marks,
            joined: member.joined,
        }))
    }

    async fn members(
        &self,
        room_id: &RoomId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<MemberRecord>, StoreError> {
        self.members_after(room_id, after, limit).await
    }

    async fn owner_count(&self, room_id: &RoomId) -> Result<u64, StoreError> {
        self.owners(room_id).await
    }

    async fn rooms_of(
        &self,
        user_id: &UserId,
        after: Option<&ListingCursor>,
        limit: usize,
    ) -> Result<Vec<RoomListing>, StoreError> {
        self.listings(user_id, after, limit).await
    }

    async fn rooms_of_among(
        &self,
        user_id: &UserId,
        room_ids: &[RoomId],
    ) -> Result<Vec<RoomListing>, StoreError> {
        self.listings_among(user_id, room_ids).await
    }

    async fn room_ids_of(&self, user_id: &UserId, limit: usize) -> Result<Vec<RoomId>, StoreError> {
        self.listed_ids(user_id, limit).await
    }

    async fn public_rooms(
        &self,
        name_prefix: &str,
        after: Option<&PublicCursor>,
        limit: usize,
    ) -> Result<Vec<RoomRecord>, StoreError> {
        self.search_public(name_prefix, after, limit).await
    }

    async fn advance_markers(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        read: Seq,
        delivered: Seq,
    ) -> Result<Option<Marks>, StoreError> {
        self.advance_markers(room_id, user_id, read, delivered)
            .await
    }
}
