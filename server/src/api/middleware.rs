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

use super::problem::ProblemResponse;
use super::query::Query;

/// Response headers that are set unless the handler sets them.
const HEADERS: [(HeaderName, &str); 3] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
];

pub(super) async fn panic_and_headers(request: Request, next: Next) -> Response {
    let mut response = match reject_tokens_in_url(&request) {
        Ok(()) => answer(request, next).await,
        Err(refusal) => ProblemResponse(refusal).into_response(),
    };
    for (name, value) in HEADERS {
        let entry = response.headers_mut().entry(name);
        entry.or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Addresses end up in logs and histories, so a token in one is refused even where it would not be read.
fn reject_tokens_in_url(request: &Request) -> Result<(), Refusal> {
    if !request.uri().path().starts_with("/v1/") {
        return Ok(());
    }
    let query = Query::of(request.uri())?;
    if query.has_any_case("token") || query.has_any_case("access_token") {
        let message = "a token belongs into the Authorization header, never into the address";
        return Err(Refusal::bad_frame(message));
    }
    Ok(())
}

async fn answer(request: Request, next: Next) -> Response {
    // The panic itself is in the log: the hook of `telemetry` writes it.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => ProblemResponse(Refusal::internal()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn breaks() -> StatusCode {
        panic!("as a handler might")
    }

    async fn status_of(path: &str) -> (StatusCode, Response) {
        let router = Router::new()
            .route("/v1/broken", get(breaks))
            .layer(from_fn(panic_and_headers));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        (response.status(), response)
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_document() {
        let (status, response) = status_of("/v1/broken").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        assert_eq!(response.headers()["cache-control"], "no-store");
    }

    #[tokio::test]
    async fn a_token_in_the_address_never_reaches_a_handler() {
        for query in [
            "token=x",
            "access_token=x",
            "a=1&token",
            "%74oken=x",
            "Token=x",
        ] {
            let (status, _) = status_of(&format!("/v1/broken?{query}")).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
