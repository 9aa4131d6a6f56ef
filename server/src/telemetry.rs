//! What operators see of the process from outside: log lines and metrics.

pub mod logs;
pub mod metrics;
pub mod stderr;
