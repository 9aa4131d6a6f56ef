//! The serving process, from start to the end of its drain.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use roomcast_ports::event_log::EventLog;

use crate::config::{LogFormat, Role, Settings};
use crate::listeners::Listeners;
use crate::node::Node;
use crate::signals::ShutdownSignals;
use crate::telemetry;
use crate::telemetry::stderr::Stderr;
use crate::{backends, rlimit};

/// What may come on top of `--drain-within`: for requests that were in the middle of it.
const DRAIN_MARGIN: Duration = Duration::from_secs(3);

/// Serves until a stop signal. An error is a failed start; nothing was served then.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    serve_on(settings, |log| log).await
}

/// Serves on what `log` makes of the log: for tests of those who check what it promises.
pub async fn serve_on(
    settings: Settings,
    log: impl FnOnce(Arc<dyn EventLog>) -> Arc<dyn EventLog>,
) -> anyhow::Result<()> {
    let mut signals = ShutdownSignals::listen()?;
    let metrics = telemetry::metrics::start()?;
    rlimit::raise_limit();

    let mut backends = backends::open(&settings).await?;
    backends.log = log(backends.log);
    let ports = Listeners::bind(&settings)?;
    let addresses = Addresses::of(&ports)?;
    let fleet = Node::build(&settings, backends)?;
    let fleet = fleet.start(ports, metrics);

    print_ready_line(&settings, &addresses);
    signals.next().await;

    let within = settings.drain_within;
    tracing::info!(?within, "leaving");
    tokio::select! {
        () = fleet.drain(within) => tracing::info!("drained"),
        () = tokio::time::sleep(within + DRAIN_MARGIN) => tracing::warn!("drain timed out; exiting"),
        () = signals.next() => tracing::warn!("second stop signal; exiting"),
    }
    Ok(())
}

struct Addresses {
    http: SocketAddr,
    admin: SocketAddr,
}

impl Addresses {
    fn of(ports: &Listeners) -> anyhow::Result<Self> {
        let asked = "ask which address was bound";
        Ok(Self {
            http: ports.http.local_addr().context(asked)?,
            admin: ports.admin.local_addr().context(asked)?,
        })
    }
}

/// The ready line, with its fields in this order.
#[derive(serde::Serialize)]
struct ReadyLine {
    event: &'static str,
    http: String,
    admin: String,
    roles: Vec<&'static str>,
}

/// One line for programs, on standard output and nothing else there; one for people, where the page is.
fn print_ready_line(settings: &Settings, addresses: &Addresses) {
    let roles: Vec<_> = settings.roles.iter().map(|role| role.as_str()).collect();
    let ready = ReadyLine {
        event: "ready",
        http: format!("http://{}", addresses.http),
        admin: format!("http://{}", addresses.admin),
        roles,
    };
    let ready = serde_json::to_string(&ready).unwrap_or_default();
    // A supervisor that closed standard output does not need the line.
    let _ = writeln!(std::io::stdout(), "{ready}");
    if !settings.roles.contains(&Role::Gateway) {
        return;
    }
    let page = format!("http://{}", reachable(addresses.http));
    match settings.log_format {
        LogFormat::Text => {
            let _ = Stderr.write_all(format!("open {page} in a browser\n").as_bytes());
        }
        LogFormat::Json => tracing::info!(page, "serving"),
    }
}

/// An address one can type: "all of them" is none.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
