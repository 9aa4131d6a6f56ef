//! The handshake: from an HTTP request to a WebSocket that speaks `roomcast.v1`.
//!
//! Everything that can be refused is refused while it is still HTTP and a status can give the reason. Then
//! the bare socket is taken back from the HTTP machinery, whose buffers would outweigh the connection.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use fastwebsockets::upgrade::UpgradeFut;
use hyper_util::rt::TokioIo;
use roomcast_ports::access::{Caller, TokenError};
use roomcast_protocol::{CloseCode, ErrorCode, Refusal};
use tracing::{debug, warn};

use crate::Gateway;
use crate::connection::Connection;
use crate::hub::UserConnection;
use crate::parser_refusals::{self, ParserRefusals};
use crate::stall::Stall;
use crate::state::GatewayState;
use crate::task::Task;

/// The subprotocol we speak.
const PROTOCOL: &str = "roomcast.v1";
/// Before a token in the list of subprotocols.
const BEARER: &str = "bearer.";

/// When a client that is refused for now may reconnect.
const RETRY_AFTER_SECONDS: u64 = 1;

/// What the handshake found out about who is there.
enum HandshakeAuth {
    /// A good token came along.
    Authenticated(Caller),
    /// The token is valid, but the account is disabled; the close code reports it.
    AccountDisabled,
    /// The first frame will authenticate.
    Deferred,
}

/// Answers `GET /v1/ws`.
pub(crate) async fn upgrade(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let judged = check_handshake(&gateway.shared, &parts).await;
    let mut request = Request::from_parts(parts, body);
    match judged {
        Ok((who, speaks)) => match fastwebsockets::upgrade::upgrade(&mut request) {
            Ok((response, socket)) => {
                let mut response = response.map(|_| Body::empty());
                if speaks {
                    let protocol = HeaderValue::from_static(PROTOCOL);
                    response
                        .headers_mut()
                        .insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
                }
                let shared = gateway.shared.clone();
                gateway
                    .shared
                    .tracker
                    .spawn(serve_socket(shared, socket, who));
                response
            }
            Err(_) => problem(
                StatusCode::BAD_REQUEST,
                &Refusal::bad_frame("not a WebSocket handshake"),
            ),
        },
        Err(response) => *response,
    }
}

/// Answers every other method on the way there.
pub(crate) async fn other_method() -> Response {
    let mut response = *refuse(&Refusal::new(
        ErrorCode::MethodNotAllowed,
        "a WebSocket begins with GET",
    ));
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET"));
    response
}

async fn check_handshake(
    shared: &GatewayState,
    request: &Parts,
) -> Result<(HandshakeAuth, bool), Box<Response>> {
    let headers = &request.headers;
    if has_token_in_query(request.uri.query()) {
        return Err(refuse(&Refusal::bad_frame(
            "a token does not belong in the query string",
        )));
    }
    if shared.is_draining() {
        return Err(unavailable("this gateway is draining; connect to another"));
    }
    check_origin(shared, headers)?;
    check_upgrade(headers)?;
    let (speaks, offered_token) = check_protocols(headers)?;
    let token = match headers.get(header::AUTHORIZATION) {
        Some(value) => Some(bearer(value).ok_or_else(unauthorized)?),
        None => offered_token,
    };
    let Some(token) = token else {
        return Ok((HandshakeAuth::Deferred, speaks));
    };
    match shared.ports.authenticator.authenticate(token).await {
        Ok(caller) => Ok((HandshakeAuth::Authenticated(caller), speaks)),
        Err(TokenError::AccountDisabled) => Ok((HandshakeAuth::AccountDisabled, speaks)),
        Err(TokenError::Invalid(reason)) => {
            debug!(reason, "refused a token at the handshake");
            Err(unauthorized())
        }
        Err(TokenError::Unavailable(error)) => {
            warn!(
                error = &*error,
                "failed to validate a token at the handshake"
            );
            Err(unavailable("the token cannot be judged now"))
        }
    }
}

fn has_token_in_query(query: Option<&str>) -> bool {
    query.is_some_and(|query| {
        query.split('&').any(|pair| {
            let name = percent_decoded(pair.split('=').next().unwrap_or_default());
            name.eq_ignore_ascii_case(b"token") || name.eq_ignore_ascii_case(b"access_token")
        })
    })
}

/// The bytes that a parameter's name is in a query (RFC 3986 §2.1).
fn percent_decoded(name: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        let octet = match (first, after) {
            (b'%', [high, low, ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                u8::from_str_radix(digits, 16).ok()
            }
            _ => None,
        };
        decoded.push(octet.unwrap_or(*first));
        rest = if octet.is_some() { &after[2..] } else { after };
    }
    decoded
}

fn check_origin(shared: &GatewayState, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if origin
        .to_str()
        .is_ok_and(|origin| shared.config.allowed_origins.permits(origin, host))
    {
        return Ok(());
    }
    Err(refuse(&Refusal::forbidden("this origin may not connect")))
}

