//! The source of a read: the store up to its applied seq, or the log from the room's first event.
//!
//! While the store is away a room can still be read as long as the log holds all of it, from its
//! founding on: that is a room younger than what the log keeps.

use roomcast_ports::StoreError;
use roomcast_ports::timeline::ReadError;
use roomcast_protocol::{RoomId, Seq};
use tracing::warn;

use crate::History;

/// What an answer can stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadSource {
    /// The store, up to this seq, and the log after it.
    Store(Seq),
    /// The log alone, which holds the whole room.
    Log,
}

impl ReadSource {
    /// Where the log's tail begins.
    pub(crate) const fn start_seq(self) -> Seq {
        match self {
            Self::Store(applied_seq) => applied_seq,
            Self::Log => Seq::ZERO,
        }
    }

    /// Whether the store is to be asked for what is before that.
    pub(crate) const fn has_store(self) -> bool {
        matches!(self, Self::Store(_))
    }
}

impl History {
    /// What an answer about the room can stand on now.
    pub(crate) async fn base(&self, room_id: &RoomId) -> Result<ReadSource, ReadError> {
        match self.reader.applied_seq(room_id).await {
            Ok(applied_seq) => Ok(ReadSource::Store(applied_seq)),
            Err(away) => self.fall_back_to_log(room_id, away).await,
        }
    }

    /// The log alone, if it holds the whole room; else why the store gave no answer.
    pub(crate) async fn fall_back_to_log(
        &self,
        room_id: &RoomId,
        away: StoreError,
    ) -> Result<ReadSource, ReadError> {
        let first = self.log.read(room_id, Seq::ZERO, 1).await?;
        let first = first.first();
        if !first.is_some_and(|stored| stored.event.body.creates_room()) {
            return Err(away.into());
        }
        warn!(
            error = &away as &dyn std::error::Error,
            "store is unavailable; read a room from the log alone"
        );
        metrics::counter!("chat_history_log_alone_total").increment(1);
        Ok(ReadSource::Log)
    }
}
