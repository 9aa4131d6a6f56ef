//! A Redis Cluster of three masters, for what only holds when keys live on different nodes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::ports::Ports;
use crate::process_group::ProcessGroup;
use crate::server_process::ServerProcess;
use crate::{ClusterError, binaries, redis};

const NODES: usize = 3;
const READY_TIMEOUT: Duration = Duration::from_secs(30);
const STARTS_MAX: u32 = 3;

/// A running cluster; it ends when this is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<ServerProcess>,
    /// For each node, its clients' port, then the one of the cluster's bus.
    ports: Ports,
    home: ProcessGroup,
}

impl RedisCluster {
    /// Starts three masters on free ports, joins them and waits until all slots are served.
    pub fn start() -> Result<Self, ClusterError> {
        let mut starts = 1;
        loop {
            match Self::start_once() {
                Err(error) if error.lost_a_port() && starts < STARTS_MAX => starts += 1,
                started => return started,
            }
        }
    }

    fn start_once() -> Result<Self, ClusterError> {
        let cli = binaries::on_path("redis-cli", "--version")?;
        let home = ProcessGroup::temporary("redis-cluster")?;
        let mut cluster = Self {
            nodes: Vec::new(),
            ports: Ports::free(2 * NODES)?,
            home,
        };
        for (index, ports) in cluster.ports.numbers().chunks_exact(2).enumerate() {
            let bus = ports[1].to_string();
            let more = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                "2000",
            ];
            let name = format!("redis-{}", index + 1);
            let node = redis::server(&cluster.home, &name, ports[0], &more)?;
            cluster.nodes.push(node);
            cluster.start_node(index)?;
        }
        join(&cli, &cluster.addresses())?;
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// `redis-cluster://127.0.0.1:p1,127.0.0.1:p2,127.0.0.1:p3`.
    pub fn url(&self) -> String {
        format!("redis-cluster://{}", self.addresses().join(","))
    }

    /// Where the nodes are: `127.0.0.1:p` each.
    pub fn addresses(&self) -> Vec<String> {
        self.ports
            .numbers()
            .chunks_exact(2)
            .map(|ports| format!("127.0.0.1:{}", ports[0]))
            .collect()
    }

    /// The directory with logs and the nodes' view of the cluster.
    pub fn directory(&self) -> &Path {
        self.home.directory()
    }

    /// A node's process id, if it runs.
    pub fn pid(&self, index: usize) -> Option<u32> {
        self.nodes[index].pid()
    }

    /// Ends a node without warning (SIGKILL); a third of the slots goes with it.
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].kill();
    }

    /// Starts a dead node again, empty, with its slots, and waits until it answers.
    pub fn start_node(&mut self, index: usize) -> Result<(), ClusterError> {
        let address = self.addresses().swap_remove(index);
        let node = &mut self.nodes[index];
        node.start()?;
        redis::wait_until_it_answers(node, &address)
    }

    /// Waits until every node reports that all slots are served.
    pub fn wait_until_ready(&mut self) -> Result<(), ClusterError> {
        for (node, address) in self.addresses().into_iter().enumerate() {
            self.nodes[node].wait_until("serve all slots", READY_TIMEOUT, || {
                let info = redis::ask(&address, "CLUSTER INFO").map_err(|e| e.to_string())?;
                let whole = ["cluster_state:ok", "cluster_known_nodes:3"];
                if whole.iter().all(|line| info.contains(line)) {
                    Ok(())
                } else {
                    Err(info)
                }
            })?;
        }
        Ok(())
    }
}

/// Gives each node a third of the slots and makes them known to each other.
fn join(cli: &Path, addresses: &[String]) -> Result<(), ClusterError> {
    let output = Command::new(cli)
        .args(["--cluster", "create"])
        .args(addresses)
        .args(["--cluster-yes", "--cluster-replicas", "0"])
        .stdin(Stdio::null())
        .output()
        .map_err(ClusterError::machine("start redis-cli"))?;
    ClusterError::unless_well("redis-cli --cluster create", &output)
}
