//! One Redis without persistence, as the fleet runs it: presence is made again by those who are present.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ports::Port;
use crate::process_group::ProcessGroup;
use crate::server_process::ServerProcess;
use crate::{Certificates, ClusterError, binaries, http};

const READY_TIMEOUT: Duration = Duration::from_secs(20);
const STARTS_MAX: u32 = 3;

/// A running Redis; it ends when this is dropped.
#[derive(Debug)]
pub struct Redis {
    server: ServerProcess,
    port: Port,
    is_secured: bool,
    _home: ProcessGroup,
}

impl Redis {
    /// Starts one on a free port and waits until it answers.
    pub fn start() -> Result<Self, ClusterError> {
        let mut starts = 1;
        loop {
            let started = Self::start_in(ProcessGroup::temporary("redis")?, Port::free()?);
            match started {
                Err(error) if error.lost_a_port() && starts < STARTS_MAX => starts += 1,
                started => return started,
            }
        }
    }

    pub(crate) fn start_in(home: ProcessGroup, port: Port) -> Result<Self, ClusterError> {
        let server = server(&home, "redis", port.number(), &[])?;
        let mut redis = Self {
            server,
            port,
            is_secured: false,
            _home: home,
        };
        redis.restart()?;
        Ok(redis)
    }

    /// Starts one that speaks TLS only, to clients with a certificate of the authority, and knows one user.
    pub fn start_secured(
        certificates: &Certificates,
        user: &str,
        password: &str,
    ) -> Result<Self, ClusterError> {
        let (home, port) = (ProcessGroup::temporary("redis")?, Port::free()?);
        let tls_port = port.number().to_string();
        let file = |name| certificates.file(name).display().to_string();
        let (cert, key, ca) = (file("server.pem"), file("server-key.pem"), file("ca.pem"));
        let password = format!(">{password}");
        let more = [
            "--tls-port",
            &tls_port,
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            "yes",
            "--user",
            "default",
            "off",
            "--user",
            user,
            "on",
            &password,
            "~*",
            "&*",
            "+@all",
        ];
        // Port 0: nothing without TLS.
        let server = server(&home, "redis", 0, &more)?;
        let mut redis = Self {
            server,
            port,
            is_secured: true,
            _home: home,
        };
        redis.restart()?;
        Ok(redis)
    }

    /// `redis://127.0.0.1:p`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// `127.0.0.1:p`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Its process id, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        self.server.log()
    }

    /// Ends it without warning (SIGKILL). One that is dead stays so.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Kills it if it runs and starts it again on its port, empty.
    pub fn restart(&mut self) -> Result<(), ClusterError> {
        self.server.kill();
        self.server.start()?;
        let address = self.address();
        if self.is_secured {
            return self.server.wait_until("listen", READY_TIMEOUT, || {
                let connected = http::connect(&address).map(drop);
                connected.map_err(|error| error.to_string())
            });
        }
        wait_until_it_answers(&mut self.server, &address)
    }

    /// Stops it where it is (SIGSTOP): connections stay, and nothing answers.
    pub fn pause(&self) -> Result<(), ClusterError> {
        self.server.pause()
    }

    /// Resumes it.
    pub fn resume(&self) -> Result<(), ClusterError> {
        self.server.resume()
    }
}

/// A Redis of `home` that keeps nothing on the disk.
pub(crate) fn server(
    home: &ProcessGroup,
    name: &str,
    port: u16,
    more: &[&str],
) -> Result<ServerProcess, ClusterError> {
    let program: PathBuf = binaries::on_path("redis-server", "--version")?;
    let directory = home.directory().join(format!("{name}-data"));
    std::fs::create_dir_all(&directory).map_err(ClusterError::machine(format!(
        "make {}",
        directory.display()
    )))?;
    let directory = directory.display().to_string();
    let port = port.to_string();
    let mut arguments = vec!["--port", &port, "--bind", "127.0.0.1", "--dir", &directory];
    arguments.extend(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    arguments.extend(more);
    Ok(ServerProcess::new(home, name, &program, arguments))
}

/// Waits for the answer to a PING.
pub(crate) fn wait_until_it_answers(
    server: &mut ServerProcess,
    address: &str,
) -> Result<(), ClusterError> {
    server.wait_until("answer", READY_TIMEOUT, || match ask(address, "PING") {
        Ok(answer) if answer.starts_with("+PONG") => Ok(()),
        Ok(answer) => Err(answer),
        Err(error) => Err(error.to_string()),
    })
}

/// Sends one inline command; gives the first kilobytes of the answer.
pub(crate) fn ask(address: &str, command: &str) -> std::io::Result<String> {
    let mut stream = http::connect(address)?;
    write!(stream, "{command}\r\n")?;
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}
