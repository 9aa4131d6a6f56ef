//! The `RoomDirectory` port: rooms and members.

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::directory::{
    ListingCursor, MemberRecord, PublicCursor, RoomDirectory, RoomListing, RoomRecord,
};
use roomcast_protocol::api::Marks;
use roomcast_protocol::{RoomId, Seq, UserId};

use super::{EmbeddedStore, listings, members, rooms};

#[async_trait]
impl RoomDirectory for EmbeddedStore {
    async fn room(&self, room_id: &RoomId) -> Result<Option<RoomRecord>, StoreError> {
        let room_id = room_id.clone();
        self.query(move |store| rooms::record_of(store, &room_id))
            .await
    }

    async fn member(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<MemberRecord>, StoreError> {
        let (room_id, user_id) = (room_id.clone(), user_id.clone());
        self.query(move |store| members::member(store, &room_id, &user_id))
            .await
    }

    async fn members(
        &self,
        room_id: &RoomId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<MemberRecord>, StoreError> {
        let (room_id, after) = (room_id.clone(), after.cloned());
        self.query(move |store| members::page(store, &room_id, after.as_ref(), limit))
            .await
    }

    async fn owner_count(&self, room_id: &RoomId) -> Result<u64, StoreError> {
        let room_id = room_id.clone();
        self.query(move |store| members::owner_count(store, &room_id))
            .await
    }

    async fn rooms_of(
        &self,
        user_id: &UserId,
        after: Option<&ListingCursor>,
        limit: usize,
    ) -> Result<Vec<RoomListing>, StoreError> {
        let (user_id, after) = (user_id.clone(), after.cloned());
        self.query(move |store| listings::of_user(store, &user_id, after.as_ref(), limit))
            .await
    }

    async fn rooms_of_among(
        &self,
        user_id: &UserId,
        room_ids: &[RoomId],
    ) -> Result<Vec<RoomListing>, StoreError> {
        let (user_id, room_ids) = (user_id.clone(), room_ids.to_vec());
        self.query(move |store| listings::of_user_among(store, &user_id, &room_ids))
            .await
    }

    async fn room_ids_of(&self, user_id: &UserId, limit: usize) -> Result<Vec<RoomId>, StoreError> {
        let user_id = user_id.clone();
        self.query(move |store| listings::ids_of_user(store, &user_id, limit))
            .await
    }

    async fn public_rooms(
        &self,
        name_prefix: &str,
        after: Option<&PublicCursor>,
        limit: usize,
    ) -> Result<Vec<RoomRecord>, StoreError> {
        let (name_prefix, after) = (name_prefix.to_owned(), after.cloned());
        self.query(move |store| listings::public(store, &name_prefix, after.as_ref(), limit))
            .await
    }

    async fn advance_markers(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        read: Seq,
        delivered: Seq,
    ) -> Result<Option<Marks>, StoreError> {
        let (room_id, user_id) = (room_id.clone(), user_id.clone());
        self.change(move |store| members::mark(store, &room_id, &user_id, read, delivered))
            .await
    }
}
