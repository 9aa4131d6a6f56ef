//! Settings as options, and the machine of the run.

use crate::report::{Machine, Setting};
use crate::settings::{ArrivalProcess, Credentials, Distribution, Settings};

/// The settings as options.
pub(super) fn settings(settings: &Settings) -> Vec<Setting> {
    let urls: Vec<String> = settings
        .endpoints
        .iter()
        .map(|endpoint| format!("ws://{}", endpoint.authority))
        .collect();
    let (shortest, longest) = settings.content_bytes;
    let mut list = vec![
        ("url", urls.join(" ")),
        ("profile", settings.profile.as_str().to_owned()),
        ("connections", settings.connections.to_string()),
        ("rooms", settings.rooms.to_string()),
        (
            "rooms-per-connection",
            settings.rooms_per_connection.to_string(),
        ),
        ("senders", settings.senders.to_string()),
        ("rate", format!("{}/s", settings.rate)),
        ("arrivals", arrivals(settings.arrivals).to_owned()),
        ("popularity", spread(settings.popularity)),
        ("room-sizes", spread(settings.room_sizes)),
        ("content-bytes", format!("{shortest}..{longest}")),
        (
            "duration",
            humantime::format_duration(settings.duration).to_string(),
        ),
        ("ramp", format!("{}/s", settings.ramp)),
        ("slo-ms", settings.slo.as_millis().to_string()),
        (
            "whole-within",
            humantime::format_duration(settings.recovery_slo).to_string(),
        ),
        ("seed", settings.seed.to_string()),
        ("workers", settings.workers.to_string()),
        (
            "users",
            match settings.credentials {
                Credentials::Key(_) => "tokens signed here",
                Credentials::Accounts => "accounts",
            }
            .to_owned(),
        ),
    ];
    list.extend(
        settings
            .reload_command
            .clone()
            .map(|command| ("reload-command", command)),
    );
    let setting = |(name, value): (&str, String)| Setting {
        name: name.to_owned(),
        value,
    };
    list.into_iter().map(setting).collect()
}

fn arrivals(arrivals: ArrivalProcess) -> &'static str {
    match arrivals {
        ArrivalProcess::Poisson => "poisson",
        ArrivalProcess::Constant => "constant",
    }
}

fn spread(spread: Distribution) -> String {
    match spread {
        Distribution::Uniform => "uniform".to_owned(),
        Distribution::Zipf(power) => format!("zipf:{power}"),
    }
}

/// The machine of the run, as far as the system reports it.
pub(super) fn machine() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, name: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        line.split_once(':')
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let release = read("/proc/sys/kernel/osrelease");
    let kilobytes = after(&read("/proc/meminfo"), "MemTotal");
    let kilobytes = kilobytes
        .split_whitespace()
        .next()
        .and_then(|number| number.parse::<u64>().ok());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    Machine {
        system: format!("{} {}", std::env::consts::OS, release.trim())
            .trim()
            .to_owned(),
        processor: after(&read("/proc/cpuinfo"), "model name"),
        cores: u32::try_from(cores).unwrap_or(u32::MAX),
        memory_bytes: kilobytes.unwrap_or_default() * 1_024,
        descriptors_max: descriptors.unwrap_or(u64::MAX),
    }
}
