//! What becomes of the log when servers, leaders, streams and workers go, on three servers.

mod servers;

#[path = "faults/leaders.rs"]
mod leaders;
#[path = "faults/talk.rs"]
mod talk;
#[path = "faults/workers.rs"]
mod workers;
