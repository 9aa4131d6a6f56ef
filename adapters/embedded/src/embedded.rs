//! A data directory and the ports it serves.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roomcast_ports::BoxError;
use roomcast_ports::accounts::{AccountStore, SessionStore};
use roomcast_ports::dead_letters::DeadLetters;
use roomcast_ports::event_log::EventLog;
use roomcast_ports::presence::PresenceStore;
use roomcast_ports::pubsub::PubSub;

use rusqlite::Connection;

use crate::accounts::EmbeddedAccounts;
use crate::database::{self, Durability, SchemaTooNew};
use crate::lock::DirectoryLock;
use crate::log::{self, EmbeddedLog};
use crate::presence::EmbeddedPresence;
use crate::pubsub::EmbeddedPubSub;
use crate::sessions::EmbeddedSessions;
use crate::store::{self, EmbeddedStore};

/// Why a data directory cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process serves it.
    #[error("the data directory {} is in use by another roomcast process", .directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// A later version of the program has written it; it was left as it is.
    #[error(
        "the data was written by a later version of roomcast (schema {found}, this one knows {known})"
    )]
    NewerSchema {
        /// The version of the data.
        found: u32,
        /// The version this program knows.
        known: u32,
    },
    /// The file system refused.
    #[error("open the data directory {}", .directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no database, damaged, or cannot be written.
    #[error("open the database {}", .file.display())]
    Sql {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: BoxError,
    },
}

/// A data directory, open.
#[derive(Debug)]
pub struct Embedded {
    log: Arc<EmbeddedLog>,
    store: Arc<EmbeddedStore>,
    accounts: Arc<EmbeddedAccounts>,
    sessions: Arc<EmbeddedSessions>,
    presence: Arc<EmbeddedPresence>,
    signals: Arc<EmbeddedPubSub>,
    /// Given back after the writers have ended, which `Drop` sees to.
    _lock: DirectoryLock,
}

impl Embedded {
    /// Opens the directory, making it when it is not there.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io {
            directory: data_dir.to_owned(),
            source,
        };
        make(data_dir).map_err(io)?;
        let lock = DirectoryLock::take(data_dir)
            .map_err(io)?
            .ok_or_else(|| OpenError::Locked {
                directory: data_dir.to_owned(),
            })?;
        let (log_file, store_file) = (data_dir.join("log.db"), data_dir.join("store.db"));
        // Both are looked at before either is touched.
        refuse_newer(&log_file, log::SCHEMA)?;
        refuse_newer(&store_file, store::SCHEMA)?;
        let log = open(&log_file, Durability::Disk, log::SCHEMA)?;
        let store = open(&store_file, Durability::System, store::SCHEMA)?;
        store::high_watermarks(&store)
            .and_then(|seen_to| log::start_epoch_after(&log, seen_to))
            .map_err(|error| sql(&log_file)(error.into()))?;
        let log =
            EmbeddedLog::start(&log_file, log).map_err(|error| sql(&log_file)(error.into()))?;
        let store = EmbeddedStore::start(&store_file, store)
            .map_err(|error| sql(&store_file)(error.into()))?;
        let log = Arc::new(log);
        tracing::info!(directory = %data_dir.display(), "opened the data directory");
        Ok(Self {
            accounts: Arc::new(EmbeddedAccounts::new(Arc::clone(&log))),
            sessions: Arc::new(EmbeddedSessions::new(Arc::clone(&log))),
            log,
            store: Arc::new(store),
            presence: Arc::new(EmbeddedPresence::new()),
            signals: Arc::new(EmbeddedPubSub::new()),
            _lock: lock,
        })
    }

    /// The log.
    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.log) as _
    }

    /// Messages, rooms and members.
    pub fn messages(&self) -> Arc<EmbeddedStore> {
        Arc::clone(&self.store)
    }

    /// Accounts.
    pub fn accounts(&self) -> Arc<dyn AccountStore> {
        Arc::clone(&self.accounts) as _
    }

    /// Sign-ins.
    pub fn sessions(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.sessions) as _
    }

    /// Who is here.
    pub fn presence(&self) -> Arc<dyn PresenceStore> {
        Arc::clone(&self.presence) as _
    }

    /// What ingest could not read.
    pub fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        Arc::clone(&self.store) as _
    }

    /// What may be lost.
    pub fn signals(&self) -> Arc<dyn PubSub> {
        Arc::clone(&self.signals) as _
    }

    /// Writes what waits and ends the threads; whatever is asked later is refused. Blocks as long as
    /// the disk needs. Dropping does the same.
    pub fn close(&self) {
        self.log.close();
        self.store.close();
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

/// Makes the directory, for its owner's eyes only, and sees to it that a power loss leaves it there.
fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    match directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn refuse_newer(file: &Path, steps: &[&str]) -> Result<(), OpenError> {
    match database::is_too_new(file, steps) {
        Ok(None) => Ok(()),
        Ok(Some(SchemaTooNew { found, known })) => Err(OpenError::NewerSchema { found, known }),
        Err(error) => Err(sql(file)(error.into())),
    }
}

fn open(file: &Path, durability: Durability, steps: &[&str]) -> Result<Connection, OpenError> {
    database::open_for_writing(file, durability, steps).map_err(|error| sql(file)(error.into()))
}

fn sql(file: &Path) -> impl Fn(BoxError) -> OpenError {
    move |source| OpenError::Sql {
        file: file.to_owned(),
        source,
    }
}
