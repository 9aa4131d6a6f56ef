//! The deadlines of the log and of the signals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use roomcast_ports::event_log::{
    Append, Appended, ConsumerBatch, EventLog, LogError, PartitionConsumer, PartitionLease,
};
use roomcast_ports::live::LiveSubscription;
use roomcast_ports::pubsub::{
    EphemeralEvent, EphemeralSubscription, PubSub, PubSubError, RevocationSubscription,
};
use roomcast_protocol::limits::{APPEND_GRACE, APPEND_TIMEOUT};
use roomcast_protocol::{RoomId, Seq, SessionId, StoredEvent, UserId};

use super::{bounded, bounded_port};

bounded_port! {
    impl EventLog, LogError {
        fn ping() -> ();
        fn head(room_id: &RoomId) -> Seq;
        fn heads(room_ids: &[RoomId]) -> Vec<Seq>;
        fn read(room_id: &RoomId, after: Seq, limit: usize) -> Vec<Arc<StoredEvent>>;
        fn read_partition(partition: u16, position: u64, limit: usize) -> ConsumerBatch;
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

        fn subscribe(&self) -> LiveSubscription {
            self.0.subscribe()
        }

        fn partitions(&self) -> u16 {
            self.0.partitions()
        }

        async fn claim(&self, partition: u16) -> Result<Box<dyn PartitionLease>, LogError> {
            Ok(Box::new(BoundedClaim(self.0.claim(partition).await?)))
        }

        fn dedupe_window(&self) -> Option<Duration> {
            self.0.dedupe_window()
        }
    }
}

struct BoundedClaim(Box<dyn PartitionLease>);

#[async_trait]
impl PartitionLease for BoundedClaim {
    async fn open(self: Box<Self>, position: u64) -> Result<Box<dyn PartitionConsumer>, LogError> {
        Ok(Box::new(BoundedFeed(bounded(self.0.open(position)).await?)))
    }
}

struct BoundedFeed(Box<dyn PartitionConsumer>);

#[async_trait]
impl PartitionConsumer for BoundedFeed {
    async fn next(&mut self, limit: usize) -> Result<ConsumerBatch, LogError> {
        self.0.next(limit).await
    }

    async fn acknowledge(&mut self, position: u64) -> Result<(), LogError> {
        bounded(self.0.acknowledge(position)).await
    }
}

bounded_port! {
    impl PubSub, PubSubError {
        fn publish(signal: EphemeralEvent) -> ();
        fn revoke(session_id: SessionId, user_id: UserId) -> ();
    }
    also {
        fn subscribe(&self) -> EphemeralSubscription {
            self.0.subscribe()
        }

        fn subscribe_revocations(&self) -> RevocationSubscription {
            self.0.subscribe_revocations()
        }
    }
}
