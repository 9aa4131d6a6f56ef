//! CORS: the origins that may call the API, the same list as for sockets.
//!
//! A request without `Origin` is no page's, or a page's own navigation, and passes. One of a page that
//! is neither ours nor listed is refused, not only hidden from its sender: a browser would have sent it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    ORIGIN, VARY,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use roomcast_gateway::origin::AllowedOrigins;
use roomcast_protocol::Refusal;

use super::problem::ProblemResponse;

/// Headers of replies that a page may read beside those the Fetch standard always shows.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Retry-After, ETag, Content-Range, Content-Disposition, Location");

pub(super) async fn guard(
    State(origins): State<Arc<AllowedOrigins>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = answer(&origins, request, next).await;
    response
        .headers_mut()
        .append(VARY, HeaderValue::from_static("origin"));
    response
}

async fn answer(origins: &AllowedOrigins, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(ORIGIN).cloned() else {
        return next.run(request).await;
    };
    let authority = request.uri().authority().map(Authority::as_str);
    let host = authority.or_else(|| request.headers().get(HOST)?.to_str().ok());
    let permitted = origin
        .to_str()
        .is_ok_and(|origin| origins.permits(origin, host));
    if !permitted {
        return ProblemResponse(Refusal::forbidden("pages of this origin may not call"))
            .into_response();
    }
    let asks_first = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks_first {
        let mut response = StatusCode::NO_CONTENT.into_response();
        allow_calls(response.headers_mut());
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    response
}

fn allow_calls(headers: &mut HeaderMap) {
    let methods = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let sent = HeaderValue::from_static("Authorization, Content-Type");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, sent);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}
