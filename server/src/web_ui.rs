//! The web page, served from the binary.
//!
//! It may load what comes from here and nothing else, so that a message can never become a script. A
//! browser asks at every visit whether its copy is still good: an update is there at the next reload.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
#[derive(Debug)]
pub struct WebFile {
    /// Where it is served.
    pub path: &'static str,
    content_type: &'static str,
    etag: &'static str,
    bytes: &'static [u8],
}

static FILES: &[WebFile] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Every file, with its path.
pub fn files() -> &'static [WebFile] {
    FILES
}

/// Serves the file.
pub(crate) fn route<S: Clone + Send + Sync + 'static>(file: &'static WebFile) -> MethodRouter<S> {
    get(move |headers: HeaderMap| async move { serve(file, &headers) })
}

fn serve(file: &WebFile, headers: &HeaderMap) -> Response {
    let common: [(HeaderName, &str); 3] = [
        (ETAG, file.etag),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    let mut known = headers.get_all(IF_NONE_MATCH).iter();
    if known.any(|tags| tags.to_str().is_ok_and(|tags| names(tags, file.etag))) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(CONTENT_TYPE, file.content_type)], file.bytes).into_response()
}

/// Whether a list of tags names this one; compared weakly, as the header wants it.
fn names(tags: &str, etag: &str) -> bool {
    let mut tags = tags.split(',').map(str::trim);
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
