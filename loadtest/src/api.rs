//! A client of the fleet's HTTP API, with timeouts and retries.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use roomcast_protocol::api::Problem;
use serde_json::Value;

use crate::settings::Endpoint;

/// Timeout of one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Attempts of a call that fails transiently.
const ATTEMPTS_MAX: u32 = 6;

/// A caller of the API; cheap to clone, connections are kept.
#[derive(Clone)]
pub struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    endpoints: Vec<Endpoint>,
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl Api {
    /// A client of the fleet behind `endpoints`.
    pub fn new(endpoints: &[Endpoint]) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            endpoints: endpoints.to_vec(),
        }
    }

    /// The same calls from another address of the loopback network: a fleet on this machine limits what one
    /// address may do, and would take the users of a run for one. Elsewhere the address stays.
    #[must_use]
    pub fn at_loopback(&self, source: Ipv4Addr) -> Self {
        let is_local = |endpoint: &Endpoint| endpoint.authority.starts_with("127.");
        if !source.is_loopback() || !self.endpoints.iter().all(is_local) {
            return self.clone();
        }
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(IpAddr::V4(source)));
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            endpoints: self.endpoints.clone(),
        }
    }

    /// One call that must succeed; the error has the fleet's response. Transient failures are retried: each
    /// of the calls a run makes may be made twice.
    pub async fn call(
        &self,
        method: &Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Reply> {
        let mut pause = Duration::from_millis(100);
        for attempt in 1.. {
            let endpoint = &self.endpoints[(attempt as usize - 1) % self.endpoints.len()];
            let failed = match self.once(endpoint, method, path, token, body).await {
                Ok(reply) if reply.status.is_success() => return Ok(reply),
                Ok(reply) => {
                    let problem: Option<Problem> = serde_json::from_slice(&reply.body).ok();
                    let says = problem.as_ref().map_or("", |problem| &problem.detail);
                    let code = problem.as_ref().map_or("", |problem| problem.code.as_str());
                    if attempt == ATTEMPTS_MAX
                        || !problem.as_ref().is_some_and(|problem| problem.retryable)
                    {
                        bail!("{method} {path}: {} {code} {says}", reply.status);
                    }
                    continue_after(
                        problem.and_then(|problem| problem.retry_after_ms),
                        &mut pause,
                    )
                    .await;
                    continue;
                }
                Err(error) => error,
            };
            if attempt == ATTEMPTS_MAX {
                return Err(failed.context(format!("{method} {path} at {}", endpoint.authority)));
            }
            continue_after(None, &mut pause).await;
        }
        unreachable!("the last try returns")
    }

    async fn once(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Reply> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", endpoint.authority));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body
            .map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default();
        let request = request.body(Full::new(bytes)).context("make the request")?;
        let answer = async {
            let reply = self.client.request(request).await.context("call")?;
            let status = reply.status();
            let body = reply
                .into_body()
                .collect()
                .await
                .context("read the reply")?;
            Ok(Reply {
                status,
                body: body.to_bytes(),
            })
        };
        let answer = tokio::time::timeout(CALL_TIMEOUT, answer).await;
        answer.with_context(|| format!("no answer within {CALL_TIMEOUT:?}"))?
    }
}

/// Waits for the requested delay, or an exponential back-off.
async fn continue_after(asked_ms: Option<u64>, pause: &mut Duration) {
    tokio::time::sleep(asked_ms.map_or(*pause, Duration::from_millis)).await;
    *pause *= 2;
}
