//! The directory of a server, and the watchdog that outlives us.
//!
//! A test program can be killed, and a server kept in a `static` is never dropped. So each set of servers has
//! a small shell that reads from a pipe we hold: when the pipe closes without a word, we are gone, and the
//! shell ends its process group, which is where the servers are, and removes the directory.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::ClusterError;

/// Ends the group politely, then for certain. It sleeps between, so that what still writes has ended when the
/// directory goes.
const WATCHDOG: &str = r#"
trap '' TERM INT HUP
read -r word && exit
kill -CONT 0; kill -TERM 0; sleep 1
[ -z "$1" ] || rm -rf -- "$1"
kill -KILL 0
"#;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A directory with servers in it.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    directory: PathBuf,
    temporary: bool,
    /// The process group that ends with us.
    group: u32,
    /// None in a part of another home, which has it.
    watchdog: Option<Child>,
}

impl ProcessGroup {
    /// A new directory under the system's temporary one, which goes with this handle.
    pub(crate) fn temporary(what: &str) -> Result<Self, ClusterError> {
        let directory = loop {
            let name = format!("roomcast-{what}-{}", unique());
            let directory = std::env::temp_dir().join(name);
            match fs::create_dir(&directory) {
                Ok(()) => break directory,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let doing = format!("make {}", directory.display());
                    return Err(ClusterError::machine(doing)(error));
                }
            }
        };
        let watchdog = watchdog(Some(&directory))?;
        Ok(Self {
            directory,
            temporary: true,
            group: watchdog.id(),
            watchdog: Some(watchdog),
        })
    }

    /// A directory that stays; the servers in it end with this process.
    pub(crate) fn given(directory: &Path) -> Result<Self, ClusterError> {
        let directory = made(directory)?;
        let watchdog = watchdog(None)?;
        Ok(Self {
            directory,
            temporary: false,
            group: watchdog.id(),
            watchdog: Some(watchdog),
        })
    }

    /// A temporary directory, or the given one.
    pub(crate) fn new(what: &str, directory: Option<&Path>) -> Result<Self, ClusterError> {
        directory.map_or_else(|| Self::temporary(what), Self::given)
    }

    /// A directory in this one, under the same watchdog. It must not outlive this handle.
    pub(crate) fn part(&self, name: &str) -> Result<Self, ClusterError> {
        Ok(Self {
            directory: made(&self.directory.join(name))?,
            temporary: false,
            group: self.group,
            watchdog: None,
        })
    }

    /// Calls the watchdog off: what runs may outlive us.
    pub(crate) fn release(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            if let Some(mut pipe) = watchdog.stdin.take() {
                let _ = pipe.write_all(b"done\n");
            }
            let _ = watchdog.wait();
        }
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process group that ends with us.
    pub(crate) fn group(&self) -> u32 {
        self.group
    }

    /// Writes a file of this directory.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, ClusterError> {
        let path = self.directory.join(name);
        let doing = format!("write {}", path.display());
        let parent = path.parent().unwrap_or(&self.directory);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, text))
            .map_err(ClusterError::machine(doing))?;
        Ok(path)
    }
}

impl Drop for ProcessGroup {
    /// The servers are dropped before: they are fields that stand above this one.
    fn drop(&mut self) {
        self.release();
        if self.temporary {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

fn made(directory: &Path) -> Result<PathBuf, ClusterError> {
    let doing = format!("make {}", directory.display());
    fs::create_dir_all(directory)
        .and_then(|()| fs::canonicalize(directory))
        .map_err(ClusterError::machine(doing))
}

/// A word that no other handle on this machine has now.
pub(crate) fn unique() -> String {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{count}", process::id())
}

fn watchdog(directory: Option<&Path>) -> Result<Child, ClusterError> {
    Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(directory.unwrap_or(Path::new("")))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(ClusterError::machine("start the watchdog"))
}
