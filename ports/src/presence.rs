//! Who is here. The truth is a deadline per connection, on the store's own clock; nothing has to fire
//! for it to be right.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roomcast_protocol::{ConnectionId, PresenceStatus, Timestamp, UserId};
use tokio::sync::watch;

use crate::StoreError;

/// A connection's sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose connection.
    pub user_id: UserId,
    /// Which.
    pub connection_id: ConnectionId,
    /// Online or away; never offline.
    pub status: PresenceStatus,
    /// Which gateway holds it.
    pub gateway: Arc<str>,
}

/// A user's presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Who.
    pub user_id: UserId,
    /// Online when any connection is, away when all are.
    pub status: PresenceStatus,
    /// The last sign of life, once there was one.
    pub last_seen: Option<Timestamp>,
}

/// Who is here.
#[async_trait]
pub trait PresenceStore: Send + Sync {
    /// Renews leases: each connection counts for `ttl` from now on. Idempotent.
    async fn renew(&self, leases: &[Lease], ttl: Duration) -> Result<(), StoreError>;

    /// The connections have closed: each counts for `grace` more, if its lease is not over sooner.
    async fn shorten(
        &self,
        connections: &[(UserId, ConnectionId)],
        grace: Duration,
    ) -> Result<(), StoreError>;

    /// The current presence of these users, in the given order; right also when no sweep runs.
    async fn read(&self, user_ids: &[UserId]) -> Result<Vec<Presence>, StoreError>;

    /// Ends leases whose deadline has passed, and gives every user whose status is another than the
    /// last sweep or renewal reported, once. Callable concurrently.
    async fn sweep(&self) -> Result<Vec<Presence>, StoreError>;

    /// Waits until the store notices by itself that leases have ended, and gives what changed by it as a
    /// sweep would, only sooner. It may notice late or never: nothing relies on it.
    async fn next_expired(&self) -> Result<Vec<Presence>, StoreError> {
        std::future::pending().await
    }

    /// How many users are online or away now.
    async fn online_users(&self) -> Result<u64, StoreError>;

    /// Changes whenever the store may have forgotten who is here: every lease is to be touched again.
    fn resync_requests(&self) -> watch::Receiver<u64>;
}
