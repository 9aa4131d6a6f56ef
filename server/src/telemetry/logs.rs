//! Logs, on standard error: standard output carries the ready line only.
//!
//! A line that cannot be written is dropped ([`Stderr`]); logging never ends the process.

use std::io;
use std::panic::PanicHookInfo;

use anyhow::{Context as _, anyhow};
use tracing_subscriber::EnvFilter;

use super::stderr::Stderr;
use crate::config::LogFormat;

/// Starts them, for the life of the process.
pub fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).context("read the log filter")?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // By default the subscriber reports its own errors with `eprintln!`, which panics.
        .log_internal_errors(false)
        .with_writer(|| Stderr);
    let started = match format {
        LogFormat::Text => lines
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow!(error).context("start the log"))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs a panic as one line. Its message stays out: it may quote a user's text.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let at = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let says = panic.payload().downcast_ref::<&'static str>().copied();
    tracing::error!(at, says, "task panicked");
}
