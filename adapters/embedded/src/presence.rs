//! Presence in memory. After a restart all users are offline until their connections return.
//!
//! The rules are in [`table`]; here are only the clock and the port. The clock is tokio's, so that a
//! test may pause it; it starts at the wall clock's time and never goes back.

mod table;

use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use roomcast_ports::StoreError;
use roomcast_ports::presence::{Lease, Presence, PresenceStore};
use roomcast_protocol::{ConnectionId, Timestamp, UserId};
use tokio::sync::watch;
use tokio::time::Instant;

use table::{Table, Transition};

/// Presence of all users of this process.
#[derive(Debug)]
pub(crate) struct EmbeddedPresence {
    table: Mutex<Table>,
    /// A moment of both clocks, once the first call has come.
    epoch: std::sync::OnceLock<(Instant, Timestamp)>,
}

impl EmbeddedPresence {
    pub(crate) fn new() -> Self {
        Self {
            table: Mutex::new(Table::default()),
            epoch: std::sync::OnceLock::new(),
        }
    }

    fn now(&self) -> Timestamp {
        let (instant, timestamp) = self
            .epoch
            .get_or_init(|| (Instant::now(), Timestamp::now()));
        timestamp.plus(instant.elapsed())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

#[async_trait]
impl PresenceStore for EmbeddedPresence {
    async fn renew(&self, leases: &[Lease], ttl: Duration) -> Result<(), StoreError> {
        let (now, mut table) = (self.now(), self.table());
        for lease in leases {
            table.touch(lease, ttl, now);
        }
        Ok(())
    }

    async fn shorten(
        &self,
        connections: &[(UserId, ConnectionId)],
        grace: Duration,
    ) -> Result<(), StoreError> {
        let (now, mut table) = (self.now(), self.table());
        for (user_id, connection_id) in connections {
            table.release(user_id, connection_id, grace, now);
        }
        Ok(())
    }

    async fn read(&self, user_ids: &[UserId]) -> Result<Vec<Presence>, StoreError> {
        let (now, mut table) = (self.now(), self.table());
        Ok(user_ids
            .iter()
            .map(|user_id| table.read(user_id, now))
            .collect())
    }

    async fn sweep(&self) -> Result<Vec<Presence>, StoreError> {
        let now = self.now();
        let transitions = self.table().sweep(now);
        Ok(transitions
            .into_iter()
            .map(|Transition { presence, .. }| presence)
            .collect())
    }

    async fn online_users(&self) -> Result<u64, StoreError> {
        let now = self.now();
        Ok(self.table().online_users(now))
    }

    /// It forgets only with the process whose connections it knows.
    fn resync_requests(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}
