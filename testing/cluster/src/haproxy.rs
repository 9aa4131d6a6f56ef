//! HAProxy as the one edge in front of several processes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process_group::ProcessGroup;
use crate::server_process::ServerProcess;
use crate::{ClusterError, binaries, http};

const READY_TIMEOUT: Duration = Duration::from_secs(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running HAProxy; it ends when this is dropped.
#[derive(Debug)]
pub struct HaProxy {
    server: ServerProcess,
    address: String,
    _home: ProcessGroup,
}

impl HaProxy {
    /// Starts one with this configuration and waits until it listens at `address` (`ip:port`).
    pub fn start(config: &str, address: &str) -> Result<Self, ClusterError> {
        Self::start_in(
            ProcessGroup::temporary("haproxy")?,
            "haproxy",
            config,
            address,
        )
    }

    /// Starts one whose configuration asks the environment for EDGE, the address.
    pub(crate) fn start_in(
        home: ProcessGroup,
        name: &str,
        config: &str,
        address: &str,
    ) -> Result<Self, ClusterError> {
        let program = binaries::on_path("haproxy", "-v")?;
        let path = home.write(&format!("{name}.cfg"), config)?;
        check(&program, &path, address)?;
        // In the foreground and without a master process, so that what we signal is what serves.
        let arguments = [Path::new("-db"), Path::new("-f"), &path];
        let server = ServerProcess::new(&home, name, &program, arguments)
            .with_environment(vec![("EDGE".to_owned(), address.to_owned())]);
        let mut haproxy = Self {
            server,
            address: address.to_owned(),
            _home: home,
        };
        haproxy.restart()?;
        Ok(haproxy)
    }

    /// Where it listens: `ip:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process id, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        self.server.log()
    }

    /// Ends it without warning (SIGKILL).
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Asks it to end, and starts it again.
    pub fn restart(&mut self) -> Result<(), ClusterError> {
        self.server.stop(STOP_TIMEOUT);
        self.server.start()?;
        let address = self.address.clone();
        self.server.wait_until("listen", READY_TIMEOUT, || {
            http::connect(&address)
                .map(drop)
                .map_err(|error| error.to_string())
        })
    }
}

/// Has the program read the configuration, so that an error in it is not taken for a port that is in use.
fn check(program: &Path, config: &Path, address: &str) -> Result<(), ClusterError> {
    let output = Command::new(program)
        .args([Path::new("-c"), Path::new("-f"), config])
        .env("EDGE", address)
        .stdin(Stdio::null())
        .output()
        .map_err(ClusterError::machine("start haproxy"))?;
    ClusterError::unless_well("haproxy -c", &output)
}
