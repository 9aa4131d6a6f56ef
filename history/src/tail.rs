//! The log's tail: what the store may not have yet, a bounded page at a time.
//!
//! Usually it is empty or a few events. While ingest stands still it grows, up to all the log holds:
//! readers fold it as it passes and keep only what their answer needs.

use std::sync::Arc;

use roomcast_ports::event_log::{EventLog, LogError};
use roomcast_protocol::{RoomId, Seq, StoredEvent};
use tracing::warn;

/// Events of one read of the log.
const PAGE: usize = 256;

/// The events of a room after a seq, up to its head.
pub(crate) struct Tail<'a> {
    log: &'a dyn EventLog,
    room_id: &'a RoomId,
    after: Seq,
    started: bool,
    ended: bool,
}

impl<'a> Tail<'a> {
    pub(crate) const fn after(log: &'a dyn EventLog, room_id: &'a RoomId, after: Seq) -> Self {
        Self {
            log,
            room_id,
            after,
            started: false,
            ended: false,
        }
    }

    /// The seq of the last event given, or where the tail began: at its end, the room's head.
    pub(crate) const fn place(&self) -> Seq {
        self.after
    }

    /// The next events, in order; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Vec<Arc<StoredEvent>>, LogError> {
        if self.ended {
            return Ok(Vec::new());
        }
        let events = self.log.read(self.room_id, self.after, PAGE).await?;
        self.ended = events.len() < PAGE;
        if let (false, Some(first)) = (self.started, events.first())
            && first.prev > self.after
        {
            warn!(after = %self.after, prev = %first.prev, "log no longer holds what the store lacks");
        }
        self.started = true;
        if let Some(last) = events.last() {
            self.after = last.seq;
        }
        Ok(events)
    }
}
