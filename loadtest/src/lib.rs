//! Load-tests a fleet and checks its guarantees, with a counterexample for each violation.

pub mod api;
pub mod arguments;
pub mod clock;
pub mod codec;
pub mod compare;
pub mod coordinator;
pub mod frame;
pub mod ipc;
pub mod memory;
pub mod message_tag;
pub mod plan;
pub mod progress;
pub mod progress_view;
pub mod report;
pub mod rng;
pub mod schedule;
pub mod settings;
pub mod setup;
pub mod stats;
pub mod summary;
mod summary_table;
pub mod users;
pub mod worker;
pub mod worker_pool;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use arguments::Request;
use progress_view::View;
use report::{RunReport, Status};
use settings::Settings;

/// Runs the program with these arguments (its own name left out) and gives its exit status.
pub fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let status = match arguments::parse(arguments) {
        Ok(Request::Help(text)) => {
            print(&text);
            Status::Met
        }
        Ok(Request::Worker) => status_of(worker::run()),
        Ok(Request::Compare(before, after)) => run_compare(&before, &after),
        Ok(Request::Run(settings)) => run_load(*settings),
        Err(errors) => {
            for error in errors {
                print_error(&error);
            }
            print_error("loadtest --help lists all options");
            Status::NoVerdict
        }
    };
    ExitCode::from(status.code())
}

/// Runs the load; writes and prints the report.
fn run_load(settings: Settings) -> Status {
    let title = format!(
        "{} with {} connections",
        settings.profile.as_str(),
        settings.connections
    );
    let mut view = View::new(title);
    let report = match run_and_report(settings.clone(), &mut view) {
        Ok(report) => report,
        Err(error) => summary::no_run(&settings, vec![format!("{error:#}")]),
    };
    let written = write(&settings, &report);
    print(&summary_table::table(&report));
    if let Err(error) = written {
        print_error(&format!("{error:#}"));
        return Status::NoVerdict;
    }
    report.status
}

/// Compares two runs by their JSON: [`Status::Met`] when the later is no worse.
fn run_compare(before: &Path, after: &Path) -> Status {
    let read = |path: &Path| -> anyhow::Result<RunReport> {
        let json = std::fs::read_to_string(path);
        let report = json
            .map_err(Into::into)
            .and_then(|json| RunReport::from_json(&json));
        report.with_context(|| format!("read {}", path.display()))
    };
    let comparison = read(before).and_then(|before| compare::compare(&before, &read(after)?));
    match comparison {
        Ok(comparison) => {
            print(&comparison.to_string());
            if comparison.is_regression() {
                Status::Missed
            } else {
                Status::Met
            }
        }
        Err(error) => status_of(Err(error)),
    }
}

fn run_and_report(settings: Settings, view: &mut View) -> anyhow::Result<RunReport> {
    let program = std::env::current_exe().context("find this program")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let run = runtime.block_on(coordinator::run(settings, &program, view))?;
    summary::report(&run)
}

fn write(settings: &Settings, report: &RunReport) -> anyhow::Result<()> {
    let to = |path: &Option<PathBuf>, text: &dyn Fn() -> String| match path {
        Some(path) => {
            std::fs::write(path, text()).with_context(|| format!("write {}", path.display()))
        }
        None => Ok(()),
    };
    to(&settings.json, &|| report.to_json())?;
    to(&settings.html, &|| report::html(report))
}

fn status_of(result: anyhow::Result<()>) -> Status {
    match result {
        Ok(()) => Status::Met,
        Err(error) => {
            print_error(&format!("{error:#}"));
            Status::NoVerdict
        }
    }
}

/// Ignores write errors of a closed pipe.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn print_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "loadtest: {text}");
}
