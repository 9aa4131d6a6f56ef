//! Reports and renews the presence leases of all connections in batches.
//!
//! Connects, disconnects and status changes are reported within some milliseconds; all leases
//! are renewed every third of their TTL, and immediately when the store requests a resync because it
//! may have lost them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use roomcast_ports::back_off::BackOff;
use roomcast_ports::presence::{Lease, PresenceStore};
use roomcast_protocol::limits::OFFLINE_GRACE;
use roomcast_protocol::{ConnectionId, UserId};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::hub::{Hub, UserConnection};
use crate::lock::lock;

/// Linger: how long changes are collected before a report.
const LINGER: Duration = Duration::from_millis(10);
/// Leases in one call.
const BATCH: usize = 4_096;
/// Connections whose going is kept for a store that is away.
const OFFLINE_QUEUE_MAX: usize = 65_536;
/// Delays after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Changes not yet reported. Bounded by the connections that exist or existed within a batch's time.
pub(crate) struct PresenceReporter {
    store: Arc<dyn PresenceStore>,
    /// The gateway's name in leases.
    gateway: Arc<str>,
    ttl: Duration,
    changed: Mutex<Changes>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Changes {
    alive: Vec<Arc<UserConnection>>,
    gone: Vec<(UserId, ConnectionId)>,
}

impl PresenceReporter {
    pub(crate) fn new(store: Arc<dyn PresenceStore>, gateway: Arc<str>, ttl: Duration) -> Self {
        Self {
            store,
            gateway,
            ttl,
            changed: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The connection has come, or has another status.
    pub(crate) fn report_online(&self, connection: Arc<UserConnection>) {
        lock(&self.changed).alive.push(connection);
        self.wake.notify_one();
    }

    /// The connection has closed.
    pub(crate) fn report_offline(&self, user_id: UserId, connection_id: ConnectionId) {
        lock(&self.changed).gone.push((user_id, connection_id));
        self.wake.notify_one();
    }

    /// Requeues disconnects that could not be reported; past the capacity their leases expire by themselves.
    fn requeue(&self, gone: &[(UserId, ConnectionId)]) {
        let mut changes = lock(&self.changed);
        let room = OFFLINE_QUEUE_MAX.saturating_sub(changes.gone.len());
        changes
            .gone
            .extend_from_slice(&gone[..gone.len().min(room)]);
    }
}

/// Timeout of the presence store before `WELCOME`; past it the next batch reports.
const RENEW_TIMEOUT: Duration = Duration::from_millis(500);

impl PresenceReporter {
    /// Reports a new connection immediately: its user's next presence read counts it.
    pub(crate) async fn renew_now(&self, connection: &Arc<UserConnection>) {
        let Some(lease) = self.lease(connection) else {
            return;
        };
        let leases = [lease];
        let told = self.store.renew(&leases, self.ttl);
        if !matches!(tokio::time::timeout(RENEW_TIMEOUT, told).await, Ok(Ok(()))) {
            self.report_online(connection.clone());
        }
    }

    /// Reports to the store until `stop`, then reports all connections as gone.
    pub(crate) async fn run(&self, hub: &Hub, stop: &CancellationToken) {
        let again_every = self.ttl / 3;
        let mut again_at = tokio::time::Instant::now() + again_every;
        let mut setbacks = self.store.resync_requests();
        let mut compare_at = None;
        let mut back_off = BackOff::new(RETRY_AFTER, RETRY_MAX);
        loop {
            tokio::select! {
                () = self.wake.notified() => tokio::time::sleep(LINGER).await,
                () = tokio::time::sleep_until(again_at) => {
                    again_at = tokio::time::Instant::now() + again_every;
                    let mut changes = lock(&self.changed);
                    changes.alive = hub.all_users().iter().flat_map(|user| user.connections()).collect();
                }
                () = wait_for_resync(&mut setbacks) => {
                    again_at = tokio::time::Instant::now();
                    // By then every gateway has renewed its leases.
                    compare_at = Some(again_at + again_every);
                    continue;
                }
                () = at(compare_at) => {
                    compare_at = None;
                    self.reconcile_watchers(hub).await;
                    continue;
                }
                () = stop.cancelled() => {
                    self.flush().await;
                    return;
                }
            }
            if self.flush().await {
                back_off.reset();
            } else {
                again_at = again_at.min(tokio::time::Instant::now() + back_off.next_delay());
            }
        }
    }

    /// Sends watchers the changes during the store's data loss: no other component has them.
    async fn reconcile_watchers(&self, hub: &Hub) {
        for user_ids in hub.watchers.watched().chunks(BATCH) {
            match self.store.read(user_ids).await {
                Ok(all) => {
                    let (watchers, now) = (&hub.watchers, hub.clock.now());
                    for presence in all {
                        watchers.notify(
                            &presence.user_id,
                            presence.status,
                            presence.last_seen,
                            now,
                        );
                    }
                }
                Err(error) => warn!(
                    error = &error as &dyn std::error::Error,
                    "failed to reconcile presence watchers"
                ),
            }
        }
    }

    async fn flush(&self) -> bool {
        let Changes { alive, gone } = std::mem::take(&mut *lock(&self.changed));
        let leases: Vec<Lease> = alive
            .iter()
            .filter_map(|connection| self.lease(connection))
            .collect();
        for batch in leases.chunks(BATCH) {
            if let Err(error) = self.store.renew(batch, self.ttl).await {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "failed to report online connections"
                );
                self.requeue(&gone);
                return false;
            }
        }
        for (batch, told) in gone.chunks(BATCH).zip(0..) {
            if let Err(error) = self.store.shorten(batch, OFFLINE_GRACE).await {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "failed to report closed connections"
                );
                self.requeue(&gone[told * BATCH..]);
                return false;
            }
        }
        true
    }

    fn lease(&self, connection: &UserConnection) -> Option<Lease> {
        // A connection that closed in between must not be reported online after it was reported offline.
        if connection.is_gone() {
            return None;
        }
        Some(Lease {
            user_id: connection.user()?.id.clone(),
            connection_id: connection.id(),
            status: connection.status(),
            gateway: self.gateway.clone(),
        })
    }
}

/// Waits until the store may have forgotten who is here.
async fn wait_for_resync(setbacks: &mut watch::Receiver<u64>) {
    if setbacks.changed().await.is_err() {
        // It never does.
        std::future::pending::<()>().await;
    }
}

/// Waits until then; without end if there is no such time.
async fn at(when: Option<tokio::time::Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
