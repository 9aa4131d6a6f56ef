//! The key that others may read: `presence:user:<user>` with `{"status", "lastSeen"}`, there while the user
//! is here.
//!
//! It ends by itself with the user's last lease, which is also what wakes a sweep early (`expiry`). It is a
//! copy: it is written after the scripts, since it lies in another slot of a cluster, and a copy that
//! could not be written is written again with the next sign of life.

use fred::interfaces::KeysInterface as _;
use fred::types::Expiration;
use roomcast_ports::presence::Presence;
use roomcast_protocol::{PresenceStatus, Timestamp};
use serde::Serialize;
use tracing::debug;

use crate::connection::RedisConnection;

/// What is shown of a user.
pub(crate) struct PublicState {
    pub(crate) presence: Presence,
    /// When the last of their leases ends.
    pub(crate) until: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PresenceValue {
    status: PresenceStatus,
    last_seen: Option<Timestamp>,
}

/// The key of a user.
pub(crate) fn begins_with(prefix: &str) -> String {
    format!("{prefix}:user:")
}

/// Shows how users are, as far as it can.
pub(crate) async fn write_presence_key(link: &RedisConnection, states: Vec<PublicState>) {
    let pipeline = link.client().pipeline();
    let prefix = begins_with(link.prefix());
    for PublicState { presence, until } in states {
        let key = format!("{prefix}{}", presence.user_id);
        let shown = PresenceValue {
            status: presence.status,
            last_seen: presence.last_seen,
        };
        // Queued in memory only: it cannot fail before all are sent.
        let _: Result<(), _> = match (until, serde_json::to_string(&shown)) {
            (Some(until), Ok(shown)) if presence.status != PresenceStatus::Offline => {
                let until = i64::try_from(until.as_millis()).unwrap_or(i64::MAX);
                let ends = Some(Expiration::PXAT(until));
                pipeline.set(key, shown, ends, None, false).await
            }
            _ => pipeline.del(key).await,
        };
    }
    if let Err(error) = pipeline.last::<()>().await {
        metrics::counter!("chat_presence_public_key_errors_total").increment(1);
        debug!(
            error = &error as &dyn std::error::Error,
            "failed to write presence keys"
        );
    }
}
