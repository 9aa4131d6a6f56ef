//! A whole fleet on this machine: nats-servers, the store, Redis, every role as a process of its own, and one
//! edge in front of them.
//!
//! For tests it ends with its handle. [`Cluster::leave_running`] turns it into what `make fleet` leaves behind: a
//! directory with a record of what runs, by which a later call finds, shows and ends exactly that.

use std::path::{Path, PathBuf};
use std::thread;

use crate::process_group::ProcessGroup;
use crate::{Cassandra, CassandraSpec, ClusterError, HaProxy, Nats, NatsSpec, Redis, Sync};

mod addresses;
mod edge;
mod keys;
mod manifest;
mod node_process;

use addresses::Addresses;
use keys::Keys;
pub use manifest::{Manifest, ProcessEntry};
pub use node_process::NodeProcess;

/// What to start.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// The program `roomcast`.
    pub program: PathBuf,
    /// How many gateways.
    pub gateways: usize,
    /// How many ingest workers.
    pub ingest: usize,
    /// How many nats-servers, one or three; each stream has as many copies.
    pub nats_nodes: usize,
    /// How many nodes of the store, one or three.
    pub store_nodes: usize,
    /// When the store writes its commit log.
    pub sync: Sync,
    /// How many HAProxy processes share the edge's address: each carries half as many connections as it may have
    /// file descriptors.
    pub edges: usize,
    /// Where clients come in, as a port of 127.0.0.1; a free one if there is none.
    pub edge_port: Option<u16>,
    /// Where to keep everything, for later starts too; a temporary directory if there is none.
    pub directory: Option<PathBuf>,
    /// More options for every process of `roomcast`.
    pub arguments: Vec<String>,
}

impl ClusterSpec {
    /// Two gateways, two ingest workers, one of each other role, three nats-servers, one store node.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            gateways: 2,
            ingest: 2,
            nats_nodes: 3,
            store_nodes: 1,
            sync: Sync::Batch,
            edges: 1,
            edge_port: None,
            directory: None,
            arguments: Vec::new(),
        }
    }
}

/// A running fleet; it ends when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    edges: Vec<HaProxy>,
    parts: Vec<NodeProcess>,
    nats: Nats,
    cassandra: Cassandra,
    redis: Redis,
    data: PathBuf,
    keys: Keys,
    _addresses: Addresses,
    home: ProcessGroup,
}

impl Cluster {
    /// Starts everything and waits until every process is ready.
    pub fn start(spec: &ClusterSpec) -> Result<Self, ClusterError> {
        let home = ProcessGroup::new("fleet", spec.directory.as_deref())?;
        let mut addresses = Addresses::of(home.directory())?;
        addresses.hold_to("nats", spec.nats_nodes)?;
        addresses.hold_to("store", spec.store_nodes)?;
        let keys = Keys::of(&home.directory().join("keys"))?;
        let servers = start_servers(spec, &home, &mut addresses, &keys)?;
        let (nats, cassandra, redis) = servers;
        let data = home.directory().join("data");
        let roomcast = home.part("roomcast")?;
        let backends = node_process::BackEnds {
            log: nats.servers(),
            log_copies: spec.nats_nodes,
            keys: &keys,
            store: cassandra.hosts(),
            presence: redis.url(),
        };
        node_process::make_key(&spec.program, &data)?;
        let mut parts = Vec::new();
        for (role, count) in counts(spec) {
            for number in 1..=count {
                let name = format!("{role}-{number}");
                let ports = addresses.take(&name, 2)?;
                let command = node_process::command(spec, role, &ports, &data, &backends);
                parts.push(NodeProcess::new(
                    &roomcast,
                    name,
                    role,
                    &ports,
                    &spec.program,
                    command,
                ));
            }
        }
        parts.iter_mut().try_for_each(NodeProcess::begin)?;
        parts
            .iter_mut()
            .try_for_each(NodeProcess::wait_until_ready)?;
        let port = match spec.edge_port {
            Some(port) => port,
            None => addresses.take("edge", 1)?[0],
        };
        let edges = edge::start(&home, spec.edges, port, &parts)?;
        Ok(Self {
            edges,
            parts,
            nats,
            cassandra,
            redis,
            data,
            keys,
            _addresses: addresses,
            home,
        })
    }

    /// Where clients come in: `http://127.0.0.1:p`.
    pub fn url(&self) -> String {
        format!("http://{}", self.edges[0].address())
    }

