//! Request bodies: one JSON object of at most 2 MiB, read field by field.
//!
//! Unknown fields are ignored, `null` is absence, a duplicate key is refused, and so is a
//! string that is no Unicode. A body that is too large is read a little further before the refusal, or
//! the client would see a broken connection instead of the reason.

mod fields;
mod strict;

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use roomcast_protocol::limits::BODY_BYTES_MAX;
use roomcast_protocol::{ErrorCode, Refusal};

pub(super) use fields::Fields;

use super::problem::ProblemResponse;

/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a body that is too large is read before the refusal, and for how long.
const EXCESS_BYTES_MAX: usize = 8 << 20;
const EXCESS_TIMEOUT: Duration = Duration::from_secs(3);

/// A body that must be there.
impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, _: &S) -> Result<Self, ProblemResponse> {
        match read(request).await? {
            Some(fields) => Ok(fields),
            None => Err(Refusal::bad_frame("a JSON object is needed").into()),
        }
    }
}

/// A body that may be left out.
pub(super) struct OptionalFields(pub(super) Fields);

impl<S: Sync> FromRequest<S> for OptionalFields {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, _: &S) -> Result<Self, ProblemResponse> {
        Ok(Self(read(request).await?.unwrap_or_default()))
    }
}

async fn read(request: Request) -> Result<Option<Fields>, Refusal> {
    let is_json = is_json(request.headers());
    let bytes = bytes(request).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_json {
        let message = "the body must be application/json";
        return Err(Refusal::new(ErrorCode::UnsupportedMediaType, message));
    }
    strict::object(&bytes).map(Fields::new).map(Some)
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| {
        let media_type = media_type.trim().to_ascii_lowercase();
        let structured = media_type.starts_with("application/") && media_type.ends_with("+json");
        media_type == "application/json" || structured
    })
}

async fn bytes(request: Request) -> Result<Bytes, Refusal> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let mut body = request.into_body();
    if announced.is_some_and(|bytes| bytes > BODY_BYTES_MAX) {
        drain(body).await;
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, collect(&mut body)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(Unread::TooLarge)) => {
            drain(body).await;
            Err(too_large())
        }
        Ok(Err(Unread::Broken)) => Err(Refusal::bad_frame("the body broke off")),
        Err(_) => Err(Refusal::bad_frame("the body took too long")),
    }
}

fn too_large() -> Refusal {
    let message = format!("the body is over the limit of {BODY_BYTES_MAX} bytes");
    Refusal::new(ErrorCode::ContentTooLarge, message)
}

enum Unread {
    TooLarge,
    Broken,
}

async fn collect(body: &mut Body) -> Result<Bytes, Unread> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Unread::Broken)?.into_data() else {
            continue;
        };
        if bytes.len() + piece.len() > BODY_BYTES_MAX {
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

async fn drain(mut body: Body) {
    let excess = async {
        let mut left = EXCESS_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // A slower client, or one that sends more, gets its connection closed.
    let _ = tokio::time::timeout(EXCESS_TIMEOUT, excess).await;
}
