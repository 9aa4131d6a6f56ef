//! Configuration of the CQL adapter, and errors of connecting.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use roomcast_ports::BoxError;

/// A cluster and where in it the store is.
#[derive(Clone)]
pub struct ScyllaConfig {
    /// Nodes to ask first, each `host` or `host:port`; the others are found through them.
    pub hosts: Vec<String>,
    /// The keyspace of everything that is derived or small. A second one, with `_lwt` behind its name,
    /// holds what is decided by lightweight transactions. Lower-case letters, digits and `_`, at most
    /// 40, beginning with a letter.
    pub keyspace: String,
    /// How many nodes of the datacenter hold each row. Without it three, or as many as there are, when a
    /// keyspace is made, and what it has ever after. A greater number than a keyspace has is set at the
    /// start; a smaller one changes nothing.
    pub replication_factor: Option<usize>,
    /// The datacenter to write to and read from; without it the first node's. One that no node is in is
    /// refused.
    pub datacenter: Option<String>,
    /// User name and password, where the cluster asks for them.
    pub credentials: Option<(String, String)>,
    /// The client's side of TLS; with it all connections are encrypted. The certificates of nodes have to
    /// name their addresses.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Whether nothing is made or changed; keyspaces that are not there are then an error.
    pub only_looks: bool,
    /// How much of what was written last the cluster may forget when machines of it die; what is
    /// younger is read from the log again. At least the interval of the commit log's flush.
    pub forgets: Duration,
    /// Events of one partition of a room. Part of what is stored: never changed once a keyspace holds
    /// anything.
    pub bucket_events: u32,
    /// Bytes of one partition of a room, as far as events make them. As fixed as `bucket_events`.
    pub bucket_bytes: u64,
}

impl ScyllaConfig {
    /// The keyspace in the cluster that `hosts` are of, everything else by default.
    pub fn new(hosts: Vec<String>, keyspace: impl Into<String>) -> Self {
        Self {
            hosts,
            keyspace: keyspace.into(),
            replication_factor: None,
            datacenter: None,
            credentials: None,
            tls: None,
            only_looks: false,
            forgets: Duration::from_secs(300),
            bucket_events: 16_384,
            bucket_bytes: 32 << 20,
        }
    }

    /// Validates the configuration; names what is invalid.
    pub(crate) fn check(&self) -> Result<(), ConnectError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let keyspace_fits = (1..=40).contains(&self.keyspace.len())
            && self
                .keyspace
                .starts_with(|first: char| first.is_ascii_lowercase())
            && self.keyspace.bytes().all(allowed);
        if !keyspace_fits {
            return Err(ConnectError::Misconfigured(
                "keyspace: 1 to 40 of a-z 0-9 _",
            ));
        }
        if self.hosts.is_empty() {
            return Err(ConnectError::Misconfigured("hosts: at least one"));
        }
        if self.replication_factor == Some(0) {
            return Err(ConnectError::Misconfigured(
                "replication factor: at least one",
            ));
        }
        let letters = |it: &str| {
            it.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        if !self.datacenter.as_deref().is_none_or(letters) {
            return Err(ConnectError::Misconfigured(
                "datacenter: of A-Z a-z 0-9 _ - .",
            ));
        }
        if self.bucket_events == 0 || i32::try_from(self.bucket_events).is_err() {
            return Err(ConnectError::Misconfigured(
                "bucket events: 1 to 2147483647",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for ScyllaConfig {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.credentials.as_ref().map(|(user, _)| user);
        f.debug_struct("ScyllaConfig")
            .field("hosts", &self.hosts)
            .field("keyspace", &self.keyspace)
            .field("replication_factor", &self.replication_factor)
            .field("datacenter", &self.datacenter)
            .field("user", &user)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration is invalid.
    #[error("{0}")]
    Misconfigured(&'static str),
    /// No node of the cluster answers, or takes this user and certificate.
    #[error("connect to the cluster")]
    Unreachable(#[source] BoxError),
    /// No node is in the datacenter that was named.
    #[error("no node of the cluster is in datacenter {asked}; there are: {found}")]
    NoDatacenter {
        /// The one that was named.
        asked: String,
        /// Those there are.
        found: String,
    },
    /// The keyspaces are not there, and were not to be made.
    #[error("the keyspaces have not been made yet")]
    NotMade,
    /// The keyspaces could not be made or brought up to date.
    #[error("{doing}")]
    Schema {
        /// What was being done.
        doing: String,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
    /// Another process has been bringing the schema up to date for too long.
    #[error("the schema has been locked by another process for {0:?}")]
    Locked(Duration),
    /// A later version of the program has made the keyspaces; they were left as they are.
    #[error(
        "the keyspaces are of a later version of roomcast (schema {found}, this one knows {known})"
    )]
    NewerSchema {
        /// The version of the keyspaces.
        found: u32,
        /// The version this program knows.
        known: u32,
    },
}
