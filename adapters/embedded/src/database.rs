//! Opening a database file: its settings, its schema's version, its migrations.
//!
//! A file of a later version of the program is refused before anything is written to it; one of an
//! earlier version is brought up to date step by step, each step with its number in one transaction.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// How many prepared statements a connection keeps.
const STATEMENT_CACHE: usize = 96;
/// How long a connection waits for another one's lock: for one that recovers the write-ahead log.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a commit waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Durability {
    /// The disk: what was committed survives a power loss.
    Disk,
    /// The operating system: a power loss may take the last commits back, in order, whole.
    System,
}

/// A file's schema is of a later version than this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SchemaTooNew {
    pub(crate) found: u32,
    pub(crate) known: u32,
}

/// Returns whether a later program has written the file, without writing to it.
pub(crate) fn is_too_new(path: &Path, steps: &[&str]) -> rusqlite::Result<Option<SchemaTooNew>> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let found = version(&connection)?;
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    Ok((found > known).then_some(SchemaTooNew { found, known }))
}

/// Opens the file for its one writer, making or migrating it first.
pub(crate) fn open_for_writing(
    path: &Path,
    durability: Durability,
    steps: &[&str],
) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    let synchronous = match durability {
        Durability::Disk => "FULL",
        Durability::System => "NORMAL",
    };
    // A checkpoint every 64 MiB: a room's last pages are written again and again, and only their last
    // form goes into the file. A write-ahead log that grew past that is cut back.
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = {synchronous};
         PRAGMA secure_delete = FAST;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -4096;
         PRAGMA wal_autocheckpoint = 16000;
         PRAGMA journal_size_limit = 67108864;"
    ))?;
    migrate(&mut connection, steps)?;
    Ok(connection)
}

/// Opens a file that is there for one of its readers.
pub(crate) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    connection.execute_batch(
        "PRAGMA query_only = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -512;",
    )?;
    Ok(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let done = version(connection)?;
    for (step, number) in steps.iter().zip(1u32..).skip(done as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
        tracing::debug!(step = number, "migrated a database");
    }
    Ok(())
}
