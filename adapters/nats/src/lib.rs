//! The log and the signals on NATS JetStream.
//!
//! The log is 32 streams, each with the events of its rooms in one order and a place for each that
//! never comes twice. An append is a publish the stream confirms; live events are the stream's own
//! publishing of what it has stored; reading asks the copies directly; and who derives from the log
//! shares one consumer per partition, which is given to one worker at a time.

mod append;
mod check;
mod config;
mod connect;
mod continuity;
mod direct;
mod exchanges;
mod failure;
mod feed;
mod known;
mod link;
mod live;
mod log;
mod nats;
mod reader;
mod signals;
mod streams;
mod subjects;

pub use check::{Findings, StreamFound};
pub use config::{NatsConfig, PARTITION_BYTES_MAX, SeenTo};
pub use connect::ConnectError;
pub use nats::NatsLog;
pub use subjects::partition_of;
