//! Command-line arguments, and the settings of a run that follow from them.

mod parsers;
mod validate;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::settings::{ArrivalProcess, Credentials, Distribution, Endpoint, Profile, Settings};

/// Connections one worker holds by default; the descriptors of one process are limited.
const CONNECTIONS_PER_WORKER: usize = 18_000;

/// What the command line requests.
#[derive(Debug)]
pub enum Request {
    /// Print this help text.
    Help(String),
    /// A run.
    Run(Box<Settings>),
    /// A comparison of two reports, earlier first.
    Compare(PathBuf, PathBuf),
    /// A worker process; the coordinator sends commands on standard input.
    Worker,
}

/// Loads a Roomcast fleet and checks every guarantee of its wire contract.
#[derive(Debug, Parser)]
#[command(
    name = "loadtest",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = EXIT_STATUS
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compares the JSON reports of two runs
    Compare {
        /// The earlier report
        before: PathBuf,
        /// The later report
        after: PathBuf,
    },
    #[command(hide = true)]
    Worker,
}

const EXIT_STATUS: &str = "\
Exit status: 0 every service level was met and every guarantee kept, 1 a service level was missed, 2 a guarantee
was violated, 3 the run could not be made as requested, or the load generator itself was too slow.
Of compare: 0 the second run is no worse, 1 it is, 3 the runs cannot be compared.";

#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
struct RunArgs {
    /// Address of the fleet, ws://host:port; repeat it to spread connections over several
    #[arg(long, value_name = "URL", value_parser = parsers::endpoint, required = true)]
    url: Vec<Endpoint>,
    /// Sign tokens with the fleet's secret, hs256:FILE, and create rooms through the server API
    #[arg(long, value_name = "hs256:FILE", value_parser = parsers::token_key, conflicts_with = "accounts")]
    token_key: Option<PathBuf>,
    /// Register accounts, and create rooms as these users
    #[arg(long, required_unless_present = "token_key")]
    accounts: bool,

    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
struct LoadArgs {
    /// Load profile [default: steady]
    #[arg(long)]
    profile: Option<Profile>,
    /// WebSocket connections, one user each [default: 1000; broadcast: 10000]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Rooms of the run [default: a tenth of the connections; broadcast: 1]
    #[arg(long, value_name = "N")]
    rooms: Option<usize>,
    /// Rooms per connection [default: 1]
    #[arg(long, value_name = "N")]
    rooms_per_connection: Option<usize>,
    /// Connections that send [default: all; broadcast: 1]
    #[arg(long, value_name = "N")]
    senders: Option<usize>,
    /// Messages per second of all senders [default: 100; broadcast: 1]
    #[arg(long, value_name = "N/s", value_parser = parsers::rate)]
    rate: Option<f64>,
    /// Duration of the load, as 60s or 5m [default: 60s; soak: 1h]
    #[arg(long, value_name = "TIME", value_parser = parsers::duration)]
    duration: Option<Duration>,
    /// New connections per second at the start [default: 1000]
    #[arg(long, value_name = "N/s", value_parser = parsers::rate)]
    ramp: Option<f64>,
    /// Arrival process of messages, poisson or constant [default: poisson; broadcast: constant]
    #[arg(long, value_name = "PROCESS", value_parser = parsers::arrivals)]
    arrivals: Option<ArrivalProcess>,
    /// Distribution of messages over rooms, uniform or zipf[:S] [default: uniform]
    #[arg(long, value_name = "DISTRIBUTION", value_parser = parsers::distribution)]
    popularity: Option<Distribution>,
    /// Distribution of members over rooms, uniform or zipf[:S] [default: uniform]
    #[arg(long, value_name = "DISTRIBUTION", value_parser = parsers::distribution)]
    room_sizes: Option<Distribution>,
    /// Range of content lengths in bytes [default: 32..256]
    #[arg(long, value_name = "N..M", value_parser = parsers::content_bytes)]
    content_bytes: Option<(usize, usize)>,
    /// Seed; the same seed makes the same load [default: from the clock]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Worker processes [default: one per 18000 connections]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Shell command that restarts the gateways, for the profile reload
    #[arg(long, value_name = "COMMAND")]
    reload_command: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Service levels and output")]
struct OutputArgs {
    /// Limit of the 99th percentile from due to delivered, in milliseconds [default: 150]
    #[arg(long, value_name = "N")]
    slo_ms: Option<u64>,
    /// Limit of the recovery time after a disconnection [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = parsers::duration, visible_alias = "whole-within")]
    recovery_slo: Option<Duration>,
    /// Messages per second the fleet accepts of one user [default: 20]
    #[arg(long, value_name = "N")]
    sends_per_second: Option<u32>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as an HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Leave rooms and accounts in place
    #[arg(long)]
    keep: bool,
}

/// Parses the arguments, without the program's name. The parser stops at its first error; values that
/// contradict each other are all reported at once.
pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Request, Vec<String>> {
    let program = OsString::from("loadtest");
    let arguments = std::iter::once(program).chain(arguments.map(OsString::from));
    let parsed = match CommandLine::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            return Ok(Request::Help(error.to_string()));
        }
        Err(error) => return Err(vec![first_paragraph(&error.to_string())]),
    };
    match parsed.command {
        Some(Command::Compare { before, after }) => Ok(Request::Compare(before, after)),
        Some(Command::Worker) => Ok(Request::Worker),
        None => {
            let settings = parsed.run.settings();
            let per_user = parsed.run.output.sends_per_second;
            let errors = validate::errors(&settings, per_user);
            if errors.is_empty() {
                Ok(Request::Run(Box::new(settings)))
            } else {
                Err(errors)
            }
        }
    }
}

