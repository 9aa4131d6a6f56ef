//! The claims of an access token and their validation.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use roomcast_ports::access::{Caller, TokenError};
use roomcast_protocol::{SessionId, Timestamp, UserId, limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const ADMIN: &str = "admin";

/// The claims we read. Of the wrong type, those we must have make a token malformed; the others count
/// as not given.
#[derive(Deserialize)]
pub(crate) struct Claims {
    sub: String,
    /// Seconds since the epoch, perhaps with a fraction (RFC 7519, `NumericDate`).
    exp: f64,
    nbf: Option<f64>,
    iss: Option<Value>,
    aud: Option<Value>,
    name: Option<Value>,
    scope: Option<Value>,
    sid: Option<Value>,
}

impl Claims {
    /// Whether `iss` is exactly this one.
    pub(crate) fn is_of_issuer(&self, issuer: &str) -> bool {
        text(self.iss.as_ref()) == Some(issuer)
    }

    /// Whether `aud`, a string or a list of strings, names this one.
    pub(crate) fn is_for_audience(&self, audience: &str) -> bool {
        match &self.aud {
            Some(Value::String(only)) => only == audience,
            Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(audience)),
            _ => false,
        }
    }

    /// Who speaks, if the token holds at `now`. Its session is not asked for here, and only counts in
    /// tokens `of_our_making`: what another issuer calls `sid` is nothing to us. The scope `admin`
    /// only counts in tokens that `may_be_admin`.
    pub(crate) fn judge(
        self,
        now: Timestamp,
        of_our_making: bool,
        may_be_admin: bool,
    ) -> Result<Caller, TokenError> {
        let now = seconds(now);
        let leeway = limits::TOKEN_LEEWAY.as_secs_f64();
        if now >= self.exp + leeway {
            return Err(TokenError::Invalid("it has expired"));
        }
        if self.nbf.is_some_and(|not_before| now < not_before - leeway) {
            return Err(TokenError::Invalid("it is not valid yet"));
        }
        let user_id = UserId::new(&self.sub);
        let user_id = user_id.map_err(|_| TokenError::Invalid("its sub is no user id"))?;
        Ok(Caller {
            user_id,
            name: text(self.name.as_ref()).map(str::to_owned),
            session_id: if of_our_making {
                session_id(self.sid.as_ref())?
            } else {
                None
            },
            admin: may_be_admin
                && text(self.scope.as_ref())
                    .is_some_and(|scope| scope.split(' ').any(|word| word == ADMIN)),
            expires_at: timestamp(self.exp),
        })
    }
}

fn text(claim: Option<&Value>) -> Option<&str> {
    claim.and_then(Value::as_str)
}

fn session_id(claim: Option<&Value>) -> Result<Option<SessionId>, TokenError> {
    let Some(claim) = claim else { return Ok(None) };
    let session_id = claim.as_str().and_then(|text| SessionId::new(text).ok());
    // Ours are always good; one that isn't must not pass for a token without a session.
    session_id
        .map(Some)
        .ok_or(TokenError::Invalid("its sid is no session id"))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds up to the year 9999 are below 2^53"
)]
fn seconds(time: Timestamp) -> f64 {
    time.as_millis() as f64 / 1_000.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and what is past the year 9999 is its end"
)]
fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1_000.0) as u64)
}

/// The claims we write.
#[derive(Serialize)]
pub(crate) struct NewClaims<'a> {
    pub(crate) sub: &'a UserId,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    /// Distinguishes two tokens of the same second.
    pub(crate) jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sid: Option<&'a SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<&'static str>,
}

impl NewClaims<'_> {
    /// The scope of the host product's server, or none.
    pub(crate) fn scope(admin: bool) -> Option<&'static str> {
        admin.then_some(ADMIN)
    }

    /// The token, signed.
    pub(crate) fn sign(
        &self,
        key_id: &str,
        key: &EncodingKey,
    ) -> jsonwebtoken::errors::Result<String> {
        let header = Header {
            kid: Some(key_id.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        encode(&header, self, key)
    }
}
