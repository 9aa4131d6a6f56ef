//! Apache Cassandra as the store's server: one node, or three with three copies of everything.
//!
//! It speaks the protocol that ScyllaDB speaks and can be had from Maven Central as plain jars, so a test can
//! start it on any machine with Java. Commit log syncing is a choice of the test: with `Periodic`, which is
//! what the server does by default, a killed node forgets up to the last moments of what it acknowledged.
//! With `Batch` it writes before it acknowledges; the disk's own sync is off in both, so that what survives a
//! kill of the process is tested, and not a loss of power.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::ports::Port;
use crate::process_group::ProcessGroup;
use crate::server_process::ServerProcess;
use crate::{Certificates, ClusterError, binaries};

mod config;
mod cql;
mod jars;

const IPS: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
/// Three to eight seconds are usual; three nodes on a machine that also builds take far longer.
const READY_TIMEOUT: Duration = Duration::from_secs(180);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const STARTS_MAX: u32 = 3;
const HEAP_MEGABYTES: u32 = 512;

/// When a write is in the commit log's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// Before it is acknowledged: a kill loses nothing.
    #[default]
    Batch,
    /// Some time later: a kill loses what was acknowledged last.
    Periodic,
}

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct CassandraSpec {
    /// How many nodes: one, or three.
    pub nodes: usize,
    /// When a write is in the commit log's file.
    pub sync: Sync,
    /// Maximum heap of a node in megabytes; 512 by default. A table takes half of one, and a
    /// node without heap ends.
    pub heap_megabytes: Option<u32>,
    /// Whether it is to work for minutes: then its code is compiled twice, the second time well.
    pub is_to_last: bool,
    /// Where to keep everything, for later starts too; a temporary directory if there is none.
    pub directory: Option<PathBuf>,
    /// Whether clients need TLS with a certificate of this authority, and a password: the nodes then know
    /// the user `cassandra` with the password `cassandra`.
    pub secured: Option<Arc<Certificates>>,
    /// The ports, the same on all nodes: for clients and for each other; free ones if there are none.
    pub ports: Option<(u16, u16)>,
}

/// Running nodes of one cluster; they end when this is dropped.
#[derive(Debug)]
pub struct Cassandra {
    nodes: Vec<ServerProcess>,
    port: Port,
    _storage_port: Port,
    is_secured: bool,
    home: ProcessGroup,
}

impl Cassandra {
    /// Starts the nodes and waits until each answers and, if there are three, counts on the others.
    pub fn start(spec: &CassandraSpec) -> Result<Self, ClusterError> {
        let mut starts = 1;
        loop {
            let home = ProcessGroup::new("cassandra", spec.directory.as_deref())?;
            match Self::start_in(home, spec) {
                Err(error) if error.lost_a_port() && starts < STARTS_MAX => starts += 1,
                started => return started,
            }
        }
    }

    /// Whether this machine's cache has the jars.
    pub fn is_fetched() -> Result<bool, ClusterError> {
        jars::is_cached()
    }

    /// Fetches the jars, if this machine's cache does not have them.
    pub fn fetch() -> Result<(), ClusterError> {
        jars::fetch().map(drop)
    }

    pub(crate) fn start_in(home: ProcessGroup, spec: &CassandraSpec) -> Result<Self, ClusterError> {
        assert!(matches!(spec.nodes, 1 | 3), "one node, or three");
        let java = binaries::on_path("java", "-version")?;
        let jars = jars::fetch()?;
        let ips = &IPS[..spec.nodes];
        let (port, storage_port) = match spec.ports {
            Some((port, storage)) => (Port::given(port), Port::given(storage)),
            None => (Port::free_on(ips)?, Port::free_on(ips)?),
        };
        let plan = config::Plan {
            ips,
            port: port.number(),
            storage_port: storage_port.number(),
            sync: spec.sync,
            is_to_last: spec.is_to_last,
            secured: spec.secured.as_deref(),
            heap_megabytes: spec.heap_megabytes.unwrap_or(HEAP_MEGABYTES),
        };
        if let Some(certificates) = &spec.secured {
            certificates.make_stores()?;
        }
        let mut nodes = Vec::new();
        for index in 0..spec.nodes {
            let name = format!("cassandra-{}", index + 1);
            let arguments = plan.write(&home, &name, index, &jars)?;
            let (program, arguments) = if spec.is_to_last {
                yielding(&java, arguments)?
            } else {
                (java.clone(), arguments)
            };
            nodes.push(ServerProcess::new(&home, &name, &program, arguments));
        }
        let mut cassandra = Self {
            nodes,
            port,
            _storage_port: storage_port,
            is_secured: spec.secured.is_some(),
            home,
        };
        // All concurrently: alone, a node of three waits for the others.
        for node in &mut cassandra.nodes {
            node.start()?;
        }
        cassandra.wait_until_ready()?;
        Ok(cassandra)
    }

