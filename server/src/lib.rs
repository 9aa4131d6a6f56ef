//! The composition root: settings, telemetry, signals, health, and the HTTP calls in front of the services.
//!
//! This is the only place that knows which back end answers which port, and it holds no rule about
//! chat. It is a library as well as a program so that tests can read its tables.

pub mod api;
pub mod check;
pub mod config;
pub mod deadlines;
pub mod redrive;
pub mod serve;
pub mod telemetry;
pub mod token;
pub mod trusted_proxies;
pub mod web_ui;

mod admin;
mod backends;
mod http_server;
mod listeners;
mod node;
mod readiness;
mod rlimit;
mod signals;
