//! One nats-server, or a cluster of three, with JetStream.
//!
//! Streams sync each write to the disk before it is acknowledged (`sync_interval: always`), as the fleet's do:
//! the tests that kill servers are about what that promises.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ports::Ports;
use crate::process_group::{ProcessGroup, unique};
use crate::server_process::ServerProcess;
use crate::{ClusterError, binaries, http};

mod config;
mod readiness;

/// A cluster elects its leader after up to nine seconds; on a busy machine a start takes longer.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const STARTS_MAX: u32 = 3;

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct NatsSpec {
    /// How many servers: one, or three as a cluster.
    pub nodes: usize,
    /// More configuration for each server, such as accounts, permissions or TLS, as the file would have it.
    pub extra_config: Option<String>,
    /// Variables that this configuration names.
    pub environment: Vec<(String, String)>,
    /// Files to lie beside the configuration, under their own names, for `include` and certificates.
    pub files: Vec<PathBuf>,
    /// Where to keep everything, for later starts too; a temporary directory if there is none.
    pub directory: Option<PathBuf>,
    /// Ports, three for each server (clients, monitoring, routes); free ones if there are none.
    pub ports: Option<Vec<u16>>,
}

/// Running nats-servers; they end when this is dropped.
#[derive(Debug)]
pub struct Nats {
    nodes: Vec<Node>,
    _ports: Ports,
    home: ProcessGroup,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) client: String,
    pub(crate) monitor: String,
    pub(crate) route: String,
    server: Option<ServerProcess>,
}

impl Nats {
    /// Starts `nodes` servers, one or three, without users or TLS, and waits until JetStream is ready.
    pub fn start(nodes: usize) -> Result<Self, ClusterError> {
        Self::start_with(&NatsSpec {
            nodes,
            ..NatsSpec::default()
        })
    }

    /// Starts the servers of `spec` and waits until JetStream is ready: in a cluster there is a leader then, and
    /// it knows all of its servers.
    pub fn start_with(spec: &NatsSpec) -> Result<Self, ClusterError> {
        let mut starts = 1;
        loop {
            let home = ProcessGroup::new("nats", spec.directory.as_deref())?;
            match Self::start_in(home, spec) {
                Err(error) if error.lost_a_port() && starts < STARTS_MAX => starts += 1,
                started => return started,
            }
        }
    }

    pub(crate) fn start_in(home: ProcessGroup, spec: &NatsSpec) -> Result<Self, ClusterError> {
        assert!(matches!(spec.nodes, 1 | 3), "one nats-server, or three");
        let program = binaries::nats_server()?;
        let ports = match &spec.ports {
            Some(numbers) => Ports::from(numbers.clone()),
            None => Ports::free(3 * spec.nodes)?,
        };
        copy_beside(&home, &spec.files)?;
        let tag = match &spec.directory {
            Some(_) => "local".to_owned(),
            None => unique(),
        };
        let mut nats = Self {
            nodes: nodes(&tag, &ports.numbers()),
            _ports: ports,
            home,
        };
        for index in 0..nats.nodes.len() {
            let extra = spec.extra_config.as_deref().unwrap_or_default();
            let text = config::of(&nats.nodes, index, &tag, nats.home.directory(), extra);
            let name = &nats.nodes[index].name;
            let path = nats.home.write(&format!("{name}.conf"), &text)?;
            let arguments = [Path::new("--config"), &path];
            let server = ServerProcess::new(&nats.home, name, &program, arguments)
                .with_environment(spec.environment.clone());
            nats.nodes[index].server.insert(server).start()?;
        }
        nats.wait_until_ready()?;
        Ok(nats)
    }

    /// Where clients connect: `127.0.0.1:p1,127.0.0.1:p2`.
    pub fn servers(&self) -> String {
        let addresses: Vec<&str> = self.nodes.iter().map(|node| &*node.client).collect();
        addresses.join(",")
    }

    /// How many servers there are, dead ones too.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Where one server's clients connect: `127.0.0.1:p`.
    pub fn address(&self, index: usize) -> &str {
        &self.nodes[index].client
    }

    /// Where one server's monitoring is: `127.0.0.1:p`.
    pub fn monitor(&self, index: usize) -> &str {
        &self.nodes[index].monitor
    }

