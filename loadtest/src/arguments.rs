//! The command line: read whole, judged whole, so that one run is enough to learn all that is wrong with it.

mod help;

use std::net::ToSocketAddrs as _;
use std::path::PathBuf;
use std::time::Duration;

use roomcast_protocol::limits::{
    CONTENT_BYTES_MAX, NEW_MEMBERS_BY_HOST_MAX, NEW_MEMBERS_MAX, ROOMS_PER_CONNECTION_MAX,
    SENDS_PER_SECOND,
};

use crate::plan::Plan;
use crate::settings::{
    ArrivalProcess, Credentials, Distribution, Endpoint, Profile, SPIKE_TIMES, Settings,
};

pub use help::help;

/// Connections one worker holds by default; the descriptors of one process are limited.
const CONNECTIONS_PER_WORKER: usize = 18_000;
/// Descriptors a worker needs beside its connections.
const SPARE_DESCRIPTORS: u64 = 100;
/// The share of the fleet's limit of sends a second that the busiest sender may come to on average.
const SENDS_SHARE_MAX: f64 = 0.8;

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// Print the help.
    Help,
    /// A run.
    Run(Box<Settings>),
    /// Two runs side by side.
    Compare(PathBuf, PathBuf),
    /// To be a worker of the run whose coordinator speaks through standard input.
    Worker,
}

