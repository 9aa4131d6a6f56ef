//! The entry point: one connection, and the ports over it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use roomcast_ports::event_log::{EventLog, LogError};
use roomcast_ports::pubsub::PubSub;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::append::{AppendDeps, Appender};
use crate::config::NatsConfig;
use crate::connect::ConnectError;
use crate::connection::NatsConnection;
use crate::direct::DirectGet;
use crate::error::NatsError;
use crate::feed::Feeds;
use crate::health::{HealthReport, StreamHealth};
use crate::live::LiveDispatcher;
use crate::log::Log;
use crate::observed_seqs::ObservedSeqs;
use crate::pubsub::NatsPubSub;
use crate::reader::Reader;
use crate::request::RequestMux;
use crate::streams::Streams;
use crate::subscription_gate::SubscriptionGate;

/// The oldest server that has batch reads and pinned consumers.
const SERVER_MIN: (i64, i64, i64, &str) = (2, 11, 0, "2.11.0");
/// The server that this adapter is tested with. A test keeps it equal to what `make servers` and
/// `docker-compose.yml` run.
const SERVER_TESTED: (i64, i64, i64, &str) = (2, 15, 2, "2.15.2");
/// Connection timeout at start, when the configuration asks to wait.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the last tasks may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// A process's connection to the log and the bus.
#[derive(Debug)]
pub struct NatsLog {
    link: NatsConnection,
    streams: Arc<Streams>,
    log: Arc<Log>,
    signals: Arc<NatsPubSub>,
    tracker: TaskTracker,
    /// The tasks that hold partitions.
    workers: TaskTracker,
    stop: CancellationToken,
}

impl NatsLog {
    /// Connects, and waits up to a minute until the streams are there and as they should be.
    pub async fn connect(config: NatsConfig) -> Result<Arc<Self>, ConnectError> {
        check_region(&config.region)?;
        let (tracker, workers) = (TaskTracker::new(), TaskTracker::new());
        let stop = CancellationToken::new();
        let link = NatsConnection::connect(&config).await?;
        wait_until_connected(&link).await?;
        check_version(&link)?;
        let subscribed = |error| ConnectError::Unreachable(Box::new(error));
        let exchanges = RequestMux::start(link.client.clone(), &tracker)
            .await
            .map_err(subscribed)?;
        let known = Arc::new(ObservedSeqs::default());
        let streams = Arc::new(Streams::new(
            link.clone(),
            Arc::clone(&exchanges),
            config.clone(),
            Arc::clone(&known),
        ));
        streams.ensure_all().await?;
        streams.begin(&tracker, &stop).await.map_err(subscribed)?;
        let direct = DirectGet::new(Arc::clone(&exchanges));
        let reader = Arc::new(Reader::new(direct, Arc::clone(&known)));
        let listening = Arc::new(SubscriptionGate::new());
        let appends = Arc::new(Appender::new(AppendDeps {
            link: link.clone(),
            region: config.region.clone(),
            exchanges,
            reader: Arc::clone(&reader),
            known: Arc::clone(&known),
            streams: Arc::clone(&streams),
            listening: Arc::clone(&listening),
            tracker: tracker.clone(),
        }));
        appends.start(&stop).await.map_err(subscribed)?;
        let ears = LiveDispatcher::new(
            link.clone(),
            config.region.clone(),
            known,
            Arc::clone(&streams),
            listening,
            tracker.clone(),
            stop.clone(),
        );
        let feeds = Feeds {
            link: link.clone(),
            consumer: config.consumer.clone(),
            reader: Arc::clone(&reader),
            streams: Arc::clone(&streams),
            tracker: workers.clone(),
            stop: stop.clone(),
        };
        let log = Arc::new(Log {
            appends,
            reader,
            ears: Arc::new(ears),
            feeds: Arc::new(feeds),
        });
        let signals = NatsPubSub::new(link.clone(), tracker.clone(), stop.clone());
        Ok(Arc::new(Self {
            link,
            streams,
            log,
            signals: Arc::new(signals),
            tracker,
            workers,
            stop,
        }))
    }

    /// The log.
    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.log) as Arc<dyn EventLog>
    }

    /// The signals.
    pub fn signals(&self) -> Arc<dyn PubSub> {
        Arc::clone(&self.signals) as Arc<dyn PubSub>
    }

    /// Whether the log answers now, within three seconds.
    pub async fn ready(&self) -> Result<(), LogError> {
        if !self.link.is_connected() {
            return Err(LogError::Unavailable("the connection is lost".into()));
        }
        self.log.ping().await
    }

    /// What there is: the server this process is connected to, and every stream if it uses them.
    pub async fn check(&self) -> Result<HealthReport, LogError> {
        let found = join_all(self.streams.partitions().map(|partition| async move {
            let info = self.streams.info(partition).await?;
            Ok::<_, NatsError>(StreamHealth::new(partition, &info))
        }))
        .await;
        let server = self.link.client.server_info();
        Ok(HealthReport {
            server: server.server_name,
            version: server.version,
            streams: found.into_iter().collect::<Result<_, _>>()?,
        })
    }

    /// Takes nothing more, answers what has been taken (each append within its time), hands back the
    /// claimed partitions and ends.
    pub async fn close(&self) {
        self.log.appends.close().await;
        self.stop.cancel();
        self.log.ears.close();
        self.signals.close();
        self.workers.close();
        // Flushes their last publishes before the connection is closed.
        let _ = timeout(CLOSE_TIMEOUT, self.workers.wait()).await;
        let _ = timeout(CLOSE_TIMEOUT, self.link.client.flush()).await;
        let _ = timeout(CLOSE_TIMEOUT, self.link.client.drain()).await;
        self.tracker.close();
        let _ = timeout(CLOSE_TIMEOUT, self.tracker.wait()).await;
    }
}

fn check_region(region: &str) -> Result<(), ConnectError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if region.is_empty() || !region.bytes().all(allowed) {
        return Err(ConnectError::BadRegion(region.to_owned()));
    }
    Ok(())
}

async fn wait_until_connected(link: &NatsConnection) -> Result<(), ConnectError> {
    let mut fortunes = link.fortunes.clone();
    let connected = fortunes.wait_for(|fortunes| fortunes.connected > 0);
    if link.is_connected() || matches!(timeout(CONNECT_TIMEOUT, connected).await, Ok(Ok(_))) {
        return Ok(());
    }
    let waited = format!("no server answered within {CONNECT_TIMEOUT:?}");
    Err(ConnectError::Unreachable(waited.into()))
}

fn check_version(link: &NatsConnection) -> Result<(), ConnectError> {
    let (major, minor, patch, needed) = SERVER_MIN;
    let found = link.client.server_info().version;
    if !link.client.is_server_compatible(major, minor, patch) {
        return Err(ConnectError::TooOld { found, needed });
    }
    let (major, minor, patch, tested) = SERVER_TESTED;
    if !link.client.is_server_compatible(major, minor, patch) {
        warn!(found, tested, "log server is older than the tested version");
    }
    Ok(())
}
