//! Redrives dead letters: by a version that can decode them, or after the store was repaired.

use std::sync::Arc;

use roomcast_ports::StoreError;
use roomcast_ports::dead_letters::DeadLetter;
use roomcast_ports::event_log::LogError;
use roomcast_protocol::event::decode;
use roomcast_protocol::{RoomEvent, Seq, StoredEvent};
use tracing::{info, warn};

use crate::Ingest;

/// Letters of one read.
const PAGE: usize = 100;

/// What became of the dead letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RedriveReport {
    /// Written and forgotten.
    pub written: usize,
    /// Still not readable; they stay.
    pub kept: usize,
}

/// Why a replay has stopped; what was written before stays written, and trying again is safe.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The store did not answer.
    #[error("write a dead letter")]
    Store(#[from] StoreError),
    /// The log did not answer.
    #[error("look a dead letter up in the log")]
    Log(#[from] LogError),
}

impl Ingest {
    /// Writes every dead letter that this version can read, and forgets it.
    pub async fn redrive(&self) -> Result<RedriveReport, RedriveError> {
        let mut replayed = RedriveReport::default();
        for partition in 0..self.log.partitions() {
            let mut position = 0;
            loop {
                let letters = self.dead_letters.list(partition, position, PAGE).await?;
                let Some(last) = letters.last() else { break };
                position = last.position;
                for letter in &letters {
                    if self.write_letter(letter).await? {
                        replayed.written += 1;
                    } else {
                        replayed.kept += 1;
                    }
                }
            }
        }
        Ok(replayed)
    }

    /// Whether it could be read, and has been written.
    async fn write_letter(&self, letter: &DeadLetter) -> Result<bool, RedriveError> {
        let (partition, position) = (letter.partition, letter.position);
        let (Ok(event), Some(seq)) = (decode(&letter.body), Seq::new(position)) else {
            warn!(partition, position, "dead letter is still unreadable");
            return Ok(false);
        };
        let prev = self.place_before(&event, seq).await?;
        let stored = StoredEvent { seq, prev, event };
        self.writer.apply(&[Arc::new(stored)], None).await?;
        self.dead_letters.delete(partition, position).await?;
        info!(partition, position, "redrove a dead letter");
        Ok(true)
    }

    /// The seq before the letter's, or zero when the log no longer holds it.
    async fn place_before(&self, event: &RoomEvent, seq: Seq) -> Result<Seq, LogError> {
        let before = Seq::new(seq.get() - 1).unwrap_or(Seq::ZERO);
        let found = self.log.read(&event.room_id, before, 1).await?;
        let here = found.first().filter(|stored| stored.seq == seq);
        Ok(here.map_or(Seq::ZERO, |stored| stored.prev))
    }
}
