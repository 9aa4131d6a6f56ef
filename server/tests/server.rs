//! The whole program through its own front doors: command line, HTTP, signals.

#[allow(dead_code, reason = "each test program uses its part of the support")]
mod support;

mod calls;
mod configuration;
mod edges;
mod openapi;
mod processes;
mod standard_streams;
mod throttled;
mod wrong_values;
