//! The key that signs this installation's access tokens, kept in the data directory.
//!
//! It is created at the first start and never changed: removing the file ends every access
//! token signed with it, and every refresh token, whose key is derived from it. All processes of a fleet
//! are given the same file.

mod key_file;

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use roomcast_protocol::{SessionId, Timestamp, UserId};

use crate::KeyError;
use crate::claims::NewClaims;
use crate::refresh_token::RefreshKey;
use crate::verifying_key::VerifyingKey;

const FILE_NAME: &str = "signing-key.pem";

/// The claims of a token to issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// For whom it speaks.
    pub user_id: UserId,
    /// The name it gives them.
    pub name: Option<String>,
    /// The sign-in it comes from; it holds no longer than that one.
    pub session_id: Option<SessionId>,
    /// Whether it speaks for the host product's server (scope `admin`).
    pub admin: bool,
    /// How long it holds.
    pub lifetime: Duration,
}

/// Signs access tokens.
pub struct Issuer {
    signing: EncodingKey,
    verifying: VerifyingKey,
    refresh_key: RefreshKey,
    key_id: String,
}

impl Issuer {
    /// Opens the signing key of `data_dir`, or makes both. Of two processes that find none at the same time,
    /// both open the same.
    pub fn open(data_dir: &Path) -> Result<Self, KeyError> {
        let path = data_dir.join(FILE_NAME);
        let pem = key_file::open(&path)?;
        Self::from_pem(&pem).ok_or(KeyError::NoKey { path })
    }

    /// Signs an access token, from now on.
    pub fn mint(&self, request: &TokenRequest) -> String {
        self.mint_at(request, Timestamp::now())
    }

    pub(crate) fn mint_at(&self, request: &TokenRequest, now: Timestamp) -> String {
        let mut token_id = [0; 16];
        rand::fill(&mut token_id).expect("the system gave randomness for the signing key as well");
        let claims = NewClaims {
            sub: &request.user_id,
            iat: now.as_millis() / 1_000,
            exp: now.plus(request.lifetime).as_millis() / 1_000,
            jti: &URL_SAFE_NO_PAD.encode(token_id),
            name: request.name.as_deref(),
            sid: request.session_id.as_ref(),
            scope: NewClaims::scope(request.admin),
        };
        claims
            .sign(&self.key_id, &self.signing)
            .expect("a key that was opened signs")
    }

    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        self.verifying.clone()
    }

    /// The key of refresh tokens, which goes with the signing key.
    pub(crate) fn refresh_key(&self) -> &RefreshKey {
        &self.refresh_key
    }

    fn from_pem(pem: &[u8]) -> Option<Self> {
        let signing = EncodingKey::from_ed_pem(pem).ok()?;
        let pair = Ed25519KeyPair::from_pkcs8(signing.inner()).ok()?;
        let public = pair.public_key().as_ref();
        let key_id = thumbprint(public);
        let verifying = VerifyingKey::new(
            Some(&key_id),
            Algorithm::EdDSA,
            DecodingKey::from_ed_der(public),
        );
        Some(Self {
            signing,
            verifying,
            refresh_key: RefreshKey::derive(&pair).ok()?,
            key_id,
        })
    }
}

/// The key's id: its RFC 7638 thumbprint, which every holder of the key computes alike.
fn thumbprint(public: &[u8]) -> String {
    let jwk = format!(
        r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(public)
    );
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, jwk.as_bytes()))
}

#[cfg(test)]
mod tests;
