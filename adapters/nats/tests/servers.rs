//! Servers for tests, and logs on them.
#![allow(
    dead_code,
    reason = "each test program uses its part of this; it is compiled once for each"
)]

use std::sync::Arc;

use async_trait::async_trait;
use roomcast_conformance::event_log::LogHarness;
use roomcast_conformance::pubsub::SignalsHarness;
use roomcast_nats::{NatsConfig, NatsLog, partition_of};
use roomcast_ports::event_log::EventLog;
use roomcast_ports::pubsub::PubSub;
use roomcast_protocol::RoomId;
use roomcast_test_cluster::Nats;
use tokio::sync::{OnceCell, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The servers that the tests of one program share: who kills them has them alone.
static SHARED: OnceCell<Arc<RwLock<Nats>>> = OnceCell::const_new();

/// A log of a test's own on the servers that all share.
pub(crate) struct Harness {
    share: Share,
    log: Arc<NatsLog>,
}

/// A test's hold on the servers.
enum Share {
    WithOthers(OwnedRwLockReadGuard<Nats>),
    Alone(OwnedRwLockWriteGuard<Nats>),
    Nothing,
}

impl Share {
    fn nats(&self) -> &Nats {
        match self {
            Self::WithOthers(nats) => nats,
            Self::Alone(nats) => nats,
            Self::Nothing => unreachable!("only between two holds"),
        }
    }
}

/// Starts the servers if no test has, and opens a log on them.
pub(crate) async fn harness(nodes: usize) -> Harness {
    let shared = SHARED.get_or_init(|| async move { Arc::new(RwLock::new(start(nodes).await)) });
    let share = Share::WithOthers(Arc::clone(shared.await).read_owned().await);
    let log = open(manager(share.nats())).await;
    Harness { share, log }
}

/// The shared servers, for one test alone; all of them run.
pub(crate) async fn alone(nodes: usize) -> OwnedRwLockWriteGuard<Nats> {
    let shared = SHARED.get_or_init(|| async move { Arc::new(RwLock::new(start(nodes).await)) });
    let mut nats = Arc::clone(shared.await).write_owned().await;
    blocking(move || {
        for index in 0..nats.nodes() {
            if nats.pid(index).is_none() {
                nats.start_node(index).expect("start nats-server again");
            }
        }
        nats.wait_until_ready().expect("nats-server is ready again");
        nats
    })
    .await
}

/// Starts servers for one test.
pub(crate) async fn start(nodes: usize) -> Nats {
    blocking(move || Nats::start(nodes).expect("start nats-server")).await
}

/// Opens a log.
pub(crate) async fn open(config: NatsConfig) -> Arc<NatsLog> {
    NatsLog::connect(config).await.expect("open the log")
}

/// Runs what blocks.
pub(crate) async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run)
        .await
        .expect("it does not panic")
}

/// A client of the servers.
pub(crate) fn client(nats: &Nats) -> NatsConfig {
    let servers = nats.servers().split(',').map(str::to_owned).collect();
    NatsConfig {
        partition_bytes_max: Some(64 << 20),
        ..NatsConfig::new(servers, "local", "test")
    }
}

/// The client that creates the streams.
pub(crate) fn manager(nats: &Nats) -> NatsConfig {
    NatsConfig {
        manages_streams: true,
        ..client(nats)
    }
}

/// Rooms of one partition.
pub(crate) fn rooms_in(partition: u16, count: usize) -> Vec<RoomId> {
    std::iter::repeat_with(RoomId::generate)
        .filter(|room_id| partition_of(room_id) == partition)
        .take(count)
        .collect()
}

/// Kills all servers and starts them again.
fn restart(nats: &mut Nats) {
    for index in 0..nats.nodes() {
        nats.kill(index);
    }
    for index in 0..nats.nodes() {
        nats.start_node(index).expect("start nats-server again");
    }
    nats.wait_until_ready().expect("nats-server is ready again");
}

#[async_trait]
impl LogHarness for Harness {
    fn log(&self) -> Arc<dyn EventLog> {
        self.log.log()
    }

    async fn restart(&mut self) {
        self.share = Share::Nothing;
        let shared = Arc::clone(SHARED.get().expect("they run"));
        let mut nats = shared.write_owned().await;
        nats = blocking(move || {
            restart(&mut nats);
            nats
        })
        .await;
        self.share = Share::Alone(nats);
        self.log = open(manager(self.share.nats())).await;
    }
}

impl SignalsHarness for Harness {
    fn signals(&self) -> Arc<dyn PubSub> {
        self.log.signals()
    }
}
