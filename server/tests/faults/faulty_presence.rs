//! A presence store that goes away and comes back, sometimes without what it knew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::presence::PresenceStore;
use roomcast_ports::wrapper::PresenceStoreWrapper;
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

    fn there(&self) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the test says so".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl PresenceStoreWrapper for FaultyPresence {
    fn inner(&self) -> Arc<dyn PresenceStore> {
        self.held().clone()
    }

    async fn before(&self) -> Result<(), StoreError> {
        self.there()
    }

    fn resync_requests(&self) -> watch::Receiver<u64> {
        self.setbacks.subscribe()
    }
}
