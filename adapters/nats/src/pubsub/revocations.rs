//! Revocations over the bus: on a subject and a subscription of their own, so that no flood of other
//! events can evict one. A possible loss, with a connection or past a bound, is reported to
//! the subscribers, which revalidate their sessions.

use std::sync::Arc;

use async_nats::Subscriber;
use futures_util::StreamExt as _;
use parking_lot::{Mutex, MutexGuard};
use roomcast_ports::pubsub::{PubSubError, Revocation, RevocationSubscription};
use roomcast_protocol::{SessionId, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::connection::{ConnectionStats, NatsConnection};
use crate::request::REPLY_TIMEOUT;
use crate::subjects;
use crate::subscription_gate::SubscriptionGate;

/// Revocations buffered for one subscriber; past it the subscriber gets a loss report.
const SUBSCRIBER_QUEUE_MAX: usize = 4_096;

/// A revocation as it goes over the bus.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum Wire {
    SessionEnded {
        session_id: SessionId,
        user_id: UserId,
    },
}

/// The listening of one process.
#[derive(Debug)]
pub(super) struct Revocations {
    listening: Arc<SubscriptionGate>,
    sender: Mutex<Option<broadcast::Sender<Revocation>>>,
}

impl Revocations {
    pub(super) fn new() -> Self {
        Self {
            listening: Arc::new(SubscriptionGate::new()),
            sender: Mutex::new(Some(broadcast::Sender::new(SUBSCRIBER_QUEUE_MAX))),
        }
    }

    /// Ends all subscriptions.
    pub(super) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<broadcast::Sender<Revocation>>> {
        self.sender.lock()
    }

    /// Listens from now on; the first to do so begins the subscription.
    pub(super) fn listen(
        &self,
        link: &NatsConnection,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> RevocationSubscription {
        let Some(sender) = self.lock().clone() else {
            // Closed: the subscription ends immediately.
            return RevocationSubscription::new(broadcast::channel(1).1);
        };
        let receiver = sender.subscribe();
        if self.listening.begin() {
            let (link, stop) = (link.clone(), stop.clone());
            let listening = Arc::clone(&self.listening);
            tracker.spawn(async move {
                let subscribed = link.client.subscribe(subjects::REVOCATIONS).await;
                listening.has_begun();
                match subscribed {
                    Ok(messages) => tokio::select! {
                        () = hear(messages, link.fortunes, sender) => {}
                        () = stop.cancelled() => {}
                    },
                    Err(error) => {
                        warn!(
                            error = &error as &dyn std::error::Error,
                            "failed to subscribe to revocations"
                        );
                    }
                }
            });
        }
        RevocationSubscription::new(receiver)
    }

    /// Publishes to every process. While disconnected, revocations wait in the order of the calls.
    pub(super) async fn publish(
        &self,
        link: &NatsConnection,
        session_id: SessionId,
        user_id: UserId,
    ) -> Result<(), PubSubError> {
        self.listening.begun().await;
        let subject = subjects::signal("revocation", user_id.as_str());
        let wire = Wire::SessionEnded {
            session_id,
            user_id,
        };
        let bytes = serde_json::to_vec(&wire).map_err(|error| PubSubError(error.into()))?;
        let publish = link.client.publish(subject, bytes.into());
        match timeout(REPLY_TIMEOUT, publish).await {
            Ok(published) => published.map_err(|error| PubSubError(Box::new(error))),
            Err(late) => Err(PubSubError(Box::new(late))),
        }
    }
}

async fn hear(
    mut messages: Subscriber,
    mut fortunes: watch::Receiver<ConnectionStats>,
    sender: broadcast::Sender<Revocation>,
) {
    let mut known = *fortunes.borrow_and_update();
    loop {
        let revocation = tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return };
                match serde_json::from_slice(&message.payload) {
                    Ok(Wire::SessionEnded { session_id, user_id }) => {
                        Revocation::SessionEnded { session_id, user_id }
                    }
                    Err(error) => {
                        debug!(error = &error as &dyn std::error::Error, "failed to decode a revocation");
                        continue;
                    }
                }
            }
            changed = fortunes.changed() => {
                if changed.is_err() {
                    return;
                }
                let before = std::mem::replace(&mut known, *fortunes.borrow_and_update());
                if (before.connected, before.dropped) == (known.connected, known.dropped) {
                    continue;
                }
                Revocation::Missed
            }
        };
        // There may be no subscriber now.
        let _ = sender.send(revocation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revocation_reads_back_as_it_was_written() {
        let wire = Wire::SessionEnded {
            session_id: SessionId::new("s.1").unwrap(),
            user_id: UserId::new("u.1").unwrap(),
        };
        let text = serde_json::to_string(&wire).unwrap();
        let expected = r#"{"type":"sessionEnded","sessionId":"s.1","userId":"u.1"}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Wire>(&text).unwrap(), wire);
    }
}
