//! Parsers of single argument values.

use std::net::ToSocketAddrs as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use roomcast_protocol::limits::CONTENT_BYTES_MAX;

use crate::settings::{ArrivalProcess, Distribution, Endpoint, Profile};

impl ValueEnum for Profile {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()).help(self.description()))
    }
}

/// An address `ws://host:port`, resolved.
pub(super) fn endpoint(url: &str) -> Result<Endpoint, String> {
    if url.starts_with("wss://") {
        return Err("TLS is not supported; use the plain port behind the edge".to_owned());
    }
    let authority = url
        .strip_prefix("ws://")
        .map(|rest| rest.trim_end_matches('/'));
    let authority = authority.filter(|rest| rest.contains(':') && !rest.contains('/'));
    let Some(authority) = authority else {
        return Err("expected ws://host:port".to_owned());
    };
    match authority.to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(address)) => Ok(Endpoint {
            authority: authority.to_owned(),
            address,
        }),
        Ok(None) => Err("the host has no address".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A number of events per second, with or without `/s`.
pub(super) fn rate(value: &str) -> Result<f64, &'static str> {
    let number = value.strip_suffix("/s").unwrap_or(value).parse::<f64>();
    let usable = number.ok().filter(|rate| rate.is_finite() && *rate >= 0.0);
    usable.ok_or("expected a rate such as 1000/s")
}

/// A duration such as `60s`, `5m` or `1h`.
pub(super) fn duration(value: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(value).map_err(|_| "expected a duration such as 60s or 5m")
}

/// The name of an arrival process.
pub(super) fn arrivals(value: &str) -> Result<ArrivalProcess, &'static str> {
    match value {
        "poisson" => Ok(ArrivalProcess::Poisson),
        "constant" => Ok(ArrivalProcess::Constant),
        _ => Err("expected poisson or constant"),
    }
}

/// A distribution: `uniform`, `zipf`, or `zipf:S` with an exponent of 0 to 4.
pub(super) fn distribution(value: &str) -> Result<Distribution, &'static str> {
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
        .ok_or("expected uniform, zipf or zipf:1.2")
}

/// A range of lengths in bytes, `32..256`, or one length.
pub(super) fn content_bytes(value: &str) -> Result<(usize, usize), &'static str> {
    let (shortest, longest) = value.split_once("..").unwrap_or((value, value));
    match (shortest.parse(), longest.parse()) {
        (Ok(shortest), Ok(longest))
            if (1..=longest).contains(&shortest) && longest <= CONTENT_BYTES_MAX =>
        {
            Ok((shortest, longest))
        }
        _ => Err("expected a range within 1..16384 such as 32..256"),
    }
}

/// The secret's file of `hs256:FILE`, which must be readable and not empty.
pub(super) fn token_key(value: &str) -> Result<PathBuf, &'static str> {
    let path = value.strip_prefix("hs256:").map(PathBuf::from);
    let path = path.ok_or("expected hs256:FILE")?;
    match std::fs::read(&path) {
        Ok(secret) if !secret.trim_ascii().is_empty() => Ok(path),
        Ok(_) => Err("the file is empty"),
        Err(_) => Err("the file cannot be read"),
    }
}
