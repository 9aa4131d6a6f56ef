//! `cluster`: a whole fleet in the background of this machine, as `make fleet` starts, shows and ends it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Parser as _;
use roomcast_test_cluster::cluster::{Cluster, ClusterSpec, Manifest};
use roomcast_test_cluster::install;

use arguments::{Command, CommandLine, DirectoryArgs};

mod arguments;
mod status_table;

fn main() -> ExitCode {
    match run(CommandLine::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Servers => Ok(install::install(&mut |line| say(line))?),
        Command::Start(arguments) => start(&arguments.into_spec()),
        Command::Exec(arguments) => {
            let (spec, command) = arguments.into_parts();
            exec(spec, &command)
        }
        Command::Status(DirectoryArgs { directory }) => say_what_runs(&Manifest::read(&directory)?),
        Command::Stop(DirectoryArgs { directory }) => {
            let ended = stop(&directory)?;
            say(&format!("{ended}; the data is in {}", directory.display()));
            Ok(())
        }
        Command::Clean(DirectoryArgs { directory }) => {
            let ended = stop(&directory)?;
            say(&format!("{ended}; the data is removed"));
            fs::remove_dir_all(&directory)
                .or_else(|error| match error.kind() {
                    io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })
                .with_context(|| format!("remove {}", directory.display()))
        }
    }
}

fn start(spec: &ClusterSpec) -> anyhow::Result<()> {
    ensure!(spec.program.is_file(), "--program names no file");
    let directory = spec.directory.clone().unwrap_or_default();
    let record = Manifest::read(&directory)?;
    if record.is_whole() {
        say("it runs already:");
        return say_what_runs(&record);
    }
    if record.is_partial() {
        say("a part of it runs: ending that first");
        record.stop()?;
    }
    say("starting: three nats-servers, the store, Redis, then every role as a process of its own");
    let fleet = Cluster::start(spec)?;
    let record = fleet.leave_running()?;
    say_what_runs(&record)?;
    say(&status_table::how_to_use(&record, &spec.program));
    Ok(())
}

/// Runs a command against a fleet of its own; fails as the command fails.
fn exec(mut spec: ClusterSpec, command: &[String]) -> anyhow::Result<()> {
    ensure!(spec.program.is_file(), "--program names no file");
    let (program, arguments) = command.split_first().context("-- COMMAND is missing")?;
    let secret = std::env::temp_dir().join(format!("fleet-secret-{}", std::process::id()));
    let name = secret.to_str().context("the temporary directory's name")?;
    fs::write(&secret, format!("known to this run only: {name}")).context("write a secret")?;
    spec.arguments = ["--token-key".to_owned(), format!("hs256:{name}")].into();
    let fleet = Cluster::start(&spec)?;
    let gateway = fleet.role("gateway").next().context("no gateway")?;
    let status = std::process::Command::new(program)
        .args(arguments)
        .env("ROOMCAST_TEST_URL", fleet.url())
        .env(
            "ROOMCAST_TEST_ADMIN_URL",
            format!("http://{}", gateway.admin()),
        )
        .env("ROOMCAST_TEST_HS256", &secret)
        .status()
        .with_context(|| format!("run {program}"));
    drop(fleet);
    fs::remove_file(&secret).context("remove the secret")?;
    let status = status?;
    ensure!(status.success(), "{program} failed: {status}");
    Ok(())
}

/// Stops all processes; prints how many there were.
fn stop(directory: &Path) -> anyhow::Result<String> {
    let record = Manifest::read(directory)?;
    let alive = record.running.iter().filter(|one| one.is_alive()).count();
    record.stop()?;
    Ok(format!("{alive} processes ended"))
}

fn say_what_runs(record: &Manifest) -> anyhow::Result<()> {
    ensure!(
        !record.running.is_empty(),
        "nothing runs here: `make fleet` starts a fleet"
    );
    say(&status_table::of(record));
    ensure!(
        record.is_whole(),
        "a part of it is dead: `make fleet` starts it again"
    );
    Ok(())
}

/// A line on standard output; a closed one is ignored.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{}", line.trim_end());
}
