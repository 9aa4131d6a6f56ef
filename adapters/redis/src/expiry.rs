//! Keyspace notifications of expired keys, which wake the sweep of a shard early.
//!
//! Only an accelerator. Redis publishes the event when it happens to find an expired key, which may be minutes late,
//! publishes it once to current subscribers, and may have these events disabled.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{
    ClientLike as _, ClusterInterface as _, ConfigInterface, EventInterface as _,
    PubsubInterface as _,
};
use fred::types::config::Server;
use fred::types::{ClusterStateChange, KeyspaceEvent};
use parking_lot::Mutex;
use roomcast_protocol::UserId;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::RedisConfig;
use crate::connection::{RedisConnection, builder};
use crate::presence_key;
use crate::shard::shard_of;

/// Events gathered into one sweep.
const LINGER: Duration = Duration::from_millis(20);
/// The setting of Redis that switches its news on.
const SETTING: &str = "notify-keyspace-events";

/// Shards in which a user's last lease has expired.
#[derive(Debug, Default)]
pub(crate) struct ExpiredShards {
    shards: Mutex<BTreeSet<u16>>,
    wake: Notify,
}

impl ExpiredShards {
    /// Waits until there are some, and takes them.
    pub(crate) async fn take(&self) -> BTreeSet<u16> {
        loop {
            self.wake.notified().await;
            tokio::time::sleep(LINGER).await;
            let shards = std::mem::take(&mut *self.shards.lock());
            if !shards.is_empty() {
                return shards;
            }
        }
    }

    fn add(&self, shard: u16) {
        self.shards.lock().insert(shard);
        self.wake.notify_one();
    }
}

/// Listens on a connection of its own until `stop`.
pub(crate) async fn listen(
    link: RedisConnection,
    config: RedisConfig,
    woken: Arc<ExpiredShards>,
    stop: CancellationToken,
) {
    let client = builder(&config).and_then(|mut builder| {
        builder.with_config(|config| config.fail_fast = false);
        builder
            .build()
            .map_err(|error| crate::ConnectError::BadUrl(error.into()))
    });
    // The link was opened with the same configuration.
    let Ok(client) = client else { return };
    let (mut reconnects, mut changes) = (client.reconnect_rx(), client.cluster_change_rx());
    let mut events = client.keyspace_event_rx();
    let user_keys = presence_key::begins_with(&config.prefix);
    let connection = client.connect();
    loop {
        let missed = tokio::select! {
            () = stop.cancelled() => break,
            event = events.recv() => {
                if let Ok(event) = &event
                    && let Some(shard) = shard_of_event(event, &user_keys)
                {
                    woken.add(shard);
                }
                event.err()
            }
            server = reconnects.recv() => {
                if let Ok(server) = &server {
                    subscribe(&link, &client, server).await;
                }
                server.err()
            }
            changes = changes.recv() => {
                for change in changes.iter().flatten() {
                    if let ClusterStateChange::Add(server) = change {
                        subscribe(&link, &client, server).await;
                    }
                }
                changes.err()
            }
        };
        match missed {
            // The regular sweep finds what was missed.
            Some(RecvError::Lagged(_)) | None => {}
            Some(RecvError::Closed) => break,
        }
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), client.quit()).await;
    connection.abort();
}

fn shard_of_event(event: &KeyspaceEvent, user_keys: &str) -> Option<u16> {
    let user_id = event.key.as_str()?.strip_prefix(user_keys)?;
    UserId::new(user_id).ok().map(|user_id| shard_of(&user_id))
}

async fn subscribe(link: &RedisConnection, client: &Client, server: &Server) {
    let database = client.client_config().database.unwrap_or_default();
    let channel = format!("__keyevent@{database}__:expired");
    let switched_on = enable_keyspace_events(link, server).await;
    let subscribed = if link.clustered {
        client.with_cluster_node(server).subscribe(channel).await
    } else {
        client.subscribe(channel).await
    };
    for (error, what) in [
        (switched_on.err(), "switch on"),
        (subscribed.err(), "subscribe to"),
    ] {
        if let Some(error) = error {
            let error = &error as &dyn std::error::Error;
            warn!(error, %server, "failed to {what} news of expired keys: sweeps go on without");
        }
    }
}

/// Enables expiry events on a server, beside those enabled already.
async fn enable_keyspace_events(link: &RedisConnection, server: &Server) -> Result<(), Error> {
    if link.clustered {
        enable_keyspace_events_at(&link.client().with_cluster_node(server)).await
    } else {
        enable_keyspace_events_at(link.client()).await
    }
}

async fn enable_keyspace_events_at(server: &impl ConfigInterface) -> Result<(), Error> {
    let flags = flags_of(server).await?;
    if has_expired_flag(&flags) {
        return Ok(());
    }
    server.config_set(SETTING, format!("{flags}Ex")).await
}

/// Whether every server has expiry events enabled.
pub(crate) async fn is_on(link: &RedisConnection) -> bool {
    let Some(cluster) = link
        .client()
        .cached_cluster_state()
        .filter(|_| link.clustered)
    else {
        return flags_of(link.client())
            .await
            .is_ok_and(|flags| has_expired_flag(&flags));
    };
    for server in cluster.unique_primary_nodes() {
        let server = link.client().with_cluster_node(server);
        if !flags_of(&server)
            .await
            .is_ok_and(|flags| has_expired_flag(&flags))
        {
            return false;
        }
    }
    true
}

async fn flags_of(server: &impl ConfigInterface) -> Result<String, Error> {
    let mut settings: HashMap<String, String> = server.config_get(SETTING).await?;
    Ok(settings.remove(SETTING).unwrap_or_default())
}

fn has_expired_flag(flags: &str) -> bool {
    flags.contains('E') && flags.contains(['x', 'A'])
}
