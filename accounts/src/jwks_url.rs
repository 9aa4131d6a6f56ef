//! A key set behind a URL, fetched again when a key is unknown or old.
//!
//! One task fetches the set at the start, periodically, and immediately when a token names a key
//! an unknown key, though not for every such token, since any client can invent one. While the set cannot
//! be fetched, the last good one counts; before the first, its tokens are refused.

mod fetch;

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use roomcast_ports::back_off::BackOff;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use crate::KeyError;
use crate::jwks;
use crate::refresh_token::random;
use crate::verifying_key::VerifyingKey;
use fetch::{FETCH_TIMEOUT, Fetcher};

/// How often the set is fetched when nothing asks for it.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How soon it is fetched again for a token of an unknown key.
const REFETCH_INTERVAL_MIN: Duration = Duration::from_secs(10);
/// Delays after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(10);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A key set that is kept fresh.
pub(crate) struct JwksUrl {
    uri: Uri,
    fetcher: Fetcher,
    known: watch::Sender<Known>,
    wanted: Notify,
}

/// What the last fetch left.
#[derive(Clone)]
struct Known {
    keys: Arc<[VerifyingKey]>,
    fetched_at: Option<Instant>,
}

impl JwksUrl {
    pub(crate) fn new(uri: Uri) -> Result<Self, KeyError> {
        let known = Known {
            keys: Arc::new([]),
            fetched_at: None,
        };
        Ok(Self {
            fetcher: Fetcher::new(&uri).map_err(KeyError::NoRoots)?,
            uri,
            known: watch::Sender::new(known),
            wanted: Notify::new(),
        })
    }

    /// The last good set.
    pub(crate) fn keys(&self) -> Arc<[VerifyingKey]> {
        Arc::clone(&self.known.borrow().keys)
    }

    /// Has the set fetched, unless that was just done, and waits for it; whether it was fetched.
    pub(crate) async fn refetch(&self) -> bool {
        let mut known = self.known.subscribe();
        if known.borrow_and_update().is_fresh() {
            return false;
        }
        self.wanted.notify_one();
        // The fetch has a deadline of its own; ours comes after it.
        timeout(FETCH_TIMEOUT + Duration::from_secs(1), known.changed())
            .await
            .is_ok_and(|changed| changed.is_ok())
    }

    /// Refreshes the set at intervals, without end.
    pub(crate) async fn refresh_loop(&self) {
        let mut failing = false;
        let mut back_off = BackOff::new(RETRY_AFTER, RETRY_MAX);
        loop {
            let fetched = self.fetcher.fetch(&self.uri).await;
            let keys = fetched.and_then(|body| Ok(jwks::parse(&body)?));
            let host = self.uri.host();
            match &keys {
                Ok(keys) if failing => info!(
                    host,
                    keys = keys.len(),
                    "fetched the key set again after failures"
                ),
                Err(cause) if !failing => {
                    warn!(
                        host,
                        ?cause,
                        "failed to fetch a key set; using the last good one"
                    );
                }
                Ok(_) | Err(_) => {}
            }
            failing = keys.is_err();
            self.known.send_modify(|known| {
                known.fetched_at = Some(Instant::now());
                if let Ok(keys) = keys {
                    known.keys = keys.into();
                }
            });
            self.wait(if failing {
                back_off.next_delay()
            } else {
                back_off.reset();
                jitter(REFRESH_INTERVAL)
            })
            .await;
        }
    }

    async fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.wanted.notified() => {}
            }
            if !self.known.borrow().is_fresh() {
                return;
            }
        }
    }
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.fetched_at
            .is_some_and(|at| at.elapsed() < REFETCH_INTERVAL_MIN)
    }
}

/// Adds up to a tenth as jitter, so that processes that started together do not fetch together.
fn jitter(pause: Duration) -> Duration {
    let random = random().map_or(0, |bytes| bytes[0]);
    pause + pause / 10 * u32::from(random) / 255
}
