//! Options of the back ends: `embedded` or a URL, and how it is reached.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::parsers::{address, bytes, one};
use super::settings::{LogBackEnd, PresenceBackEnd, StoreBackEnd};

/// Allowed replica counts of the log.
const REPLICAS: [usize; 3] = [1, 3, 5];
/// Bytes that a partition of the log may have: at least some of the largest events, at most what a disk may be.
const PARTITION_BYTES: RangeInclusive<u64> = (128 << 10)..=(16 << 40);

/// `embedded` or `nats://host:port,host:port`.
pub(super) fn log(values: &[String]) -> Result<LogBackEnd, String> {
    Ok(match url(values, &["nats"])? {
        None => LogBackEnd::Embedded,
        Some(Url { rest, .. }) => LogBackEnd::Nats(hosts(values, rest, &["nats"])?),
    })
}

/// `embedded` or `cql://host:port,host:port/keyspace`.
pub(super) fn store(values: &[String]) -> Result<StoreBackEnd, String> {
    let Some(Url { rest, .. }) = url(values, &["cql"])? else {
        return Ok(StoreBackEnd::Embedded);
    };
    let text = one(values)?;
    let (at, keyspace) = rest
        .split_once('/')
        .ok_or_else(|| format!("{text:?} names no keyspace after its hosts"))?;
    if !is_keyspace(keyspace) {
        let rule = "1 to 40 characters of a-z 0-9 _, a letter first";
        return Err(format!("{keyspace:?} is no keyspace: {rule}"));
    }
    Ok(StoreBackEnd::Cql {
        hosts: hosts(values, at, &["cql"])?,
        keyspace: keyspace.to_owned(),
    })
}

/// `embedded`, `redis://host:port` or `redis-cluster://host:port,host:port`.
pub(super) fn presence(values: &[String]) -> Result<PresenceBackEnd, String> {
    const SCHEMES: [&str; 4] = ["redis", "redis-cluster", "rediss", "rediss-cluster"];
    let Some(Url { scheme, rest }) = url(values, &SCHEMES)? else {
        return Ok(PresenceBackEnd::Embedded);
    };
    if rest.contains('@') {
        // The text itself is not repeated: it would put the password into the log.
        let rule = "--presence-store-user and --presence-store-password-file";
        return Err(format!(
            "no user or password belongs into the URL: use {rule}"
        ));
    }
    let at = hosts(values, rest, &SCHEMES)?;
    if !scheme.ends_with("-cluster") && at.len() > 1 {
        let text = one(values)?;
        return Err(format!(
            "{text:?} names several hosts, which only redis-cluster:// has"
        ));
    }
    Ok(PresenceBackEnd::Redis(one(values)?.to_owned()))
}

/// An nkey's seed, read at start so that a missing file is a fault of the option.
pub(super) fn seed(values: &[String]) -> Result<Option<String>, String> {
    let Some(path) = file(values)? else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
    let seed = text
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("SU"));
    seed.map(|seed| Some(seed.to_owned()))
        .ok_or_else(|| format!("{} holds no seed of a user's nkey", path.display()))
}

/// A file that is there.
pub(super) fn file(values: &[String]) -> Result<Option<PathBuf>, String> {
    if values.is_empty() {
        return Ok(None);
    }
    let path = PathBuf::from(one(values)?);
    match std::fs::File::open(&path) {
        Ok(_) => Ok(Some(path)),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

/// How many copies.
pub(super) fn replicas(values: &[String]) -> Result<Option<usize>, String> {
    if values.is_empty() {
        return Ok(None);
    }
    let text = one(values)?;
    let number = REPLICAS
        .into_iter()
        .find(|number| number.to_string() == text);
    number
        .map(Some)
        .ok_or_else(|| format!("{text:?} is not 1, 3 or 5"))
}

/// How many bytes of a partition.
pub(super) fn partition_bytes(values: &[String]) -> Result<Option<u64>, String> {
    if values.is_empty() {
        return Ok(None);
    }
    bytes(values, PARTITION_BYTES).map(Some)
}

pub(super) fn unreadable(path: &std::path::Path, error: &std::io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

struct Url<'a> {
    scheme: &'a str,
    rest: &'a str,
}

/// The URL's parts, or nothing for `embedded`.
fn url<'a>(values: &'a [String], schemes: &[&str]) -> Result<Option<Url<'a>>, String> {
    let text = one(values)?;
    if text == "embedded" {
        return Ok(None);
    }
    let parts = text.split_once("://");
    let (scheme, rest) = parts
        .filter(|(scheme, _)| schemes.contains(scheme))
        .ok_or_else(|| wrong(text, schemes))?;
    Ok(Some(Url { scheme, rest }))
}

fn hosts(values: &[String], at: &str, schemes: &[&str]) -> Result<Vec<String>, String> {
    let hosts: Result<Vec<_>, _> = at
        .split(',')
        .map(|host| address(&[host.to_owned()]))
        .collect();
    match (hosts, one(values)) {
        (Ok(hosts), _) => Ok(hosts),
        (Err(_), text) => Err(wrong(text?, schemes)),
    }
}

fn wrong(text: &str, schemes: &[&str]) -> String {
    let forms: Vec<_> = schemes
        .iter()
        .map(|scheme| format!("{scheme}://host:port"))
        .collect();
    format!("{text:?} is not embedded or {}", forms.join(" or "))
}

/// A name that needs no quotes, with room for the suffix of the second keyspace.
fn is_keyspace(name: &str) -> bool {
    let character = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(character)
}
