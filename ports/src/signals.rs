//! What is told to every gateway and may be lost: its state can be read again.

use async_trait::async_trait;
use roomcast_protocol::api::Marks;
use roomcast_protocol::{PresenceStatus, RoomId, SessionId, Timestamp, UserId};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::BoxError;

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Somebody types.
    Typing {
        /// Where.
        room_id: RoomId,
        /// Who.
        user_id: UserId,
    },
    /// A member's marks have moved.
    Receipt {
        /// Where.
        room_id: RoomId,
        /// Whose.
        user_id: UserId,
        /// To where.
        marks: Marks,
        /// Whether the read mark moved.
        read: bool,
        /// Whether the delivered mark moved.
        delivered: bool,
    },
    /// A sign-in has ended: its connections must close.
    SessionEnded {
        /// Which.
        session_id: SessionId,
        /// Whose.
        user_id: UserId,
    },
    /// Somebody came or went.
    Presence {
        /// Who.
        user_id: UserId,
        /// How they are now.
        status: PresenceStatus,
        /// Their last sign of life.
        last_seen: Option<Timestamp>,
    },
}

/// A listener's end; past its capacity the oldest signals are lost.
#[derive(Debug)]
pub struct SignalStream {
    receiver: broadcast::Receiver<Signal>,
}

impl SignalStream {
    /// Listens to what is sent on a channel of the adapter's.
    pub const fn new(receiver: broadcast::Receiver<Signal>) -> Self {
        Self { receiver }
    }

    /// Waits for the next; `None` when nobody can signal any more. Cancel safe.
    pub async fn next(&mut self) -> Option<Signal> {
        loop {
            match self.receiver.recv().await {
                Ok(signal) => return Some(signal),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// The signal could not be handed on.
#[derive(Debug, thiserror::Error)]
#[error("signals cannot be sent now")]
pub struct SignalError(#[source] pub BoxError);

/// Tells every gateway, this one too.
#[async_trait]
pub trait Signals: Send + Sync {
    /// Hands the signal on; who listens gets it soon, or not at all.
    async fn publish(&self, signal: Signal) -> Result<(), SignalError>;

    /// Every signal from now on; those of one publisher in order.
    fn listen(&self) -> SignalStream;
}
