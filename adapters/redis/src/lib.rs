//! Presence on Redis: a deadline for every connection, on Redis' own clock, and nothing that has to fire for
//! a read to be right.
//!
//! Users are spread over 256 shards whose keys share a hash tag, so a single server and a Redis Cluster
//! hold the same. Three scripts know the rules: one renews and shortens leases, one sweeps, one reads
//! (`scripts/`). Beside the truth every user who is here has a plain key that others may read
//! ([`presence_key`]). Redis may lose everything at any moment: gateways detect it and renew their leases
//! again ([`PresenceStore::resync_requests`](roomcast_ports::presence::PresenceStore::resync_requests)).

mod check;
mod config;
mod connection;
mod data_loss;
mod delivery_acks;
mod expiry;
mod presence_key;
mod read;
mod reply;
mod script;
mod shard;
mod store;
mod sweep;
mod touch;

pub use check::Checked;
pub use config::{ConnectError, RedisConfig};
pub use read::UserConnection;
pub use store::RedisPresence;
