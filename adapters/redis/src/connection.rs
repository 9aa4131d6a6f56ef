//! The Redis connection: opened, reconnected, closed; maps its errors.
//!
//! The driver reconnects without end. While there is no connection a call fails immediately instead of
//! waiting in a queue: who greets a client must not wait for presence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike as _, ClusterInterface as _};
use fred::types::config::{ReconnectPolicy, TcpConfig, UnresponsiveConfig};
use fred::types::{Builder, Value};
use roomcast_ports::StoreError;
use tracing::warn;

use crate::config::{ConnectError, RedisConfig};
use crate::script::{ScriptName, Scripts};
use crate::shard::SHARDS;

/// The oldest Redis that will do: `SET … NX GET`.
const LEAST_VERSION: (u64, &str) = (7, "7.0");
/// Commands that wait for the driver; past it a call fails.
const QUEUE_MAX: usize = 16_384;
/// Events buffered for one subscription; past it the subscription gets a lag error.
const EVENTS_MAX: usize = 4_096;
/// Timeout of closing a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// A pause between two tries to connect, at first and at most, in milliseconds.
const RECONNECT_MS: (u32, u32) = (50, 1_000);

/// A connected client with its scripts and keys; cheap to clone.
#[derive(Clone)]
pub(crate) struct RedisConnection {
    client: Client,
    scripts: Arc<Scripts>,
    prefix: Arc<str>,
    remember: Duration,
    pub(crate) clustered: bool,
}

impl RedisConnection {
    pub(crate) async fn open(config: &RedisConfig) -> Result<Self, ConnectError> {
        let client = match connected(config).await {
            Err(ConnectError::Unreachable(error)) if config.may_be_away => {
                warn!(cause = ?error, "redis is unavailable; continuing without it");
                let mut builder = builder(config)?;
                builder.with_config(|config| config.fail_fast = false);
                let client = builder.build().map_err(refused)?;
                // The driver reconnects, and the task ends when the client is closed.
                drop(client.connect());
                client
            }
            connected => connected?,
        };
        let link = Self {
            clustered: client.is_clustered(),
            client,
            scripts: Arc::new(Scripts::new()),
            prefix: config.prefix.as_str().into(),
            remember: config.remember,
        };
        let version = link.client.server_version();
        if let Some(version) = version.filter(|version| version.major < LEAST_VERSION.0) {
            link.close().await;
            return Err(ConnectError::TooOld {
                found: version.to_string(),
                least: LEAST_VERSION.1,
            });
        }
        Ok(link)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A key of a shard.
    pub(crate) fn key(&self, shard: u16, name: &str) -> String {
        format!("{}:{{{shard}}}:{name}", self.prefix)
    }

    /// The first arguments of every script: key prefix and user retention.
    pub(crate) fn arguments(&self, more: usize) -> Vec<Value> {
        let mut args = Vec::with_capacity(2 + more);
        args.push(Value::from(&*self.prefix));
        args.push(milliseconds(self.remember));
        args
    }

    /// Runs a script on the keys of a shard.
    pub(crate) async fn run(
        &self,
        verb: ScriptName,
        shard: u16,
        args: Vec<Value>,
    ) -> Result<Vec<Value>, StoreError> {
        self.ready()?;
        let asked = Instant::now();
        let key = self.key(shard, "last_deadline");
        let answer = self.scripts.run(&self.client, verb, &key, args).await;
        let name = match verb {
            ScriptName::Lease => "lease",
            ScriptName::Sweep => "sweep",
            ScriptName::Read => "read",
        };
        metrics::histogram!("chat_presence_store_call_seconds", "call" => name)
            .record(asked.elapsed().as_secs_f64());
        match answer.map_err(store_error)? {
            Value::Array(answer) => Ok(answer),
            Value::Null => Ok(Vec::new()),
            _ => Err(StoreError::Corrupted("a script gave no list".into())),
        }
    }

    /// Whether there is a connection to ask on.
    pub(crate) fn ready(&self) -> Result<(), StoreError> {
        if self.client.is_connected() {
            Ok(())
        } else {
            metrics::counter!("chat_presence_store_errors_total").increment(1);
            Err(StoreError::Unavailable("redis is not connected".into()))
        }
    }

    /// One shard on each server: what is true of one such key is true of its server.
    pub(crate) fn one_shard_per_node(&self) -> Vec<u16> {
        let Some(cluster) = self
            .client
            .cached_cluster_state()
            .filter(|_| self.clustered)
        else {
            return vec![0];
        };
        let mut servers = Vec::new();
        let mut shards = Vec::new();
        for shard in 0..SHARDS {
            let slot = fred::util::redis_keyslot(self.key(shard, "").as_bytes());
            if let Some(server) = cluster.get_server(slot)
                && !servers.contains(server)
            {
                servers.push(server.clone());
                shards.push(shard);
            }
        }
        shards
    }

    pub(crate) async fn close(&self) {
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.client.quit()).await;
    }
}

