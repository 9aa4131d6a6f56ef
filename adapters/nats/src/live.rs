//! Dispatches events that the streams republish after storing them to this process's subscriptions.
//!
//! A partition is one subscription and one task, which never waits for a listener. What the servers or
//! the driver lose on the way is not seen here, but in the chain of seqs; a connection that was reestablished
//! and a subscription that overflowed are reported as lag, so that subscribers reconcile immediately.

use std::sync::Arc;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use roomcast_ports::live::{LiveEvent, LiveSubscription};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::append::Appender;
use crate::connection::NatsConnection;
use crate::direct::number;
use crate::observed_seqs::ObservedSeqs;
use crate::reader::{event_at, seq};
use crate::streams::Streams;
use crate::subjects::{self, PARTITIONS};
use crate::subscription_gate::SubscriptionGate;

/// Events a listener may be behind before it loses the oldest.
const SUBSCRIBER_QUEUE_MAX: usize = 32_768;

/// The listening.
#[derive(Debug)]
pub(crate) struct LiveDispatcher {
    link: NatsConnection,
    region: String,
    known: Arc<ObservedSeqs>,
    streams: Arc<Streams>,
    listening: Arc<SubscriptionGate>,
    sender: Mutex<Option<broadcast::Sender<LiveEvent>>>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl LiveDispatcher {
    pub(crate) fn new(
        link: NatsConnection,
        region: String,
        known: Arc<ObservedSeqs>,
        streams: Arc<Streams>,
        listening: Arc<SubscriptionGate>,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            link,
            region,
            known,
            streams,
            listening,
            sender: Mutex::new(Some(broadcast::Sender::new(SUBSCRIBER_QUEUE_MAX))),
            tracker,
            stop,
        }
    }

    /// Listens from now on; the first to do so begins the subscriptions.
    pub(crate) fn listen(self: &Arc<Self>, appends: &Arc<Appender>) -> LiveSubscription {
        let sender = self.sender.lock().clone();
        let Some(sender) = sender else {
            // Closed: the subscription ends immediately.
            return LiveSubscription::new(broadcast::channel(1).1);
        };
        let receiver = sender.subscribe();
        if self.listening.begin() {
            let (ears, appends) = (Arc::clone(self), Arc::clone(appends));
            self.tracker.spawn(async move {
                if let Err(error) = ears.begin(appends, &sender).await {
                    // Only a closed connection refuses.
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "failed to subscribe to the log"
                    );
                }
                ears.listening.has_begun();
            });
        }
        LiveSubscription::new(receiver)
    }

    /// Ends all subscriptions.
    pub(crate) fn close(&self) {
        self.sender.lock().take();
    }

    async fn begin(
        self: &Arc<Self>,
        appends: Arc<Appender>,
        sender: &broadcast::Sender<LiveEvent>,
    ) -> Result<(), async_nats::SubscribeError> {
        let client = &self.link.client;
        for partition in 0..PARTITIONS {
            let subject = subjects::live(&self.region, partition);
            let events = client.subscribe(subject).await?;
            let ears = Arc::clone(self);
            let hearing =
                ears.run_partition(partition, events, Arc::clone(&appends), sender.clone());
            self.spawn(hearing);
        }
        let nudges = client.subscribe(subjects::HEAD_HINTS).await?;
        self.spawn(run_head_hints(nudges, sender.clone()));
        self.spawn(forward_lag(self.link.clone(), sender.clone()));
        Ok(())
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = task => {}
                () = stop.cancelled() => {}
            }
        });
    }

    async fn run_partition(
        self: Arc<Self>,
        partition: u16,
        mut events: Subscriber,
        appends: Arc<Appender>,
        sender: broadcast::Sender<LiveEvent>,
    ) {
        let mut highest = 0;
        while let Some(message) = events.next().await {
            let headers = message.headers.as_ref();
            let place = number(headers, "Nats-Sequence");
            let prev = number(headers, "Nats-Last-Sequence");
            let (Some(place), Some(prev)) = (place, prev) else {
                debug!(partition, "live event has no position");
                continue;
            };
            let is_repeated = place <= highest;
            if is_repeated {
                self.streams.continuity.doubt(partition);
                self.streams.request_check(partition);
            }
            self.streams.continuity.undoubted(partition).await;
            if is_repeated {
                // Its seq was given before: if it is in the log all the same, listeners find it there.
                let room_id = subjects::room_of(&message.subject);
                let nudge = room_id.map(|room_id| LiveEvent::HeadAdvanced(room_id, seq(place)));
                nudge.map(|nudge| sender.send(nudge));
                continue;
            }
            highest = place;
            self.known.observe(partition, place);
            let event = event_at(partition, seq(place), seq(prev), &message.payload);
            let Some(event) = event else { continue };
            appends.heard(
                partition,
                &event.event.room_id,
                &event.event.id,
                place,
                prev,
            );
            // There may be no subscriber now.
            let _ = sender.send(LiveEvent::Event(event));
        }
    }
}

async fn run_head_hints(mut nudges: Subscriber, sender: broadcast::Sender<LiveEvent>) {
    while let Some(message) = nudges.next().await {
        if let Some(nudge) = head_hint_in(&message) {
            // There may be no subscriber now.
            let _ = sender.send(nudge);
        }
    }
}

fn head_hint_in(message: &Message) -> Option<LiveEvent> {
    let room_id = subjects::room_of(&message.subject)?;
    let place = std::str::from_utf8(&message.payload).ok()?.parse().ok()?;
    Some(LiveEvent::HeadAdvanced(room_id, seq(place)))
}

/// Reports lag to the subscribers whenever events may have been lost on the way.
async fn forward_lag(mut link: NatsConnection, sender: broadcast::Sender<LiveEvent>) {
    link.fortunes.borrow_and_update();
    while link.fortunes.changed().await.is_ok() {
        link.fortunes.borrow_and_update();
        if link.is_connected() {
            // There may be no subscriber now.
            let _ = sender.send(LiveEvent::Lagged);
        }
    }
}
