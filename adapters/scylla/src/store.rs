//! A cluster, connected, and everything that is served from it.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::accounts::{AccountStore, SessionStore};
use roomcast_ports::dead_letters::DeadLetters;
use roomcast_ports::message_store::ResyncRequests;
use scylla::client::PoolSize;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::Statement;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::ScyllaAccounts;
use crate::client::{Client, Profiles, corrupted, unavailable};
use crate::config::{ConnectError, ScyllaConfig};
use crate::dead_letters::ScyllaDeadLetters;
use crate::messages::ScyllaMessages;
use crate::node_restarts::watch_nodes;
use crate::schema;
use crate::server_kind::ServerKind;
use crate::sessions::ScyllaSessions;

/// Timeout of the health check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections to a node of Apache Cassandra.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// A cluster, connected.
#[derive(Debug)]
pub struct ScyllaStore {
    client: Arc<Client>,
    flavour: ServerKind,
    schema_version: u32,
    messages: Arc<ScyllaMessages>,
    accounts: Arc<ScyllaAccounts>,
    sessions: Arc<ScyllaSessions>,
    dead_letters: Arc<ScyllaDeadLetters>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The cluster's health report.
#[derive(Debug, Clone)]
pub struct Check {
    /// Which server it is.
    pub flavour: ServerKind,
    /// Its nodes, by address.
    pub nodes: Vec<CheckedNode>,
    /// The version of the node that answered.
    pub release: String,
    /// The version of the keyspaces.
    pub schema_version: u32,
    /// How many copies each keyspace keeps where: `roomcast datacenter1=3`.
    pub replication: Vec<String>,
}

/// A node of the cluster.
#[derive(Debug, Clone)]
pub struct CheckedNode {
    /// Where it is.
    pub address: String,
    /// Whether this process is connected to it.
    pub connected: bool,
    /// Its datacentre, if known.
    pub datacenter: Option<String>,
    /// Its version, if another node knows it.
    pub release: Option<String>,
}

impl ScyllaStore {
    /// Connects, brings the keyspaces up to date and prepares what will be asked.
    pub async fn connect(config: ScyllaConfig) -> Result<Arc<Self>, ConnectError> {
        config.check()?;
        Box::pin(Self::start(config)).await
    }

    async fn start(config: ScyllaConfig) -> Result<Arc<Self>, ConnectError> {
        let first = open(&config, PoolSize::PerShard(NonZeroUsize::MIN)).await?;
        let flavour = ServerKind::of(&first);
        check_datacenter(&first, &config)?;
        let schema_version = schema::migrate(&first, &config).await?;
        let session = match flavour {
            ServerKind::Cassandra => open(&config, PoolSize::PerHost(CONNECTIONS)).await?,
            ServerKind::Scylla => first,
        };
        let datacenter = config
            .datacenter
            .clone()
            .or_else(|| schema::datacenter_of(&session));
        let profiles = Profiles::new(datacenter.as_deref());
        let client = Arc::new(Client::new(session, config.keyspace.clone(), profiles));
        let (setbacks, seen) = watch::channel(ResyncRequests::default());
        let store = Self {
            messages: Arc::new(ScyllaMessages::prepare(&client, &config, seen).await?),
            accounts: Arc::new(ScyllaAccounts::prepare(&client).await?),
            sessions: Arc::new(ScyllaSessions::prepare(&client).await?),
            dead_letters: Arc::new(ScyllaDeadLetters::prepare(&client).await?),
            client,
            flavour,
            schema_version,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let watching = watch_nodes(Arc::clone(&store.client), setbacks, store.stop.clone());
        store.tasks.spawn(watching);
        tracing::info!(
            server = flavour.as_str(),
            keyspace = config.keyspace,
            "connected to the store"
        );
        Ok(Arc::new(store))
    }

    /// Messages, rooms and members.
    pub fn messages(&self) -> Arc<ScyllaMessages> {
        Arc::clone(&self.messages)
    }

    /// Accounts.
    pub fn accounts(&self) -> Arc<dyn AccountStore> {
        Arc::clone(&self.accounts) as _
    }

    /// Sign-ins.
    pub fn sessions(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.sessions) as _
    }

