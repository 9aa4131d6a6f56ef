//! The signs of life of everybody connected here, told to the presence store in batches.
//!
//! A connection's coming, going and change of status are told within some milliseconds; all that are
//! here are told again every third of the time they count for, and at once when the store says that it
//! may have forgotten them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use roomcast_ports::presence::Lease;
use roomcast_protocol::limits::OFFLINE_GRACE;
use roomcast_protocol::{ConnectionId, UserId};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::Shared;
use crate::connection::Connection;
use crate::lock::lock;

/// Changes gathered before they are told.
const GATHER: Duration = Duration::from_millis(10);
/// Leases in one call.
const BATCH: usize = 4_096;
/// Connections whose going is kept for a store that is away.
const GONE_MAX: usize = 65_536;
/// Pause after the store did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Changes not yet told. Bounded by the connections there are and were within a batch's time.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    changed: Mutex<Changes>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Changes {
    alive: Vec<Arc<Connection>>,
    gone: Vec<(UserId, ConnectionId)>,
}

impl Vitals {
    /// The connection has come, or has another status.
    pub(crate) fn alive(&self, connection: Arc<Connection>) {
        lock(&self.changed).alive.push(connection);
        self.wake.notify_one();
    }

    /// The connection has closed.
    pub(crate) fn gone(&self, user_id: UserId, connection_id: ConnectionId) {
        lock(&self.changed).gone.push((user_id, connection_id));
        self.wake.notify_one();
    }

    /// Keeps those whose going could not be told; past the bound their leases end by themselves.
    fn tell_again(&self, gone: &[(UserId, ConnectionId)]) {
        let mut changes = lock(&self.changed);
        let room = GONE_MAX.saturating_sub(changes.gone.len());
        changes
            .gone
            .extend_from_slice(&gone[..gone.len().min(room)]);
    }
}

/// How long a greeting waits for the presence store; past it the next batch tells.
const ARRIVE_WITHIN: Duration = Duration::from_millis(500);

/// Tells the store at once that a connection has come: its user's next question counts it.
pub(crate) async fn arrived(shared: &Shared, connection: &Arc<Connection>) {
    let Some(lease) = lease(shared, connection) else {
        return;
    };
    let leases = [lease];
    let told = shared
        .ports
        .presence
        .touch(&leases, shared.config.presence_ttl);
    if !matches!(tokio::time::timeout(ARRIVE_WITHIN, told).await, Ok(Ok(()))) {
        shared.vitals.alive(connection.clone());
    }
}

/// Tells the store until `stop`, and then that everybody here is gone.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let again_every = shared.config.presence_ttl / 3;
    let mut again_at = tokio::time::Instant::now() + again_every;
    let mut setbacks = shared.ports.presence.setbacks();
    let mut compare_at = None;
    loop {
        tokio::select! {
            () = shared.vitals.wake.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep_until(again_at) => {
                again_at = tokio::time::Instant::now() + again_every;
                let mut changes = lock(&shared.vitals.changed);
                changes.alive = shared.hub.all_users().iter().flat_map(|user| user.connections()).collect();
            }
            () = forgotten(&mut setbacks) => {
                again_at = tokio::time::Instant::now();
                // By then every gateway has told again.
                compare_at = Some(again_at + again_every);
                continue;
            }
            () = at(compare_at) => {
                compare_at = None;
                compare(&shared).await;
                continue;
            }
            () = stop.cancelled() => {
                tell(&shared).await;
                return;
            }
        }
        if !tell(&shared).await {
            again_at = again_at.min(tokio::time::Instant::now() + PAUSE);
        }
    }
}

/// Waits until the store may have forgotten who is here.
async fn forgotten(setbacks: &mut watch::Receiver<u64>) {
    if setbacks.changed().await.is_err() {
        // It never does.
        std::future::pending::<()>().await;
    }
}

/// Waits until then; for ever if that is never.
async fn at(when: Option<tokio::time::Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// Tells who watches what has changed while the store had forgotten: nobody else knows of it any more.
async fn compare(shared: &Shared) {
    for user_ids in shared.hub.watchers.watched().chunks(BATCH) {
        match shared.ports.presence.read(user_ids).await {
            Ok(all) => {
                let (watchers, now) = (&shared.hub.watchers, shared.clock.now());
                for presence in all {
                    watchers.tell(&presence.user_id, presence.status, presence.last_seen, now);
                }
            }
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "compare who is here"
            ),
        }
    }
}

async fn tell(shared: &Shared) -> bool {
    let Changes { alive, gone } = std::mem::take(&mut *lock(&shared.vitals.changed));
    let leases: Vec<Lease> = alive
        .iter()
        .filter_map(|connection| lease(shared, connection))
        .collect();
    for batch in leases.chunks(BATCH) {
        if let Err(error) = shared
            .ports
            .presence
            .touch(batch, shared.config.presence_ttl)
            .await
        {
            warn!(error = &error as &dyn std::error::Error, "tell who is here");
            shared.vitals.tell_again(&gone);
            return false;
        }
    }
    for (batch, told) in gone.chunks(BATCH).zip(0..) {
        if let Err(error) = shared.ports.presence.release(batch, OFFLINE_GRACE).await {
            warn!(error = &error as &dyn std::error::Error, "tell who is gone");
            shared.vitals.tell_again(&gone[told * BATCH..]);
            return false;
        }
    }
    true
}

fn lease(shared: &Shared, connection: &Connection) -> Option<Lease> {
    // Whoever closed meanwhile must not be told alive after they were told gone.
    if connection.is_gone() {
        return None;
    }
    Some(Lease {
        user_id: connection.user()?.id.clone(),
        connection_id: connection.id(),
        status: connection.status(),
        gateway: shared.config.name.clone(),
    })
}
