//! Forwarding wrappers of the ports, each written once.
//!
//! A type that stands before a port (deadlines in the product; faults and counters in tests) implements
//! the port's wrapper trait: it names the port behind it and overrides what it changes. Everything else is
//! forwarded. Where a call may fail, [`before`](EventLogWrapper::before) runs ahead of it and
//! [`around`](EventLogWrapper::around) runs it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use roomcast_protocol::api::Marks;
use roomcast_protocol::{
    ConnectionId, EventId, MessageId, RoomId, Seq, SessionId, StoredEvent, UserId,
};
use tokio::sync::watch;

use crate::StoreError;
use crate::accounts::{
    Account, AccountStore, AccountUpdate, Ending, EndingStep, Registration, Session, SessionStore,
};
use crate::dead_letters::{DeadLetter, DeadLetters};
use crate::directory::{
    ListingCursor, MemberRecord, PublicCursor, RoomDirectory, RoomListing, RoomRecord,
};
use crate::event_log::{Append, Appended, ConsumerBatch, EventLog, LogError, PartitionLease};
use crate::live::LiveSubscription;
use crate::message_store::{
    Checkpoint, MessageReader, MessageState, MessageWriter, ResyncRequests,
};
use crate::presence::{Lease, Presence, PresenceStore};
use crate::pubsub::{
    EphemeralEvent, EphemeralSubscription, PubSub, PubSubError, RevocationSubscription,
};
use crate::reactions::ReactionScope;

/// How long a call may take by design.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// One request or a few.
    Call,
    /// Work over many rows.
    Batch,
    /// Waits until there is something to return.
    Wait,
}

/// The outcome of a call to come.
pub type CallFuture<'f, T, E> = BoxFuture<'f, Result<T, E>>;

/// Defines a wrapper trait, and the port for every type that implements it.
macro_rules! wrapper {
    (
        $wrapper:ident of $port:ident, $error:ty {
            $($kind:ident fn $call:ident($($argument:ident: $type:ty),* $(,)?) -> $answer:ty;)*
        }
        plain { $(fn $plain:ident($($plain_argument:ident: $plain_type:ty),*) -> $plain_answer:ty;)* }
    ) => {
        #[doc = concat!("Stands before a [`", stringify!($port), "`]; each call is that of the port.")]
        #[async_trait]
        #[allow(missing_docs, reason = "the port documents its calls")]
        pub trait $wrapper: Send + Sync {
            /// The port behind this one.
            fn inner(&self) -> Arc<dyn $port>;

            /// Runs before each fallible call; an error is the call's outcome.
            async fn before(&self) -> Result<(), $error> {
                Ok(())
            }

            /// Runs a fallible call of the port behind this one.
            fn around<'f, T: Send + 'f>(
                &'f self,
                _kind: CallKind,
                call: CallFuture<'f, T, $error>,
            ) -> CallFuture<'f, T, $error> {
                Box::pin(async move {
                    self.before().await?;
                    call.await
                })
            }

            $(async fn $call(&self, $($argument: $type),*) -> Result<$answer, $error> {
                let inner = self.inner();
                let call = inner.$call($($argument),*);
                self.around(CallKind::$kind, call).await
            })*

            $(fn $plain(&self, $($plain_argument: $plain_type),*) -> $plain_answer {
                self.inner().$plain($($plain_argument),*)
            })*
        }

        #[async_trait]
        impl<W: $wrapper> $port for W {
            $(async fn $call(&self, $($argument: $type),*) -> Result<$answer, $error> {
                $wrapper::$call(self, $($argument),*).await
            })*

            $(fn $plain(&self, $($plain_argument: $plain_type),*) -> $plain_answer {
                $wrapper::$plain(self, $($plain_argument),*)
            })*
        }
    };
}

wrapper! {
    EventLogWrapper of EventLog, LogError {
        Call fn ping() -> ();
        Call fn head(room_id: &RoomId) -> Seq;
        Call fn heads(room_ids: &[RoomId]) -> Vec<Seq>;
        Call fn read(room_id: &RoomId, after: Seq, limit: usize) -> Vec<Arc<StoredEvent>>;
        Wait fn claim(partition: u16) -> Box<dyn PartitionLease>;
        Call fn read_partition(partition: u16, position: u64, limit: usize) -> ConsumerBatch;
        Call fn position_before(partition: u16, age: Duration) -> u64;
        Call fn trim(partition: u16, settled: u64) -> ();
    }
    plain {
        fn append(append: Append) -> BoxFuture<'static, Result<Appended, LogError>>;
        fn subscribe() -> LiveSubscription;
        fn partitions() -> u16;
        fn dedupe_window() -> Option<Duration>;
    }
}

wrapper! {
    PubSubWrapper of PubSub, PubSubError {
        Call fn publish(signal: EphemeralEvent) -> ();
        Call fn revoke(session_id: SessionId, user_id: UserId) -> ();
    }
    plain {
        fn subscribe() -> EphemeralSubscription;
        fn subscribe_revocations() -> RevocationSubscription;
    }
}