/// Reads the command line; every fault is a sentence.
pub fn read(arguments: impl Iterator<Item = String>) -> Result<Asked, Vec<String>> {
    let mut arguments = arguments.peekable();
    match arguments.peek().map(String::as_str) {
        Some("compare") => {
            let files: Vec<PathBuf> = arguments.skip(1).map(PathBuf::from).collect();
            let [before, after] = <[PathBuf; 2]>::try_from(files).map_err(|_| {
                vec!["compare takes two files: loadtest compare a.json b.json".to_owned()]
            })?;
            Ok(Asked::Compare(before, after))
        }
        Some("worker") => Ok(Asked::Worker),
        _ => run(arguments),
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<Asked, Vec<String>> {
    let mut given = Given::default();
    while let Some(name) = arguments.next() {
        if name == "--help" || name == "-h" {
            return Ok(Asked::Help);
        }
        match name.strip_prefix("--").map(|name| name.split_once('=')) {
            Some(Some((name, value))) => given.take(name, value),
            Some(None) if name == "--accounts" => given.accounts = true,
            Some(None) if name == "--keep" => given.keep = true,
            Some(None) => match arguments.next() {
                Some(value) => given.take(&name[2..], &value),
                None => given.faults.push(format!("{name} needs a value")),
            },
            None => given.faults.push(format!("{name} is not an option")),
        }
    }
    let settings = given.settings();
    if given.faults.is_empty() {
        Ok(Asked::Run(Box::new(settings)))
    } else {
        Err(given.faults)
    }
}

/// What was given, before the defaults of the profile.
#[derive(Default)]
struct Given {
    faults: Vec<String>,
    doors: Vec<Endpoint>,
    profile: Option<Profile>,
    connections: Option<usize>,
    rooms: Option<usize>,
    rooms_per_connection: Option<usize>,
    senders: Option<usize>,
    rate: Option<f64>,
    arrivals: Option<ArrivalProcess>,
    popularity: Option<Distribution>,
    room_sizes: Option<Distribution>,
    content_bytes: Option<(usize, usize)>,
    duration: Option<Duration>,
    ramp: Option<f64>,
    slo_ms: Option<u64>,
    whole_within: Option<Duration>,
    seed: Option<u64>,
    workers: Option<usize>,
    sends_per_second: Option<u32>,
    keep: bool,
    accounts: bool,
    key: Option<PathBuf>,
    json: Option<PathBuf>,
    html: Option<PathBuf>,
    reload_command: Option<String>,
}

impl Given {
    // tidy: long: one arm per option
    fn take(&mut self, name: &str, value: &str) {
        let number = || value.parse().map_err(|_| "is not a number");
        let whole = || value.parse().map_err(|_| "is not a whole number");
        let time =
            || humantime::parse_duration(value).map_err(|_| "is not a time, as 60s or 5m is");
        let taken = match name {
            "url" => match endpoint(value) {
                Ok(door) => {
                    self.doors.push(door);
                    Ok(())
                }
                Err(fault) => return self.faults.push(fault),
            },
            "profile" => Profile::from_word(value)
                .ok_or("is no profile; --help names them")
                .map(|profile| self.profile = Some(profile)),
            "connections" => whole().map(|it| self.connections = Some(it)),
            "rooms" => whole().map(|it| self.rooms = Some(it)),
            "rooms-per-connection" => whole().map(|it| self.rooms_per_connection = Some(it)),
            "senders" => whole().map(|it| self.senders = Some(it)),
            "rate" => rate(value).map(|it| self.rate = Some(it)),
            "arrivals" => arrivals(value).map(|it| self.arrivals = Some(it)),
            "popularity" => spread(value).map(|it| self.popularity = Some(it)),
            "room-sizes" => spread(value).map(|it| self.room_sizes = Some(it)),
            "content-bytes" => content_bytes(value).map(|it| self.content_bytes = Some(it)),
            "duration" => time().map(|it| self.duration = Some(it)),
            "ramp" => rate(value).map(|it| self.ramp = Some(it)),
            "slo-ms" => number().map(|it| self.slo_ms = Some(it)),
            "whole-within" => time().map(|it| self.whole_within = Some(it)),
            "seed" => number().map(|it| self.seed = Some(it)),
            "workers" => whole().map(|it| self.workers = Some(it)),
            "sends-per-second" => value
                .parse()
                .map_err(|_| "is not a whole number")
                .map(|it| self.sends_per_second = Some(it)),
            "token-key" => key(value).map(|it| self.key = Some(it)),
            "json" => {
                self.json = Some(PathBuf::from(value));
                Ok(())
            }
            "html" => {
                self.html = Some(PathBuf::from(value));
                Ok(())
            }
            "reload-command" => {
                self.reload_command = Some(value.to_owned());
                Ok(())
            }
            _ => Err("is no option; --help names them"),
        };
        if let Err(fault) = taken {
            self.faults.push(match fault {
                "is no option; --help names them" => format!("--{name} {fault}"),
                _ => format!("--{name} {value}: {fault}"),
            });
        }
    }

    fn settings(&mut self) -> Settings {
        let profile = self.profile.unwrap_or(Profile::Steady);
        let broadcast = profile == Profile::Broadcast;
        let idle = profile == Profile::Idle;
        let connections = self
            .connections
            .unwrap_or(if broadcast { 10_000 } else { 1_000 });
        let rooms = if broadcast {
            1
        } else {
            connections.div_ceil(10)
        };
        let talk = |usual, in_broadcast| match profile {
            Profile::Idle => 0,
            Profile::Broadcast => in_broadcast,
            _ => usual,
        };
        let minutes = if profile == Profile::Soak { 60 } else { 1 };
        let settings = Settings {
            doors: std::mem::take(&mut self.doors),
            profile,
            connections,
            rooms: self.rooms.unwrap_or(rooms),
            rooms_per_connection: self.rooms_per_connection.unwrap_or(1),
            senders: self.senders.unwrap_or_else(|| talk(connections, 1)),
            rate: self.rate.unwrap_or(match profile {
                _ if idle => 0.0,
                _ if broadcast => 1.0,
                _ => 100.0,
            }),
            arrivals: self.arrivals.unwrap_or(if broadcast {
                ArrivalProcess::Constant
            } else {
                ArrivalProcess::Poisson
            }),
            popularity: self.popularity.unwrap_or(Distribution::Uniform),
            room_sizes: self.room_sizes.unwrap_or(Distribution::Uniform),
            content_bytes: self.content_bytes.unwrap_or((32, 256)),
            duration: self.duration.unwrap_or(Duration::from_secs(60 * minutes)),
            ramp: self.ramp.unwrap_or(1_000.0),
            slo: Duration::from_millis(self.slo_ms.unwrap_or(150)),
            whole_within: self.whole_within.unwrap_or(Duration::from_secs(5)),
            seed: self.seed.unwrap_or_else(seed_of_now),
            workers: self
                .workers
                .unwrap_or(connections.div_ceil(CONNECTIONS_PER_WORKER).max(1)),
            keep: self.keep,
            credentials: self
                .key
                .clone()
                .map_or(Credentials::Accounts, Credentials::Key),
            json: self.json.clone(),
            html: self.html.clone(),
            reload_command: self.reload_command.clone(),
        };
        self.judge(&settings);
        settings
    }

    fn judge(&mut self, settings: &Settings) {
        let faults = &mut self.faults;
        let mut refuse = |wrong: bool, says: String| {
            if wrong {
                faults.push(says);
            }
        };
        let Settings {
            connections,
            rooms,
            senders,
            workers,
            ..
        } = *settings;
        refuse(
            settings.doors.is_empty(),
            "--url ws://host:port is missing".to_owned(),
        );
        refuse(
            self.accounts == self.key.is_some(),
            "one of --token-key hs256:FILE and --accounts is needed".to_owned(),
        );
        refuse(
            connections == 0 || rooms == 0,
            "there must be connections and rooms".to_owned(),
        );
        refuse(
            rooms > connections,
            format!("{rooms} rooms are more than the {connections} connections"),
        );
        refuse(
            senders > connections,
            format!("{senders} senders are more than the {connections} connections"),
        );
        refuse(
            settings.rooms_per_connection == 0
                || settings.rooms_per_connection > rooms.min(ROOMS_PER_CONNECTION_MAX),
            format!(
                "a connection may be in 1 to {} of these rooms",
                rooms.min(ROOMS_PER_CONNECTION_MAX)
            ),
        );
        refuse(
            settings.profile == Profile::Broadcast && rooms != 1,
            "broadcast is about one room".to_owned(),
        );
        refuse(
            settings.duration.is_zero(),
            "--duration must be longer than nothing".to_owned(),
        );
        refuse(
            settings.ramp <= 0.0,
            "--ramp must be more than nothing".to_owned(),
        );
        refuse(
            settings.rate > 0.0 && senders == 0,
            format!("{} messages a second need senders", settings.rate),
        );
        refuse(
            workers == 0 || workers > 256 || workers > connections,
            "--workers is 1 to 256, and no more than connections".to_owned(),
        );
        if self.faults.is_empty() {
            self.judge_sizes(settings);
        }
    }

    fn judge_sizes(&mut self, settings: &Settings) {
        let plan = Plan::new(settings);
        let largest = plan.members.iter().map(Vec::len).max().unwrap_or_default();
        let (may_have, who) = match settings.credentials {
            Credentials::Key(_) => (NEW_MEMBERS_BY_HOST_MAX, "the server API"),
            Credentials::Accounts => (NEW_MEMBERS_MAX, "a user"),
        };
        if largest > may_have {
            self.faults.push(format!(
                "the largest room has {largest} members, and {who} makes rooms of {may_have} at most"
            ));
        }
        let times = if settings.profile == Profile::Spike {
            SPIKE_TIMES
        } else {
            1.0
        };
        let busiest = plan.busiest_sender(settings.rate * times);
        let allowed =
            f64::from(self.sends_per_second.unwrap_or(SENDS_PER_SECOND)) * SENDS_SHARE_MAX;
        if busiest > allowed {
            self.faults.push(format!(
                "the busiest sender would say {busiest:.1} messages a second, and the fleet takes {:.0} of a user with \
                 ease: more --senders or a lower --rate (or --sends-per-second, if the fleet allows more)",
                allowed.floor()
            ));
        }
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let needs = settings.connections.div_ceil(settings.workers) as u64 + SPARE_DESCRIPTORS;
        if descriptors.is_some_and(|maximum| needs > maximum) {
            self.faults.push(format!(
                "a worker would need {needs} file descriptors and may have {}: more --workers",
                descriptors.unwrap_or_default()
            ));
        }
    }
}

fn endpoint(url: &str) -> Result<Endpoint, String> {
    if url.starts_with("wss://") {
        return Err(format!(
            "--url {url}: TLS is not spoken here; point it at the plain port behind the edge"
        ));
    }
    let authority = url
        .strip_prefix("ws://")
        .map(|rest| rest.trim_end_matches('/'));
    let authority = authority.filter(|rest| rest.contains(':') && !rest.contains('/'));
    let Some(authority) = authority else {
        return Err(format!("--url {url} is not ws://host:port"));
    };
    match authority.to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(address)) => Ok(Endpoint {
            authority: authority.to_owned(),
            address,
        }),
        Ok(None) => Err(format!("--url {url}: there is no such host")),
        Err(error) => Err(format!("--url {url}: {error}")),
    }
}

