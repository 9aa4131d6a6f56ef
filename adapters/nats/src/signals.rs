//! Signals over the bus: told to whoever listens at that moment, kept nowhere.

mod revocations;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::Subscriber;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use roomcast_ports::pubsub::{
    EphemeralEvent, EphemeralSubscription, PubSub, PubSubError, RevocationSubscription,
};
use roomcast_protocol::{SessionId, UserId};
use tokio::sync::broadcast;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::exchanges::ANSWER_WITHIN;
use crate::link::Link;
use crate::live::Listening;
use crate::subjects;
use revocations::Revocations;

/// Signals a listener may be behind before it loses the oldest.
const BEHIND_MAX: usize = 16_384;

/// Signals to and from all processes.
#[derive(Debug)]
pub(crate) struct NatsSignals {
    link: Link,
    listening: Arc<Listening>,
    sender: Mutex<Option<broadcast::Sender<EphemeralEvent>>>,
    revocations: Revocations,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl NatsSignals {
    pub(crate) fn new(link: Link, tracker: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            revocations: Revocations::new(),
            link,
            listening: Arc::new(Listening::new()),
            sender: Mutex::new(Some(broadcast::Sender::new(BEHIND_MAX))),
            tracker,
            stop,
        }
    }

    /// Nobody hears anything any more.
    pub(crate) fn close(&self) {
        self.lock().take();
        self.revocations.close();
    }

    fn lock(&self) -> MutexGuard<'_, Option<broadcast::Sender<EphemeralEvent>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
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
                        "listen to signals"
                    );
                }
            }
        });
    }
}

async fn hear(mut signals: Subscriber, sender: broadcast::Sender<EphemeralEvent>) {
    while let Some(message) = signals.next().await {
        match wire::decode(&message.payload) {
            // Nobody may be listening just now.
            Ok(signal) => drop(sender.send(signal)),
            Err(error) => debug!(error = &error as &dyn std::error::Error, "read a signal"),
        }
    }
}

#[async_trait]
impl PubSub for NatsSignals {
    async fn publish(&self, signal: EphemeralEvent) -> Result<(), PubSubError> {
        if !self.link.is_up() {
            // It would be old when the connection is back.
            return Err(PubSubError("the connection is lost".into()));
        }
        self.listening.begun().await;
        let subject = wire::subject(&signal);
        let bytes = wire::encode(signal).map_err(|error| PubSubError(error.into()))?;
        let publish = self.link.client.publish(subject, bytes.into());
        match timeout(ANSWER_WITHIN, publish).await {
            Ok(published) => published.map_err(|error| PubSubError(Box::new(error))),
            Err(late) => Err(PubSubError(Box::new(late))),
        }
    }

    fn subscribe(&self) -> EphemeralSubscription {
        let Some(sender) = self.lock().clone() else {
            // Closed: a listener hears its end at once.
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