fn check_upgrade(headers: &HeaderMap) -> Result<(), Box<Response>> {
    if !names(headers, &header::CONNECTION, "upgrade")
        || !names(headers, &header::UPGRADE, "websocket")
    {
        let refusal = Refusal::bad_frame("this is a WebSocket endpoint; send an upgrade");
        let mut response = problem(StatusCode::UPGRADE_REQUIRED, &refusal);
        response
            .headers_mut()
            .insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let connection = HeaderValue::from_static("upgrade, close");
        response
            .headers_mut()
            .insert(header::CONNECTION, connection);
        return Err(Box::new(response));
    }
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let refusal = Refusal::bad_frame("WebSocket version 13 is spoken here");
        let mut response = problem(StatusCode::UPGRADE_REQUIRED, &refusal);
        let version = HeaderValue::from_static("13");
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_VERSION, version);
        return Err(Box::new(response));
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    if !matches!((keys.next(), keys.next()), (Some(key), None) if is_nonce(key.as_bytes())) {
        return Err(refuse(&Refusal::bad_frame(
            "Sec-WebSocket-Key must be 16 bytes of base64, once",
        )));
    }
    Ok(())
}

/// Whether the bytes are the canonical base64 of 16 bytes (RFC 6455, section 4.1): 22 characters, of
/// which the last has only two bits to give, and the padding.
fn is_nonce(key: &[u8]) -> bool {
    let Some((digits, b"==")) = key.split_at_checked(22) else {
        return false;
    };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    digits.iter().all(is_digit) && b"AQgw".contains(&digits[21])
}

fn names(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value
            .to_str()
            .unwrap_or_default()
            .split(',')
            .any(|item| item.trim().eq_ignore_ascii_case(word))
    })
}

/// Whether the client offers our subprotocol by name, and a token it offers as another.
fn check_protocols(headers: &HeaderMap) -> Result<(bool, Option<&str>), Box<Response>> {
    let mut offered = false;
    let (mut speaks, mut token) = (false, None);
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        for protocol in value.to_str().unwrap_or("?").split(',').map(str::trim) {
            offered = true;
            speaks |= protocol == PROTOCOL;
            token = token.or(protocol.strip_prefix(BEARER));
        }
    }
    if offered && !speaks {
        return Err(refuse(&Refusal::bad_frame(
            "the subprotocol spoken here is roomcast.v1",
        )));
    }
    Ok((speaks, token))
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refuse(refusal: &Refusal) -> Box<Response> {
    let status =
        StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    Box::new(problem(status, refusal))
}

/// 503 with `Retry-After`: nothing was done, and the client reconnects here or elsewhere.
fn unavailable(message: &'static str) -> Box<Response> {
    let mut response = refuse(&Refusal::unavailable(message, RETRY_AFTER_SECONDS * 1_000));
    let seconds = HeaderValue::from(RETRY_AFTER_SECONDS);
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

fn unauthorized() -> Box<Response> {
    let mut response = refuse(&Refusal::new(
        ErrorCode::Unauthorized,
        "the token is bad, expired or revoked",
    ));
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn problem(status: StatusCode, refusal: &Refusal) -> Response {
    let body = parser_refusals::document(status, refusal);
    (
        status,
        [
            (header::CONTENT_TYPE, "application/problem+json"),
            // The edge passes refused upgrades on unread (deploy/haproxy): nothing may follow one.
            (header::CONNECTION, "close"),
        ],
        body,
    )
        .into_response()
}

/// Takes the bare socket back and runs the connection on it.
async fn serve_socket(shared: Arc<GatewayState>, socket: UpgradeFut, who: HandshakeAuth) {
    let socket = match socket.await {
        Ok(socket) => socket.into_inner().into_inner(),
        Err(error) => {
            debug!(
                error = &error as &dyn std::error::Error,
                "failed to upgrade a connection"
            );
            return;
        }
    };
    let Ok(parts) = socket.downcast::<TokioIo<ParserRefusals<Stall>>>() else {
        warn!("upgraded connection is no TCP socket");
        return;
    };
    let now = shared.clock.now();
    let stream = parts.io.into_inner().into_inner().into_inner();
    let connection = Arc::new(UserConnection::new(Connection::new(stream, now)));
    // What the client sent without waiting for the answer; an empty buffer would still hold 8 KiB.
    let mut task = Task::new(shared.clone(), connection.clone(), &parts.read_buf);
    drop(parts.read_buf);
    match who {
        HandshakeAuth::Authenticated(caller) => task.welcome(caller),
        HandshakeAuth::AccountDisabled => connection.close(CloseCode::AccountRefused, now),
        HandshakeAuth::Deferred => shared.hub.newcomers.add(&connection),
    }
    if shared.is_draining() {
        shared.send_reconnect(&connection, 0);
        connection.close(CloseCode::GoingAway, now);
    }
    task.schedule();
    // A task of its own, so that this one with its larger state ends here.
    shared.tracker.spawn(task);
}
