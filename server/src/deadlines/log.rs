//! The deadlines of the log and of the signals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use roomcast_ports::event_log::{
    Append, Appended, Claim, EventFeed, EventLog, FeedBatch, LogError,
};
use roomcast_ports::live::LiveEvents;
use roomcast_ports::signals::{RevocationStream, Signal, SignalError, SignalStream, Signals};
use roomcast_protocol::limits::{APPEND_GRACE, APPEND_TIMEOUT};
use roomcast_protocol::{RoomId, Seq, SessionId, StoredEvent, UserId};

use super::{bounded, bounded_port};

bounded_port! {
    impl EventLog, LogError {
        fn ping() -> ();
        fn head(room_id: &RoomId) -> Seq;
        fn heads(room_ids: &[RoomId]) -> Vec<Seq>;
        fn read(room_id: &RoomId, after: Seq, limit: usize) -> Vec<Arc<StoredEvent>>;
        fn stretch(partition: u16, position: u64, limit: usize) -> FeedBatch;
        fn position_before(partition: u16, age: Duration) -> u64;
        fn trim(partition: u16, settled: u64) -> ();
    }
    also {
        /// A log that answers later than its own deadline has perhaps stored the event.
        fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, LogError>> {
            let (begun, pending) = (Instant::now(), self.0.append(append));
            Box::pin(async move {
                let answer = tokio::time::timeout(APPEND_TIMEOUT + APPEND_GRACE, pending).await;
                answer.unwrap_or_else(|_| {
                    metrics::counter!("chat_port_timeouts_total").increment(1);
                    Err(LogError::Unconfirmed(begun.elapsed()))
                })
            })
        }

        fn live(&self) -> LiveEvents {
            self.0.live()
        }

        fn partitions(&self) -> u16 {
            self.0.partitions()
        }

        async fn claim(&self, partition: u16) -> Result<Box<dyn Claim>, LogError> {
            Ok(Box::new(BoundedClaim(self.0.claim(partition).await?)))
        }

        fn remembers(&self) -> Option<Duration> {
            self.0.remembers()
        }
    }
}

struct BoundedClaim(Box<dyn Claim>);

#[async_trait]
impl Claim for BoundedClaim {
    async fn begin(self: Box<Self>, position: u64) -> Result<Box<dyn EventFeed>, LogError> {
        Ok(Box::new(BoundedFeed(
            bounded(self.0.begin(position)).await?,
        )))
    }
}

struct BoundedFeed(Box<dyn EventFeed>);

#[async_trait]
impl EventFeed for BoundedFeed {
    async fn next(&mut self, limit: usize) -> Result<FeedBatch, LogError> {
        self.0.next(limit).await
    }

    async fn acknowledge(&mut self, position: u64) -> Result<(), LogError> {
        bounded(self.0.acknowledge(position)).await
    }
}

bounded_port! {
    impl Signals, SignalError {
        fn publish(signal: Signal) -> ();
        fn revoke(session_id: SessionId, user_id: UserId) -> ();
    }
    also {
        fn listen(&self) -> SignalStream {
            self.0.listen()
        }

        fn revocations(&self) -> RevocationStream {
            self.0.revocations()
        }
    }
}
