//! HTTP connections of the listeners that accept no sockets.
//!
//! Bounded in every direction: how many there are, how large a request's head is and how long it may
//! take. After a stop signal it accepts no connection, and completes the requests in progress.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use roomcast_gateway::parser_refusals::{self, ParserRefusals};
use roomcast_gateway::stall::Stall;
use roomcast_ports::back_off::BackOff;
use roomcast_protocol::limits::{HANDSHAKE_BYTES_MAX, HANDSHAKE_TIMEOUT};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Concurrent connections; the next waits in the kernel's backlog.
const CONNECTIONS_MAX: usize = 4_096;
/// Delays when the process has no descriptor left for a new connection.
const RETRY_AFTER: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Answers what comes in at `listener` with `router` until `stop`, on `tasks`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = async {
        let mut back_off = BackOff::new(RETRY_AFTER, RETRY_MAX);
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    back_off.reset();
                    let (router, stop) = (router.clone(), stop.clone());
                    tasks.spawn(async move {
                        answer(stream, peer, router, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "failed to accept a connection"
                    );
                    tokio::time::sleep(back_off.next_delay()).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accepting).await;
}

async fn answer(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    // Without it a reply would wait for the client's delayed acknowledgement; with it, nothing breaks.
    let _ = stream.set_nodelay(true);
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
    let connection = http1::Builder::new()
        // A client that has sent its last request may close its side before the answer.
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIMEOUT)
        .max_buf_size(HANDSHAKE_BYTES_MAX)
        .serve_connection(
            TokioIo::new(ParserRefusals::new(Stall::new(stream))),
            service,
        );
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "connection failed"
        );
    }
}
