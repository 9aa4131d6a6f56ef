//! The `PresenceStore` port.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::presence::{Lease, Presence, PresenceStore};
use roomcast_protocol::{ConnectionId, UserId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::check::{self, Checked};
use crate::config::{ConnectError, RedisConfig};
use crate::connection::RedisConnection;
use crate::data_loss::{self, Marks};
use crate::delivery_acks::PendingAcks;
use crate::expiry::{self, ExpiredShards};
use crate::read::{self, UserConnection};
use crate::shard::SHARDS;
use crate::sweep;
use crate::touch;

/// Presence on Redis. Reconnects by itself for as long as it takes; until then every call fails immediately.
pub struct RedisPresence {
    link: RedisConnection,
    config: RedisConfig,
    arrivals: PendingAcks,
    sweeps: AtomicUsize,
    setbacks: watch::Receiver<u64>,
    woken: Arc<ExpiredShards>,
    /// Whether the process subscribes to expiry events; only sweepers need them.
    listening: Once,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl RedisPresence {
    /// Connects. A Redis that is not there is an error here, unless it may be away, and none later.
    pub async fn connect(config: RedisConfig) -> Result<Arc<Self>, ConnectError> {
        let link = RedisConnection::open(&config).await?;
        let mut marks = Marks::default();
        if link.ready().is_ok()
            && let Err(error) = marks.look(&link).await
        {
            link.close().await;
            return Err(ConnectError::Unreachable(error.into()));
        }
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (count, setbacks) = watch::channel(0);
        tasks.spawn(data_loss::run(link.clone(), marks, count, stop.clone()));
        Ok(Arc::new(Self {
            link,
            config,
            arrivals: PendingAcks::default(),
            sweeps: AtomicUsize::new(0),
            setbacks,
            woken: Arc::default(),
            listening: Once::new(),
            stop,
            tasks,
        }))
    }

    /// What this Redis is like. Changes nothing.
    pub async fn check(&self) -> Result<Checked, StoreError> {
        check::check(&self.link).await
    }

    /// Where these users are connected at this moment, in the order asked.
    pub async fn connections(
        &self,
        user_ids: &[UserId],
    ) -> Result<Vec<Vec<UserConnection>>, StoreError> {
        read::connections(&self.link, user_ids).await
    }

    /// Ends what runs beside the calls, and the connection.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        // Changes delivered here need no redelivery by others.
        let _ = sweep::acknowledge(&self.link, &self.arrivals).await;
        self.tasks.wait().await;
        self.link.close().await;
    }
}

impl Drop for RedisPresence {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[async_trait]
impl PresenceStore for RedisPresence {
    async fn renew(&self, leases: &[Lease], ttl: Duration) -> Result<(), StoreError> {
        touch::touch(&self.link, leases, ttl).await
    }

    async fn shorten(
        &self,
        connections: &[(UserId, ConnectionId)],
        grace: Duration,
    ) -> Result<(), StoreError> {
        touch::release(&self.link, connections, grace).await
    }

    async fn read(&self, user_ids: &[UserId]) -> Result<Vec<Presence>, StoreError> {
        read::presence(&self.link, user_ids).await
    }

    async fn sweep(&self) -> Result<Vec<Presence>, StoreError> {
        let turn = self.sweeps.fetch_add(1, Ordering::Relaxed);
        sweep::sweep(&self.link, &self.arrivals, 0..SHARDS, turn).await
    }

    async fn next_expired(&self) -> Result<Vec<Presence>, StoreError> {
        self.listening.call_once(|| {
            self.tasks.spawn(expiry::listen(
                self.link.clone(),
                self.config.clone(),
                Arc::clone(&self.woken),
                self.stop.clone(),
            ));
        });
        let shards = self.woken.take().await;
        sweep::sweep(&self.link, &self.arrivals, shards, 0).await
    }

    async fn online_users(&self) -> Result<u64, StoreError> {
        read::online_users(&self.link).await
    }

    fn resync_requests(&self) -> watch::Receiver<u64> {
        self.setbacks.clone()
    }
}
