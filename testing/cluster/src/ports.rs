//! Free ports of the loopback that stay ours while a server is down.
//!
//! A port is taken from below the range the kernel gives to outgoing connections: one from inside it can be
//! some client's source port by the time a killed server wants it back. A lock file keeps other tests of this
//! user off it as long as the handle lives.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, Metadata};
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::{ClusterError, binaries};

/// Linux gives 32768 and up to outgoing connections.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;
const TRIES: u32 = 2_000;

/// A free port, reserved until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: Option<Lock>,
}

/// A locked file; it goes with its lock.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still locked now: a process that opened it in between finds that it is gone.
        let _ = fs::remove_file(&self.path);
    }
}

impl Port {
    /// Finds a port that is free on 127.0.0.1.
    pub fn free() -> Result<Self, ClusterError> {
        Self::free_on(&["127.0.0.1"])
    }

    /// Finds a port that is free on each of these addresses.
    pub fn free_on(addresses: &[&str]) -> Result<Self, ClusterError> {
        let lockdir = binaries::cache()?.join("ports");
        fs::create_dir_all(&lockdir)
            .map_err(ClusterError::machine(format!("make {}", lockdir.display())))?;
        for _ in 0..TRIES {
            let number = FIRST + random_below(COUNT);
            let Some(lock) = lock(&lockdir, number) else {
                continue;
            };
            let free = |address: &&str| TcpListener::bind((*address, number)).is_ok();
            if addresses.iter().all(free) {
                return Ok(Self {
                    number,
                    _lock: Some(lock),
                });
            }
        }
        Err(ClusterError::NoFreePort {
            tried: TRIES,
            lockdir,
        })
    }

    /// A port that was chosen elsewhere, by a person or an earlier run.
    pub fn given(number: u16) -> Self {
        Self {
            number,
            _lock: None,
        }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Several ports.
#[derive(Debug, Default)]
pub struct Ports(Vec<Port>);

impl Ports {
    /// Finds `count` ports that are free on 127.0.0.1.
    pub fn free(count: usize) -> Result<Self, ClusterError> {
        (0..count)
            .map(|_| Port::free())
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Their numbers.
    pub fn numbers(&self) -> Vec<u16> {
        self.0.iter().map(Port::number).collect()
    }
}

impl From<Vec<u16>> for Ports {
    fn from(numbers: Vec<u16>) -> Self {
        Self(numbers.into_iter().map(Port::given).collect())
    }
}

fn lock(lockdir: &Path, number: u16) -> Option<Lock> {
    let path = lockdir.join(number.to_string());
    let file = File::create(&path).ok()?;
    file.try_lock().ok()?;
    let inode = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let ours = inode(file.metadata().ok()?);
    let there = inode(fs::metadata(&path).ok()?);
    (ours == there).then_some(Lock { path, _file: file })
}

fn random_below(bound: u16) -> u16 {
    let random = RandomState::new().build_hasher().finish();
    u16::try_from(random % u64::from(bound)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_while_it_is_held() {
        let ports = Ports::free(200).expect("200 ports");
        let different: HashSet<u16> = ports.numbers().into_iter().collect();
        assert_eq!(different.len(), 200);
    }

    #[test]
    fn a_lock_goes_with_its_port() {
        let port = Port::free().expect("a port");
        let lockdir = binaries::cache().expect("a cache").join("ports");
        let path = lockdir.join(port.number().to_string());
        assert!(path.exists() && lock(&lockdir, port.number()).is_none());
        drop(port);
        assert!(!path.exists());
    }

    #[test]
    fn a_held_port_can_be_listened_on() {
        let port = Port::free_on(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]).expect("a port");
        for address in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
            TcpListener::bind((address, port.number())).expect(address);
        }
    }
}
