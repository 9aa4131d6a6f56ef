//! What a run came to: one model, written as a table for a terminal, as JSON for programs and as a page
//! for people.

pub mod latency;
pub mod model;

pub use latency::Latency;
pub use model::{Generator, Level, Machine, Profile, RunReport, Second, Setting, Status, Unit};
