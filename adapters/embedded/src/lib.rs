//! The embedded adapter: every port in one process, log and store in SQLite, presence and pub/sub in memory.
//!
//! One directory holds all of it. `log.db` is the truth, the events and the accounts: whatever
//! it has confirmed survives a power loss. `store.db` is derived from it, but for the marks: it may
//! lose its last moments then, together with its own checkpoint, and reads them again. `lock`
//! keeps a second process out.

mod accounts;
mod database;
mod embedded;
mod lock;
mod log;
mod presence;
mod pubsub;
mod readers;
mod rows;
mod sessions;
mod store;
mod writer;

pub use embedded::{Embedded, OpenError};
pub use store::EmbeddedStore;
