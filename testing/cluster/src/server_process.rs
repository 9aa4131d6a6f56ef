//! One server as a process: started, signalled and killed as often as a test wants.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::process_group::ProcessGroup;
use crate::{ClusterError, wait};

const TAIL_LINES: usize = 20;
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A server's command and, while it runs, its process.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    name: String,
    command: Vec<OsString>,
    log: PathBuf,
    environment: Vec<(String, String)>,
    /// The group that ends with us.
    group: u32,
    child: Option<Child>,
}

impl ServerProcess {
    /// What is to run in `home`; it writes to `<name>.log` there. Nothing is started yet.
    pub(crate) fn new<A: Into<OsString>>(
        home: &ProcessGroup,
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut command = vec![program.as_os_str().to_owned()];
        command.extend(arguments.into_iter().map(Into::into));
        Self {
            name: name.to_owned(),
            command,
            log: home.directory().join(format!("{name}.log")),
            environment: Vec::new(),
            group: home.group(),
            child: None,
        }
    }

    /// Adds variables to its environment.
    pub(crate) fn with_environment(mut self, variables: Vec<(String, String)>) -> Self {
        self.environment = variables;
        self
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(&mut self) -> Result<(), ClusterError> {
        if self.is_running() {
            return Ok(());
        }
        let started = || {
            let log = File::options().create(true).append(true).open(&self.log)?;
            Command::new(&self.command[0])
                .args(&self.command[1..])
                .envs(self.environment.iter().cloned())
                .process_group(self.group.cast_signed())
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
        };
        let doing = format!("start {}", self.name);
        self.child = Some(started().map_err(ClusterError::machine(doing))?);
        Ok(())
    }

    /// Its process id, if it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where its output goes.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Ends it without warning, as a crash would. One that does not run stays so.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end and waits; kills it when `within` has passed.
    pub(crate) fn stop(&mut self, within: Duration) {
        if self.signal(Signal::TERM).is_ok() {
            let _ = wait::until::<ClusterError>(within, || Ok(!self.is_running()));
        }
        self.kill();
    }

    /// Stops it where it is, as a machine that hangs would, and waits until none of its threads runs.
    pub(crate) fn pause(&self) -> Result<(), ClusterError> {
        self.signal(Signal::STOP)?;
        let stopped = || Ok::<_, ClusterError>(self.pid().is_some_and(is_stopped));
        if wait::until(STOP_TIMEOUT, stopped)? {
            return Ok(());
        }
        Err(ClusterError::NotReady {
            name: self.name.clone(),
            what: "stand still",
            within: STOP_TIMEOUT,
            saw: "a thread that runs".to_owned(),
            tail: self.tail(),
        })
    }

    /// Resumes it.
    pub(crate) fn resume(&self) -> Result<(), ClusterError> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), ClusterError> {
        let pid = self
            .pid()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()))
            .ok_or_else(|| ClusterError::NotRunning(self.name.clone()))?;
        let doing = format!("signal {}", self.name);
        kill_process(pid, signal).map_err(|error| ClusterError::machine(doing)(error.into()))
    }

    /// Whether its process is there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.check_running().is_ok()
    }

    /// Waits until `look` gives nothing to complain about; an end of the process ends the waiting too.
    pub(crate) fn wait_until(
        &mut self,
        what: &'static str,
        within: Duration,
        mut look: impl FnMut() -> Result<(), String>,
    ) -> Result<(), ClusterError> {
        let mut saw = String::new();
        let so = wait::until(within, || {
            self.check_running()?;
            look().map_or_else(
                |complaint| {
                    saw = complaint;
                    Ok(false)
                },
                |()| Ok(true),
            )
        })?;
        if so {
            return Ok(());
        }
        Err(ClusterError::NotReady {
            name: self.name.clone(),
            what,
            within,
            saw,
            tail: self.tail(),
        })
    }

    fn check_running(&mut self) -> Result<(), ClusterError> {
        let Some(child) = &mut self.child else {
            return Err(ClusterError::NotRunning(self.name.clone()));
        };
        match child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                // Reaped: its number may be another's from now on.
                self.child = None;
                Err(ClusterError::Ended {
                    name: self.name.clone(),
                    status: status.to_string(),
                    tail: self.tail(),
                })
            }
            Err(error) => Err(ClusterError::machine(format!("ask about {}", self.name))(
                error,
            )),
        }
    }

    fn tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether all threads of a process are stopped: each of them takes note of the signal in its own time.
fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let state = status.lines().find(|line| line.starts_with("State:"));
        state.is_some_and(|state| state.contains('T'))
    })
}
