//! A store that goes away and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use roomcast_embedded::EmbeddedStore;
use roomcast_ports::StoreError;
use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::message_store::{MessageReader, MessageWriter};
use roomcast_ports::wrapper::{MessageReaderWrapper, MessageWriterWrapper, RoomDirectoryWrapper};

pub(crate) struct FaultyStore {
    inner: Arc<EmbeddedStore>,
    away: AtomicBool,
    /// Calls are not answered.
    silent: AtomicBool,
    /// Calls that hang.
    unanswered: AtomicUsize,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<EmbeddedStore>) -> Self {
        Self {
            inner,
            away: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            unanswered: AtomicUsize::new(0),
        }
    }

    /// Makes calls hang without end.
    pub(crate) fn silent(&self, is: bool) {
        self.silent.store(is, Ordering::SeqCst);
    }

    /// How many calls have come while it was silent.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::SeqCst)
    }

    pub(crate) fn away(&self, is: bool) {
        self.away.store(is, Ordering::SeqCst);
    }

    async fn there(&self) -> Result<(), StoreError> {
        if self.silent.load(Ordering::SeqCst) {
            self.unanswered.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the test says so".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl MessageWriterWrapper for FaultyStore {
    fn inner(&self) -> Arc<dyn MessageWriter> {
        self.inner.clone()
    }

    async fn before(&self) -> Result<(), StoreError> {
        self.there().await
    }
}

#[async_trait]
impl MessageReaderWrapper for FaultyStore {
    fn inner(&self) -> Arc<dyn MessageReader> {
        self.inner.clone()
    }

    async fn before(&self) -> Result<(), StoreError> {
        self.there().await
    }
}

#[async_trait]
impl RoomDirectoryWrapper for FaultyStore {
    fn inner(&self) -> Arc<dyn RoomDirectory> {
        self.inner.clone()
    }

    async fn before(&self) -> Result<(), StoreError> {
        self.there().await
    }
}
