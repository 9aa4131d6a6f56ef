//! The authenticated request: the caller, path and query, extracted before the handler runs.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use roomcast_ports::access::{Caller, TokenError};
use roomcast_protocol::id::InvalidId;
use roomcast_protocol::{ErrorCode, Refusal};

use super::Services;
use super::problem::ProblemResponse;
use super::query::Query;

/// A call with a good token.
pub(super) struct AuthedRequest {
    /// Who does the work.
    pub(super) services: Arc<Services>,
    /// Who asks for it.
    pub(super) caller: Caller,
    /// The parameters of the address.
    pub(super) query: Query,
    path: Vec<(String, String)>,
}

impl FromRequestParts<Arc<Services>> for AuthedRequest {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, ProblemResponse> {
        let caller = authenticate(parts, services).await?;
        let budget = &services.change_budget;
        budget.charge(&caller, &parts.method, parts.uri.path())?;
        let path = RawPathParams::from_request_parts(parts, &()).await;
        let path = path.map_err(|_| Refusal::bad_frame("the path is not UTF-8"))?;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(Self {
            services: Arc::clone(services),
            caller,
            query: Query::of(&parts.uri)?,
            path: path.iter().map(owned).collect(),
        })
    }
}

impl AuthedRequest {
    /// The id in the path at `{name}`. What is no id names nothing that could exist: `BAD_FRAME`.
    pub(super) fn id<T: FromStr<Err = InvalidId>>(&self, name: &'static str) -> Result<T, Refusal> {
        let segment = self.path.iter().find(|(known, _)| known == name);
        let id = segment.and_then(|(_, text)| text.parse().ok());
        id.ok_or_else(|| Refusal::bad_frame(format!("{name} is not an id")))
    }
}

/// Judges the token of a request.
pub(super) async fn authenticate(parts: &Parts, services: &Services) -> Result<Caller, Refusal> {
    let unauthorized = |message: &'static str| Refusal::new(ErrorCode::Unauthorized, message);
    let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
    let header = headers
        .next()
        .ok_or_else(|| unauthorized("a token is needed"))?;
    let token = header.to_str().ok().and_then(bearer);
    let (Some(token), None) = (token, headers.next()) else {
        return Err(unauthorized("Authorization must be: Bearer <token>"));
    };
    let judged = services.authenticator.authenticate(token).await;
    judged.map_err(|error| match error {
        TokenError::Invalid(reason) => unauthorized(reason),
        TokenError::AccountDisabled => Refusal::forbidden("this account is refused"),
        TokenError::Unavailable(cause) => {
            tracing::warn!(error = &*cause, "failed to validate tokens");
            Refusal::internal()
        }
    })
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
