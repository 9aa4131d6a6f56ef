//! The store against real servers: Apache Cassandra nodes that these tests start, restart and kill.

mod conformance;
mod crash;
mod derivation;
mod dump;
mod harness;
mod sample_log;
mod schema;
