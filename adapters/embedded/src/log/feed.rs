//! The consumer of the whole log. Its position is the last event's seq.

use std::sync::Arc;

use async_trait::async_trait;
use roomcast_ports::event_log::{ConsumerBatch, LogError, PartitionConsumer, PartitionLease};
use roomcast_protocol::Seq;
use tokio::sync::watch;

use super::read;
use crate::readers::Readers;
use crate::writer::Failure;

/// One reader of the whole log.
pub(super) struct Feed {
    readers: Arc<Readers>,
    stored_to: watch::Receiver<Seq>,
    position: u64,
}

impl Feed {
    pub(super) const fn new(readers: Arc<Readers>, stored_to: watch::Receiver<Seq>) -> Self {
        Self {
            readers,
            stored_to,
            position: 0,
        }
    }
}

#[async_trait]
impl PartitionLease for Feed {
    async fn open(
        mut self: Box<Self>,
        position: u64,
    ) -> Result<Box<dyn PartitionConsumer>, LogError> {
        self.position = position;
        Ok(self)
    }
}

#[async_trait]
impl PartitionConsumer for Feed {
    async fn next(&mut self, limit: usize) -> Result<ConsumerBatch, LogError> {
        loop {
            let position = self.position;
            self.stored_to
                .wait_for(|stored_to| stored_to.get() > position)
                .await
                .map_err(|_| LogError::from(Failure::Closed))?;
            let limit = limit.max(1);
            let events = self
                .readers
                .read(move |log| read::all_after(log, position, limit))
                .await?;
            // A new incarnation's first seq is far above the last event's.
            if let Some(last) = events.last() {
                self.position = last.seq.get();
                return Ok(ConsumerBatch {
                    position: self.position,
                    events,
                    lag: self.stored_to.borrow().get().saturating_sub(self.position),
                    ..ConsumerBatch::default()
                });
            }
            self.stored_to
                .changed()
                .await
                .map_err(|_| LogError::from(Failure::Closed))?;
        }
    }

    /// The store keeps the checkpoint with its rows: there is nothing to keep here.
    async fn acknowledge(&mut self, _position: u64) -> Result<(), LogError> {
        Ok(())
    }
}
