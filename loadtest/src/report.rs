//! What a run came to: one model, written as a table for a terminal, as JSON for programs and as a page
//! for people.

mod chart;
mod figures;
pub mod latency;
mod markup;
pub mod model;
mod page;
mod promises;

pub use latency::Latency;
pub use model::{Generator, Level, Machine, Profile, RunReport, Second, Setting, Status, Unit};
pub use page::html;
