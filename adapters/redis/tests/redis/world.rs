//! A Redis of a test's own, and the test's commands.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::types::Builder;
use fred::types::config::Config;
use roomcast_ports::presence::{Lease, Presence, PresenceStore as _};
use roomcast_protocol::{ConnectionId, PresenceStatus, UserId};
use roomcast_redis::{RedisConfig, RedisPresence};
use roomcast_test_cluster::Redis;

pub(crate) use PresenceStatus::{Away, Offline, Online};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Starts a Redis. Servers block: call it on a runtime with several threads.
pub(crate) fn start() -> Redis {
    tokio::task::block_in_place(Redis::start).expect("start redis")
}

pub(crate) async fn connect(url: impl Into<String>) -> Arc<RedisPresence> {
    let config = RedisConfig::new(url);
    RedisPresence::connect(config)
        .await
        .expect("connect to redis")
}

/// The driver, to look at what is kept.
pub(crate) async fn raw(redis: &Redis) -> Client {
    let config = Config::from_url(&redis.url()).expect("a url");
    let client = Builder::from_config(config).build().expect("a client");
    client.init().await.expect("connect to redis");
    client
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).expect("an id")
}

pub(crate) fn lease(name: &str, connection: &str, status: PresenceStatus) -> Lease {
    Lease {
        user_id: user(name),
        connection_id: ConnectionId::new(connection).expect("an id"),
        status,
        gateway: "gateway-1".into(),
    }
}

pub(crate) async fn touch(presence: &RedisPresence, leases: &[Lease], ttl: Duration) {
    presence.renew(leases, ttl).await.expect("touch leases");
}

pub(crate) async fn status(presence: &RedisPresence, name: &str) -> PresenceStatus {
    let read = presence.read(&[user(name)]).await.expect("read presence");
    read[0].status
}

pub(crate) async fn swept(presence: &RedisPresence) -> Vec<(String, PresenceStatus)> {
    named(presence.sweep().await.expect("sweep"))
}

pub(crate) fn named(changes: Vec<Presence>) -> Vec<(String, PresenceStatus)> {
    let mut named: Vec<_> = changes
        .into_iter()
        .map(|presence| (presence.user_id.to_string(), presence.status))
        .collect();
    named.sort();
    named
}
