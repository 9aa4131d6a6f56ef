//! The validated settings.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use roomcast_accounts::KeySource;
use roomcast_gateway::origin::AllowedOrigins;
use roomcast_protocol::limits;

use crate::trusted_proxies::TrustedProxies;

/// A part of the product that a process can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sockets, and messages sent over HTTP.
    Gateway,
    /// The log into the store.
    Ingest,
    /// Messages to readers.
    History,
    /// Who is here.
    Presence,
    /// Sign-up, sign-in, profiles.
    Accounts,
    /// Rooms and their members.
    Rooms,
}

impl Role {
    /// Every role, in the order they are listed.
    pub const ALL: [Self; 6] = [
        Self::Gateway,
        Self::Ingest,
        Self::History,
        Self::Presence,
        Self::Accounts,
        Self::Rooms,
    ];

    /// The role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Ingest => "ingest",
            Self::History => "history",
            Self::Presence => "presence",
            Self::Accounts => "accounts",
            Self::Rooms => "rooms",
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// Who keeps the log, and carries signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogBackEnd {
    /// The process, in its data directory.
    Embedded,
    /// NATS JetStream, at these `host:port`.
    Nats(Vec<String>),
}

/// Who keeps what is derived from the log, and accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreBackEnd {
    /// The process, in its data directory.
    Embedded,
    /// ScyllaDB or Apache Cassandra.
    Cql {
        /// Some of its nodes, as `host:port`.
        hosts: Vec<String>,
        /// The keyspace of ours.
        keyspace: String,
    },
}

/// Who knows who is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceBackEnd {
    /// The process, in memory.
    Embedded,
    /// Redis or Redis Cluster, by its URL.
    Redis(String),
}

/// How the log is reached when it is another machine's.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LogAccess {
    /// The nkey seed that authenticates this process.
    pub key: Option<String>,
    /// Whose certificates are trusted; then the connection is encrypted.
    pub ca: Option<PathBuf>,
    /// Copies of every event; `None` leaves streams as they are, and new ones get three where there are servers.
    pub replicas: Option<usize>,
    /// Bytes of each partition; `None` leaves streams as they are, and new ones get 256 MiB.
    pub partition_bytes_max: Option<u64>,
}

impl fmt::Debug for LogAccess {
    /// The seed is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogAccess")
            .field("key", &self.key.is_some())
            .field("ca", &self.ca)
            .field("replicas", &self.replicas)
            .field("partition_bytes_max", &self.partition_bytes_max)
            .finish()
    }
}

/// How a store of another machine is reached: as which user, and over TLS or not.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The user name.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The file of the authorities whose certificates are trusted, in PEM; then the connection is
    /// encrypted.
    pub ca: Option<PathBuf>,
    /// The file of the certificate that this process shows, in PEM.
    pub cert: Option<PathBuf>,
    /// The file of that certificate's key, in PEM.
    pub key: Option<PathBuf>,
}

impl fmt::Debug for Access {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("user", &self.user)
            .field("password", &self.password.is_some())
            .field("ca", &self.ca)
            .field("cert", &self.cert)
            .field("key", &self.key)
            .finish()
    }
}

/// A source of token keys, with its option text: the key itself is never printed or compared.
#[derive(Clone)]
pub struct TokenKey {
    written: String,
    source: KeySource,
}

impl TokenKey {
    pub(super) fn parse(written: &str) -> Result<Self, String> {
        let source = KeySource::parse(written)?;
        let written = written.to_owned();
        Ok(Self { written, source })
    }

    /// How it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The key.
    pub fn source(&self) -> KeySource {
        self.source.clone()
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl PartialEq for TokenKey {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

/// All settings of the process.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What this process is, in the order of [`Role::ALL`].
    pub roles: Vec<Role>,
    /// Where clients come in, as `host:port`.
    pub listen: String,
    /// Where operators look in, as `host:port`.
    pub admin: String,
    /// What the embedded back ends keep, and the signing key.
    pub data: PathBuf,
    /// The durable record of every room.
    pub log: LogBackEnd,
    /// How it is reached.
    pub log_access: LogAccess,
    /// What is derived from the log.
    pub store: StoreBackEnd,
    /// How it is reached.
    pub store_access: Access,
    /// Copies of every row; `None` keeps what the keyspace has, or makes it with three or as many as
    /// there are nodes.
    pub store_replicas: Option<usize>,
    /// The datacenter that is read from and written to; `None` is the first node's.
    pub store_datacenter: Option<String>,
    /// Who is here.
    pub presence_store: PresenceBackEnd,
    /// How it is reached.
    pub presence_access: Access,
    /// Which region this is.
    pub region: String,
    /// Whose tokens are taken beside our own.
    pub token_keys: Vec<TokenKey>,
    /// Whose word on a client's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// Other origins whose pages may speak to us.
    pub allowed_origins: AllowedOrigins,
    /// How often a connection's token is looked at again.
    pub token_recheck: Duration,
    /// How long a user stays online without a sign of life.
    pub presence_ttl: Duration,
    /// How long leaving may take.
    pub drain_within: Duration,
    /// Events replayed by one subscription.
    pub replay_max: usize,
    /// Sends a second per user.
    pub sends_per_second: u32,
    /// Sends in one burst per user.
    pub send_burst: u32,
    /// Connections of one user.
    pub connections_per_user: usize,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines there are, as `tracing` filters.
    pub log_filter: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            roles: Role::ALL.to_vec(),
            listen: "127.0.0.1:8080".to_owned(),
            admin: "127.0.0.1:9090".to_owned(),
            data: PathBuf::from("./roomcast-data"),
            log: LogBackEnd::Embedded,
            log_access: LogAccess::default(),
            store: StoreBackEnd::Embedded,
            store_access: Access::default(),
            store_replicas: None,
            store_datacenter: None,
            presence_store: PresenceBackEnd::Embedded,
            presence_access: Access::default(),
            region: "local".to_owned(),
            token_keys: Vec::new(),
            trusted_proxies: TrustedProxies::default(),
            allowed_origins: AllowedOrigins::default(),
            token_recheck: limits::TOKEN_REVALIDATION_INTERVAL,
            presence_ttl: limits::PRESENCE_TTL,
            drain_within: limits::DRAIN_TIMEOUT,
            replay_max: limits::REPLAY_MAX,
            sends_per_second: limits::SENDS_PER_SECOND,
            send_burst: limits::SEND_BURST,
            connections_per_user: limits::CONNECTIONS_PER_USER_MAX,
            log_format: LogFormat::Text,
            log_filter: "info".to_owned(),
        }
    }
}
