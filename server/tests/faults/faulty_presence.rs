//! A presence store that goes away and comes back, sometimes without what it knew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::presence::{Lease, Presence, PresenceStore};
use roomcast_protocol::{ConnectionId, UserId};
use tokio::sync::watch;

type Store = Arc<dyn PresenceStore>;

pub(crate) struct FaultyPresence {
    inner: Mutex<Store>,
    away: AtomicBool,
    setbacks: watch::Sender<u64>,
}

impl FaultyPresence {
    pub(crate) fn new(inner: Store) -> Self {
        Self {
            inner: Mutex::new(inner),
            away: AtomicBool::new(false),
            setbacks: watch::Sender::default(),
        }
    }

    pub(crate) fn away(&self, is: bool) {
        self.away.store(is, Ordering::SeqCst);
    }

    /// Replaces the store by an empty one.
    pub(crate) fn replace(&self, inner: Store) {
        *self.held() = inner;
    }

    /// The store requests a resync.
    pub(crate) fn set_back(&self) {
        self.setbacks.send_modify(|count| *count += 1);
    }

    fn held(&self) -> MutexGuard<'_, Store> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn there(&self) -> Result<Store, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the test says so".into()));
        }
        Ok(self.held().clone())
    }
}

#[async_trait]
impl PresenceStore for FaultyPresence {
    async fn renew(&self, leases: &[Lease], ttl: Duration) -> Result<(), StoreError> {
        self.there()?.renew(leases, ttl).await
    }

    async fn shorten(
        &self,
        connections: &[(UserId, ConnectionId)],
        grace: Duration,
    ) -> Result<(), StoreError> {
        self.there()?.shorten(connections, grace).await
    }

    async fn read(&self, user_ids: &[UserId]) -> Result<Vec<Presence>, StoreError> {
        self.there()?.read(user_ids).await
    }

    async fn sweep(&self) -> Result<Vec<Presence>, StoreError> {
        self.there()?.sweep().await
    }

    async fn online_users(&self) -> Result<u64, StoreError> {
        self.there()?.online_users().await
    }

    fn resync_requests(&self) -> watch::Receiver<u64> {
        self.setbacks.subscribe()
    }
}
