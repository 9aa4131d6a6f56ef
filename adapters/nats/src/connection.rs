//! The NATS connection: options, state changes and statistics.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event};
use metrics::counter;
use roomcast_ports::back_off::BackOff;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::NatsConfig;
use crate::connect::ConnectError;

/// A server that is silent for about two intervals is disconnected.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// How long one try to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages a subscription may be behind before it loses some.
pub(crate) const SUBSCRIBER_QUEUE_MAX: usize = 65_536;
/// Delays between two tries to connect.
const RECONNECT_AFTER: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// How often the connection has come, gone, and lost messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ConnectionStats {
    /// Connections made.
    pub(crate) connected: u64,
    /// Connections lost.
    pub(crate) disconnected: u64,
    /// Messages dropped because a task here was too slow, as far as it was noticed.
    pub(crate) dropped: u64,
}

/// The connection.
#[derive(Debug, Clone)]
pub(crate) struct NatsConnection {
    pub(crate) client: Client,
    pub(crate) fortunes: watch::Receiver<ConnectionStats>,
}

impl NatsConnection {
    /// Connects.
    pub(crate) async fn connect(config: &NatsConfig) -> Result<Self, ConnectError> {
        let (sender, fortunes) = watch::channel(ConnectionStats::default());
        let sender = Arc::new(sender);
        let mut options = ConnectOptions::new()
            .name(&config.name)
            .ping_interval(PING_INTERVAL)
            .connection_timeout(CONNECT_TIMEOUT)
            .custom_inbox_prefix(&config.inbox_prefix)
            .subscription_capacity(SUBSCRIBER_QUEUE_MAX)
            .reconnect_delay_callback(reconnect_delay)
            .event_callback(move |event| {
                let sender = Arc::clone(&sender);
                async move { on_event(&sender, &event) }
            });
        if config.waits_for_servers {
            options = options.retry_on_initial_connect();
        }
        if let Some(key) = &config.key {
            options = options.nkey(key.trim().to_owned());
        }
        if let Some(ca) = &config.ca {
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }
        let client = options
            .connect(config.servers.as_slice())
            .await
            .map_err(|error| ConnectError::Unreachable(Box::new(error)))?;
        Ok(Self { client, fortunes })
    }

    /// Rises whenever the connection comes or goes; at least 1 once there was one.
    pub(crate) fn epoch(&self) -> u64 {
        let fortunes = self.fortunes.borrow();
        fortunes.connected + fortunes.disconnected
    }

    /// Whether what is sent now goes out now.
    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }
}

/// The delay before the next try, which the client counts.
fn reconnect_delay(tries: usize) -> Duration {
    let failures = u32::try_from(tries).unwrap_or(u32::MAX);
    BackOff::new(RECONNECT_AFTER, RECONNECT_MAX).delay_after(failures)
}

fn on_event(fortunes: &watch::Sender<ConnectionStats>, event: &Event) {
    match event {
        Event::Connected => {
            info!("connected to the log");
            fortunes.send_modify(|fortunes| fortunes.connected += 1);
        }
        Event::Disconnected => {
            warn!("lost the connection to the log");
            counter!("chat_log_disconnects_total").increment(1);
            fortunes.send_modify(|fortunes| fortunes.disconnected += 1);
        }
        Event::SlowConsumer(_) => {
            counter!("chat_log_dropped_total").increment(1);
            fortunes.send_modify(|fortunes| fortunes.dropped += 1);
        }
        Event::ServerError(error) => {
            // This event is the only report of a denied publish.
            counter!("chat_log_server_errors_total").increment(1);
            warn!(%error, "log server reported an error");
        }
        Event::ClientError(error) => warn!(%error, "log client reported an error"),
        Event::LameDuckMode => info!("log server enters lame duck mode"),
        Event::Draining | Event::Closed => {}
    }
}
