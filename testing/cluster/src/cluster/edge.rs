//! The one address in front of all processes: HAProxy with the configuration that `deploy/haproxy` has for
//! every fleet, and this fleet's processes.

use std::fmt::Write as _;
use std::net::TcpListener;

use super::NodeProcess;
use crate::process_group::ProcessGroup;
use crate::{ClusterError, HaProxy};

/// Which call goes to which role.
const ROUTES: &str = include_str!("../../../../deploy/haproxy/edge.cfg");

/// The roles that answer calls.
const ROLES: [&str; 5] = ["gateway", "history", "presence", "accounts", "rooms"];

/// Starts `count` processes that share the port; the kernel deals out connections among them.
pub(super) fn start(
    home: &ProcessGroup,
    count: usize,
    port: u16,
    parts: &[NodeProcess],
) -> Result<Vec<HaProxy>, ClusterError> {
    let address = format!("127.0.0.1:{port}");
    // HAProxy itself would share the port with a stranger.
    TcpListener::bind(&address).map_err(ClusterError::machine(format!("listen on {address}")))?;
    let config = format!("{ROUTES}\n{}", servers(parts));
    (1..=count)
        .map(|number| {
            HaProxy::start_in(
                home.part("edge")?,
                &format!("edge-{number}"),
                &config,
                &address,
            )
        })
        .collect()
}

/// A backend for each role, with its processes and their readiness endpoints.
fn servers(parts: &[NodeProcess]) -> String {
    let mut text = String::new();
    for role in ROLES {
        let _ = writeln!(text, "backend {role}");
        for part in parts.iter().filter(|part| part.role() == role) {
            let (name, address) = (part.name(), part.address());
            let admin_port = part.admin().rsplit(':').next().unwrap_or_default();
            let _ = writeln!(text, "  server {name} {address} check port {admin_port}");
        }
    }
    // For requests that the edge cannot parse: gateways get them as they are, and refuse them.
    let _ = writeln!(text, "backend gateway-raw\n  mode tcp");
    for part in parts.iter().filter(|part| part.role() == "gateway") {
        let (name, address) = (part.name(), part.address());
        let _ = writeln!(text, "  server {name} {address} track gateway/{name}");
    }
    text
}
