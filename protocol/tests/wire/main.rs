//! What goes over the wire, held byte by byte: one test program, so that it is linked once.

mod allocations;
mod cases;
mod client_frames;
mod client_text;
#[cfg(feature = "schema")]
mod documents;
mod events;
mod fleet_frames;
mod golden;
mod random;
mod types;
