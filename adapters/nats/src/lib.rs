//! The log and the signals on NATS JetStream.
//!
//! The log is 32 streams, each with the events of its rooms in one order and a seq for each that
//! never comes twice. An append is a publish the stream confirms; live events are the stream's own
//! publishing of what it has stored; reading asks the copies directly; and who derives from the log
//! shares one consumer per partition, which is given to one worker at a time.

mod append;
mod client;
mod config;
mod connect;
mod connection;
mod continuity;
mod direct;
mod error;
mod feed;
mod health;
mod live;
mod log;
mod observed_seqs;
mod pubsub;
mod reader;
mod request;
mod streams;
mod subjects;
mod subscription_gate;

pub use client::NatsLog;
pub use config::{HighWatermark, NatsConfig, PARTITION_BYTES_MAX};
pub use connect::ConnectError;
pub use health::{HealthReport, StreamHealth};
pub use subjects::partition_of;