fn rate(value: &str) -> Result<f64, &'static str> {
    let number = value.strip_suffix("/s").unwrap_or(value).parse::<f64>();
    let usable = number.ok().filter(|rate| rate.is_finite() && *rate >= 0.0);
    usable.ok_or("is not a rate, as 1000/s is")
}

fn arrivals(value: &str) -> Result<ArrivalProcess, &'static str> {
    match value {
        "poisson" => Ok(ArrivalProcess::Poisson),
        "constant" => Ok(ArrivalProcess::Constant),
        _ => Err("is neither poisson nor constant"),
    }
}

fn spread(value: &str) -> Result<Distribution, &'static str> {
    let power = match value.split_once(':') {
        None if value == "uniform" => return Ok(Distribution::Uniform),
        None if value == "zipf" => Some(1.0),
        Some(("zipf", power)) => power
            .parse()
            .ok()
            .filter(|power: &f64| (0.0..=4.0).contains(power)),
        _ => None,
    };
    power
        .map(Distribution::Zipf)
        .ok_or("is neither uniform nor zipf or zipf:1.2")
}

fn content_bytes(value: &str) -> Result<(usize, usize), &'static str> {
    let (shortest, longest) = value.split_once("..").unwrap_or((value, value));
    match (shortest.parse(), longest.parse()) {
        (Ok(shortest), Ok(longest))
            if (1..=longest).contains(&shortest) && longest <= CONTENT_BYTES_MAX =>
        {
            Ok((shortest, longest))
        }
        _ => Err("is not a length within 1..16384, as 32..256 is"),
    }
}

fn key(value: &str) -> Result<PathBuf, &'static str> {
    let path = value.strip_prefix("hs256:").map(PathBuf::from);
    let path = path.ok_or("is not hs256:FILE")?;
    match std::fs::read(&path) {
        Ok(secret) if !secret.trim_ascii().is_empty() => Ok(path),
        Ok(_) => Err("is an empty file"),
        Err(_) => Err("cannot be read"),
    }
}

fn seed_of_now() -> u64 {
    roomcast_protocol::Timestamp::now().as_millis() % 1_000_000_007
}

#[cfg(test)]
mod tests;
