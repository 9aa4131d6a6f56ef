//! Opens the back ends named in the settings, each behind its port.

use std::sync::Arc;

use anyhow::Context as _;
use roomcast_embedded::Embedded;
use roomcast_nats::{HighWatermark, NatsConfig, NatsLog};
use roomcast_ports::accounts::{AccountStore, SessionStore};
use roomcast_ports::dead_letters::DeadLetters;
use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::event_log::EventLog;
use roomcast_ports::message_store::{MessageReader, MessageWriter};
use roomcast_ports::presence::PresenceStore;
use roomcast_ports::pubsub::PubSub;
use roomcast_redis::{RedisConfig, RedisPresence};
use roomcast_scylla::{ScyllaConfig, ScyllaStore};
use rustls::ClientConfig;

use crate::config::{Access, LogBackEnd, PresenceBackEnd, Role, Settings, StoreBackEnd};
use crate::deadlines::Bounded;

/// What the services stand on.
pub(crate) struct Backends {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) signals: Arc<dyn PubSub>,
    pub(crate) reader: Arc<dyn MessageReader>,
    pub(crate) writer: Arc<dyn MessageWriter>,
    pub(crate) directory: Arc<dyn RoomDirectory>,
    pub(crate) dead_letters: Arc<dyn DeadLetters>,
    pub(crate) accounts: Arc<dyn AccountStore>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) presence: Arc<dyn PresenceStore>,
    open: OpenedBackends,
}

/// What has to be closed.
#[derive(Default)]
struct OpenedBackends {
    embedded: Option<Embedded>,
    nats: Option<Arc<NatsLog>>,
    scylla: Option<Arc<ScyllaStore>>,
    redis: Option<Arc<RedisPresence>>,
}

/// Opens everything the settings name.
pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Backends> {
    let mut open = OpenedBackends::default();
    if needs_directory(settings) {
        open.embedded = Some(Embedded::open(&settings.data).context("--data")?);
    }
    if let StoreBackEnd::Cql { hosts, keyspace } = &settings.store {
        let config = scylla_config(settings, hosts, keyspace)?;
        open.scylla = Some(ScyllaStore::connect(config).await.context("--store")?);
    }
    if let LogBackEnd::Nats(servers) = &settings.log {
        let config = nats_config(settings, servers, open.high_watermark());
        open.nats = Some(NatsLog::connect(config).await.context("--log")?);
    }
    if let PresenceBackEnd::Redis(url) = &settings.presence_store {
        // Messages are delivered without it, so a process can start without it as well.
        let config = RedisConfig {
            may_be_away: true,
            ..redis_config(settings, url)?
        };
        let connecting = RedisPresence::connect(config);
        open.redis = Some(connecting.await.context("--presence-store")?);
    }
    open.into_backends()
}

/// Whether anything is kept in the data directory but the signing key.
pub(crate) fn needs_directory(settings: &Settings) -> bool {
    settings.log == LogBackEnd::Embedded
        || settings.store == StoreBackEnd::Embedded
        || settings.presence_store == PresenceBackEnd::Embedded
}

/// How the store is reached, and how it is made where it is not there yet.
pub(crate) fn scylla_config(
    settings: &Settings,
    hosts: &[String],
    keyspace: &str,
) -> anyhow::Result<ScyllaConfig> {
    let access = &settings.store_access;
    Ok(ScyllaConfig {
        replication_factor: settings.store_replicas,
        datacenter: settings.store_datacenter.clone(),
        credentials: access.user.clone().zip(access.password.clone()),
        tls: tls(access, "--store-ca")?,
        ..ScyllaConfig::new(hosts.to_vec(), keyspace)
    })
}

/// How the presence store is reached.
pub(crate) fn redis_config(settings: &Settings, url: &str) -> anyhow::Result<RedisConfig> {
    let access = &settings.presence_access;
    Ok(RedisConfig {
        user: access.user.clone(),
        password: access.password.clone(),
        tls: tls(access, "--presence-store-ca")?,
        ..RedisConfig::new(url)
    })
}

fn tls(access: &Access, option: &'static str) -> anyhow::Result<Option<Arc<ClientConfig>>> {
    access.tls().map_err(anyhow::Error::msg).context(option)
}

