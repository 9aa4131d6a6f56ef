//! Live events, for gateways with subscribers.

use std::sync::Arc;

use roomcast_protocol::{RoomId, Seq, StoredEvent};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// One item of a live subscription.
#[derive(Debug, Clone)]
pub enum LiveEvent {
    /// An event was stored.
    Event(Arc<StoredEvent>),
    /// Another listener saw that the room has come this far: compare, and read what is missing.
    HeadAdvanced(RoomId, Seq),
    /// Some events did not reach this listener: compare the heads of every room that matters.
    Lagged,
}

/// The receiving end of a live subscription. It never blocks the publisher: past its capacity the oldest items are dropped and reported as lag.
#[derive(Debug)]
pub struct LiveSubscription {
    receiver: broadcast::Receiver<LiveEvent>,
}

impl LiveSubscription {
    /// Listens to what is sent on a channel of the adapter's.
    pub const fn new(receiver: broadcast::Receiver<LiveEvent>) -> Self {
        Self { receiver }
    }

    /// Waits for the next; `None` when the log has closed. Cancel safe.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        match self.receiver.recv().await {
            Ok(live) => Some(live),
            Err(RecvError::Lagged(_)) => Some(LiveEvent::Lagged),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next, if it is there already.
    pub fn try_next(&mut self) -> Option<LiveEvent> {
        match self.receiver.try_recv() {
            Ok(live) => Some(live),
            Err(TryRecvError::Lagged(_)) => Some(LiveEvent::Lagged),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}
