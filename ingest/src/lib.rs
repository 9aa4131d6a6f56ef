//! The ingest worker: writes the log into the store, every partition in order, without gaps.
//!
//! The store is derived: what is written twice changes nothing, and the checkpoint it is written up to is
//! kept in the store itself, with the events. So a log or a store that is away is waited for, however
//! long that takes; until then readers get from the log what the store lacks.

mod backfill;
mod partition;
mod progress;
mod redrive;
mod trim;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use metrics::counter;
use roomcast_ports::StoreError;
use roomcast_ports::back_off::BackOff;
use roomcast_ports::dead_letters::DeadLetters;
use roomcast_ports::event_log::{ConsumerBatch, EventLog};
use roomcast_ports::message_store::{Checkpoint, MessageWriter};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use partition::Partition;
use progress::Progress;
pub use redrive::{RedriveError, RedriveReport};

/// The delays before what has just failed is tried again.
fn new_back_off() -> BackOff {
    BackOff::new(Duration::from_millis(50), Duration::from_secs(5))
}

/// The way from the log into the store. Any number of them may run concurrently.
#[derive(Clone)]
pub struct Ingest {
    log: Arc<dyn EventLog>,
    writer: Arc<dyn MessageWriter>,
    dead_letters: Arc<dyn DeadLetters>,
    /// By partition, whether this process has been given it.
    held: Arc<[AtomicBool]>,
    /// By partition, what this process has written.
    progress: Arc<[Progress]>,
}

impl Ingest {
    /// Consumes from `log` what `writer` has not written yet; unreadable entries go to `dead_letters`.
    pub fn new(
        log: Arc<dyn EventLog>,
        writer: Arc<dyn MessageWriter>,
        dead_letters: Arc<dyn DeadLetters>,
    ) -> Self {
        let held = (0..log.partitions()).map(|_| AtomicBool::new(false));
        let progress = (0..log.partitions()).map(|_| Progress::default());
        Self {
            held: held.collect(),
            progress: progress.collect(),
            log,
            writer,
            dead_letters,
        }
    }

    /// Writes until `stop`; then what is being written is finished and the rest left for the next start.
    pub async fn run(&self, stop: CancellationToken) {
        let partitions = self.log.partitions();
        info!(partitions, "ingest started");
        let tracker = TaskTracker::new();
        for number in 0..partitions {
            let partition = Partition::new(number, self.clone());
            tracker.spawn(partition.run(stop.clone()));
        }
        tracker.spawn(backfill::run(self.clone(), stop));
        tracker.close();
        tracker.wait().await;
        info!("ingest stopped");
    }

    /// Writes a batch of the partition, and sets aside what of it cannot be read: that must not stop what
    /// is behind it. Again, it changes nothing.
    async fn apply_batch(&self, partition: u16, batch: &ConsumerBatch) -> Result<(), StoreError> {
        for letter in &batch.unreadable {
            self.dead_letters.put(letter).await?;
            let position = letter.position;
            error!(
                partition,
                position,
                reason = letter.reason,
                "wrote a dead letter"
            );
            counter!("chat_ingest_dead_letters_total").increment(1);
        }
        let place = Checkpoint {
            partition,
            position: batch.position,
        };
        self.writer.apply(&batch.events, Some(place)).await
    }
}
