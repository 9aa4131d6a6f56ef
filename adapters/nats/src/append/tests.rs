//! The append watch, without a server: nothing here is answered, so only the watch takes anything out.

use std::sync::Arc;
use std::time::Duration;

use roomcast_conformance::sample::{event, said, user};
use roomcast_ports::event_log::Append;
use roomcast_protocol::RoomId;
use roomcast_protocol::event::encode;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::queue::QueuedAppend;
use super::workers::Stored;
use super::{AppendDeps, Appender};
use crate::config::NatsConfig;
use crate::connection::NatsConnection;
use crate::direct::DirectGet;
use crate::observed_seqs::ObservedSeqs;
use crate::reader::Reader;
use crate::request::RequestMux;
use crate::streams::Streams;
use crate::subscription_gate::SubscriptionGate;

/// Longer than the watch takes from one look at its clock to the next.
const ASLEEP_AFTER: Duration = Duration::from_millis(50);
/// Upper bound of what the watch does on its own.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An appender whose watch has found nothing to do and sleeps.
async fn idle_appender(stop: &CancellationToken) -> Arc<Appender> {
    // No server listens at port 1, so the connection is never made.
    let config = NatsConfig {
        waits_for_servers: true,
        ..NatsConfig::new(vec!["127.0.0.1:1".to_owned()], "local", "test")
    };
    let link = NatsConnection::connect(&config).await.expect("a client");
    let tracker = TaskTracker::new();
    let exchanges = RequestMux::start(link.client.clone(), &tracker);
    let exchanges = exchanges.await.expect("subscribe to answers");
    let known = Arc::new(ObservedSeqs::default());
    let streams = Streams::new(
        link.clone(),
        Arc::clone(&exchanges),
        config.clone(),
        Arc::clone(&known),
    );
    let reader = Reader::new(DirectGet::new(Arc::clone(&exchanges)), Arc::clone(&known));
    let listening = Arc::new(SubscriptionGate::new());
    assert!(listening.begin());
    listening.has_begun();
    let appender = Arc::new(Appender::new(AppendDeps {
        link,
        region: config.region,
        exchanges,
        reader: Arc::new(reader),
        known,
        streams: Arc::new(streams),
        listening,
        tracker,
    }));
    appender.start(stop).await.expect("subscribe to acks");
    sleep(ASLEEP_AFTER).await;
    appender
}

/// An append that has been taken off the queue.
fn taken(room_id: &RoomId) -> QueuedAppend {
    let event = event(room_id, &user(), said("x"));
    let body = encode(&event).into();
    QueuedAppend::new(&event, body, None, oneshot::channel().0, Instant::now())
}

/// Waits until the watch has looked up what has no `prev` and published the head hints.
async fn watch_has_worked(appender: &Appender) {
    let worked = async {
        while !appender.lock().unseen.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let worked = timeout(TIMEOUT, worked).await;
    worked.expect("the watch sleeps while an event awaits its live copy");
    assert!(appender.lock().unseen.is_answered());
}

#[tokio::test]
async fn watch_wakes_for_an_event_whose_live_copy_never_comes() {
    let stop = CancellationToken::new();
    let appender = idle_appender(&stop).await;
    let stored = Stored {
        seq: 7,
        duplicate: false,
    };
    appender.complete(taken(&RoomId::generate()), &stored);
    watch_has_worked(&appender).await;
    stop.cancel();
}

#[tokio::test]
async fn append_wakes_the_watch_while_other_events_await_their_live_copies() {
    let stop = CancellationToken::new();
    let appender = idle_appender(&stop).await;
    let room_id = RoomId::generate();
    let (place, waiting, now) = ((3, 7), taken(&room_id), Instant::now());
    appender
        .lock()
        .unseen
        .insert(place, room_id.clone(), Some(waiting), now);
    sleep(ASLEEP_AFTER).await;
    assert!(!appender.lock().unseen.is_answered(), "the watch sleeps");
    let later = event(&room_id, &user(), said("y"));
    drop(appender.append(Append::new(later)));
    watch_has_worked(&appender).await;
    stop.cancel();
}