/// How the log is reached. Ingest sees to the streams; all others wait until they are there.
pub(crate) fn nats_config(
    settings: &Settings,
    servers: &[String],
    seen_to: Option<HighWatermark>,
) -> NatsConfig {
    let roles: Vec<_> = settings.roles.iter().map(|role| role.as_str()).collect();
    let name = format!("roomcast {} {}", roles.join(","), std::process::id());
    let mut config = NatsConfig::new(servers.to_vec(), &settings.region, &name);
    // Answers come where this role's key may listen, and no other's (deploy/nats/roles.conf).
    let role = if let [role] = roles[..] { role } else { "all" };
    config.inbox_prefix = format!("_INBOX_{role}");
    config.replicas = settings.log_access.replicas;
    config.partition_bytes_max = settings.log_access.partition_bytes_max;
    config.key.clone_from(&settings.log_access.key);
    config.ca.clone_from(&settings.log_access.ca);
    config.manages_streams = settings.roles.contains(&Role::Ingest);
    config.uses_streams = settings.roles.iter().any(|role| uses_streams(*role));
    config.waits_for_servers = true;
    config.seen_to = seen_to;
    config
}

/// Whether the role appends events or reads them. The keys of the others may do neither
/// (`deploy/nats/roles.conf`).
const fn uses_streams(role: Role) -> bool {
    match role {
        Role::Gateway | Role::Ingest | Role::History | Role::Rooms => true,
        Role::Presence | Role::Accounts => false,
    }
}

impl OpenedBackends {
    /// How far the store has been derived, which a stream that ends earlier has forgotten.
    fn high_watermark(&self) -> Option<HighWatermark> {
        if let Some(store) = self.scylla.clone() {
            return Some(Arc::new(move |partition| {
                let store = Arc::clone(&store);
                Box::pin(async move { Ok(store.high_watermarks(partition).await?) })
            }));
        }
        let writer: Arc<dyn MessageWriter> = self.embedded.as_ref()?.messages();
        Some(Arc::new(move |partition| {
            let writer = Arc::clone(&writer);
            Box::pin(async move { Ok(writer.checkpoint(partition).await?) })
        }))
    }

    fn into_backends(self) -> anyhow::Result<Backends> {
        let none = "no back end was opened for a port";
        let embedded = self.embedded.as_ref();
        let (log, signals) = match &self.nats {
            Some(nats) => (nats.log(), nats.signals()),
            None => embedded.map(|it| (it.log(), it.signals())).context(none)?,
        };
        let presence = match &self.redis {
            Some(redis) => Arc::clone(redis) as Arc<dyn PresenceStore>,
            None => embedded.map(Embedded::presence).context(none)?,
        };
        let store = match &self.scylla {
            Some(scylla) => StorePorts::of_scylla(scylla),
            None => embedded.map(StorePorts::of_embedded).context(none)?,
        };
        Ok(Backends {
            log: Arc::new(Bounded::new(log)),
            signals: Arc::new(Bounded::new(signals)),
            presence: Arc::new(Bounded::new(presence)),
            reader: Arc::new(Bounded::new(store.reader)),
            writer: Arc::new(Bounded::new(store.writer)),
            directory: Arc::new(Bounded::new(store.directory)),
            dead_letters: Arc::new(Bounded::new(store.dead_letters)),
            accounts: Arc::new(Bounded::new(store.accounts)),
            sessions: Arc::new(Bounded::new(store.sessions)),
            open: self,
        })
    }
}

/// The ports of one store.
struct StorePorts {
    reader: Arc<dyn MessageReader>,
    writer: Arc<dyn MessageWriter>,
    directory: Arc<dyn RoomDirectory>,
    dead_letters: Arc<dyn DeadLetters>,
    accounts: Arc<dyn AccountStore>,
    sessions: Arc<dyn SessionStore>,
}

impl StorePorts {
    fn of_embedded(embedded: &Embedded) -> Self {
        let messages = embedded.messages();
        Self {
            reader: messages.clone(),
            writer: messages.clone(),
            directory: messages,
            dead_letters: embedded.dead_letters(),
            accounts: embedded.accounts(),
            sessions: embedded.sessions(),
        }
    }

    fn of_scylla(scylla: &ScyllaStore) -> Self {
        let messages = scylla.messages();
        Self {
            reader: messages.clone(),
            writer: messages.clone(),
            directory: messages,
            dead_letters: scylla.dead_letters(),
            accounts: scylla.accounts(),
            sessions: scylla.sessions(),
        }
    }
}

impl Backends {
    /// Writes what waits and lets go of everything, in the order in which it is no longer needed.
    pub(crate) async fn close(self) {
        let OpenedBackends {
            embedded,
            nats,
            scylla,
            redis,
        } = self.open;
        if let Some(redis) = redis {
            redis.close().await;
        }
        if let Some(nats) = nats {
            nats.close().await;
        }
        if let Some(scylla) = scylla {
            scylla.close().await;
        }
        if let Some(embedded) = embedded {
            let closed = tokio::task::spawn_blocking(move || embedded.close()).await;
            if let Err(error) = closed {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "failed to close a back end"
                );
            }
        }
    }
}
