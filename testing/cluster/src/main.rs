//! `cluster`: a whole fleet in the background of this machine, as `make fleet` starts, shows and ends it.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail, ensure};
use roomcast_test_cluster::cluster::{Cluster, ClusterSpec, Manifest};
use roomcast_test_cluster::{Sync, install};

mod status_table;

const USAGE: &str = "\
cluster: Roomcast as a fleet on this machine.

  cluster servers                         install the servers that are missing
  cluster start --program FILE [OPTIONS]  start a fleet, or say that it runs
  cluster status [--directory DIR]        what runs where
  cluster stop [--directory DIR]          end it; its data stays
  cluster clean [--directory DIR]         end it and remove its data
  cluster exec --program FILE -- COMMAND run COMMAND against a fleet of its own on free ports, which ends
                                        with it; ROOMCAST_TEST_URL, ROOMCAST_TEST_ADMIN_URL and
                                        ROOMCAST_TEST_HS256 tell it where and by which secret

Options of start:
  --program FILE    the program `roomcast`
  --directory DIR   where everything is kept [./roomcast-fleet]
  --nodes N         nodes of the store, 1 or 3 [1]
  --store-sync HOW  when the store's commit log is written: batch, before it answers, or periodic, as clusters do by
                    default: a killed node then forgets its last seconds, which the log gives back [batch]
  --gateways N      [2]
  --ingest N        [2]
  --edges N         HAProxy processes that share the edge's port [2]
  --port PORT       where clients come in, on 127.0.0.1 [8080]
  -- OPTIONS        more options for every process of roomcast; of `exec`, the command
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("what shall it do?\n\n{USAGE}");
    };
    let options = Options::read(rest)?;
    let directory = &options.spec.directory.clone().unwrap_or_default();
    match command.as_str() {
        "servers" => Ok(install::install(&mut |line| say(line))?),
        "start" => start(&options.spec),
        "exec" => exec(options.spec),
        "status" => say_what_runs(&Manifest::read(directory)?),
        "stop" => {
            let ended = stop(directory)?;
            say(&format!("{ended}; the data is in {}", directory.display()));
            Ok(())
        }
        "clean" => {
            let ended = stop(directory)?;
            say(&format!("{ended}; the data is removed"));
            fs::remove_dir_all(directory)
                .or_else(|error| match error.kind() {
                    io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })
                .with_context(|| format!("remove {}", directory.display()))
        }
        "help" | "--help" => {
            say(USAGE);
            Ok(())
        }
        other => bail!("`{other}` is nothing it can do\n\n{USAGE}"),
    }
}

struct Options {
    spec: ClusterSpec,
}

impl Options {
    fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let mut spec = ClusterSpec::new(PathBuf::new());
        spec.directory = Some(PathBuf::from("roomcast-fleet"));
        spec.edges = 2;
        spec.edge_port = Some(8080);
        let mut arguments = arguments.iter();
        while let Some(name) = arguments.next() {
            if name == "--" {
                spec.arguments = arguments.cloned().collect();
                break;
            }
            let value = arguments
                .next()
                .with_context(|| format!("{name} has no value"))?;
            let number = || value.parse().with_context(|| format!("{name} {value}"));
            match name.as_str() {
                "--program" => spec.program = PathBuf::from(value),
                "--directory" => spec.directory = Some(PathBuf::from(value)),
                "--nodes" => spec.store_nodes = number()?,
                "--store-sync" => spec.sync = sync(value)?,
                "--gateways" => spec.gateways = number()?,
                "--ingest" => spec.ingest = number()?,
                "--edges" => spec.edges = number()?,
                "--port" => spec.edge_port = Some(value.parse().context("--port")?),
                _ => bail!("{name} is no option\n\n{USAGE}"),
            }
        }
        ensure!(matches!(spec.store_nodes, 1 | 3), "--nodes is 1 or 3");
        let several = [spec.gateways, spec.ingest, spec.edges];
        ensure!(!several.contains(&0), "a fleet has one of each at least");
        Ok(Self { spec })
    }
}

fn sync(name: &str) -> anyhow::Result<Sync> {
    match name {
        "batch" => Ok(Sync::Batch),
        "periodic" => Ok(Sync::Periodic),
        _ => bail!("--store-sync is batch or periodic"),
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
fn exec(mut spec: ClusterSpec) -> anyhow::Result<()> {
    ensure!(spec.program.is_file(), "--program names no file");
    let command = std::mem::take(&mut spec.arguments);
    let (program, arguments) = command.split_first().context("-- COMMAND is missing")?;
    let secret = std::env::temp_dir().join(format!("fleet-secret-{}", std::process::id()));
    let name = secret.to_str().context("the temporary directory's name")?;
    fs::write(&secret, format!("known to this run only: {name}")).context("write a secret")?;
    spec.arguments = ["--token-key".to_owned(), format!("hs256:{name}")].into();
    (spec.directory, spec.edge_port) = (None, None);
    let fleet = Cluster::start(&spec)?;
    let gateway = fleet.role("gateway").next().context("no gateway")?;
    let status = Command::new(program)
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
