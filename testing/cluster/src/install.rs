//! Bringing what is missing: what `make servers` does.
//!
//! Nothing is fetched that is there already. Programs of the distribution are installed for the whole machine
//! and need root; the others go to the user's cache.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Cassandra, ClusterError, binaries};

/// The nats-server that everything is tested with, which `docker-compose.yml` runs too.
pub const NATS_VERSION: &str = "2.15.2";
const NATS_SERVER: &str = "github.com/nats-io/nats-server/v2";

/// Programs of the distribution: how they are asked for their version, and the package that has them.
const PACKAGED: [(&str, &str, &str); 5] = [
    ("redis-server", "--version", "redis-server"),
    ("redis-cli", "--version", "redis-tools"),
    ("haproxy", "-v", "haproxy"),
    ("java", "-version", "openjdk-17-jre-headless"),
    ("mvn", "--version", "maven"),
];

/// Installs every missing server and reports progress lines.
pub fn install(say: &mut dyn FnMut(&str)) -> Result<(), ClusterError> {
    install_packages(say)?;
    install_nats(say)?;
    if !Cassandra::is_fetched()? {
        say("fetching Apache Cassandra with mvn (67 MB)");
        Cassandra::fetch()?;
    }
    Ok(())
}

fn install_packages(say: &mut dyn FnMut(&str)) -> Result<(), ClusterError> {
    let missing: Vec<&str> = PACKAGED
        .iter()
        .filter(|(program, version, _)| binaries::on_path(program, version).is_err())
        .map(|(_, _, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        return Err(ClusterError::Failed {
            what: format!("installing {list}"),
            said: format!("this needs root: apt-get install {list}, or your system's way"),
        });
    }
    say(&format!("installing {list} with apt-get"));
    let mut update = Command::new("apt-get");
    run("apt-get update", update.arg("update"))?;
    let mut install = Command::new("apt-get");
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // A server of the distribution's own is not to be started with the package.
        .env("RUNLEVEL", "1");
    run("apt-get install", &mut install)
}

fn install_nats(say: &mut dyn FnMut(&str)) -> Result<(), ClusterError> {
    if binaries::nats_server().is_ok() {
        return Ok(());
    }
    let bin = binaries::cache()?.join("bin");
    if binaries::on_path("go", "version").is_err() {
        return Err(ClusterError::Failed {
            what: "installing nats-server".to_owned(),
            said: format!(
                "put nats-server {NATS_VERSION} or newer on the PATH, or install Go: \
                 then this runs GOBIN={} go install {NATS_SERVER}@v{NATS_VERSION}",
                bin.display()
            ),
        });
    }
    say("building nats-server with go install (a minute)");
    go_install(&bin)
}

fn go_install(bin: &Path) -> Result<(), ClusterError> {
    let mut go = Command::new("go");
    go.args(["install", &format!("{NATS_SERVER}@v{NATS_VERSION}")])
        .env("GOBIN", bin)
        .env("CGO_ENABLED", "0")
        .current_dir("/");
    run("go install nats-server", &mut go)
}

fn run(what: &str, command: &mut Command) -> Result<(), ClusterError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(ClusterError::machine(format!("start {what}")))?;
    ClusterError::unless_well(what, &output)
}
