//! The keys by which the log knows each role, and what it lets each of them do.
//!
//! A pair for each role is made once and kept with the fleet: the seed in a file that its processes are given,
//! the public half in the environment of the servers, whose rules are those of every fleet (`deploy/nats`).

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nkeys::KeyPair;

use crate::ClusterError;

/// Who may do what on the bus. It names the public keys by variables.
pub(super) const RULES: &str = include_str!("../../../../deploy/nats/roles.conf");

const NAMED_IN_THE_RULES: [&str; 7] = [
    "gateway", "ingest", "history", "presence", "accounts", "rooms", "all",
];

/// The keys of a fleet.
#[derive(Debug)]
pub(super) struct Keys {
    directory: PathBuf,
    public: Vec<(String, String)>,
}

impl Keys {
    /// Those in this directory, made where there are none.
    pub(super) fn of(directory: &Path) -> Result<Self, ClusterError> {
        fs::create_dir_all(directory).map_err(ClusterError::machine(format!(
            "make {}",
            directory.display()
        )))?;
        let mut keys = Self {
            directory: directory.to_owned(),
            public: Vec::new(),
        };
        for role in NAMED_IN_THE_RULES {
            let path = keys.seed(role);
            let doing = format!("keep a key in {}", path.display());
            let pair = read_or_make(&path).map_err(ClusterError::machine(doing))?;
            let variable = format!("ROOMCAST_NKEY_{}", role.to_uppercase());
            keys.public.push((variable, pair.public_key()));
        }
        Ok(keys)
    }

    /// Where a role's seed is.
    pub(super) fn seed(&self, role: &str) -> PathBuf {
        self.directory.join(format!("{role}.nk"))
    }

    /// The public halves, by the variables that the rules name.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        self.public.clone()
    }
}

fn read_or_make(path: &Path) -> std::io::Result<KeyPair> {
    if path.exists() {
        let seed = fs::read_to_string(path)?;
        return KeyPair::from_seed(seed.trim()).map_err(std::io::Error::other);
    }
    let pair = KeyPair::new_user();
    let seed = pair.seed().map_err(std::io::Error::other)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{seed}")?;
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_the_rules_name_is_made() {
        let named = RULES.split("$ROOMCAST_NKEY_").skip(1);
        let named = named.map(|rest| rest.split_whitespace().next().unwrap_or_default());
        let mut named: Vec<String> = named.map(str::to_lowercase).collect();
        let mut made = NAMED_IN_THE_RULES.map(str::to_owned).to_vec();
        named.sort();
        made.sort();
        assert_eq!(named, made);
    }
}
