//! Fetching a key set: one GET, bounded in time and size. Redirects are not followed, so that the keys
//! come from the configured URL.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use roomcast_ports::BoxError;
use tokio::time::timeout;

use crate::key_source::KEYS_BYTES_MAX;

/// How long a fetch may take, from the name look-up to the last byte.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// A client for the URL's scheme; only HTTPS needs trusted authorities.
pub(super) enum Fetcher {
    Plain(Client<HttpConnector, Empty<Bytes>>),
    Secure(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>),
}

impl Fetcher {
    pub(super) fn new(uri: &Uri) -> io::Result<Self> {
        let mut builder = Client::builder(TokioExecutor::new());
        // The next fetch is minutes away: no connection is kept for it.
        builder.pool_max_idle_per_host(0);
        if uri.scheme_str() == Some("http") {
            return Ok(Self::Plain(builder.build(HttpConnector::new())));
        }
        let connector = HttpsConnectorBuilder::new().with_native_roots()?;
        Ok(Self::Secure(
            builder.build(connector.https_only().enable_http1().build()),
        ))
    }

    /// The body of a good answer.
    pub(super) async fn fetch(&self, uri: &Uri) -> Result<Bytes, BoxError> {
        timeout(FETCH_TIMEOUT, self.get(uri)).await?
    }

    async fn get(&self, uri: &Uri) -> Result<Bytes, BoxError> {
        let response = match self {
            Self::Plain(client) => client.get(uri.clone()).await?,
            Self::Secure(client) => client.get(uri.clone()).await?,
        };
        if response.status() != StatusCode::OK {
            return Err(format!("it answered {}", response.status()).into());
        }
        body_of(response).await
    }
}

async fn body_of(response: Response<hyper::body::Incoming>) -> Result<Bytes, BoxError> {
    let body = Limited::new(response.into_body(), KEYS_BYTES_MAX);
    Ok(body.collect().await?.to_bytes())
}