    /// What could not be derived.
    pub fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        Arc::clone(&self.dead_letters) as _
    }

    /// The highest seq of a partition of the log that this store knows to have been written, or the
    /// start of a later incarnation of which it may hold rows: a log that is created again has to
    /// begin with the incarnation after it, and one that ends before it is not the one it was.
    pub async fn high_watermarks(&self, partition: u16) -> Result<u64, StoreError> {
        self.messages.high_watermarks(partition).await
    }

    /// Asks the cluster what it is; fails when it does not answer.
    pub async fn check(&self) -> Result<Check, StoreError> {
        let (release,) = self
            .ask::<(String,)>("SELECT release_version FROM system.local")
            .await?
            .remove(0);
        let peers = "SELECT peer, release_version FROM system.peers";
        let peers = self
            .ask::<(std::net::IpAddr, Option<String>)>(peers)
            .await?;
        let query = schema::replication_query(&self.client.keyspace);
        let mut replication: Vec<_> = self
            .ask::<(String, schema::Replication)>(&query)
            .await?
            .iter()
            .map(|(keyspace, found)| schema::described(keyspace, found))
            .collect();
        replication.sort_unstable();
        let state = self.client.session.get_cluster_state();
        let mut nodes: Vec<_> = state.get_nodes_info().iter().collect();
        nodes.sort_by_key(|node| node.address);
        let nodes = nodes.into_iter().map(|node| CheckedNode {
            address: node.address.to_string(),
            connected: node.is_connected(),
            datacenter: node.datacenter.clone(),
            release: peers
                .iter()
                .find(|(peer, _)| *peer == node.address.ip())
                .map_or_else(|| Some(release.clone()), |(_, release)| release.clone()),
        });
        Ok(Check {
            flavour: self.flavour,
            nodes: nodes.collect(),
            release: release.clone(),
            schema_version: self.schema_version,
            replication,
        })
    }

    /// Ends what runs beside the requests. Requests that are on their way are answered; the
    /// connections end with the last handle.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn ask<T: crate::client::Fetched>(&self, cql: &str) -> Result<Vec<T>, StoreError> {
        let mut statement = Statement::new(cql);
        statement.set_request_timeout(Some(CHECK_TIMEOUT));
        let answer = self
            .client
            .session
            .query_unpaged(statement, ())
            .await
            .map_err(unavailable)?;
        let rows = answer.into_rows_result().map_err(corrupted)?;
        let rows = rows.rows::<T>().map_err(corrupted)?;
        rows.collect::<Result<_, _>>().map_err(corrupted)
    }
}

impl Drop for ScyllaStore {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Refuses a datacenter that no node is in: every request would wait for nodes that do not exist.
fn check_datacenter(session: &Session, config: &ScyllaConfig) -> Result<(), ConnectError> {
    let Some(asked) = &config.datacenter else {
        return Ok(());
    };
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info().iter();
    let found: BTreeSet<&str> = nodes
        .filter_map(|node| node.datacenter.as_deref())
        .collect();
    if found.contains(asked.as_str()) {
        return Ok(());
    }
    Err(ConnectError::NoDatacenter {
        asked: asked.clone(),
        found: Vec::from_iter(found).join(", "),
    })
}

async fn open(config: &ScyllaConfig, pool_size: PoolSize) -> Result<Session, ConnectError> {
    let keyspaces = [config.keyspace.clone(), format!("{}_lwt", config.keyspace)];
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.hosts)
        .pool_size(pool_size)
        .keyspaces_to_fetch(keyspaces)
        .fetch_full_schema_metadata(false);
    if let Some((user, password)) = &config.credentials {
        builder = builder.user(user, password);
    }
    if let Some(tls) = &config.tls {
        builder = builder.tls_context(Some(Arc::clone(tls)));
    }
    builder
        .build()
        .await
        .map_err(|error| ConnectError::Unreachable(error.into()))
}
