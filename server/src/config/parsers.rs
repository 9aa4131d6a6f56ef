//! Value parsers by kind: each validates one value, and its error describes a valid one.

use std::ops::RangeInclusive;
use std::time::Duration;

use roomcast_gateway::origin::AllowedOrigins;

use super::settings::{Role, TokenKey};
use crate::trusted_proxies::TrustedProxies;

/// The one value; an empty one is none.
pub(super) fn one(values: &[String]) -> Result<&str, String> {
    match values {
        [value] if !value.trim().is_empty() => Ok(value),
        [_] | [] => Err("is empty".to_owned()),
        _ => Err("takes one value".to_owned()),
    }
}

/// `host:port`; the host an address or a name.
pub(super) fn address(values: &[String]) -> Result<String, String> {
    let text = one(values)?;
    let wrong = || format!("{text:?} is not ADDR:PORT, such as 127.0.0.1:8080 or [::1]:8080");
    if text.parse::<std::net::SocketAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if is_host_name(host) && digits && port.parse::<u16>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err(wrong())
    }
}

/// A name that a resolver may know. What looks like an address but is none is no name either.
fn is_host_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253
        && last.bytes().any(|byte| byte.is_ascii_alphabetic())
        && host.split('.').all(|label| {
            let characters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !label.is_empty() && label.len() <= 63 && label.bytes().all(characters)
        })
}

/// A whole number within bounds.
pub(super) fn number<T>(values: &[String], bounds: RangeInclusive<T>) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let text = one(values)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<T>().ok().filter(|_| digits);
    number
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            format!("{text:?} is not a whole number from {least} to {most}")
        })
}

/// A number of bytes within bounds: a whole number, or one of KiB, MiB or GiB.
pub(super) fn bytes(values: &[String], bounds: RangeInclusive<u64>) -> Result<u64, String> {
    const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
    let text = one(values)?.trim();
    let read = UNITS.iter().find_map(|(unit, shift)| {
        let number = text.strip_suffix(unit)?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u64>().ok().filter(|_| digits)?;
        number.checked_mul(1 << shift)
    });
    read.filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            format!("{text:?} is not a number of bytes from {least} to {most}, such as 268435456 or 256MiB")
        })
}

/// A span of time with its unit, within bounds.
pub(super) fn duration(
    values: &[String],
    bounds: RangeInclusive<Duration>,
) -> Result<Duration, String> {
    let text = one(values)?;
    let plain = text.trim().bytes().all(|byte| byte.is_ascii_digit());
    let duration = humantime::parse_duration(text).ok().filter(|_| !plain);
    duration
        .filter(|duration| bounds.contains(duration))
        .ok_or_else(|| {
            let least = humantime::format_duration(*bounds.start());
            let most = humantime::format_duration(*bounds.end());
            format!(
                "{text:?} is not a span from {least} to {most} with its unit, such as 300s or 5m"
            )
        })
}

/// One of a few words.
pub(super) fn parse_enum<T: Copy>(values: &[String], words: &[(&str, T)]) -> Result<T, String> {
    let text = one(values)?;
    words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("{text:?} is not one of {}", words.join(", "))
        })
}

/// Role names; `all` stands for every one.
pub(super) fn roles(values: &[String]) -> Result<Vec<Role>, String> {
    let mut roles = Vec::new();
    for name in values {
        if name == "all" {
            roles.extend(Role::ALL);
            continue;
        }
        let role = Role::ALL.iter().find(|role| role.as_str() == name);
        let names: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
        let wrong = || format!("{name:?} is not a role: all, {}", names.join(", "));
        roles.push(*role.ok_or_else(wrong)?);
    }
    if roles.is_empty() {
        return Err("names no role".to_owned());
    }
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}

/// A region's name, which becomes a part of subjects and keys.
pub(super) fn region(values: &[String]) -> Result<String, String> {
    let text = one(values)?;
    let character = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if text.len() <= 32 && text.bytes().all(character) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not 1 to 32 characters of A-Z a-z 0-9 _ -"
        ))
    }
}

/// Where keys come from, read at start so that a missing file is a fault of the option.
pub(super) fn token_keys(values: &[String]) -> Result<Vec<TokenKey>, String> {
    let mut keys = Vec::new();
    let mut wrong = Vec::new();
    for written in values {
        match TokenKey::parse(written) {
            Ok(key) => keys.push(key),
            Err(says) => wrong.push(says),
        }
    }
    if wrong.is_empty() {
        Ok(keys)
    } else {
        Err(wrong.join("; "))
    }
}

/// Directives of `tracing`: a level, or `target=level`, separated by commas.
pub(super) fn log_filter(values: &[String]) -> Result<String, String> {
    let text = one(values)?;
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{text:?} is no filter: {error}")),
    }
}

/// Proxies by address or network.
pub(super) fn trusted_proxies(values: &[String]) -> Result<TrustedProxies, String> {
    TrustedProxies::parse(values.iter().map(String::as_str))
}

/// Origins of other pages and apps, as browsers write them.
pub(super) fn origins(values: &[String]) -> Result<AllowedOrigins, String> {
    AllowedOrigins::parse(values.iter().map(String::as_str)).map_err(|wrong| {
        let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
        wrong.join("; ")
    })
}
