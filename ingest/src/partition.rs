//! The ingest loop of one partition: consume, apply, advance the checkpoint, acknowledge.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metrics::{Gauge, counter, gauge};
use roomcast_ports::StoreError;
use roomcast_ports::back_off::BackOff;
use roomcast_ports::event_log::{ConsumerBatch, LogError, PartitionConsumer};
use roomcast_protocol::{EventBody, StoredEvent, Timestamp};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::Ingest;
use crate::new_back_off;

/// Entries taken from the log per batch, at most.
const BATCH: usize = 512;
/// A feed that has given nothing for so long has nothing.
const IDLE_DELAY: Duration = Duration::from_secs(1);

/// Why a partition's consumer has to be reopened.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error("ask the store for its place")]
    Place(#[from] StoreError),
    #[error("read the log's feed")]
    Feed(#[from] LogError),
    #[error("the store was away, and may have forgotten what it wrote last")]
    StoreWasAway,
    #[error("stopped")]
    Stopped,
}

pub(crate) struct Partition {
    number: u16,
    ingest: Ingest,
    lag: Gauge,
    behind: Gauge,
}

impl Partition {
    pub(crate) fn new(number: u16, ingest: Ingest) -> Self {
        let partition = number.to_string();
        Self {
            number,
            ingest,
            lag: gauge!("chat_ingest_lag_seconds", "partition" => partition.clone()),
            behind: gauge!("chat_ingest_behind_events", "partition" => partition),
        }
    }

    fn assigned(&self, is: bool) {
        self.ingest.held[usize::from(self.number)].store(is, Ordering::Release);
    }

    /// Writes until `stop`, from wherever the store is.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut back_off = new_back_off();
        loop {
            let Err(interruption) = self.consume(&stop, &mut back_off).await;
            self.assigned(false);
            if stop.is_cancelled() {
                return;
            }
            let partition = self.number;
            warn!(
                partition,
                ?interruption,
                "reopening the partition's consumer"
            );
            pause(&stop, &mut back_off).await;
        }
    }

    /// Waits for its turn, opens the feed where the store is and writes what it gives.
    async fn consume(
        &self,
        stop: &CancellationToken,
        back_off: &mut BackOff,
    ) -> Result<std::convert::Infallible, FeedError> {
        let claim = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(FeedError::Stopped),
            claim = self.ingest.log.claim(self.number) => claim?,
        };
        self.assigned(true);
        let position = self.ingest.writer.checkpoint(self.number).await?;
        let mut feed = claim.open(position).await?;
        let progress = &self.ingest.progress[usize::from(self.number)];
        progress.begin(position);
        let every = self.ingest.writer.crash_loss_window().unwrap_or_default() / 10;
        loop {
            let batch = self.next(&mut *feed, stop).await?;
            let more_by = Instant::now() + self.ingest.writer.linger();
            back_off.reset();
            self.write(&batch, stop).await?;
            progress.reach(batch.position, every);
            feed.acknowledge(batch.position).await?;
            if batch.lag == 0 {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep_until(more_by) => {}
                }
            }
        }
    }

    async fn next(
        &self,
        feed: &mut dyn PartitionConsumer,
        stop: &CancellationToken,
    ) -> Result<ConsumerBatch, FeedError> {
        let mut next = pin!(feed.next(BATCH));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(FeedError::Stopped),
                batch = &mut next => return Ok(batch?),
                () = sleep(IDLE_DELAY) => {
                    self.lag.set(0.0);
                    self.behind.set(0.0);
                }
            }
        }
    }

    /// Waits until the store answers again.
    async fn wait_for_store(&self, stop: &CancellationToken) -> Result<(), FeedError> {
        let mut back_off = new_back_off();
        loop {
            pause(stop, &mut back_off).await;
            if stop.is_cancelled() {
                return Err(FeedError::Stopped);
            }
            if self.ingest.writer.checkpoint(self.number).await.is_ok() {
                return Ok(());
            }
        }
    }

    /// Writes the batch. A store that was down may return without what it wrote last, its checkpoint
    /// included: then the consumer has to be reopened at the store's checkpoint, or a hole would remain.
    async fn write(
        &self,
        batch: &ConsumerBatch,
        stop: &CancellationToken,
    ) -> Result<(), FeedError> {
        if let Err(failure) = self.ingest.apply_batch(self.number, batch).await {
            self.lag.set(record_lag(&batch.events));
            let partition = self.number;
            match &failure {
                StoreError::Corrupted(_) => {
                    error!(partition, ?failure, "ingest is blocked by a corrupted row");
                }
                StoreError::Unavailable(_) => {
                    warn!(partition, ?failure, "ingest waits for the store");
                }
            }
            self.wait_for_store(stop).await?;
            info!(partition, "ingest continues from the store's checkpoint");
            return Err(FeedError::StoreWasAway);
        }
        self.lag.set(record_lag(&batch.events));
        #[expect(
            clippy::cast_precision_loss,
            reason = "a count of events on a dashboard"
        )]
        self.behind.set(batch.lag as f64);
        let is_message =
            |stored: &&Arc<StoredEvent>| matches!(stored.event.body, EventBody::MessageSent(_));
        let messages = batch.events.iter().filter(is_message).count();
        counter!("chat_messages_ingested_total").increment(messages as u64);
        Ok(())
    }
}

/// How many seconds ago the batch's last event was sent.
fn record_lag(events: &[Arc<StoredEvent>]) -> f64 {
    let sent_at = events
        .last()
        .map_or_else(Timestamp::now, |last| last.event.sent_at);
    let milliseconds = Timestamp::now()
        .as_millis()
        .saturating_sub(sent_at.as_millis());
    Duration::from_millis(milliseconds).as_secs_f64()
}

async fn pause(stop: &CancellationToken, back_off: &mut BackOff) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep(back_off.next_delay()) => {}
    }
}
