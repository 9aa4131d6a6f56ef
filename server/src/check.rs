//! `roomcast check`: reports what a start with these settings would find, without starting.
//!
//! It changes nothing: a data directory that does not exist is left to the first start, and one that a
//! running server holds is not touched. That one is reported as a failure, since a start would fail too.

use std::io::Write as _;

use roomcast_accounts::Issuer;
use roomcast_embedded::{Embedded, OpenError};
use roomcast_nats::NatsLog;
use roomcast_redis::RedisPresence;
use roomcast_scylla::{ConnectError, ScyllaConfig, ScyllaStore};

use crate::backends;
use crate::config::{LogBackEnd, PresenceBackEnd, Settings, StoreBackEnd};

/// Reports on standard output; whether everything is as a start needs it.
pub async fn report(settings: &Settings) -> bool {
    let mut report = Report { fine: true };
    let roles: Vec<_> = settings.roles.iter().map(|role| role.as_str()).collect();
    report_ok("configuration", "can be used");
    report_ok("roles", &roles.join(", "));
    if backends::needs_directory(settings) {
        check_data(settings, &mut report);
    }
    check_key(settings, &mut report);
    check_store(settings, &mut report).await;
    check_log(settings, &mut report).await;
    check_presence(settings, &mut report).await;
    for key in &settings.token_keys {
        report_ok("--token-key", &format!("{} can be read", key.written()));
    }
    report.fine
}

struct Report {
    fine: bool,
}

impl Report {
    fn report_error(&mut self, what: &str, says: &str) {
        self.fine = false;
        print_line("FAILED", what, says);
    }
}

fn report_ok(what: &str, says: &str) {
    print_line("ok", what, says);
}

fn print_line(verdict: &str, what: &str, says: &str) {
    // The exit status is right even if standard output is closed.
    let _ = writeln!(std::io::stdout(), "{verdict:<6}  {what}: {says}");
}

fn check_data(settings: &Settings, report: &mut Report) {
    let data = &settings.data;
    let shown = data.display();
    if !data.exists() {
        report_ok(
            "--data",
            &format!("{shown} does not exist yet; the first start makes it"),
        );
        return;
    }
    match Embedded::open(data) {
        Ok(embedded) => {
            embedded.close();
            let says = format!("log, store and presence are embedded in {shown}, and open");
            report_ok("--data", &says);
        }
        Err(OpenError::Locked { .. }) => {
            let says = format!(
                "{shown} is in use by another process, such as a running roomcast; a second start would fail"
            );
            report.report_error("--data", &says);
        }
        Err(error) => report.report_error("--data", &format!("{shown}: {}", chain(&error))),
    }
}

fn check_key(settings: &Settings, report: &mut Report) {
    let data = &settings.data;
    if data.join("signing-key.pem").exists() {
        match Issuer::open(data) {
            Ok(_) => report_ok("signing key", "can be used"),
            Err(error) => report.report_error("signing key", &chain(&error)),
        }
    }
}

async fn check_store(settings: &Settings, report: &mut Report) {
    let StoreBackEnd::Cql { hosts, keyspace } = &settings.store else {
        return;
    };
    let config = match backends::scylla_config(settings, hosts, keyspace) {
        Ok(config) => ScyllaConfig {
            only_looks: true,
            ..config
        },
        Err(error) => return report.report_error("--store", &format!("{error:#}")),
    };
    let store = match ScyllaStore::connect(config).await {
        Ok(store) => store,
        Err(ConnectError::NotMade) => {
            let says = format!("keyspace {keyspace} does not exist yet; the first start makes it");
            return report_ok("--store", &says);
        }
        Err(error) => return report.report_error("--store", &chain(&error)),
    };
    match store.check().await {
        Ok(found) => {
            let connected = found.nodes.iter().filter(|node| node.connected).count();
            report_ok(
                "--store",
                &format!(
                    "{} {}, {connected} of {} nodes connected, keyspace {keyspace} of version {}, copies: {}",
                    found.flavour.as_str(),
                    found.release,
                    found.nodes.len(),
                    found.schema_version,
                    found.replication.join("; "),
                ),
            );
        }
        Err(error) => report.report_error("--store", &chain(&error)),
    }
    store.close().await;
}

async fn check_log(settings: &Settings, report: &mut Report) {
    let LogBackEnd::Nats(servers) = &settings.log else {
        return;
    };
    let mut config = backends::nats_config(settings, servers, None);
    // It only looks: streams that are not there are left to the first ingest.
    config.manages_streams = false;
    config.waits_for_servers = false;
    let log = match NatsLog::connect(config).await {
        Ok(log) => log,
        Err(error) => return report.report_error("--log", &chain(&error)),
    };
    match log.check().await {
        Ok(found) if found.streams.is_empty() => report_ok(
            "--log",
            &format!(
                "nats-server {} at {}; these roles use no stream",
                found.version, found.server
            ),
        ),
        Ok(found) => {
            let events: u64 = found.streams.iter().map(|stream| stream.events).sum();
            let lagging = found.streams.iter().filter(|it| it.current < it.replicas);
            report_ok(
                "--log",
                &format!(
                    "nats-server {} at {}, {} streams with {events} events, replicas {}, bytes per partition {}, \
                     {} with a copy that lags",
                    found.version,
                    found.server,
                    found.streams.len(),
                    range(found.streams.iter().map(|it| it.replicas as u64)),
                    range(
                        found
                            .streams
                            .iter()
                            .map(|it| it.bytes_max.unwrap_or(u64::MAX))
                    ),
                    lagging.count(),
                ),
            );
        }
        Err(error) => report.report_error("--log", &chain(&error)),
    }
    log.close().await;
}

/// The least and the greatest, or the one that all have.
fn range(numbers: impl Iterator<Item = u64> + Clone) -> String {
    let word = |number: u64| match number {
        u64::MAX => "unlimited".to_owned(),
        number => number.to_string(),
    };
    match (numbers.clone().min(), numbers.max()) {
        (Some(least), Some(most)) if least == most => word(least),
        (Some(least), Some(most)) => format!("{} to {}", word(least), word(most)),
        _ => "none".to_owned(),
    }
}

async fn check_presence(settings: &Settings, report: &mut Report) {
    let PresenceBackEnd::Redis(url) = &settings.presence_store else {
        return;
    };
    let config = match backends::redis_config(settings, url) {
        Ok(config) => config,
        Err(error) => return report.report_error("--presence-store", &format!("{error:#}")),
    };
    let presence = match RedisPresence::connect(config).await {
        Ok(presence) => presence,
        Err(error) => return report.report_error("--presence-store", &chain(&error)),
    };
    match presence.check().await {
        Ok(found) => {
            let events = if found.keyspace_events { "on" } else { "off" };
            let full = found.eviction.as_deref().unwrap_or("unknown");
            report_ok(
                "--presence-store",
                &format!(
                    "Redis {}, {} primary nodes, keyspace events {events}, when full: {full}",
                    found.version, found.nodes
                ),
            );
        }
        Err(error) => report.report_error("--presence-store", &chain(&error)),
    }
    presence.close().await;
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    let mut text = error.to_string();
    for cause in causes {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    text
}
