//! The consumer of one partition, for ingest and other derivations.
//!
//! The consumer decides whose turn it is and brings what comes. What it does not bring, because an
//! earlier worker was given it, is read from the stream: every position after the caller's own is given,
//! in order, none left out.

mod pinned_consumer;
mod prev_links;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::counter;
use roomcast_ports::back_off::BackOff;
use roomcast_ports::event_log::{ConsumerBatch, LogError, PartitionConsumer, PartitionLease};
use roomcast_protocol::Timestamp;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::connection::NatsConnection;
use crate::direct::{BATCH_MAX, DirectGetRequest, StoredMessage};
use crate::error::NatsError;
use crate::reader::{Lag, Reader};
use crate::streams::Streams;
use crate::streams::found::sortable;
use crate::streams::spec::RETENTION;
use pinned_consumer::{Delivered, Lease};
use prev_links::PrevLinker;

/// Between two questions to a consumer that is not there.
const ABSENT_AFTER: Duration = Duration::from_millis(300);
const ABSENT_MAX: Duration = Duration::from_secs(2);
/// Delays between two questions to a consumer whose pin another process has.
const REFUSED_AFTER: Duration = Duration::from_millis(50);
const REFUSED_MAX: Duration = Duration::from_millis(500);

/// What feeds need of the rest.
#[derive(Debug)]
pub(crate) struct Feeds {
    pub(crate) link: NatsConnection,
    pub(crate) consumer: String,
    pub(crate) reader: Arc<Reader>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Feeds {
    /// Waits until the partition is this caller's. If the caller is cancelled, a task completes the
    /// request: the server may just have pinned this worker, and the partition would have no
    /// consumer until the server notices the silence.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        partition: u16,
    ) -> Result<Box<dyn PartitionLease>, NatsError> {
        let (sender, taken) = oneshot::channel();
        let feeds = Arc::clone(self);
        self.tracker.spawn(async move {
            let taking = feeds.take(partition, || sender.is_closed());
            let lease = tokio::select! {
                lease = taking => lease,
                () = feeds.stop.cancelled() => Err(NatsError::Closed),
            };
            // Who has gone lets go of it by this.
            drop(sender.send(lease));
        });
        let lease = taken.await.unwrap_or(Err(NatsError::Closed))?;
        let feeds = Arc::clone(self);
        Ok(Box::new(Claimed { feeds, lease }))
    }

