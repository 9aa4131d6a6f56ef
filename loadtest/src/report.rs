//! What a run came to: one model, written as a table for a terminal, as JSON for programs and as a page
//! for people.

mod chart;
mod format;
mod html;
pub mod latency;
pub mod model;
mod page;
mod promises;

pub use latency::Latency;
pub use model::{Generator, Machine, Profile, RunReport, Second, Setting, Status, Threshold, Unit};
pub use page::html;
