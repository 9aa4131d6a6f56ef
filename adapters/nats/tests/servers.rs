//! Servers for tests, and logs on them.
#![allow(
    dead_code,
    reason = "each test program uses its part of this; it is compiled once for each"
)]

use std::sync::Arc;

use async_trait::async_trait;
use roomcast_local::Nats;
use roomcast_nats::{NatsConfig, NatsLog};
use roomcast_ports::contract::event_log::LogHarness;
use roomcast_ports::contract::signals::SignalsHarness;
use roomcast_ports::event_log::EventLog;
use roomcast_ports::signals::Signals;

/// Servers of a test's own, and a log on them.
pub(crate) struct Harness {
    pub(crate) nats: Option<Nats>,
    pub(crate) log: Arc<NatsLog>,
}

/// Starts servers; makes the log.
pub(crate) async fn harness(nodes: usize) -> Harness {
    let nats = start(nodes).await;
    let log = NatsLog::connect(manager(&nats))
        .await
        .expect("open the log");
    Harness {
        nats: Some(nats),
        log,
    }
}

/// Starts servers.
pub(crate) async fn start(nodes: usize) -> Nats {
    blocking(move || Nats::start(nodes).expect("start nats-server")).await
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
        replicas: nats.nodes(),
        partition_bytes_max: 64 << 20,
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

#[async_trait]
impl LogHarness for Harness {
    fn log(&self) -> Arc<dyn EventLog> {
        self.log.log()
    }

    async fn restart(&mut self) {
        let mut nats = self.nats.take().expect("it runs");
        self.nats = Some(
            blocking(move || {
                for index in 0..nats.nodes() {
                    nats.kill(index);
                }
                for index in 0..nats.nodes() {
                    nats.start_node(index).expect("start nats-server again");
                }
                nats.wait_until_ready().expect("nats-server is ready again");
                nats
            })
            .await,
        );
        self.log = NatsLog::connect(manager(self.nats.as_ref().expect("it runs")))
            .await
            .expect("open the log again");
    }
}

impl SignalsHarness for Harness {
    fn signals(&self) -> Arc<dyn Signals> {
        self.log.signals()
    }
}
