//! The accept loop: TCP connections, HTTP on them, and the upgrade to WebSocket.
//!
//! `axum::serve` has no bound on how long or how large a request's head may be, so the loop is ours,
//! on hyper's connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use roomcast_ports::back_off::BackOff;
use roomcast_protocol::limits::{HANDSHAKE_BYTES_MAX, HANDSHAKE_TIMEOUT};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use crate::parser_refusals::ParserRefusals;
use crate::stall::Stall;
use crate::state::GatewayState;
use crate::{Gateway, handshake, parser_refusals};

/// Bytes not yet sent that a socket lets us write ahead. A stalled reader otherwise holds megabytes
/// of the kernel's memory.
const NOTSENT_BYTES: u32 = 16_384;
/// How long sent bytes may stay unacknowledged before the kernel gives a connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Delays when no socket can be accepted, for example without descriptors.
const RETRY_AFTER: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

impl Gateway {
    /// Serves `router` and `GET /v1/ws` on `listener` until the gateway has drained.
    pub async fn serve(&self, listener: TcpListener, router: Router) {
        if let Err(error) = prepare(&listener) {
            warn!(
                error = &error as &dyn std::error::Error,
                "failed to set the listener's options"
            );
        }
        let upgrade = get(handshake::upgrade).fallback(handshake::other_method);
        let router = router.route("/v1/ws", upgrade.with_state(self.clone()));
        let shared = &self.shared;
        let mut back_off = BackOff::new(RETRY_AFTER, RETRY_MAX);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shared.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    back_off.reset();
                    let serving = serve_one(shared.clone(), stream, peer, router.clone());
                    shared.tracker.spawn(serving);
                }
                Err(error) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "failed to accept a connection"
                    );
                    tokio::time::sleep(back_off.next_delay()).await;
                }
            }
        }
    }
}

/// Sets what every socket inherits from the listener.
fn prepare(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        socket.set_tcp_notsent_lowat(NOTSENT_BYTES)?;
    }
    Ok(())
}

async fn serve_one(shared: Arc<GatewayState>, stream: TcpStream, peer: SocketAddr, router: Router) {
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let judged = match parser_refusals::refuse(&request) {
            None => Ok(service.call(request)),
            Some(response) => Err(response),
        };
        async move {
            match judged {
                Ok(answer) => answer.await,
                Err(response) => Ok(response),
            }
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            // A client that has sent its last request may close its side before the answer.
            .half_close(true)
            .timer(TokioTimer::new())
            .header_read_timeout(HANDSHAKE_TIMEOUT)
            .max_buf_size(HANDSHAKE_BYTES_MAX)
            .serve_connection(
                TokioIo::new(ParserRefusals::new(Stall::new(stream))),
                service
            )
            .with_upgrades()
    );
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shared.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(
            error = &error as &dyn std::error::Error,
            "failed to serve a connection"
        );
    }
}
