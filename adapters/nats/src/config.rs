//! Configuration of the NATS adapter.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use roomcast_ports::BoxError;

/// Gives the store's checkpoint of a partition, independent of its stream: the position
/// that the store keeps, 0 when it has none.
pub type HighWatermark =
    Arc<dyn Fn(u16) -> BoxFuture<'static, Result<u64, BoxError>> + Send + Sync>;

/// Default size limit of a new partition's stream in bytes: 8 GiB for all partitions together.
pub const PARTITION_BYTES_MAX: u64 = 256 << 20;

/// How to reach the servers and what to be there.
#[derive(Clone)]
pub struct NatsConfig {
    /// `host:port` of at least one server; the others are learnt from it.
    pub servers: Vec<String>,
    /// The region this fleet is in: one token of a subject, `[A-Za-z0-9_-]+`.
    pub region: String,
    /// What the servers call this connection: the role and the process.
    pub name: String,
    /// What answers are addressed to, `_INBOX` or one prefix per role, so that a role's key can be
    /// kept from reading another's answers.
    pub inbox_prefix: String,
    /// Copies of each stream. Without it a new stream has three where the cluster has as many servers, else one. A
    /// stream that is there is raised to a given number, and never lowered.
    pub replicas: Option<usize>,
    /// The nkey seed this process signs in with.
    pub key: Option<String>,
    /// The certificate authority of the servers, PEM. With it TLS is required.
    pub ca: Option<PathBuf>,
    /// Creates the streams and consumers, keeps them as they should be and creates them again when
    /// they are gone. A process without this option waits for them and checks their configuration.
    pub manages_streams: bool,
    /// Appends to the streams or reads them. Without it the process only publishes and receives signals, waits for no
    /// stream, and its key needs no access to any; its appends and reads then fail.
    pub uses_streams: bool,
    /// Keeps trying when no server answers at first, up to a minute.
    pub waits_for_servers: bool,
    /// The durable consumer that workers of one kind share.
    pub consumer: String,
    /// Bytes of each partition's stream; without it a new stream has [`PARTITION_BYTES_MAX`]. A stream that is there
    /// is raised to a given number, and never lowered. Past it appends are refused until ingest has trimmed what is
    /// in the store. The servers reserve 32 times as much on each of their disks and refuse what does not fit.
    pub partition_bytes_max: Option<u64>,
    /// Asked before a missing stream is created, so that its seqs begin above all that were seen.
    /// Without it, only what this process has seen itself is known.
    pub seen_to: Option<HighWatermark>,
}

impl NatsConfig {
    /// A client of `servers` in `region` that manages nothing.
    pub fn new(servers: Vec<String>, region: &str, name: &str) -> Self {
        Self {
            servers,
            region: region.to_owned(),
            name: name.to_owned(),
            inbox_prefix: "_INBOX".to_owned(),
            replicas: None,
            key: None,
            ca: None,
            manages_streams: false,
            uses_streams: true,
            waits_for_servers: false,
            consumer: "ingest".to_owned(),
            partition_bytes_max: None,
            seen_to: None,
        }
    }
}

impl std::fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsConfig")
            .field("servers", &self.servers)
            .field("region", &self.region)
            .field("name", &self.name)
            .field("replicas", &self.replicas)
            .field("signs_in", &self.key.is_some())
            .field("ca", &self.ca)
            .field("manages_streams", &self.manages_streams)
            .finish_non_exhaustive()
    }
}
