//! The deadlines of the store of presence.

use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::presence::{Lease, Presence, PresenceStore};
use roomcast_protocol::{ConnectionId, UserId};
use tokio::sync::watch;

use super::bounded_port;

bounded_port! {
    impl PresenceStore, StoreError {
        fn renew(leases: &[Lease], ttl: Duration) -> ();
        fn shorten(connections: &[(UserId, ConnectionId)], grace: Duration) -> ();
        fn read(user_ids: &[UserId]) -> Vec<Presence>;
        fn sweep() -> Vec<Presence>;
        fn online_users() -> u64;
    }
    also {
        async fn next_expired(&self) -> Result<Vec<Presence>, StoreError> {
            self.0.next_expired().await
        }

        fn resync_requests(&self) -> watch::Receiver<u64> {
            self.0.resync_requests()
        }
    }
}
