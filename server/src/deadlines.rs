//! Deadlines: every call of a port ends within a bounded time.
//!
//! An adapter has deadlines where its driver offers them. A disk that stands still, a lock that is never
//! released and a driver that loses an answer have none, and a caller would wait without end: a client for
//! its answer, readiness for the news that the log is away. So all services get their ports wrapped in
//! [`Bounded`]. Calls that wait by design (a claim, the next batch of a feed, the next expired presence)
//! are passed through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use roomcast_ports::StoreError;
use roomcast_ports::accounts::{AccountStore, SessionStore};
use roomcast_ports::dead_letters::DeadLetters;
use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::event_log::{
    Append, Appended, ConsumerBatch, EventLog, LogError, PartitionConsumer, PartitionLease,
};
use roomcast_ports::message_store::{Checkpoint, MessageReader, MessageWriter};
use roomcast_ports::presence::PresenceStore;
use roomcast_ports::pubsub::{PubSub, PubSubError};
use roomcast_ports::wrapper::{
    AccountStoreWrapper, CallFuture, CallKind, DeadLettersWrapper, EventLogWrapper,
    MessageReaderWrapper, MessageWriterWrapper, PresenceStoreWrapper, PubSubWrapper,
    RoomDirectoryWrapper, SessionStoreWrapper,
};
use roomcast_protocol::StoredEvent;
use roomcast_protocol::limits::{APPEND_GRACE, APPEND_TIMEOUT, BATCH_TIMEOUT, CALL_TIMEOUT};

/// A port whose calls end within a deadline.
pub struct Bounded<P: ?Sized>(Arc<P>);

impl<P: ?Sized> Bounded<P> {
    /// Wraps the port.
    pub const fn new(port: Arc<P>) -> Self {
        Self(port)
    }
}

/// What a port answers in place of an answer that did not come.
trait TimedOut {
    fn timed_out(timeout: Duration) -> Self;
}

/// The cause of a failed call.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct NoAnswer(Duration);

impl TimedOut for LogError {
    fn timed_out(timeout: Duration) -> Self {
        Self::Unavailable(Box::new(NoAnswer(timeout)))
    }
}

impl TimedOut for StoreError {
    fn timed_out(timeout: Duration) -> Self {
        Self::Unavailable(Box::new(NoAnswer(timeout)))
    }
}

impl TimedOut for PubSubError {
    fn timed_out(timeout: Duration) -> Self {
        Self(Box::new(NoAnswer(timeout)))
    }
}

fn within<'f, T: Send + 'f, E: TimedOut + Send + 'f>(
    timeout: Duration,
    call: CallFuture<'f, T, E>,
) -> CallFuture<'f, T, E> {
    Box::pin(async move {
        match tokio::time::timeout(timeout, call).await {
            Ok(answer) => answer,
            Err(_) => {
                metrics::counter!("chat_port_timeouts_total").increment(1);
                Err(E::timed_out(timeout))
            }
        }
    })
}

/// The call with the deadline of its kind; one that waits by design has none.
fn bounded<'f, T: Send + 'f, E: TimedOut + Send + 'f>(
    kind: CallKind,
    call: CallFuture<'f, T, E>,
) -> CallFuture<'f, T, E> {
    match kind {
        CallKind::Call => within(CALL_TIMEOUT, call),
        CallKind::Batch => within(BATCH_TIMEOUT, call),
        CallKind::Wait => call,
    }
}

/// Wraps a port for [`Bounded`]: each call with the deadline of its kind, but for those that follow.
macro_rules! bounded_port {
    ($wrapper:ident of $port:ident, $error:ty; $($call:item)*) => {
        #[async_trait]
        impl $wrapper for Bounded<dyn $port> {
            fn inner(&self) -> Arc<dyn $port> {
                Arc::clone(&self.0)
            }

            fn around<'f, T: Send + 'f>(
                &'f self,
                kind: CallKind,
                call: CallFuture<'f, T, $error>,
            ) -> CallFuture<'f, T, $error> {
                bounded(kind, call)
            }

            $($call)*
        }
    };
}

bounded_port! { PubSubWrapper of PubSub, PubSubError; }
bounded_port! { PresenceStoreWrapper of PresenceStore, StoreError; }
bounded_port! { MessageReaderWrapper of MessageReader, StoreError; }
bounded_port! { RoomDirectoryWrapper of RoomDirectory, StoreError; }
bounded_port! { DeadLettersWrapper of DeadLetters, StoreError; }
bounded_port! { AccountStoreWrapper of AccountStore, StoreError; }
bounded_port! { SessionStoreWrapper of SessionStore, StoreError; }

bounded_port! {
    MessageWriterWrapper of MessageWriter, StoreError;

    async fn apply(
        &self,
        events: &[Arc<StoredEvent>],
        place: Option<Checkpoint>,
    ) -> Result<(), StoreError> {
        let timeout = if place.is_some() { BATCH_TIMEOUT } else { CALL_TIMEOUT };
        within(timeout, self.0.apply(events, place)).await
    }
}

bounded_port! {
    EventLogWrapper of EventLog, LogError;

    /// A log that answers later than its own deadline has perhaps stored the event.
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, LogError>> {
        let (started, pending) = (Instant::now(), self.0.append(append));
        Box::pin(async move {
            let answer = tokio::time::timeout(APPEND_TIMEOUT + APPEND_GRACE, pending).await;
            answer.unwrap_or_else(|_| {
                metrics::counter!("chat_port_timeouts_total").increment(1);
                Err(LogError::Unconfirmed(started.elapsed()))
            })
        })
    }

    async fn claim(&self, partition: u16) -> Result<Box<dyn PartitionLease>, LogError> {
        Ok(Box::new(BoundedLease(self.0.claim(partition).await?)))
    }
}

struct BoundedLease(Box<dyn PartitionLease>);

#[async_trait]
impl PartitionLease for BoundedLease {
    async fn open(self: Box<Self>, position: u64) -> Result<Box<dyn PartitionConsumer>, LogError> {
        let consumer = within(CALL_TIMEOUT, self.0.open(position)).await?;
        Ok(Box::new(BoundedConsumer(consumer)))
    }
}

struct BoundedConsumer(Box<dyn PartitionConsumer>);

#[async_trait]
impl PartitionConsumer for BoundedConsumer {
    async fn next(&mut self, limit: usize) -> Result<ConsumerBatch, LogError> {
        self.0.next(limit).await
    }

    async fn acknowledge(&mut self, position: u64) -> Result<(), LogError> {
        within(CALL_TIMEOUT, self.0.acknowledge(position)).await
    }
}
