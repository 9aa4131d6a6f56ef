//! The log and the signals on NATS JetStream.
