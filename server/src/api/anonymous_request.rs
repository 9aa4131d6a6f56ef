//! Who calls without a token, or proves themselves by a password: the address that limits count by.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, USER_AGENT};
use axum::http::request::Parts;
use roomcast_accounts::Client;

use super::Services;
use super::problem::ProblemResponse;
use super::request::authenticate;

/// The client of a call without a token. One that comes with a token of scope `admin` is not limited.
pub(super) struct AnonymousRequest(pub(super) Client);

/// The address of the client of any call.
pub(super) struct Address(pub(super) IpAddr);

impl FromRequestParts<Arc<Services>> for AnonymousRequest {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, ProblemResponse> {
        let exempt = parts.headers.contains_key(AUTHORIZATION)
            && authenticate(parts, services)
                .await
                .is_ok_and(|caller| caller.admin);
        let user_agent = parts.headers.get(USER_AGENT).map(HeaderValue::as_bytes);
        Ok(Self(Client {
            address: address(parts, services),
            user_agent: user_agent.map(|text| String::from_utf8_lossy(text).into_owned()),
            exempt,
        }))
    }
}

impl FromRequestParts<Arc<Services>> for Address {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, ProblemResponse> {
        Ok(Self(address(parts, services)))
    }
}

fn address(parts: &Parts, services: &Services) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let forwarded: Vec<&str> = parts
        .headers
        .get_all("x-forwarded-for")
        .iter()
        // What is no text is no address.
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    if !forwarded.is_empty() {
        services.trusted_proxies.say_untrusted(peer);
    }
    services.trusted_proxies.client(peer, forwarded.into_iter())
}
