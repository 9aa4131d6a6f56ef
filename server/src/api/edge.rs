//! What holds for every request: no secret in the address, no panic that reaches the connection, and
//! headers that keep replies out of caches and out of other pages' hands.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use roomcast_protocol::Refusal;

use super::problem::Refused;
use super::query::Query;

/// Set where the answer does not say something else.
const HEADERS: [(HeaderName, &str); 3] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
];

pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refuse_secrets(&request) {
        Ok(()) => answer(request, next).await,
        Err(refusal) => Refused(refusal).into_response(),
    };
    for (name, value) in HEADERS {
        let entry = response.headers_mut().entry(name);
        entry.or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Addresses end up in logs and histories, so a token in one is refused even where it would not be read.
fn refuse_secrets(request: &Request) -> Result<(), Refusal> {
    if !request.uri().path().starts_with("/v1/") {
        return Ok(());
    }
    let query = Query::of(request.uri())?;
    if query.has("token") || query.has("access_token") {
        let message = "a token belongs into the Authorization header, never into the address";
        return Err(Refusal::bad_frame(message));
    }
    Ok(())
}

async fn answer(request: Request, next: Next) -> Response {
    // The panic itself is in the log: the hook of `telemetry` writes it.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => Refused(Refusal::internal()).into_response(),
    }
}