    /// Where clients connect: `127.0.0.1:9042`, `127.0.0.2:9042`, …, joined by commas; one port for all.
    pub fn hosts(&self) -> String {
        let hosts: Vec<String> = (0..self.nodes.len())
            .map(|index| self.address(index))
            .collect();
        hosts.join(",")
    }

    /// Where one node's clients connect: `ip:port`.
    pub fn address(&self, index: usize) -> String {
        format!("{}:{}", IPS[index], self.port.number())
    }

    /// How many nodes there are, dead ones too.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// A node's process id, if it runs.
    pub fn pid(&self, index: usize) -> Option<u32> {
        self.nodes[index].pid()
    }

    /// A node's log.
    pub fn log(&self, index: usize) -> &Path {
        self.nodes[index].log()
    }

    /// Ends a node without warning (SIGKILL). One that is dead stays so.
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].kill();
    }

    /// Asks a node to end (SIGTERM), which writes everything down first, and waits for it.
    pub fn stop(&mut self, index: usize) {
        self.nodes[index].stop(STOP_TIMEOUT);
        jars::save_archive(&self.home.directory().join(self.nodes[index].name()));
    }

    /// Starts a dead node again on its data and address, and waits until it answers. The others notice a few
    /// seconds later.
    pub fn start_node(&mut self, index: usize) -> Result<(), ClusterError> {
        self.nodes[index].start()?;
        self.wait_until_it_answers(index)
    }

    /// Stops a node where it is (SIGSTOP): its connections stay, and nothing answers.
    pub fn pause(&self, index: usize) -> Result<(), ClusterError> {
        self.nodes[index].pause()
    }

    /// Resumes a paused node.
    pub fn resume(&self, index: usize) -> Result<(), ClusterError> {
        self.nodes[index].resume()
    }

    /// Waits until every node answers and, if there are three, until each counts on the others.
    pub fn wait_until_ready(&mut self) -> Result<(), ClusterError> {
        (0..self.nodes.len()).try_for_each(|index| self.wait_until_it_answers(index))?;
        for index in 0..self.nodes.len() {
            let address = self.address(index);
            if self.nodes.len() > 1 {
                let node = &mut self.nodes[index];
                node.wait_until("count on the others", READY_TIMEOUT, || {
                    cql::has_full_quorum(&address)
                })?;
            }
        }
        Ok(())
    }

    fn wait_until_it_answers(&mut self, index: usize) -> Result<(), ClusterError> {
        let address = self.address(index);
        let node = &mut self.nodes[index];
        if self.is_secured {
            // Its first user is made after it listens.
            let log = node.log().to_owned();
            return node.wait_until("make its first user", READY_TIMEOUT, || {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let made = text.contains("Created default superuser role");
                made.then_some(()).ok_or("no user".to_owned())
            });
        }
        node.wait_until("speak CQL", READY_TIMEOUT, || cql::is_cql_ready(&address))
    }
}

/// How to start a program that leaves the processor to others: where all of a fleet shares a few cores, it is the
/// store that can wait, since the events are in the log already.
fn yielding(
    program: &Path,
    mut arguments: Vec<String>,
) -> Result<(PathBuf, Vec<String>), ClusterError> {
    let own = [
        String::from("-n"),
        String::from("10"),
        program.display().to_string(),
    ];
    arguments.splice(..0, own);
    Ok((binaries::on_path("nice", "--version")?, arguments))
}

impl Drop for Cassandra {
    /// The first clean end on this machine leaves the class archive that makes later starts quicker.
    fn drop(&mut self) {
        if jars::archive_is_missing() {
            self.stop(0);
        }
    }
}
