//! Ephemeral events over NATS: delivered to current subscribers, stored nowhere.

mod revocations;
mod wire;

use std::sync::Arc;

use async_nats::Subscriber;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use parking_lot::{Mutex, MutexGuard};
use roomcast_ports::pubsub::{
    EphemeralEvent, EphemeralSubscription, PubSub, PubSubError, RevocationSubscription,
};
use roomcast_protocol::{SessionId, UserId};
use tokio::sync::broadcast;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::connection::NatsConnection;
use crate::request::REPLY_TIMEOUT;
use crate::subjects;
use crate::subscription_gate::SubscriptionGate;
use revocations::Revocations;

/// Signals a listener may be behind before it loses the oldest.
const SUBSCRIBER_QUEUE_MAX: usize = 16_384;

/// Signals to and from all processes.
#[derive(Debug)]
pub(crate) struct NatsPubSub {
    link: NatsConnection,
    listening: Arc<SubscriptionGate>,
    sender: Mutex<Option<broadcast::Sender<EphemeralEvent>>>,
    revocations: Revocations,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl NatsPubSub {
    pub(crate) fn new(link: NatsConnection, tracker: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            revocations: Revocations::new(),
            link,
            listening: Arc::new(SubscriptionGate::new()),
            sender: Mutex::new(Some(broadcast::Sender::new(SUBSCRIBER_QUEUE_MAX))),
            tracker,
            stop,
        }
    }

    /// Ends all subscriptions.
    pub(crate) fn close(&self) {
        self.lock().take();
        self.revocations.close();
    }

    fn lock(&self) -> MutexGuard<'_, Option<broadcast::Sender<EphemeralEvent>>> {
        self.sender.lock()
    }

    fn begin(&self, sender: broadcast::Sender<EphemeralEvent>) {
        let (client, stop) = (self.link.client.clone(), self.stop.clone());
        let listening = Arc::clone(&self.listening);
        self.tracker.spawn(async move {
            let signals = client.subscribe(subjects::SIGNALS).await;
            listening.has_begun();
            match signals {
                Ok(signals) => tokio::select! {
                    () = hear(signals, sender) => {}
                    () = stop.cancelled() => {}
                },
                Err(error) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "failed to subscribe to ephemeral events"
                    );
                }
            }
        });
    }
}

async fn hear(mut signals: Subscriber, sender: broadcast::Sender<EphemeralEvent>) {
    while let Some(message) = signals.next().await {
        match wire::decode(&message.payload) {
            // There may be no subscriber now.
            Ok(signal) => drop(sender.send(signal)),
            Err(error) => debug!(
                error = &error as &dyn std::error::Error,
                "failed to decode an ephemeral event"
            ),
        }
    }
}

#[async_trait]
impl PubSub for NatsPubSub {
    async fn publish(&self, signal: EphemeralEvent) -> Result<(), PubSubError> {
        if !self.link.is_connected() {
            // It would be old when the connection is back.
            return Err(PubSubError("the connection is lost".into()));
        }
        self.listening.begun().await;
        let subject = wire::subject(&signal);
        let bytes = wire::encode(signal).map_err(|error| PubSubError(error.into()))?;
        let publish = self.link.client.publish(subject, bytes.into());
        match timeout(REPLY_TIMEOUT, publish).await {
            Ok(published) => published.map_err(|error| PubSubError(Box::new(error))),
            Err(late) => Err(PubSubError(Box::new(late))),
        }
    }

    fn subscribe(&self) -> EphemeralSubscription {
        let Some(sender) = self.lock().clone() else {
            // Closed: the subscription ends immediately.
            return EphemeralSubscription::new(broadcast::channel(1).1);
        };
        let receiver = sender.subscribe();
        if self.listening.begin() {
            self.begin(sender);
        }
        EphemeralSubscription::new(receiver)
    }

    async fn revoke(&self, session_id: SessionId, user_id: UserId) -> Result<(), PubSubError> {
        let revocations = &self.revocations;
        revocations.publish(&self.link, session_id, user_id).await
    }

    fn subscribe_revocations(&self) -> RevocationSubscription {
        self.revocations
            .listen(&self.link, &self.tracker, &self.stop)
    }
}
