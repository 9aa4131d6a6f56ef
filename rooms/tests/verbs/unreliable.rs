//! A log that takes only so many events and is away then, and that drops what is old.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use roomcast_ports::event_log::{Append, Appended, EventLog, LogError};
use roomcast_ports::wrapper::EventLogWrapper;
use roomcast_protocol::{RoomId, Seq, StoredEvent};

type Answer<T> = futures_util::future::BoxFuture<'static, Result<T, LogError>>;

pub(crate) struct Unreliable {
    log: Arc<dyn EventLog>,
    takes: AtomicI64,
    /// It holds only events after this seq.
    dropped: AtomicU64,
}

impl Unreliable {
    pub(crate) fn after(log: &Arc<dyn EventLog>, takes: i64) -> Arc<Self> {
        Arc::new(Self {
            log: Arc::clone(log),
            takes: AtomicI64::new(takes),
            dropped: AtomicU64::new(0),
        })
    }

    /// Drops everything up to `place`, as retention does.
    pub(crate) fn drops_to(&self, place: Seq) {
        self.dropped.store(place.get(), Ordering::SeqCst);
    }

    fn dropped(&self) -> Seq {
        Seq::new(self.dropped.load(Ordering::SeqCst)).unwrap()
    }
}

#[async_trait]
impl EventLogWrapper for Unreliable {
    fn inner(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.log)
    }

    fn append(&self, append: Append) -> Answer<Appended> {
        if self.takes.fetch_sub(1, Ordering::SeqCst) > 0 {
            self.log.append(append)
        } else {
            Box::pin(async { Err(LogError::Unavailable("away".into())) })
        }
    }

    async fn head(&self, room_id: &RoomId) -> Result<Seq, LogError> {
        let head = self.log.head(room_id).await?;
        Ok(if head > self.dropped() {
            head
        } else {
            Seq::ZERO
        })
    }

    async fn read(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, LogError> {
        let dropped = self.dropped();
        let mut events = self.log.read(room_id, after.max(dropped), limit).await?;
        if let Some(first) = events.first_mut().filter(|first| first.prev <= dropped) {
            Arc::make_mut(first).prev = Seq::ZERO;
        }
        Ok(events)
    }
}
