//! Where the programs of the servers are, on the PATH or in the user's cache.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::ClusterError;

/// The oldest nats-server that tests and local fleets run on. Older ones serve the product too, but what was
/// tested on them proves nothing: before 2.15 a synced write costs two fsyncs, before 2.11 fields are dropped silently.
const NATS_AT_LEAST: (u32, u32) = (2, 15);

/// Where `make servers` keeps what it fetched: `$XDG_CACHE_HOME/roomcast` or `~/.cache/roomcast`.
#[expect(
    clippy::disallowed_methods,
    reason = "where a user's cache is, is a matter of the environment, and no setting of the product"
)]
pub(crate) fn cache() -> Result<PathBuf, ClusterError> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")));
    base.map(|base| base.join("roomcast")).ok_or_else(|| {
        missing(
            "a cache directory",
            "neither XDG_CACHE_HOME nor HOME is set",
        )
    })
}

/// The nats-server to run: the one on the PATH if it is new enough, else the one in the cache.
pub fn nats_server() -> Result<PathBuf, ClusterError> {
    let cached = cache()?.join("bin/nats-server");
    let mut seen = Vec::new();
    for program in [PathBuf::from("nats-server"), cached] {
        match said_by(&program, "--version") {
            Some(said) if nats_is_new_enough(&said) => return Ok(program),
            Some(said) => seen.push(format!("{} is {}", program.display(), said.trim())),
            None => seen.push(format!("no {}", program.display())),
        }
    }
    Err(missing("nats-server 2.15 or newer", &seen.join(", ")))
}

/// A program that is on the PATH, tried by asking for its version with `version`.
pub(crate) fn on_path(program: &'static str, version: &str) -> Result<PathBuf, ClusterError> {
    match said_by(&PathBuf::from(program), version) {
        Some(_) => Ok(PathBuf::from(program)),
        None => Err(missing(program, "it is not on the PATH")),
    }
}

pub(crate) fn missing(program: &'static str, why: &str) -> ClusterError {
    ClusterError::Missing {
        program,
        why: why.to_owned(),
    }
}

/// The program's version output; `None` if it cannot be run.
fn said_by(program: &PathBuf, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(said)
}

/// Reads `nats-server: v2.15.2`.
fn nats_is_new_enough(said: &str) -> bool {
    let version = || {
        let (_, version) = said.trim().rsplit_once('v')?;
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    version().is_some_and(|version: (u32, u32)| version >= NATS_AT_LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_nats_server_is_not_used() {
        assert!(nats_is_new_enough("nats-server: v2.15.2\n"));
        assert!(nats_is_new_enough("nats-server: v2.15.0"));
        assert!(nats_is_new_enough("nats-server: v3.0.0-beta.1"));
        assert!(!nats_is_new_enough("nats-server: v2.14.9"));
        assert!(!nats_is_new_enough("nats-server"));
    }

    #[test]
    fn a_missing_program_names_the_command_that_brings_it() {
        let error = on_path("no-such-program-at-all", "--version").expect_err("it is not there");
        assert!(error.to_string().contains("make servers"), "{error}");
    }
}
