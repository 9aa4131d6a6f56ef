//! The deadlines of the store of messages and rooms.

use std::sync::Arc;
use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::dead_letters::{DeadLetter, DeadLetters};
use roomcast_ports::directory::{
    ListingCursor, MemberRecord, RoomDirectory, RoomListing, RoomRecord,
};
use roomcast_ports::message_store::{MessageReader, MessageState, MessageWriter, Place, Setbacks};
use roomcast_protocol::api::Marks;
use roomcast_protocol::limits::{BATCH_TIMEOUT, CALL_TIMEOUT};
use roomcast_protocol::{EventId, MessageId, RoomId, Seq, StoredEvent, UserId};
use tokio::sync::watch;

use super::{bounded_port, within};

bounded_port! {
    impl MessageWriter, StoreError {
        fn place(partition: u16) -> u64;
    }
    also {
        async fn write(
            &self,
            events: &[Arc<StoredEvent>],
            place: Option<Place>,
        ) -> Result<(), StoreError> {
            let timeout = if place.is_some() { BATCH_TIMEOUT } else { CALL_TIMEOUT };
            within(timeout, self.0.write(events, place)).await
        }

        fn may_forget(&self) -> Option<Duration> {
            self.0.may_forget()
        }

        fn gathers(&self) -> Duration {
            self.0.gathers()
        }

        fn setbacks(&self) -> watch::Receiver<Setbacks> {
            self.0.setbacks()
        }
    }
}

bounded_port! {
    impl MessageReader, StoreError {
        fn complete_to(room_id: &RoomId) -> Seq;
        fn events_after(room_id: &RoomId, after: Seq, limit: usize) -> Vec<Arc<StoredEvent>>;
        fn messages_before(room_id: &RoomId, before: Seq, limit: usize) -> Vec<MessageState>;
        fn messages_from(room_id: &RoomId, from: Seq, limit: usize) -> Vec<MessageState>;
        fn message(room_id: &RoomId, message_id: &MessageId) -> Option<MessageState>;
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
            after: Option<&RoomId>,
            limit: usize,
        ) -> Vec<RoomRecord>;
        fn mark(
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
        fn keep(letter: &DeadLetter) -> ();
        fn list(partition: u16, position: u64, limit: usize) -> Vec<DeadLetter>;
        fn forget(partition: u16, position: u64) -> ();
    }
    also {}
}
