//! The store on ScyllaDB or Apache Cassandra: messages, rooms, members, accounts, sessions.
//!
//! What is derived from the log is written with the seq in the log as its timestamp, so that the
//! same event written again, late, or by a process that should have stopped, changes nothing. What
//! must happen once is decided by lightweight transactions, in a keyspace of its own.

mod accounts;
mod client;
mod config;
mod dead_letters;
mod messages;
mod node_restarts;
mod rows;
mod schema;
mod server_kind;
mod sessions;
mod store;

pub use config::{ConnectError, ScyllaConfig};
pub use messages::ScyllaMessages;
pub use server_kind::ServerKind;
pub use store::{Check, CheckedNode, ScyllaStore};
