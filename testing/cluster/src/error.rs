//! Why a server is not there.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

/// Why a server could not be started, or is not what it should be.
#[derive(thiserror::Error)]
pub enum ClusterError {
    /// A program is not on this machine: install it and try again.
    #[error("{program} is missing ({why}): `make servers` installs it")]
    Missing {
        /// Its name.
        program: &'static str,
        /// What was looked for.
        why: String,
    },
    /// The machine refused something: a directory, a process, a file.
    #[error("cannot {doing}")]
    Machine {
        /// What was tried, as a present-tense verb and its object.
        doing: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The server ended by itself; its log has the reason.
    #[error("{name} has ended ({status}); its log ends:\n{tail}")]
    Ended {
        /// Which server.
        name: String,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        tail: String,
    },
    /// The server runs, but did not come to answer in time.
    #[error("{name} did not {what} within {within:?} ({saw}); its log ends:\n{tail}")]
    NotReady {
        /// Which server.
        name: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        within: Duration,
        /// What was seen last.
        saw: String,
        /// The last lines of its log.
        tail: String,
    },
    /// The server was asked to do what only a running one can.
    #[error("{0} is not running")]
    NotRunning(String),
    /// No port could be found that is free on every address asked for.
    #[error("no free port was found in {tried} tries: see {}", lockdir.display())]
    NoFreePort {
        /// How many were tried.
        tried: u32,
        /// Where ports in use by these tests are noted.
        lockdir: PathBuf,
    },
    /// A program that was run to prepare a server failed.
    #[error("{what} failed:\n{said}")]
    Failed {
        /// What was run.
        what: String,
        /// Its output.
        said: String,
    },
}

impl ClusterError {
    /// Adds the failed operation to the system's error.
    pub(crate) fn machine(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Machine { doing, source }
    }

    /// An error with the program's output, unless it succeeded.
    pub(crate) fn unless_well(what: &str, output: &Output) -> Result<(), Self> {
        if output.status.success() {
            return Ok(());
        }
        let said = [&*output.stdout, &*output.stderr].concat();
        Err(Self::Failed {
            what: what.to_owned(),
            said: String::from_utf8_lossy(&said).into_owned(),
        })
    }

    /// Whether another program has taken the port since it was chosen: starting again with others helps.
    pub(crate) fn lost_a_port(&self) -> bool {
        match self {
            Self::Ended { tail, .. } => tail.to_lowercase().contains("in use"),
            _ => false,
        }
    }
}

/// As for people, with the causes: a test that unwraps shows this, and the log's tail has several lines.
impl fmt::Debug for ClusterError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
