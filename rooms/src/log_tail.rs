//! The room and membership events of the log's tail that the store may lack.

use std::sync::Arc;

use roomcast_ports::event_log::{EventLog, LogError};
use roomcast_protocol::{RoomId, Seq, StoredEvent};

/// Events of one read of the log.
const PAGE: usize = 256;

/// The end of a room's log.
pub(crate) struct Tail {
    /// Those events of it that change who is a member or what the room is, in order.
    pub(crate) control: Vec<Arc<StoredEvent>>,
    /// The seq of its last event of any kind; where it began, if there is none.
    pub(crate) head: Seq,
    /// Whether its first event, if there is one, is known to be the next one after where it began.
    is_linked: bool,
}

/// The room's log after `after`, if the log proves that it has dropped nothing between; `None` if only
/// the store has what happened there.
pub(crate) async fn follow(
    log: &dyn EventLog,
    room_id: &RoomId,
    after: Seq,
) -> Result<Option<Tail>, LogError> {
    let head = log.head(room_id).await?;
    if head < after {
        return Ok(None);
    }
    let tail = if head == after {
        Tail::empty(after)
    } else {
        read(log, room_id, after).await?
    };
    Ok(Some(tail).filter(|tail| tail.head >= head && tail.is_linked))
}

impl Tail {
    const fn empty(after: Seq) -> Self {
        Self {
            control: Vec::new(),
            head: after,
            is_linked: true,
        }
    }
}

/// Reads the room's log after `after`, a page at a time; messages are dropped immediately.
pub(crate) async fn read(
    log: &dyn EventLog,
    room_id: &RoomId,
    after: Seq,
) -> Result<Tail, LogError> {
    let mut tail = Tail::empty(after);
    loop {
        let events = log.read(room_id, tail.head, PAGE).await?;
        let ended = events.len() < PAGE;
        if let (true, Some(first)) = (tail.head == after, events.first()) {
            tail.is_linked = first.continues(after);
        }
        tail.head = events.last().map_or(tail.head, |last| last.seq);
        tail.control.extend(
            events
                .into_iter()
                .filter(|stored| stored.event.body.changes_room()),
        );
        if ended {
            return Ok(tail);
        }
    }
}
