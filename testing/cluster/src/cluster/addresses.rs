//! The ports and the size of a fleet: chosen once, kept with its data, so that a restart is found where it was.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::{ClusterError, Port};

const FILE: &str = "ports.json";
/// Cassandra has one port on three addresses.
const EVERY_IP: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

/// Which part has which ports.
#[derive(Debug)]
pub(super) struct Addresses {
    path: PathBuf,
    chosen: BTreeMap<String, Vec<u16>>,
    /// Keeps other tests off the new ones.
    locks: Vec<Port>,
}

impl Addresses {
    /// Those of the fleet that has this directory; none yet if it is new.
    pub(super) fn of(directory: &Path) -> Result<Self, ClusterError> {
        let path = directory.join(FILE);
        let doing = format!("read {}", path.display());
        let chosen = if path.exists() {
            let text = fs::read_to_string(&path).map_err(ClusterError::machine(doing.clone()))?;
            serde_json::from_str(&text)
                .map_err(std::io::Error::from)
                .map_err(ClusterError::machine(doing))?
        } else {
            BTreeMap::new()
        };
        Ok(Self {
            path,
            chosen,
            locks: Vec::new(),
        })
    }

    /// The ports of a part: those it had, if they are free, else new ones.
    pub(super) fn take(&mut self, name: &str, count: usize) -> Result<Vec<u16>, ClusterError> {
        self.take_on(name, count, &EVERY_IP[..1])
    }

    /// Holds the fleet to the number of servers that its data was written by: data that was spread over one does
    /// not spread over three by itself.
    pub(super) fn hold_to(&mut self, servers: &str, count: usize) -> Result<(), ClusterError> {
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        let had = self.chosen.insert(format!("{servers}-count"), vec![count]);
        match had.as_deref() {
            Some([had]) if *had != count => Err(ClusterError::Failed {
                what: format!("starting {count} {servers} nodes"),
                said: format!(
                    "the data here was written by {had}: start as many, or `make fleet-clean` first"
                ),
            }),
            _ => Ok(()),
        }
    }

    /// The store's two ports: for clients, and of the nodes among themselves.
    pub(super) fn take_for_cassandra(&mut self) -> Result<(u16, u16), ClusterError> {
        let ports = self.take_on("cassandra", 2, &EVERY_IP)?;
        Ok((ports[0], ports[1]))
    }

    fn take_on(
        &mut self,
        name: &str,
        count: usize,
        ips: &[&str],
    ) -> Result<Vec<u16>, ClusterError> {
        if let Some(had) = self.chosen.get(name)
            && had.len() == count
            && had.iter().all(|port| is_free(*port, ips))
        {
            return Ok(had.clone());
        }
        let mut numbers = Vec::new();
        for _ in 0..count {
            let port = Port::free_on(ips)?;
            numbers.push(port.number());
            self.locks.push(port);
        }
        self.chosen.insert(name.to_owned(), numbers.clone());
        let text = serde_json::to_string_pretty(&self.chosen).unwrap_or_default();
        let doing = format!("write {}", self.path.display());
        fs::write(&self.path, text).map_err(ClusterError::machine(doing))?;
        Ok(numbers)
    }
}

fn is_free(port: u16, ips: &[&str]) -> bool {
    ips.iter().all(|ip| TcpListener::bind((*ip, port)).is_ok())
}
