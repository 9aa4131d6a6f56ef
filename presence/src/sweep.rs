//! The sweep: reads presence changes from the store, and publishes them to every gateway.
//!
//! Ephemeral events may be lost, and a cancelled sweep loses its changes with it; that is allowed,
//! since presence can be read again. An unavailable store is retried with a growing backoff, and
//! logged once, not at every attempt.

use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::back_off::BackOff;
use roomcast_ports::presence::{Presence, PresenceStore};
use roomcast_ports::pubsub::{EphemeralEvent, PubSub};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

/// How often we sweep. News is at most so late, beside what the store takes: well within the second
/// in which people expect it.
const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// How often we count who is here, which costs the store more than a sweep that finds nothing.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// How long we wait for the store before we take it to be away.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long we leave a store alone that was away, after the first failure and at most.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Sweeps at intervals, and earlier when the store reports expired leases.
pub(crate) async fn run(store: &dyn PresenceStore, signals: &dyn PubSub) {
    tokio::join!(sweep_loop(store, signals), expiry_loop(store, signals));
}

async fn expiry_loop(store: &dyn PresenceStore, signals: &dyn PubSub) {
    let mut back_off = BackOff::new(BACKOFF_MIN, BACKOFF_MAX);
    loop {
        match store.next_expired().await {
            Ok(changes) => {
                back_off.reset();
                publish_changes(changes, signals).await;
            }
            // The regular sweep reports whether the store is unavailable.
            Err(_) => sleep(back_off.next_delay()).await,
        }
    }
}

async fn sweep_loop(store: &dyn PresenceStore, signals: &dyn PubSub) {
    let mut ticks = interval(SWEEP_INTERVAL);
    // After a slow answer the next sweep keeps its distance: catching up on sweeps finds nothing.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count_due = Instant::now();
    let mut away = false;
    let mut back_off = BackOff::new(BACKOFF_MIN, BACKOFF_MAX);
    loop {
        ticks.tick().await;
        let swept = sweep(store, signals, &mut count_due).await;
        match swept {
            Ok(()) if away => info!("presence store is available again"),
            Err(ref error) if !away => {
                warn!(cause = ?error, "presence store is unavailable; retrying");
            }
            _ => {}
        }
        away = swept.is_err();
        if away {
            sleep(back_off.next_delay()).await;
        } else {
            back_off.reset();
        }
    }
}

async fn sweep(
    store: &dyn PresenceStore,
    signals: &dyn PubSub,
    count_due: &mut Instant,
) -> Result<(), StoreError> {
    publish_changes(with_timeout(store.sweep()).await?, signals).await;
    if Instant::now() >= *count_due {
        let online = with_timeout(store.online_users()).await?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float, exact to 2^53 users"
        )]
        metrics::gauge!("presence_online_users").set(online as f64);
        *count_due = Instant::now() + COUNT_INTERVAL;
    }
    Ok(())
}

async fn publish_changes(changes: Vec<Presence>, signals: &dyn PubSub) {
    for presence in changes {
        let signal = EphemeralEvent::Presence {
            user_id: presence.user_id,
            status: presence.status,
            last_seen: presence.last_seen,
        };
        if let Err(error) = signals.publish(signal).await {
            warn!(cause = ?error, "failed to publish presence changes");
        }
    }
}

async fn with_timeout<T>(
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match timeout(REPLY_TIMEOUT, answer).await {
        Ok(answer) => answer,
        Err(late) => Err(StoreError::Unavailable(late.into())),
    }
}
