//! The table of options: one row each, in the order of the help.

use std::path::PathBuf;
use std::time::Duration;

use super::settings::{LogFormat, Settings};
use super::sources::{Arity, OptionSpec};
use super::{access, back_ends, parsers};

/// A span with its unit, for the bounds below.
const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Every option's name, that of the file too.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OPTIONS
        .iter()
        .map(|option| option.name)
        .chain(std::iter::once("config"))
}

macro_rules! options {
    ($($name:literal $value:literal = $default:literal, $shape:ident, $help:literal, $take:expr;)*) => {
        /// Every option but `--config`, which names the file of the others.
        pub(super) const OPTIONS: &[OptionSpec<Settings>] = &[$(OptionSpec {
            name: $name,
            value: $value,
            default: $default,
            shape: Arity::$shape,
            help: $help,
            take: $take,
        }),*];
    };
}

options! {
    "role" "NAME,…" = "all", List,
        "what this process is: all, gateway, ingest, history, presence, accounts, rooms",
        |settings, given| put(&mut settings.roles, parsers::roles(given));
    "listen" "ADDR:PORT" = "127.0.0.1:8080", One,
        "where clients come in; port 0 takes a free one",
        |settings, given| put(&mut settings.listen, parsers::address(given));
    "admin" "ADDR:PORT" = "127.0.0.1:9090", One,
        "where /livez, /readyz and /metrics are; port 0 takes a free one",
        |settings, given| put(&mut settings.admin, parsers::address(given));
    "data" "DIR" = "./roomcast-data", One,
        "what the embedded back ends keep, and the generated signing key",
        |settings, given| put(&mut settings.data, parsers::one(given).map(PathBuf::from));
    "log" "URL" = "embedded", One,
        "the log of every room: embedded, or nats://host:port,host:port",
        |settings, given| put(&mut settings.log, back_ends::log(given));
    "log-key" "FILE" = "", One,
        "the nkey seed by which the log knows this process",
        |settings, given| put(&mut settings.log_access.key, back_ends::seed(given));
    "log-ca" "FILE" = "", One,
        "whose certificates the log's servers show, in PEM; with it the way to them is encrypted",
        |settings, given| put(&mut settings.log_access.ca, back_ends::file(given));
    "log-replicas" "N" = "", One,
        "copies of every event, raised and never lowered: 1, 3 or 5; new streams have 3 if there are servers",
        |settings, given| put(&mut settings.log_access.replicas, back_ends::replicas(given));
    "log-bytes-per-partition" "N" = "", One,
        "bytes of each of the log's 32 partitions, raised and never lowered; new streams have 256MiB",
        |settings, given| put(&mut settings.log_access.partition_bytes_max, back_ends::partition_bytes(given));
    "store" "URL" = "embedded", One,
        "what readers read: embedded, or cql://host:port,host:port/keyspace",
        |settings, given| put(&mut settings.store, back_ends::store(given));
    "store-user" "NAME" = "", One,
        "the user by which the store knows this process",
        |settings, given| put(&mut settings.store_access.user, access::user(given));
    "store-password-file" "FILE" = "", One,
        "the file that holds the password of that user",
        |settings, given| put(&mut settings.store_access.password, access::password(given));
    "store-ca" "FILE" = "", One,
        "whose certificates the store's servers show, in PEM; with it the way to them is encrypted",
        |settings, given| put(&mut settings.store_access.ca, back_ends::file(given));
    "store-cert" "FILE" = "", One,
        "the certificate that this process shows to the store, in PEM",
        |settings, given| put(&mut settings.store_access.cert, back_ends::file(given));
    "store-key" "FILE" = "", One,
        "the key of that certificate, in PEM",
        |settings, given| put(&mut settings.store_access.key, back_ends::file(given));
    "store-replicas" "N" = "", One,
        "copies of every row, raised but never lowered; three, or as many as there are nodes, when the store is made",
        |settings, given| put(&mut settings.store_replicas, access::replicas(given));
    "store-datacenter" "NAME" = "", One,
        "the datacenter of the store to read from and write to; the first node's when not given",
        |settings, given| put(&mut settings.store_datacenter, access::datacenter(given));
    "presence-store" "URL" = "embedded", One,
        "who is here: embedded, redis://host:port or redis-cluster://host:port,…",
        |settings, given| put(&mut settings.presence_store, back_ends::presence(given));
    "presence-store-user" "NAME" = "", One,
        "the user by which the presence store knows this process",
        |settings, given| put(&mut settings.presence_access.user, access::user(given));
    "presence-store-password-file" "FILE" = "", One,
        "the file that holds the password of that user",
        |settings, given| put(&mut settings.presence_access.password, access::password(given));
    "presence-store-ca" "FILE" = "", One,
        "whose certificates the presence store's servers show, in PEM; with it the way to them is encrypted",
        |settings, given| put(&mut settings.presence_access.ca, back_ends::file(given));
    "presence-store-cert" "FILE" = "", One,
        "the certificate that this process shows to the presence store, in PEM",
        |settings, given| put(&mut settings.presence_access.cert, back_ends::file(given));
    "presence-store-key" "FILE" = "", One,
        "the key of that certificate, in PEM",
        |settings, given| put(&mut settings.presence_access.key, back_ends::file(given));
    "region" "NAME" = "local", One,
        "which region this is",
        |settings, given| put(&mut settings.region, parsers::region(given));
    "token-key" "SOURCE" = "", Repeated,
        "whose tokens are taken beside our own: a PEM or JWKS file, a JWKS URL, or hs256:FILE; \
         with #issuer=…&audience=…&admin=yes|no behind it what they must say, and whether scope admin counts",
        |settings, given| put(&mut settings.token_keys, parsers::token_keys(given));
    "trusted-proxies" "LIST" = "", List,
        "addresses and networks whose X-Forwarded-For names the client that limits count by",
        |settings, given| put(&mut settings.trusted_proxies, parsers::trusted_proxies(given));
    "allowed-origins" "LIST" = "", List,
        "other origins whose pages may call, such as https://example.com or capacitor://localhost",
        |settings, given| put(&mut settings.allowed_origins, parsers::origins(given));
    "token-recheck" "SPAN" = "300s", One,
        "how often a connection's token is looked at again",
        |settings, given| put(
            &mut settings.token_recheck,
            parsers::duration(given, seconds(1)..=seconds(86_400)),
        );
    "presence-ttl" "SPAN" = "90s", One,
        "how long a user stays online without a sign of life",
        |settings, given| put(
            &mut settings.presence_ttl,
            parsers::duration(given, seconds(1)..=seconds(3_600)),
        );
    "drain-within" "SPAN" = "15s", One,
        "how long leaving may take after SIGTERM",
        |settings, given| put(
            &mut settings.drain_within,
            parsers::duration(given, seconds(0)..=seconds(600)),
        );
    "replay-max" "N" = "1000", One,
        "events replayed by one SUBSCRIBE",
        |settings, given| put(&mut settings.replay_max, parsers::number(given, 0..=100_000));
    "sends-per-second" "N" = "20", One,
        "sends a second per user",
        |settings, given| put(&mut settings.sends_per_second, parsers::number(given, 1..=1_000_000));
    "send-burst" "N" = "40", One,
        "sends in one burst per user",
        |settings, given| put(&mut settings.send_burst, parsers::number(given, 1..=1_000_000));
    "connections-per-user" "N" = "20", One,
        "connections one user may have",
        |settings, given| put(&mut settings.connections_per_user, parsers::number(given, 1..=1_000_000));
    "log-format" "FORM" = "text", One,
        "how log lines look on standard error: text or json",
        |settings, given| put(
            &mut settings.log_format,
            parsers::parse_enum(given, &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
        );
    "log-filter" "FILTER" = "info", One,
        "which log lines there are, such as debug or warn,roomcast_gateway=debug",
        |settings, given| put(&mut settings.log_filter, parsers::log_filter(given));
}

fn put<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_in_the_help_is_the_default() {
        let mut settings = Settings::default();
        for option in OPTIONS {
            let values = match option.default {
                "" => Vec::new(),
                default => option.shape.split(default),
            };
            (option.take)(&mut settings, &values).expect(option.name);
        }
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn a_value_that_means_nothing_is_refused_by_every_option() {
        for option in OPTIONS.iter().filter(|option| option.name != "data") {
            let mut settings = Settings::default();
            let value = ["\u{7f} no:such=value, \0".to_owned()];
            assert!(
                (option.take)(&mut settings, &value).is_err(),
                "--{}",
                option.name
            );
            assert_eq!(settings, Settings::default(), "--{}", option.name);
        }
    }
}