/// The message of a parser error, without usage and hints.
fn first_paragraph(error: &str) -> String {
    let message = error.split("\n\n").next().unwrap_or(error);
    let message = message.strip_prefix("error: ").unwrap_or(message);
    message.trim_end().to_owned()
}

impl RunArgs {
    /// The settings of these arguments and the defaults of the profile.
    fn settings(&self) -> Settings {
        let (load, output) = (&self.load, &self.output);
        let profile = load.profile.unwrap_or(Profile::Steady);
        let broadcast = profile == Profile::Broadcast;
        let default_connections = if broadcast { 10_000 } else { 1_000 };
        let connections = load.connections.unwrap_or(default_connections);
        let rooms = if broadcast {
            1
        } else {
            connections.div_ceil(10)
        };
        let (senders, rate) = match profile {
            Profile::Idle => (0, 0.0),
            Profile::Broadcast => (1, 1.0),
            _ => (connections, 100.0),
        };
        let arrivals = if broadcast {
            ArrivalProcess::Constant
        } else {
            ArrivalProcess::Poisson
        };
        let minutes = if profile == Profile::Soak { 60 } else { 1 };
        let workers = connections.div_ceil(CONNECTIONS_PER_WORKER).max(1);
        Settings {
            endpoints: self.url.clone(),
            profile,
            connections,
            rooms: load.rooms.unwrap_or(rooms),
            rooms_per_connection: load.rooms_per_connection.unwrap_or(1),
            senders: load.senders.unwrap_or(senders),
            rate: load.rate.unwrap_or(rate),
            arrivals: load.arrivals.unwrap_or(arrivals),
            popularity: load.popularity.unwrap_or(Distribution::Uniform),
            room_sizes: load.room_sizes.unwrap_or(Distribution::Uniform),
            content_bytes: load.content_bytes.unwrap_or((32, 256)),
            duration: load.duration.unwrap_or(Duration::from_secs(60 * minutes)),
            ramp: load.ramp.unwrap_or(1_000.0),
            slo: Duration::from_millis(output.slo_ms.unwrap_or(150)),
            recovery_slo: output.recovery_slo.unwrap_or(Duration::from_secs(5)),
            seed: load.seed.unwrap_or_else(seed_of_now),
            workers: load.workers.unwrap_or(workers),
            keep: output.keep,
            credentials: self
                .token_key
                .clone()
                .map_or(Credentials::Accounts, Credentials::Key),
            json: output.json.clone(),
            html: output.html.clone(),
            reload_command: load.reload_command.clone(),
        }
    }
}

fn seed_of_now() -> u64 {
    roomcast_protocol::Timestamp::now().as_millis() % 1_000_000_007
}

#[cfg(test)]
mod tests;