    /// What a server calls itself, as a stream names its leader; no other server on this machine has that name.
    pub fn node_name(&self, index: usize) -> &str {
        &self.nodes[index].name
    }

    /// Which server calls itself so.
    pub fn node_named(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// A server's process id, if it runs.
    pub fn pid(&self, index: usize) -> Option<u32> {
        self.server(index).pid()
    }

    /// A server's log.
    pub fn log(&self, index: usize) -> &Path {
        self.server(index).log()
    }

    /// The directory with configuration, logs and data.
    pub fn directory(&self) -> &Path {
        self.home.directory()
    }

    /// Ends a server without warning (SIGKILL). One that is dead stays so.
    pub fn kill(&mut self, index: usize) {
        self.server_mut(index).kill();
    }

    /// Asks a server to end (SIGTERM) and waits for it.
    pub fn stop(&mut self, index: usize) {
        self.server_mut(index).stop(STOP_TIMEOUT);
    }

    /// Starts a dead server again on its data and port, and waits until it takes clients. Whether the cluster is
    /// whole again is for [`Self::wait_until_ready`].
    pub fn start_node(&mut self, index: usize) -> Result<(), ClusterError> {
        let address = self.nodes[index].client.clone();
        let server = self.server_mut(index);
        server.start()?;
        server.wait_until("take clients", READY_TIMEOUT, || {
            readiness::greets(&address)
        })
    }

    /// Stops a server where it is (SIGSTOP): its connections stay, and nothing answers.
    pub fn pause(&self, index: usize) -> Result<(), ClusterError> {
        self.server(index).pause()
    }

    /// Resumes a paused server.
    pub fn resume(&self, index: usize) -> Result<(), ClusterError> {
        self.server(index).resume()
    }

    /// Waits until every server is healthy, and in a cluster until a leader knows them all.
    pub fn wait_until_ready(&mut self) -> Result<(), ClusterError> {
        for index in 0..self.nodes.len() {
            let (client, monitor) = self.addresses(index);
            let server = self.server_mut(index);
            server.wait_until("have JetStream ready", READY_TIMEOUT, || {
                readiness::greets(&client)?;
                readiness::is_healthy(&monitor)
            })?;
        }
        if self.nodes.len() > 1 {
            let names: Vec<_> = self.nodes.iter().map(|node| node.name.clone()).collect();
            let monitors: Vec<_> = self.nodes.iter().map(|node| node.monitor.clone()).collect();
            let server = self.server_mut(0);
            server.wait_until("be in a whole cluster", READY_TIMEOUT, || {
                readiness::is_whole(&names, &monitors)
            })?;
        }
        Ok(())
    }

    /// The body of a server's monitoring response at `path`, such as `/jsz?streams=true`.
    pub fn monitoring(&self, index: usize, path: &str) -> Result<String, ClusterError> {
        let monitor = self.monitor(index);
        let doing = format!("ask {} for {path}", self.node_name(index));
        http::get(monitor, path)
            .map(|(_, body)| body)
            .map_err(ClusterError::machine(doing))
    }

    fn addresses(&self, index: usize) -> (String, String) {
        let node = &self.nodes[index];
        (node.client.clone(), node.monitor.clone())
    }

    fn server(&self, index: usize) -> &ServerProcess {
        let server = self.nodes[index].server.as_ref();
        server.expect("each node has its server from the start")
    }

    fn server_mut(&mut self, index: usize) -> &mut ServerProcess {
        let server = self.nodes[index].server.as_mut();
        server.expect("each node has its server from the start")
    }
}

fn nodes(tag: &str, ports: &[u16]) -> Vec<Node> {
    let address = |port: u16| format!("127.0.0.1:{port}");
    (1..)
        .zip(ports.chunks_exact(3))
        .map(|(number, ports)| Node {
            name: format!("nats-{tag}-{number}"),
            client: address(ports[0]),
            monitor: address(ports[1]),
            route: address(ports[2]),
            server: None,
        })
        .collect()
}

fn copy_beside(home: &ProcessGroup, files: &[PathBuf]) -> Result<(), ClusterError> {
    for file in files {
        let name = file.file_name().unwrap_or(file.as_os_str());
        let doing = format!("copy {}", file.display());
        fs::copy(file, home.directory().join(name)).map_err(ClusterError::machine(doing))?;
    }
    Ok(())
}
