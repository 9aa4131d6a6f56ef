//! The files of `deploy/` fit together: what `docker-compose.yml` mounts exists, the options it passes are
//! known, and the metrics of dashboards and alerts exist.

use std::path::{Path, PathBuf};

use serde_norway::Value;

mod faults;
mod metrics;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

fn compose() -> Value {
    faults::read(&text("docker-compose.yml"))
}

/// The names in the product's table of options.
fn options() -> Vec<String> {
    let text = text("server/src/config/options.rs");
    let (_, rows) = text
        .split_once("\noptions! {\n")
        .expect("the table begins so");
    let names = rows
        .lines()
        .filter_map(|line| line.strip_prefix("    \"")?.split('"').next());
    let names: Vec<String> = names.map(str::to_owned).collect();
    assert!(
        names.len() >= 15 && names.iter().any(|name| name == "role"),
        "{names:?}"
    );
    names
}

#[test]
fn the_compose_file_has_no_fault() {
    assert_eq!(faults::of(&compose(), &root(), &options()), [""; 0]);
}

/// What is wrong with the compose file when `what` in it is replaced.
fn damaged(what: &str, with: &str) -> Vec<String> {
    let text = text("docker-compose.yml");
    assert!(text.contains(what), "{what}");
    let compose = faults::read(&text.replacen(what, with, 1));
    faults::of(&compose, &root(), &options())
}

#[test]
fn a_damaged_compose_file_is_found() {
    let damages = [
        (
            "./deploy/haproxy:",
            "./deploy/proxy:",
            "mounts ./deploy/proxy",
        ),
        ("ROOMCAST_LOG:", "ROOMCAST_LOGG:", "ROOMCAST_LOGG"),
        ("[--role, ingest]", "[--rolle, ingest]", "--rolle"),
        ("[--role, rooms]", "[--role, room]", "room"),
        ("  redis: { condition", "  redys: { condition", "redys"),
        ("redis://redis:", "redis://redys:", "redys"),
        ("build: .", "build: ./image", "./image/Dockerfile"),
        ("  keys:\n", "  key:\n", "keys"),
    ];
    for (what, with, says) in damages {
        let found = damaged(what, with);
        assert!(
            found.iter().any(|fault| fault.contains(says)),
            "{what}: {found:?}"
        );
    }
}

/// The words of a configuration that are `name:port`.
fn hosts<'a>(text: &'a str, port: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let words = lines.flat_map(|line| line.split([' ', '[', ']', ',', '"', '/']));
    words.filter_map(move |word| word.strip_suffix(port)?.strip_suffix(':'))
}

#[test]
fn the_edge_and_prometheus_name_the_processes_of_the_compose_file() {
    let compose = compose();
    let services = faults::services(&compose);
    let of_roomcast: Vec<&str> = services
        .iter()
        .filter(|(_, service)| service["image"] == "roomcast")
        .map(|(name, _)| *name)
        .collect();
    let servers = text("deploy/haproxy/servers.cfg");
    let mut behind_the_edge: Vec<&str> = hosts(&servers, "8080").collect();
    behind_the_edge.extend(["ingest-1", "ingest-2"]);
    let prometheus = text("deploy/prometheus/prometheus.yml");
    let mut scraped: Vec<&str> = hosts(&prometheus, "9090").collect();
    let mut expected = of_roomcast.clone();
    for list in [&mut behind_the_edge, &mut scraped, &mut expected] {
        list.sort_unstable();
    }
    // Gateways stand in two backends.
    behind_the_edge.dedup();
    assert!(expected.len() >= 8, "{expected:?}");
    assert_eq!(behind_the_edge, expected);
    assert_eq!(scraped, expected);
}

#[test]
fn haproxy_takes_the_configuration_of_the_compose_file() {
    let folder = root().join("deploy/haproxy");
    let output = std::process::Command::new("haproxy")
        .args(["-c", "-f", "edge.cfg", "-f", "servers.cfg"])
        .env("EDGE", "0.0.0.0:8080")
        .current_dir(folder)
        .output()
        .expect("haproxy runs: `make servers` installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn nats_server_takes_the_configuration_of_the_compose_file() {
    let config = root().join("deploy/compose/nats.conf");
    let server = roomcast_test_cluster::nats_server().expect("nats-server");
    let output = std::process::Command::new(server)
        .arg("-t")
        .arg("-c")
        .arg(config)
        .env("NATS_NAME", "nats-1")
        .output()
        .expect("nats-server runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = text("deploy/compose/nats.conf");
    assert!(
        text.contains("\n  sync_interval: always\n"),
        "an acknowledgement means the disk"
    );
    let compose = compose();
    let services = faults::services(&compose);
    let clustered = services
        .iter()
        .filter(|(name, _)| name.starts_with("nats-"))
        .count();
    assert_eq!(
        (hosts(&text, "6222").count(), clustered),
        (4, 3),
        "the routes, and where to listen"
    );
}

#[test]
fn the_pinned_nats_server_is_the_tested_one() {
    let tested = roomcast_test_cluster::install::NATS_VERSION;
    let compose = compose();
    let services = faults::services(&compose);
    let images: Vec<&str> = services
        .iter()
        .filter_map(|(_, service)| service["image"].as_str())
        .filter(|image| image.starts_with("nats:"))
        .collect();
    assert_eq!(images, [&*format!("nats:{tested}-alpine"); 3]);
    let adapter = text("adapters/nats/src/client.rs");
    assert!(
        adapter.contains(&format!("{tested:?}")),
        "its SERVER_TESTED"
    );
    assert!(text("docs/operations.md").contains(&format!("nats-server {tested}")));
}

#[test]
fn what_dashboards_and_alerts_show_is_measured() {
    let measured = metrics::measured(&root());
    assert!(measured.len() > 20, "{measured:?}");
    let shown = [
        "deploy/grafana/dashboards/roomcast.json",
        "deploy/prometheus/alerts.yml",
    ];
    for path in shown {
        let text = text(path);
        serde_norway::from_str::<Value>(&text).expect(path);
        let names = metrics::named(&text);
        assert!(names.len() >= 4, "{path}: {names:?}");
        let unknown: Vec<_> = names.difference(&measured).collect();
        assert!(
            unknown.is_empty(),
            "{path} shows what nobody measures: {unknown:?}"
        );
    }
}
