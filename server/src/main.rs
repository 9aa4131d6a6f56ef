//! The program `roomcast`.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use roomcast::config::{self, Command, ConfigError, Settings};
use roomcast::telemetry::stderr::Stderr;
use roomcast::{check, redrive, serve, telemetry, token};

/// How long threads may finish what they are writing once everything else has ended.
const THREADS_TIMEOUT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "this is where it is read, once")]
    let environment = std::env::vars_os();
    let reading = config::read(std::env::args_os().skip(1), environment);
    match reading.command {
        Err(faults) => {
            print_warnings(&reading.oddities);
            faults.iter().for_each(say);
            ExitCode::from(config::STATUS_WRONG)
        }
        Ok(Command::Help) => print(&config::help()),
        Ok(Command::Version) => print(&config::version()),
        Ok(Command::Token(options)) => status(token::print(options)),
        Ok(Command::Check(settings)) => {
            print_warnings(&reading.oddities);
            check_exit_code(&settings)
        }
        Ok(Command::Replay(settings)) => {
            print_warnings(&reading.oddities);
            status(on_this_thread(redrive::redrive(&settings)).and_then(|replayed| replayed))
        }
        Ok(Command::Serve(settings)) => status(run(settings, &reading.oddities)),
    }
}

fn run(settings: Settings, oddities: &[ConfigError]) -> anyhow::Result<()> {
    telemetry::logs::start(settings.log_format, &settings.log_filter)?;
    for odd in oddities {
        tracing::warn!("{odd}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let served = runtime.block_on(serve::serve(settings));
    runtime.shutdown_timeout(THREADS_TIMEOUT);
    served
}

/// Runs all checks; the exit status is the result.
fn check_exit_code(settings: &Settings) -> ExitCode {
    match on_this_thread(check::report(settings)) {
        Ok(fine) => ExitCode::from(u8::from(!fine)),
        Err(error) => status(Err(error)),
    }
}

/// Does something short.
fn on_this_thread<T>(what: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    Ok(runtime.block_on(what))
}

fn status(ended: anyhow::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn print_warnings(oddities: &[ConfigError]) {
    for odd in oddities {
        say(format!("warning: {odd}"));
    }
}

/// A line on standard error; the exit status does not depend on it.
fn say(line: impl Display) {
    let _ = Stderr.write_all(format!("roomcast: {line}\n").as_bytes());
}
