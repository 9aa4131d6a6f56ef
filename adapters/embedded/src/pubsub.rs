//! Ephemeral events within one process: current subscribers get them immediately.

use async_trait::async_trait;
use roomcast_ports::pubsub::{
    EphemeralEvent, EphemeralSubscription, PubSub, PubSubError, Revocation, RevocationSubscription,
};
use roomcast_protocol::{SessionId, UserId};
use tokio::sync::broadcast;

/// Signals a listener may be behind before it loses the oldest.
const SUBSCRIBER_QUEUE_MAX: usize = 16_384;

/// Revocations buffered for one subscriber; past it the subscriber gets a loss report.
const REVOCATION_QUEUE_MAX: usize = 4_096;

/// All listeners of this process.
#[derive(Debug)]
pub(crate) struct EmbeddedPubSub {
    sender: broadcast::Sender<EphemeralEvent>,
    revocations: broadcast::Sender<Revocation>,
}

impl EmbeddedPubSub {
    pub(crate) fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(SUBSCRIBER_QUEUE_MAX),
            revocations: broadcast::Sender::new(REVOCATION_QUEUE_MAX),
        }
    }
}

#[async_trait]
impl PubSub for EmbeddedPubSub {
    async fn publish(&self, signal: EphemeralEvent) -> Result<(), PubSubError> {
        // No subscriber is no error.
        let _ = self.sender.send(signal);
        Ok(())
    }

    fn subscribe(&self) -> EphemeralSubscription {
        EphemeralSubscription::new(self.sender.subscribe())
    }

    async fn revoke(&self, session_id: SessionId, user_id: UserId) -> Result<(), PubSubError> {
        let ended = Revocation::SessionEnded {
            session_id,
            user_id,
        };
        let _ = self.revocations.send(ended);
        Ok(())
    }

    fn subscribe_revocations(&self) -> RevocationSubscription {
        RevocationSubscription::new(self.revocations.subscribe())
    }
}
