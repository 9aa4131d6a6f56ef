//! One process of `roomcast` in a fleet.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::ClusterSpec;
use super::keys::Keys;
use crate::process_group::ProcessGroup;
use crate::server_process::ServerProcess;
use crate::{ClusterError, http};

/// The first of several processes makes the store's tables and the log's streams, the others wait for it.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// Longer than a process gives its clients to leave (`--drain-within`), with its margin.
const STOP_TIMEOUT: Duration = Duration::from_secs(25);

/// A process with a role; killed, stopped and started again by its name.
#[derive(Debug)]
pub struct NodeProcess {
    name: String,
    role: &'static str,
    address: String,
    admin: String,
    server: ServerProcess,
}

impl NodeProcess {
    pub(super) fn new(
        home: &ProcessGroup,
        name: String,
        role: &'static str,
        ports: &[u16],
        program: &Path,
        command: Vec<String>,
    ) -> Self {
        let server = ServerProcess::new(home, &name, program, command);
        Self {
            name,
            role,
            address: format!("127.0.0.1:{}", ports[0]),
            admin: format!("127.0.0.1:{}", ports[1]),
            server,
        }
    }

    /// Its name: the role and a number.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its role.
    pub fn role(&self) -> &'static str {
        self.role
    }

    /// Where it answers calls: `127.0.0.1:p`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where `/readyz` and `/metrics` are: `127.0.0.1:p`.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Its process id, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        self.server.log()
    }

    /// Its metrics, as Prometheus would read them.
    pub fn metrics(&self) -> Result<String, ClusterError> {
        http::get(&self.admin, "/metrics")
            .map(|(_, body)| body)
            .map_err(ClusterError::machine(format!(
                "ask {} for its metrics",
                self.name
            )))
    }

    /// Ends it without warning (SIGKILL). One that is dead stays so.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Asks it to drain and end (SIGTERM), and waits for it.
    pub fn stop(&mut self) {
        self.server.stop(STOP_TIMEOUT);
    }

    /// Starts it again where it was and waits until it is ready.
    pub fn start(&mut self) -> Result<(), ClusterError> {
        self.begin()?;
        self.wait_until_ready()
    }

    /// Stops it where it is (SIGSTOP), as a machine that hangs would.
    pub fn pause(&self) -> Result<(), ClusterError> {
        self.server.pause()
    }

    /// Resumes it.
    pub fn resume(&self) -> Result<(), ClusterError> {
        self.server.resume()
    }

    pub(super) fn begin(&mut self) -> Result<(), ClusterError> {
        self.server.start()
    }

    /// Waits until it is ready.
    pub fn wait_until_ready(&mut self) -> Result<(), ClusterError> {
        let admin = self.admin.clone();
        self.server.wait_until("be ready", READY_TIMEOUT, || {
            match http::get(&admin, "/readyz") {
                Ok((200, _)) => Ok(()),
                Ok((status, body)) => Err(format!("/readyz: {status} {}", body.trim())),
                Err(error) => Err(format!("/readyz: {error}")),
            }
        })
    }
}

/// Where the back ends are.
pub(super) struct BackEnds<'a> {
    /// `host:port` of each nats-server, joined by commas.
    pub(super) log: String,
    pub(super) log_copies: usize,
    pub(super) keys: &'a Keys,
    /// `host:port` of each store node, joined by commas.
    pub(super) store: String,
    /// The presence store's URL.
    pub(super) presence: String,
}

/// The options of one process.
pub(super) fn command(
    spec: &ClusterSpec,
    role: &str,
    ports: &[u16],
    data: &Path,
    backends: &BackEnds<'_>,
) -> Vec<String> {
    let options = [
        ("role", role.to_owned()),
        ("listen", format!("127.0.0.1:{}", ports[0])),
        ("admin", format!("127.0.0.1:{}", ports[1])),
        ("data", data.display().to_string()),
        ("log", format!("nats://{}", backends.log)),
        ("log-key", backends.keys.seed(role).display().to_string()),
        ("log-replicas", backends.log_copies.to_string()),
        ("store", format!("cql://{}/roomcast", backends.store)),
        ("presence-store", backends.presence.clone()),
        ("region", "local".to_owned()),
        // The edge, which is on this machine.
        ("trusted-proxies", "127.0.0.1".to_owned()),
    ];
    options
        .into_iter()
        .flat_map(|(name, value)| [format!("--{name}"), value])
        .chain(spec.arguments.iter().cloned())
        .collect()
}

/// Has the key made that all processes sign and check tokens with, before any of them looks for it.
pub(super) fn make_key(program: &PathBuf, data: &Path) -> Result<(), ClusterError> {
    let output = Command::new(program)
        .args(["token", "--sub", "fleet", "--ttl", "1s", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .map_err(ClusterError::machine(format!(
            "start {}",
            program.display()
        )))?;
    ClusterError::unless_well("roomcast token", &output)
}
