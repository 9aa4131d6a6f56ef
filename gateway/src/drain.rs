//! Drain: refuses new connections, sends `RECONNECT`, waits for acks, closes in batches.

use std::sync::Arc;
use std::time::Duration;

use roomcast_protocol::{CloseCode, ServerFrame};
use tokio::time::Instant;

use crate::Gateway;
use crate::connection::Connection;
use crate::hub::UserConnection;
use crate::state::GatewayState;

/// The largest `afterMs`.
const AFTER_MAX_MS: u64 = 10_000;
/// Pauses between batches of closes.
const STEPS: u32 = 20;
/// Timeout of writing close frames.
const LINGER: Duration = Duration::from_secs(1);

impl Gateway {
    /// Refuses new connections from now on.
    pub fn start_drain(&self) {
        self.shared.start_drain();
    }

    /// Drains within about `within`: sends every client `RECONNECT`, waits for sends that are not
    /// acknowledged yet, closes in batches, ends the gateway's tasks.
    pub async fn drain(&self, within: Duration) {
        self.start_drain();
        let shared = &self.shared;
        let connections = shared.hub.all_connections();
        let count = connections.len().max(1) as u64;
        let spread_ms = AFTER_MAX_MS.min(u64::try_from(within.as_millis()).unwrap_or(AFTER_MAX_MS));
        for (place, connection) in (0u64..).zip(&connections) {
            shared.send_reconnect(connection, place * spread_ms / count);
        }
        // Few clients need no spreading; many get as much as there is time for.
        let spread = (within / 2)
            .min(Duration::from_millis(2 * count))
            .max(Duration::from_millis(50));
        let batch = connections.len().div_ceil(STEPS as usize).max(1);
        let settled_by = Instant::now() + within / 2;
        for connections in connections.chunks(batch) {
            tokio::time::sleep(spread / STEPS).await;
            // All wait at the same time, and all batches together no longer than there is time for.
            wait_for_acks(connections, settled_by.min(Instant::now() + within / 4)).await;
            for connection in connections {
                connection.close(CloseCode::GoingAway, shared.clock.now());
            }
        }
        // Those that authenticated in the meantime.
        for connection in shared.hub.all_connections() {
            shared.send_reconnect(&connection, 0);
            connection.close(CloseCode::GoingAway, shared.clock.now());
        }
        shared.closed_within(LINGER.min(within / 4)).await;
        shared.stop.cancel();
        shared.tracker.close();
        if tokio::time::timeout(LINGER, shared.tracker.wait())
            .await
            .is_err()
        {
            tracing::info!(
                tasks = shared.tracker.len(),
                "drain ended with tasks still running"
            );
        }
    }
}

/// Waits until every send of these connections has been answered, but no longer than `until`.
async fn wait_for_acks(connections: &[Arc<UserConnection>], until: Instant) {
    for connection in connections {
        while connection.has_unwritten_ack() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl GatewayState {
    /// Sends a client `RECONNECT`.
    pub(crate) fn send_reconnect(&self, connection: &Connection, after_ms: u64) {
        let frame = ServerFrame::Reconnect {
            after_ms,
            reason: "draining".into(),
        };
        connection.send_frame(&frame, self.clock.now());
    }

    async fn closed_within(&self, most: Duration) {
        let until = Instant::now() + most;
        let is_empty = || self.hub.all_users().is_empty() && self.hub.newcomers.all().is_empty();
        while !is_empty() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
