//! Responses: created is 201, found or changed 200, removed 204.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::json::to_json;
use super::problem::ProblemResponse;

/// What a call answers.
pub(super) type ApiResult = Result<Response, ProblemResponse>;

/// Found, or changed.
pub(super) fn ok(thing: &impl Serialize) -> Response {
    reply(StatusCode::OK, thing)
}

/// Found, as JSON already.
pub(super) fn ok_bytes(json: Bytes) -> Response {
    (StatusCode::OK, JSON, json).into_response()
}

/// Made, unless it was there.
pub(super) fn created_or_ok(made: bool, thing: &impl Serialize) -> Response {
    let status = if made {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    reply(status, thing)
}

/// Removed.
pub(super) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Sets `Location`. The path is made of ids, which need no escapes.
pub(super) fn with_location(path: &str, mut response: Response) -> Response {
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

const JSON: [(HeaderName, HeaderValue); 1] =
    [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];

fn reply(status: StatusCode, thing: &impl Serialize) -> Response {
    (status, JSON, to_json(thing)).into_response()
}
