//! The whole program through its own front doors: command line, HTTP, signals.

#[allow(dead_code, reason = "each test program uses its part of the support")]
mod support;

mod cli;
mod config_errors;
mod configuration;
mod http_api;
mod http_middleware;
mod openapi;
mod standard_streams;
mod throttled;
