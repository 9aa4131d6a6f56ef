//! The composition root: settings, telemetry, signals, health, and the HTTP calls in front of the services.
//!
//! This is the only place that knows which back end answers which port, and it holds no rule about
//! chat. It is a library as well as a program so that tests can read its tables.

pub mod api;
pub mod check;
pub mod config;
pub mod deadlines;
pub mod page;
pub mod replay;
pub mod serve;
pub mod telemetry;
pub mod token;
pub mod trusted_proxies;

mod admin;
mod backends;
mod connections;
mod descriptors;
mod fleet;
mod listen;
mod readiness;
mod signals;