    /// The data directory of every process: its signing key is the fleet's.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The file with the key of a role, for one more process of it.
    pub fn key(&self, role: &str) -> PathBuf {
        self.keys.seed(role)
    }

    /// The processes of `roomcast`.
    pub fn parts(&self) -> &[NodeProcess] {
        &self.parts
    }

    /// The processes of a role, in order of their numbers.
    pub fn role<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a NodeProcess> {
        self.parts.iter().filter(move |part| part.role() == role)
    }

    /// A process by its name, such as `gateway-1`, to kill it and start it again.
    pub fn part_mut(&mut self, name: &str) -> Option<&mut NodeProcess> {
        self.parts.iter_mut().find(|part| part.name() == name)
    }

    /// The log's servers.
    pub fn nats(&self) -> &Nats {
        &self.nats
    }

    /// The log's servers, to kill them.
    pub fn nats_mut(&mut self) -> &mut Nats {
        &mut self.nats
    }

    /// The store's nodes.
    pub fn cassandra(&self) -> &Cassandra {
        &self.cassandra
    }

    /// The store's nodes, to kill them.
    pub fn cassandra_mut(&mut self) -> &mut Cassandra {
        &mut self.cassandra
    }

    /// The presence store.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// The presence store, to kill it.
    pub fn redis_mut(&mut self) -> &mut Redis {
        &mut self.redis
    }

    /// The processes of the edge.
    pub fn edges_mut(&mut self) -> &mut [HaProxy] {
        &mut self.edges
    }

    /// What runs, in the order in which it is to end.
    pub fn record(&self) -> Manifest {
        let mut running: Vec<ProcessEntry> = self
            .parts
            .iter()
            .filter_map(ProcessEntry::of_part)
            .collect();
        let edges = self.edges.iter().enumerate();
        running.extend(edges.filter_map(|(index, edge)| ProcessEntry::of_edge(index, edge)));
        running.extend(ProcessEntry::of_nats(&self.nats));
        running.extend(ProcessEntry::of_cassandra(&self.cassandra));
        running.extend(ProcessEntry::of_redis(&self.redis));
        Manifest::new(self.home.directory(), running)
    }

    /// Leaves everything running when this process ends, with a record in its directory.
    ///
    /// # Errors
    /// The record cannot be written: everything has ended then.
    pub fn leave_running(mut self) -> Result<Manifest, ClusterError> {
        let record = self.record();
        record.write()?;
        self.home.release();
        // Dropping it would end what it holds.
        std::mem::forget(self);
        Ok(record)
    }
}

/// How many of each role, in the order of the table people read.
fn counts(spec: &ClusterSpec) -> [(&'static str, usize); 6] {
    [
        ("gateway", spec.gateways),
        ("ingest", spec.ingest),
        ("history", 1),
        ("presence", 1),
        ("accounts", 1),
        ("rooms", 1),
    ]
}

/// Starts what the processes stand on, concurrently: the slowest decides.
fn start_servers(
    spec: &ClusterSpec,
    home: &ProcessGroup,
    addresses: &mut Addresses,
    keys: &Keys,
) -> Result<(Nats, Cassandra, Redis), ClusterError> {
    let nats = NatsSpec {
        nodes: spec.nats_nodes,
        ports: Some(addresses.take("nats", 3 * spec.nats_nodes)?),
        directory: spec.directory.clone(),
        extra_config: Some(keys::RULES.to_owned()),
        environment: keys.environment(),
        ..NatsSpec::default()
    };
    let cassandra = CassandraSpec {
        nodes: spec.store_nodes,
        sync: spec.sync,
        ports: Some(addresses.take_for_cassandra()?),
        is_to_last: spec.directory.is_some(),
        ..CassandraSpec::default()
    };
    let redis = addresses.take("redis", 1)?[0];
    let homes = (
        home.part("nats")?,
        home.part("cassandra")?,
        home.part("redis")?,
    );
    thread::scope(|scope| {
        let nats = scope.spawn(|| Nats::start_in(homes.0, &nats));
        let cassandra = scope.spawn(|| Cassandra::start_in(homes.1, &cassandra));
        let redis = Redis::start_in(homes.2, crate::Port::given(redis));
        let joined = "starting a server does not panic";
        Ok((
            nats.join().expect(joined)?,
            cassandra.join().expect(joined)?,
            redis?,
        ))
    })
}
