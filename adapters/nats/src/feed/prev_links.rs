//! A partition's entries as events, each with the seq before it in its room.

use std::sync::Arc;

use metrics::counter;
use roomcast_ports::dead_letters::DeadLetter;
use roomcast_ports::event_log::ConsumerBatch;
use roomcast_protocol::StoredEvent;
use roomcast_protocol::event::decode;

use crate::direct::{BATCH_MAX, StoredMessage};
use crate::error::NatsError;
use crate::observed_seqs::Heads;
use crate::reader::{Reader, seq};
use crate::subjects;

/// Rooms of one generation whose last seq is kept.
const ROOMS_MAX: usize = 4_096;

/// The last seqs of the rooms that came through here; those of others are asked for.
#[derive(Debug)]
pub(super) struct PrevLinker {
    reader: Arc<Reader>,
    partition: u16,
    heads: Heads,
}

impl PrevLinker {
    pub(super) fn new(reader: Arc<Reader>, partition: u16) -> Self {
        Self {
            reader,
            partition,
            heads: Heads::default(),
        }
    }

    /// Links these, which follow on what came before. Nothing has changed if it is dropped while it
    /// waits.
    pub(super) async fn link(
        &mut self,
        stored: &[StoredMessage],
    ) -> Result<ConsumerBatch, NatsError> {
        self.load_prevs(stored).await?;
        let mut batch = ConsumerBatch::default();
        for one in stored {
            batch.position = one.place;
            match decode(&one.body) {
                Ok(event) => {
                    let prev = seq(self.heads.get(&event.room_id).unwrap_or(0));
                    self.heads.advance(&event.room_id, one.place, ROOMS_MAX);
                    let seq = seq(one.place);
                    batch
                        .events
                        .push(Arc::new(StoredEvent { seq, prev, event }));
                }
                Err(fault) => {
                    counter!("chat_log_unreadable_total").increment(1);
                    batch.unreadable.push(DeadLetter {
                        partition: self.partition,
                        position: one.place,
                        body: one.body.to_vec(),
                        reason: fault.to_string(),
                    });
                }
            }
        }
        Ok(batch)
    }

    /// Asks for the last seq of each room that is not known here.
    async fn load_prevs(&mut self, stored: &[StoredMessage]) -> Result<(), NatsError> {
        let up_to = stored.first().map_or(0, |first| first.place - 1);
        if up_to == 0 {
            return Ok(());
        }
        let mut unknown: Vec<String> = stored
            .iter()
            .filter(|one| {
                let room_id = subjects::room_of(&one.subject);
                room_id.is_some_and(|room_id| self.heads.get(&room_id).is_none())
            })
            .map(|one| one.subject.clone())
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        for unknown in unknown.chunks(BATCH_MAX) {
            let found = self.reader.all_last_of(self.partition, unknown, up_to);
            for last in found.await? {
                if let Some(room_id) = subjects::room_of(&last.subject) {
                    self.heads.advance(&room_id, last.place, ROOMS_MAX);
                }
            }
        }
        Ok(())
    }
}