    async fn take(
        &self,
        partition: u16,
        is_unwanted: impl Fn() -> bool,
    ) -> Result<Lease, NatsError> {
        let (client, consumer) = (&self.link.client, &self.consumer);
        let mut absent = BackOff::new(ABSENT_AFTER, ABSENT_MAX);
        let mut refused = BackOff::new(REFUSED_AFTER, REFUSED_MAX);
        while !is_unwanted() {
            match Lease::take(client, &self.tracker, &self.stop, partition, consumer).await {
                Ok(Some(lease)) => return Ok(lease),
                // Nothing has come for some seconds: ask again.
                Ok(None) => refused.reset(),
                // Another has the pin.
                Err(NatsError::LeaseLost) => sleep(refused.next_delay()).await,
                Err(NatsError::NoResponders(_)) => {
                    self.streams.request_check(partition);
                    sleep(absent.next_delay()).await;
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(NatsError::Closed)
    }

    /// At most `limit` entries after `position`, without a lease; none at the end.
    pub(crate) async fn stretch(
        &self,
        partition: u16,
        position: u64,
        limit: usize,
    ) -> Result<ConsumerBatch, NatsError> {
        let mut lag = Lag::default();
        while lag.next_try().await {
            let stored = self.page(partition, position, limit.max(1)).await?;
            if !stored.is_empty() {
                let mut chain = PrevLinker::new(Arc::clone(&self.reader), partition);
                return chain.link(&stored).await;
            }
            if self.streams.info(partition).await?.state.last_seq <= position {
                return Ok(ConsumerBatch {
                    position,
                    ..ConsumerBatch::default()
                });
            }
        }
        Err(NatsError::ReplicaLagging)
    }

    /// What any copy has after `position`, which may lack the last milliseconds.
    async fn page(
        &self,
        partition: u16,
        position: u64,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, NatsError> {
        let question = DirectGetRequest {
            seq: position + 1,
            batch: Some(limit.min(BATCH_MAX)),
            ..DirectGetRequest::default()
        };
        Ok(self.reader.direct.batch(partition, question).await?.stored)
    }

    /// Deletes what is past the retention or in the way, at most up to `settled`.
    pub(crate) async fn trim(&self, partition: u16, settled: u64) -> Result<(), NatsError> {
        let expired = async || self.position_before(partition, RETENTION).await;
        self.streams.trim(partition, settled, expired).await
    }

    /// A position before everything stored in the partition within the last `age`.
    pub(crate) async fn position_before(
        &self,
        partition: u16,
        age: Duration,
    ) -> Result<u64, NatsError> {
        // Asked first: whatever comes later is behind it.
        let state = self.streams.info(partition).await?.state;
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let then = Timestamp::from_millis(Timestamp::now().as_millis().saturating_sub(age_ms));
        let mut lag = Lag::default();
        while lag.next_try().await {
            let question = DirectGetRequest {
                batch: Some(1),
                start_time: Some(then.to_string()),
                ..DirectGetRequest::default()
            };
            let page = self.reader.direct.batch(partition, question).await?;
            if let Some(first) = page.stored.first() {
                return Ok(first.place.saturating_sub(1).min(state.last_seq));
            }
            // Nothing so young, or a copy that lags: the stream itself knows how old its last is.
            if state.events == 0 || sortable(&state.last_ts) < sortable(&then.to_string()) {
                return Ok(state.last_seq);
            }
        }
        Err(NatsError::ReplicaLagging)
    }
}

struct Claimed {
    feeds: Arc<Feeds>,
    lease: Lease,
}

#[async_trait]
impl PartitionLease for Claimed {
    async fn open(self: Box<Self>, position: u64) -> Result<Box<dyn PartitionConsumer>, LogError> {
        Ok(Box::new(Feed {
            chain: PrevLinker::new(Arc::clone(&self.feeds.reader), self.lease.partition),
            feeds: self.feeds,
            lease: self.lease,
            position,
            unacknowledged: VecDeque::new(),
            pending: 0,
        }))
    }
}

/// One reader of the partition.
struct Feed {
    feeds: Arc<Feeds>,
    lease: Lease,
    /// Everything up to here has been given.
    position: u64,
    chain: PrevLinker,
    /// Positions delivered and not yet acknowledged, with their ack subjects.
    unacknowledged: VecDeque<(u64, String)>,
    /// What the stream held behind the last one, when that was brought.
    pending: u64,
}

#[async_trait]
impl PartitionConsumer for Feed {
    async fn next(&mut self, limit: usize) -> Result<ConsumerBatch, LogError> {
        let limit = limit.max(1);
        loop {
            // Messages stay with the lease until nothing more is awaited: so this is cancel safe.
            self.lease.wait().await?;
            let here = self.lease.peek(limit);
            let is_old = |one: &&Delivered| one.stored.place <= self.position;
            let old = here.iter().take_while(is_old).count();
            if let Some(last) = old.checked_sub(1) {
                // The caller has them: left unacknowledged, they would use up what may be under way.
                let to = here[last].acknowledge.clone();
                self.lease.acknowledge(to).await?;
                self.lease.consume(old);
                continue;
            }
            let first = here[0].stored.place;
            if first > self.position + 1 {
                let missing = self.missing(first, limit).await?;
                if missing.is_empty() {
                    // The log holds nothing there any more.
                    self.position = first - 1;
                    continue;
                }
                counter!("chat_log_feed_fills_total").increment(1);
                let lag = self.pending + self.lease.buffered();
                let batch = self.chain.link(&missing).await?;
                self.position = batch.position;
                let lag = lag + (first - 1 - self.position);
                return Ok(ConsumerBatch { lag, ..batch });
            }
            let run: Vec<Delivered> = (first..)
                .zip(here)
                .map_while(|(place, one)| (one.stored.place == place).then_some(one))
                .collect();
            let stored: Vec<StoredMessage> = run.iter().map(|one| one.stored.clone()).collect();
            let batch = self.chain.link(&stored).await?;
            self.position = batch.position;
            self.feeds.reader.saw(self.lease.partition, self.position);
            self.lease.consume(run.len());
            for one in run {
                self.pending = one.pending;
                self.unacknowledged
                    .push_back((one.stored.place, one.acknowledge));
            }
            let lag = self.pending + self.lease.buffered();
            return Ok(ConsumerBatch { lag, ..batch });
        }
    }

    async fn acknowledge(&mut self, position: u64) -> Result<(), LogError> {
        let mut last = None;
        let given = &mut self.unacknowledged;
        while given.front().is_some_and(|(place, _)| *place <= position) {
            last = given.pop_front();
        }
        if let Some((_, to)) = last {
            self.lease.acknowledge(to).await?;
        }
        Ok(())
    }
}

impl Feed {
    /// What stands between the position and `first`, from its beginning.
    async fn missing(&self, first: u64, limit: usize) -> Result<Vec<StoredMessage>, NatsError> {
        let partition = self.lease.partition;
        let mut lag = Lag::default();
        while lag.next_try().await {
            let mut page = self.feeds.page(partition, self.position, limit).await?;
            // A copy that has one has all before it; one that has none lags.
            let Some(begins) = page.first().map(|stored| stored.place) else {
                continue;
            };
            if begins > self.position + 1 && self.position > 0 {
                let after = self.position;
                warn!(partition, after, begins, "log has no entries in this range");
            }
            page.retain(|stored| stored.place < first);
            return Ok(page);
        }
        Err(NatsError::ReplicaLagging)
    }
}