wrapper! {
    PresenceStoreWrapper of PresenceStore, StoreError {
        Call fn renew(leases: &[Lease], ttl: Duration) -> ();
        Call fn shorten(connections: &[(UserId, ConnectionId)], grace: Duration) -> ();
        Call fn read(user_ids: &[UserId]) -> Vec<Presence>;
        Call fn sweep() -> Vec<Presence>;
        Wait fn next_expired() -> Vec<Presence>;
        Call fn online_users() -> u64;
    }
    plain {
        fn resync_requests() -> watch::Receiver<u64>;
    }
}

wrapper! {
    MessageWriterWrapper of MessageWriter, StoreError {
        Batch fn apply(events: &[Arc<StoredEvent>], place: Option<Checkpoint>) -> ();
        Call fn checkpoint(partition: u16) -> u64;
    }
    plain {
        fn crash_loss_window() -> Option<Duration>;
        fn linger() -> Duration;
        fn resync_requests() -> watch::Receiver<ResyncRequests>;
    }
}

wrapper! {
    MessageReaderWrapper of MessageReader, StoreError {
        Call fn applied_seq(room_id: &RoomId) -> Seq;
        Call fn events_after(room_id: &RoomId, after: Seq, limit: usize) -> Vec<Arc<StoredEvent>>;
        Call fn messages_before(
            room_id: &RoomId,
            before: Seq,
            limit: usize,
            tail_from: Seq,
        ) -> Vec<MessageState>;
        Call fn messages_from(
            room_id: &RoomId,
            from: Seq,
            limit: usize,
            tail_from: Seq,
        ) -> Vec<MessageState>;
        Call fn message(
            room_id: &RoomId,
            message_id: &MessageId,
            scope: ReactionScope<'_>,
        ) -> Option<MessageState>;
        Call fn event(room_id: &RoomId, event_id: &EventId) -> Option<Arc<StoredEvent>>;
    }
    plain {}
}

wrapper! {
    RoomDirectoryWrapper of RoomDirectory, StoreError {
        Call fn room(room_id: &RoomId) -> Option<RoomRecord>;
        Call fn member(room_id: &RoomId, user_id: &UserId) -> Option<MemberRecord>;
        Call fn members(
            room_id: &RoomId,
            after: Option<&UserId>,
            limit: usize,
        ) -> Vec<MemberRecord>;
        Call fn owner_count(room_id: &RoomId) -> u64;
        Call fn rooms_of(
            user_id: &UserId,
            after: Option<&ListingCursor>,
            limit: usize,
        ) -> Vec<RoomListing>;
        Call fn rooms_of_among(user_id: &UserId, room_ids: &[RoomId]) -> Vec<RoomListing>;
        Call fn room_ids_of(user_id: &UserId, limit: usize) -> Vec<RoomId>;
        Call fn public_rooms(
            name_prefix: &str,
            after: Option<&PublicCursor>,
            limit: usize,
        ) -> Vec<RoomRecord>;
        Call fn advance_markers(
            room_id: &RoomId,
            user_id: &UserId,
            read: Seq,
            delivered: Seq,
        ) -> Option<Marks>;
    }
    plain {}
}

wrapper! {
    DeadLettersWrapper of DeadLetters, StoreError {
        Call fn put(letter: &DeadLetter) -> ();
        Call fn list(partition: u16, position: u64, limit: usize) -> Vec<DeadLetter>;
        Call fn delete(partition: u16, position: u64) -> ();
    }
    plain {}
}

wrapper! {
    AccountStoreWrapper of AccountStore, StoreError {
        Call fn create(account: &Account) -> Registration;
        Call fn by_id(user_id: &UserId) -> Option<Account>;
        Call fn by_name(name: &str) -> Option<Account>;
        Call fn by_prefix(prefix: &str, after: Option<&str>, limit: usize) -> Vec<Account>;
        Call fn update(user_id: &UserId, update: &AccountUpdate) -> Option<Account>;
        Call fn delete(user_id: &UserId) -> bool;
        Call fn put_ending(ending: &Ending) -> ();
        Call fn endings(step: EndingStep, limit: usize) -> Vec<Ending>;
        Call fn has_ending(ending: &Ending) -> bool;
        Call fn delete_ending(ending: &Ending) -> ();
    }
    plain {}
}

wrapper! {
    SessionStoreWrapper of SessionStore, StoreError {
        Call fn create(session: &Session) -> ();
        Call fn session(session_id: &SessionId) -> Option<Session>;
        Call fn of_user(user_id: &UserId) -> Vec<Session>;
        Call fn rotate(expected: u64, next: &Session) -> bool;
        Call fn end(user_id: &UserId, session_id: &SessionId) -> bool;
        Call fn end_all_but(user_id: &UserId, kept: Option<&SessionId>) -> Vec<SessionId>;
        Call fn end_oldest(user_id: &UserId, kept: usize) -> Vec<SessionId>;
        Batch fn delete_expired(older_than: Duration) -> u64;
    }
    plain {}
}
