//! Ephemeral publish/subscribe to every gateway. Events may be lost: their state can be read again.

use async_trait::async_trait;
use roomcast_protocol::api::Marks;
use roomcast_protocol::{PresenceStatus, RoomId, SessionId, Timestamp, UserId};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::BoxError;

/// An ephemeral event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EphemeralEvent {
    /// A user is typing.
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
    /// A user's presence changed.
    Presence {
        /// Who.
        user_id: UserId,
        /// How they are now.
        status: PresenceStatus,
        /// Their last sign of life.
        last_seen: Option<Timestamp>,
    },
}

/// A sign-in that has ended, or that signals of such were lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// A sign-in has ended: its connections must close.
    SessionEnded {
        /// Which.
        session_id: SessionId,
        /// Whose.
        user_id: UserId,
    },
    /// Some may not have come: every sign-in in use here must be looked up again.
    Missed,
}

/// A listener's end for revocations. None is lost without a [`Revocation::Missed`] in its place.
#[derive(Debug)]
pub struct RevocationSubscription {
    receiver: broadcast::Receiver<Revocation>,
}

impl RevocationSubscription {
    /// Listens to what is sent on a channel of the adapter's.
    pub const fn new(receiver: broadcast::Receiver<Revocation>) -> Self {
        Self { receiver }
    }

    /// Waits for the next; `None` when there will be no more. Cancel safe.
    pub async fn recv(&mut self) -> Option<Revocation> {
        match self.receiver.recv().await {
            Ok(revocation) => Some(revocation),
            Err(RecvError::Lagged(_)) => Some(Revocation::Missed),
            Err(RecvError::Closed) => None,
        }
    }
}

/// A listener's end; past its capacity the oldest signals are lost.
#[derive(Debug)]
pub struct EphemeralSubscription {
    receiver: broadcast::Receiver<EphemeralEvent>,
}

impl EphemeralSubscription {
    /// Listens to what is sent on a channel of the adapter's.
    pub const fn new(receiver: broadcast::Receiver<EphemeralEvent>) -> Self {
        Self { receiver }
    }

    /// Receives the next event; `None` when there is no publisher any more. Cancel safe.
    pub async fn recv(&mut self) -> Option<EphemeralEvent> {
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
pub struct PubSubError(#[source] pub BoxError);

/// Publishes to every gateway, this one too.
#[async_trait]
pub trait PubSub: Send + Sync {
    /// Hands the signal on; who listens gets it soon, or not at all.
    async fn publish(&self, signal: EphemeralEvent) -> Result<(), PubSubError>;

    /// Every signal from now on; those of one publisher in order.
    fn subscribe(&self) -> EphemeralSubscription;

    /// Hands the end of a sign-in on to every process. However many signals there are, it is not lost
    /// among them; while the bus is away it waits.
    async fn revoke(&self, session_id: SessionId, user_id: UserId) -> Result<(), PubSubError>;

    /// Every revocation from now on.
    fn subscribe_revocations(&self) -> RevocationSubscription;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lagging_subscriber_gets_a_report_of_missed_revocations() {
        let sender = broadcast::Sender::new(1);
        let mut stream = RevocationSubscription::new(sender.subscribe());
        let ended = || Revocation::SessionEnded {
            session_id: SessionId::generate(),
            user_id: UserId::generate(),
        };
        let last = ended();
        sender.send(ended()).unwrap();
        sender.send(last.clone()).unwrap();
        drop(sender);
        assert_eq!(stream.recv().await, Some(Revocation::Missed));
        assert_eq!(stream.recv().await, Some(last));
        assert_eq!(stream.recv().await, None);
    }
}
