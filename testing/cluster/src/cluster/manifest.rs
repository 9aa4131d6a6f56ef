//! What runs, written down: so that a later call finds the processes that are ours, and no others.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::NodeProcess;
use crate::{Cassandra, ClusterError, HaProxy, Nats, Redis, wait};

const FILE: &str = "running.json";
/// A gateway drains for fifteen seconds; a store node writes everything down first.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// One process of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEntry {
    /// Its name, such as `gateway-1`.
    pub name: String,
    /// Which of the steps of an orderly end it belongs to; low ones end first.
    stage: u8,
    /// Where it takes connections.
    pub address: String,
    /// Where operators look in; nothing if there is no such place.
    pub admin: String,
    /// Its process id.
    pub pid: u32,
    /// The start time by the kernel: with the process id it is unique.
    started: u64,
    /// Its log.
    pub log: PathBuf,
}

impl ProcessEntry {
    pub(super) fn of_part(part: &NodeProcess) -> Option<Self> {
        let address = part.address().to_owned();
        let admin = format!("http://{}", part.admin());
        Self::new(part.name(), 0, (address, admin), part.pid(), part.log())
    }

    pub(super) fn of_edge(index: usize, edge: &HaProxy) -> Option<Self> {
        let name = format!("edge-{}", index + 1);
        let addresses = (edge.address().to_owned(), String::new());
        Self::new(&name, 1, addresses, edge.pid(), edge.log())
    }

    pub(super) fn of_nats(nats: &Nats) -> impl Iterator<Item = Self> {
        (0..nats.nodes()).filter_map(|index| {
            let name = format!("nats-{}", index + 1);
            let monitor = format!("http://{}", nats.monitor(index));
            let addresses = (nats.address(index).to_owned(), monitor);
            Self::new(&name, 2, addresses, nats.pid(index), nats.log(index))
        })
    }

    pub(super) fn of_cassandra(nodes: &Cassandra) -> impl Iterator<Item = Self> {
        (0..nodes.nodes()).filter_map(|index| {
            let name = format!("cassandra-{}", index + 1);
            let addresses = (nodes.address(index), String::new());
            Self::new(&name, 2, addresses, nodes.pid(index), nodes.log(index))
        })
    }

    pub(super) fn of_redis(redis: &Redis) -> Option<Self> {
        let addresses = (redis.address(), String::new());
        Self::new("redis", 2, addresses, redis.pid(), redis.log())
    }

    fn new(
        name: &str,
        stage: u8,
        (address, admin): (String, String),
        pid: Option<u32>,
        log: &Path,
    ) -> Option<Self> {
        let pid = pid?;
        Some(Self {
            name: name.to_owned(),
            stage,
            address,
            admin,
            pid,
            started: started(pid)?,
            log: log.to_owned(),
        })
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        started(self.pid) == Some(self.started)
    }

    fn signal(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = Pid::from_raw(self.pid.cast_signed())
        {
            // It may end in this moment, which is what is wanted.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Everything that was left running in a directory.
#[derive(Debug)]
pub struct Manifest {
    directory: PathBuf,
    /// The processes, in the order in which they are to end.
    pub running: Vec<ProcessEntry>,
}

impl Manifest {
    pub(super) fn new(directory: &Path, running: Vec<ProcessEntry>) -> Self {
        Self {
            directory: directory.to_owned(),
            running,
        }
    }

    /// What was left running in this directory; nothing if nothing was.
    pub fn read(directory: &Path) -> Result<Self, ClusterError> {
        let path = directory.join(FILE);
        let doing = format!("read {}", path.display());
        let running = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        Ok(Self::new(
            directory,
            running.map_err(ClusterError::machine(doing))?,
        ))
    }

    pub(super) fn write(&self) -> Result<(), ClusterError> {
        let path = self.directory.join(FILE);
        let text = serde_json::to_string_pretty(&self.running).unwrap_or_default();
        fs::write(&path, text).map_err(ClusterError::machine(format!("write {}", path.display())))
    }

    /// Whether all of it runs; not so when there is nothing.
    pub fn is_whole(&self) -> bool {
        !self.running.is_empty() && self.running.iter().all(ProcessEntry::is_alive)
    }

    /// Whether some of it runs and some does not.
    pub fn is_partial(&self) -> bool {
        !self.is_whole() && self.running.iter().any(ProcessEntry::is_alive)
    }

    /// The fleet's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Ends all of it, the processes of `roomcast` first, each politely and after a while for certain. The data
    /// stays.
    pub fn stop(self) -> Result<(), ClusterError> {
        for stage in 0..=2 {
            let stage: Vec<&ProcessEntry> = self
                .running
                .iter()
                .filter(|one| one.stage == stage)
                .collect();
            // A paused process gets no signal until it is resumed.
            for signal in [Signal::TERM, Signal::CONT] {
                signal_all(&stage, signal);
            }
            wait::until::<ClusterError>(STOP_TIMEOUT, || {
                Ok(!stage.iter().any(|one| one.is_alive()))
            })?;
            signal_all(&stage, Signal::KILL);
        }
        let path = self.directory.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ClusterError::machine(
                format!("remove {}", path.display()),
            )(error)),
            _ => Ok(()),
        }
    }
}

fn signal_all(processes: &[&ProcessEntry], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

/// When a process was started, in the kernel's ticks since the machine's start; `None` if it is gone.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may have spaces and parentheses of its own.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then_some(())?;
    fields.nth(18)?.parse().ok()
}
