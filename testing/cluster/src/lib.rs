//! The servers a fleet stands on, as processes of this machine: for tests that kill them, and for `make fleet`.
//!
//! Each server listens on free ports of the loopback, keeps its data in a directory of its own, and is gone,
//! with that directory, when its handle is dropped or when this process ends in whatever way. Calls block: a
//! test in an async runtime makes them before its clients start, or on a blocking thread. A program that is
//! missing is an error that names `make servers`, never a test that passes without it.

mod binaries;
mod cassandra;
mod certificates;
pub mod cluster;
mod error;
mod haproxy;
mod http;
pub mod install;
mod nats;
mod ports;
mod process_group;
mod redis;
mod redis_cluster;
mod server_process;
mod wait;

pub use binaries::nats_server;
pub use cassandra::{Cassandra, CassandraSpec, Sync};
pub use certificates::Certificates;
pub use error::ClusterError;
pub use haproxy::HaProxy;
pub use nats::{Nats, NatsSpec};
pub use ports::{Port, Ports};
pub use redis::Redis;
pub use redis_cluster::RedisCluster;
