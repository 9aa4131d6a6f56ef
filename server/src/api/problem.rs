//! Refusals over HTTP, as problem documents (RFC 9457).

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use roomcast_protocol::api::Problem;
use roomcast_protocol::{ErrorCode, Refusal};

/// A refusal on its way to a client.
#[derive(Debug)]
pub struct ProblemResponse(pub Refusal);

impl From<Refusal> for ProblemResponse {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let Refusal {
            code,
            message,
            retry_after_ms,
        } = self.0;
        let status = StatusCode::from_u16(code.http_status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problem = Problem {
            // The title alone describes the type (RFC 9457, section 4.2.1).
            r#type: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Refused").to_owned(),
            status: status.as_u16(),
            detail: message.into_owned(),
            code,
            retryable: code.retryable(),
            retry_after_ms,
        };
        let mut response = (status, super::json::to_json(&problem)).into_response();
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, content_type);
        if code == ErrorCode::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let waits = matches!(code, ErrorCode::RateLimited | ErrorCode::Unavailable);
        let retry_after_ms = retry_after_ms.or(waits.then_some(1_000));
        if let Some(milliseconds) = retry_after_ms {
            let seconds = milliseconds.div_ceil(1_000).max(1);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// No call has this path.
pub(crate) async fn unknown_route() -> ProblemResponse {
    ProblemResponse(Refusal::not_found("there is no such call"))
}

/// The path has calls, but none of this method; which ones, the router adds as `Allow`.
pub(crate) async fn unknown_method() -> ProblemResponse {
    let message = "this path has no such method";
    ProblemResponse(Refusal::new(ErrorCode::MethodNotAllowed, message))
}
