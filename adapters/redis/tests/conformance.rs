//! Redis keeps every promise of presence, alone and as a cluster.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use roomcast_conformance::presence::PresenceHarness;
use roomcast_ports::presence::PresenceStore;
use roomcast_protocol::RoomId;
use roomcast_redis::{RedisConfig, RedisPresence};
use roomcast_test_cluster::{Redis, RedisCluster};

mod single {
    use super::redis;
    roomcast_conformance::presence_conformance!(redis);
}

mod cluster {
    use super::redis_cluster;
    roomcast_conformance::presence_conformance!(redis_cluster);
}

/// Keys of a test's own, on servers that the tests of this file share.
struct Harness {
    presence: Arc<RedisPresence>,
    /// The server, kept as long as some test uses it.
    _server: Arc<dyn Send + Sync>,
}

type Shared<T> = OnceLock<Mutex<std::sync::Weak<T>>>;

/// The server that a running test has started, or a new one.
async fn shared<T: Send + Sync + 'static>(
    shared: &'static Shared<T>,
    start: impl FnOnce() -> T + Send + 'static,
) -> Arc<T> {
    let start = move || {
        let server = shared.get_or_init(Mutex::default);
        let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
        server.upgrade().unwrap_or_else(|| {
            let started = Arc::new(start());
            *server = Arc::downgrade(&started);
            started
        })
    };
    tokio::task::spawn_blocking(start)
        .await
        .expect("start a server")
}

async fn harness(url: String, server: Arc<dyn Send + Sync>) -> Harness {
    let config = RedisConfig {
        prefix: format!("test-{}", RoomId::generate()),
        ..RedisConfig::new(url)
    };
    Harness {
        presence: RedisPresence::connect(config)
            .await
            .expect("connect to redis"),
        _server: server,
    }
}

async fn redis() -> Harness {
    static SERVER: Shared<Redis> = OnceLock::new();
    let server = shared(&SERVER, || Redis::start().expect("start redis")).await;
    harness(server.url(), server).await
}

async fn redis_cluster() -> Harness {
    static SERVER: Shared<RedisCluster> = OnceLock::new();
    let server = shared(&SERVER, || RedisCluster::start().expect("start redis")).await;
    harness(server.url(), server).await
}

impl PresenceHarness for Harness {
    fn presence(&self) -> Arc<dyn PresenceStore> {
        Arc::clone(&self.presence) as _
    }

    fn tick(&self) -> Duration {
        Duration::from_millis(300)
    }
}
