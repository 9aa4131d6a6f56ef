//! The report of a run: one model, written as JSON and as an HTML page.

mod chart;
mod format;
mod guarantees;
mod html;
pub mod latency;
pub mod model;
mod page;

pub use latency::Latency;
pub use model::{Generator, Machine, Profile, RunReport, Second, Setting, Status, Threshold, Unit};
pub use page::html;
