//! Detects data loss: a server that restarted, or lost its memory while it ran.
//!
//! Each server holds a mark, created by the first process that finds none. A different mark means that all
//! data before it is lost. A new connection means that the server may have started from an old snapshot, or that
//! another one has taken its place.

use std::collections::HashMap;
use std::time::Duration;

use fred::error::Error;
use fred::interfaces::{EventInterface as _, KeysInterface as _};
use fred::types::SetOptions;
use roomcast_protocol::ConnectionId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::connection::RedisConnection;

/// How often the marks are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The marks as they were seen last, by shard.
#[derive(Debug, Default)]
pub(crate) struct Marks(HashMap<u16, String>);

impl Marks {
    /// Checks every server's mark; returns whether one has changed.
    pub(crate) async fn look(&mut self, link: &RedisConnection) -> Result<bool, Error> {
        let mut has_changed = false;
        for shard in link.one_shard_per_node() {
            let fresh = ConnectionId::generate().to_string();
            let key = link.key(shard, "mark");
            let client = link.client();
            let found: Option<String> = client
                .set(key, fresh.clone(), None, Some(SetOptions::NX), true)
                .await?;
            let mark = found.unwrap_or(fresh);
            let before = self.0.insert(shard, mark.clone());
            has_changed |= before.is_some_and(|before| before != mark);
        }
        Ok(has_changed)
    }
}

/// Watches until `stop` and counts in `setbacks`.
pub(crate) async fn run(
    link: RedisConnection,
    mut marks: Marks,
    setbacks: watch::Sender<u64>,
    stop: CancellationToken,
) {
    let mut reconnects = link.client().reconnect_rx();
    let mut ticks = interval(CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_reconnected = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            reconnect = reconnects.recv() => match reconnect {
                // Having missed some is as good as having seen one.
                Ok(_) | Err(RecvError::Lagged(_)) => has_reconnected = true,
                Err(RecvError::Closed) => return,
            },
            _ = ticks.tick() => {}
        }
        if link.ready().is_err() {
            continue;
        }
        let has_forgotten = marks.look(&link).await.unwrap_or_else(|error| {
            debug!(
                error = &error as &dyn std::error::Error,
                "failed to check the marks of redis"
            );
            false
        });
        if has_reconnected || has_forgotten {
            info!(
                has_reconnected,
                has_forgotten, "redis may have lost presence data"
            );
            metrics::counter!("chat_presence_store_setbacks_total").increment(1);
            setbacks.send_modify(|count| *count += 1);
            has_reconnected = false;
        }
    }
}
