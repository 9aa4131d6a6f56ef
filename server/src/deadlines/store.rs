//! The deadlines of the store of messages and rooms.

use std::sync::Arc;
use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::dead_letters::{DeadLetter, DeadLetters};
use roomcast_ports::directory::{
    ListingCursor, MemberRecord, PublicCursor, RoomDirectory, RoomListing, RoomRecord,
};
use roomcast_ports::message_store::{
    Checkpoint, MessageReader, MessageState, MessageWriter, ResyncRequests,
};
use roomcast_ports::reactions::ReactionScope;
use roomcast_protocol::api::Marks;
use roomcast_protocol::limits::{BATCH_TIMEOUT, CALL_TIMEOUT};
use roomcast_protocol::{EventId, MessageId, RoomId, Seq, StoredEvent, UserId};
use tokio::sync::watch;

use super::{bounded_port, within};

bounded_port! {
    impl MessageWriter, StoreError {
        fn checkpoint(partition: u16) -> u64;
    }
    also {
        async fn apply(
            &self,
            events: &[Arc<StoredEvent>],
            place: Option<Checkpoint>,
        ) -> Result<(), StoreError> {
            let timeout = if place.is_some() { BATCH_TIMEOUT } else { CALL_TIMEOUT };
            within(timeout, self.0.apply(events, place)).await
        }

        fn crash_loss_window(&self) -> Option<Duration> {
            self.0.crash_loss_window()
        }

        fn linger(&self) -> Duration {
            self.0.linger()
        }

        fn resync_requests(&self) -> watch::Receiver<ResyncRequests> {
            self.0.resync_requests()
        }
    }
}

bounded_port! {
    impl MessageReader, StoreError {
        fn applied_seq(room_id: &RoomId) -> Seq;
        fn events_after(room_id: &RoomId, after: Seq, limit: usize) -> Vec<Arc<StoredEvent>>;
        fn messages_before(
            room_id: &RoomId,
            before: Seq,
            limit: usize,
            tail_from: Seq,
        ) -> Vec<MessageState>;
        fn messages_from(
            room_id: &RoomId,
            from: Seq,
            limit: usize,
            tail_from: Seq,
        ) -> Vec<MessageState>;
        fn message(
            room_id: &RoomId,
            message_id: &MessageId,
            scope: ReactionScope<'_>,
        ) -> Option<MessageState>;
        fn event(room_id: &RoomId, event_id: &EventId) -> Option<Arc<StoredEvent>>;
    }
    also {}
}

bounded_port! {
    impl RoomDirectory, StoreError {
        fn room(room_id: &RoomId) -> Option<RoomRecord>;
        fn member(room_id: &RoomId, user_id: &UserId) -> Option<MemberRecord>;
        fn members(
            room_id: &RoomId,
            after: Option<&UserId>,
            limit: usize,
        ) -> Vec<MemberRecord>;
        fn owner_count(room_id: &RoomId) -> u64;
        fn rooms_of(
            user_id: &UserId,
            after: Option<&ListingCursor>,
            limit: usize,
        ) -> Vec<RoomListing>;
        fn rooms_of_among(user_id: &UserId, room_ids: &[RoomId]) -> Vec<RoomListing>;
        fn room_ids_of(user_id: &UserId, limit: usize) -> Vec<RoomId>;
        fn public_rooms(
            name_prefix: &str,
            after: Option<&PublicCursor>,
            limit: usize,
        ) -> Vec<RoomRecord>;
        fn advance_markers(
            room_id: &RoomId,
            user_id: &UserId,
            read: Seq,
            delivered: Seq,
        ) -> Option<Marks>;
    }
    also {}
}

bounded_port! {
    impl DeadLetters, StoreError {
        fn put(letter: &DeadLetter) -> ();
        fn list(partition: u16, position: u64, limit: usize) -> Vec<DeadLetter>;
        fn delete(partition: u16, position: u64) -> ();
    }
    also {}
}
