//! The health report of Redis, for `roomcast check`.

use std::collections::HashMap;

use fred::interfaces::{ClientLike as _, ClusterInterface as _, ConfigInterface as _};
use fred::types::InfoKind;
use roomcast_ports::StoreError;

use crate::connection::{RedisConnection, store_error};
use crate::expiry;

/// The setting for a full Redis.
const EVICTION: &str = "maxmemory-policy";

/// A Redis that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its version, of any node.
    pub version: String,
    /// How many primary nodes hold presence: 1 unless it is a cluster.
    pub nodes: usize,
    /// Whether keyspace expiry events are on, which makes sweeps early; a sweeper enables them where it
    /// may. Nothing is wrong without.
    pub keyspace_events: bool,
    /// What it does when its memory is full; anything but `noeviction` may forget who is here. `None` when
    /// it is unknown.
    pub eviction: Option<String>,
}

pub(crate) async fn check(link: &RedisConnection) -> Result<Checked, StoreError> {
    link.ready()?;
    let client = link.client();
    let info: String = client
        .info(Some(InfoKind::Server))
        .await
        .map_err(store_error)?;
    let version = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"))
        .unwrap_or("unknown");
    let nodes = client
        .cached_cluster_state()
        .filter(|_| link.clustered)
        .map_or(1, |cluster| cluster.unique_primary_nodes().len());
    let policy: Result<HashMap<String, String>, _> = client.config_get(EVICTION).await;
    Ok(Checked {
        version: version.to_owned(),
        nodes,
        keyspace_events: expiry::is_on(link).await,
        eviction: policy.ok().and_then(|mut policy| policy.remove(EVICTION)),
    })
}
