//! Stores that misbehave on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::presence::{Lease, Presence, PresenceStore};
use roomcast_ports::wrapper::PresenceStoreWrapper;
use roomcast_protocol::{ConnectionId, UserId};
use tokio::sync::watch;

/// A store that is away until it comes back.
pub(super) struct Away {
    store: Arc<dyn PresenceStore>,
    is_back: AtomicBool,
    asked: AtomicUsize,
}

impl Away {
    pub(super) fn new(store: Arc<dyn PresenceStore>) -> Self {
        Self {
            store,
            is_back: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
        }
    }

    pub(super) fn come_back(&self) {
        self.is_back.store(true, Ordering::SeqCst);
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.is_back.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(StoreError::Unavailable("the cable is out".into()))
        }
    }
}

#[async_trait]
impl PresenceStoreWrapper for Away {
    fn inner(&self) -> Arc<dyn PresenceStore> {
        Arc::clone(&self.store)
    }

    async fn before(&self) -> Result<(), StoreError> {
        self.check()
    }
}

/// A store that takes every question and answers none.
#[derive(Default)]
pub(super) struct Stuck {
    asked: AtomicUsize,
}

impl Stuck {
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn never<T>(&self) -> T {
        self.asked.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
}

#[async_trait]
impl PresenceStore for Stuck {
    async fn renew(&self, _: &[Lease], _: Duration) -> Result<(), StoreError> {
        self.never().await
    }
    async fn shorten(&self, _: &[(UserId, ConnectionId)], _: Duration) -> Result<(), StoreError> {
        self.never().await
    }
    async fn read(&self, _: &[UserId]) -> Result<Vec<Presence>, StoreError> {
        self.never().await
    }
    async fn sweep(&self) -> Result<Vec<Presence>, StoreError> {
        self.never().await
    }
    async fn online_users(&self) -> Result<u64, StoreError> {
        self.never().await
    }
    fn resync_requests(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}

/// A store that notices one change by itself, and gives none to a sweep.
pub(super) struct Noticing(pub(super) std::sync::Mutex<Option<Presence>>);

#[async_trait]
impl PresenceStore for Noticing {
    async fn renew(&self, _: &[Lease], _: Duration) -> Result<(), StoreError> {
        Ok(())
    }
    async fn shorten(&self, _: &[(UserId, ConnectionId)], _: Duration) -> Result<(), StoreError> {
        Ok(())
    }
    async fn read(&self, _: &[UserId]) -> Result<Vec<Presence>, StoreError> {
        Ok(Vec::new())
    }
    async fn sweep(&self) -> Result<Vec<Presence>, StoreError> {
        Ok(Vec::new())
    }
    async fn next_expired(&self) -> Result<Vec<Presence>, StoreError> {
        let noticed = self.0.lock().unwrap().take();
        match noticed {
            Some(presence) => Ok(vec![presence]),
            None => std::future::pending().await,
        }
    }
    async fn online_users(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
    fn resync_requests(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}
