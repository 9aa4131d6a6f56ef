//! The two TCP listeners, bound before anything is served: a port in use ends the start.

use std::net::{SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, anyhow};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::config::Settings;

/// Connections the kernel keeps for us until we take them.
const BACKLOG: i32 = 4_096;

/// Where clients and operators come in.
pub(crate) struct Listeners {
    pub(crate) http: TcpListener,
    pub(crate) admin: TcpListener,
}

impl Listeners {
    /// Binds both.
    pub(crate) fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let http = bind(&settings.listen)
            .with_context(|| format!("--listen: cannot listen on {}", settings.listen))?;
        let admin = bind(&settings.admin)
            .with_context(|| format!("--admin: cannot listen on {}", settings.admin))?;
        Ok(Self { http, admin })
    }
}

fn bind(address: &str) -> anyhow::Result<TcpListener> {
    let mut last = anyhow!("the name has no address");
    // A name may have several addresses, of which this machine need not have all.
    for address in address.to_socket_addrs()? {
        match bind_to(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

fn bind_to(address: SocketAddr) -> std::io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // Connections of the process before us may still be in TIME_WAIT on this port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