/// A client that has reached Redis.
async fn connected(config: &RedisConfig) -> Result<Client, ConnectError> {
    let client = builder(config)?.build().map_err(refused)?;
    match tokio::time::timeout(config.answer_within, client.init()).await {
        Ok(Ok(_)) => Ok(client),
        Ok(Err(error)) if is_refusal(&error) => Err(refused(error)),
        Ok(Err(error)) => Err(ConnectError::Unreachable(error.into())),
        Err(late) => {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, client.quit()).await;
            Err(ConnectError::Unreachable(late.into()))
        }
    }
}

/// Whether waiting cannot help: the password is wrong, or one side does not take the other's certificate.
/// The driver reports the latter, and a server that does not speak TLS, as invalid data on the connection.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Auth | ErrorKind::Tls)
        || error.details().contains("InvalidData")
}

fn refused(error: Error) -> ConnectError {
    ConnectError::Refused(error.into())
}

/// A driver that reconnects without end and whose calls have a timeout.
pub(crate) fn builder(config: &RedisConfig) -> Result<Builder, ConnectError> {
    let mut builder = Builder::from_config(config.driver_config()?);
    builder
        .with_performance_config(|performance| {
            performance.default_command_timeout = config.answer_within;
            performance.broadcast_channel_capacity = EVENTS_MAX;
        })
        .with_connection_config(|connection| {
            connection.connection_timeout = config.answer_within;
            connection.internal_command_timeout = config.answer_within;
            connection.max_command_attempts = 2;
            connection.max_command_buffer_len = QUEUE_MAX;
            connection.auto_client_setname = true;
            connection.tcp = TcpConfig {
                nodelay: Some(true),
                ..TcpConfig::default()
            };
            connection.unresponsive = UnresponsiveConfig {
                max_timeout: Some(config.answer_within),
                interval: Duration::from_secs(1),
            };
        })
        .set_policy(ReconnectPolicy::new_exponential(
            0,
            RECONNECT_MS.0,
            RECONNECT_MS.1,
            2,
        ));
    Ok(builder)
}

/// A span as the scripts count it.
pub(crate) fn milliseconds(duration: Duration) -> Value {
    // A century: the scripts count exactly up to 2^53.
    const MILLISECONDS_MAX: u128 = 100 * 366 * 24 * 3600 * 1000;
    let milliseconds = duration.as_millis().min(MILLISECONDS_MAX);
    Value::Integer(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

/// What an error of the driver means to the caller.
pub(crate) fn store_error(error: Error) -> StoreError {
    metrics::counter!("chat_presence_store_errors_total").increment(1);
    let is_damage = matches!(error.kind(), ErrorKind::Parse | ErrorKind::NotFound)
        || ["WRONGTYPE", "ERR"]
            .iter()
            .any(|prefix| error.details().starts_with(prefix));
    if is_damage {
        StoreError::Corrupted(error.into())
    } else {
        StoreError::Unavailable(error.into())
    }
}
