//! One verification key and its algorithm.
//!
//! A key never serves another algorithm than its own: otherwise a public key, which every client has,
//! could be taken for a shared secret. A token that names its key (`kid`) is taken by the key of that
//! id alone, and so by none without an id: a product with key ids uses a JWKS. A token that
//! names none is taken by whichever key verifies it.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode};
use roomcast_ports::access::TokenError;

use crate::claims::Claims;
use crate::key_validation::{NOT_SUITABLE, is_valid_key};

/// A key, ready to verify with.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    key_id: Option<Arc<str>>,
    algorithm: Algorithm,
    key: DecodingKey,
    signature_only: Validation,
}

impl VerifyingKey {
    /// A key that has been found sound.
    pub(crate) fn new(key_id: Option<&str>, algorithm: Algorithm, key: DecodingKey) -> Self {
        // Times are judged by our clock and leeway, in `claims`; `iss` and `aud` by `token_policy`.
        let mut signature_only = Validation::new(algorithm);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        Self {
            key_id: key_id.map(Into::into),
            algorithm,
            key,
            signature_only,
        }
    }

    /// A secret shared with the host product.
    pub(crate) fn from_secret(secret: &[u8]) -> Self {
        Self::new(None, Algorithm::HS256, DecodingKey::from_secret(secret))
    }

    /// A public key in PEM; the reason when it is none that signs tokens.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, &'static str> {
        check_label(pem)?;
        let pem = pem.as_bytes();
        let (algorithm, key) = if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            (Algorithm::EdDSA, key)
        } else if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            (Algorithm::ES256, key)
        } else if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            (Algorithm::RS256, key)
        } else {
            return Err(NOT_SUITABLE);
        };
        if !is_valid_key(algorithm, &key) {
            return Err(NOT_SUITABLE);
        }
        Ok(Self::new(None, algorithm, key))
    }

    /// Whether its name is this one.
    pub(crate) fn is_named(&self, key_id: &str) -> bool {
        self.key_id.as_deref() == Some(key_id)
    }

    /// A token's claims; `None` when it was not signed by this key.
    pub(crate) fn read(&self, header: &Header, token: &str) -> Result<Option<Claims>, TokenError> {
        let other_name = header
            .kid
            .as_ref()
            .is_some_and(|named| !self.is_named(named));
        if other_name || header.alg != self.algorithm {
            return Ok(None);
        }
        match decode(token, &self.key, &self.signature_only) {
            Ok(token) => Ok(Some(token.claims)),
            Err(error) => match error.kind() {
                // The signature comes before what is in it, so this much is ours and of no use.
                ErrorKind::Json(_) | ErrorKind::Utf8(_) => {
                    Err(TokenError::Invalid("its claims are missing or malformed"))
                }
                _ => Ok(None),
            },
        }
    }
}

fn check_label(pem: &str) -> Result<(), &'static str> {
    let mut labels = pem.split("-----BEGIN ").skip(1);
    let label = labels
        .next()
        .and_then(|rest| rest.split_once("-----"))
        .map(|(label, _)| label);
    if labels.next().is_some() {
        return Err("holds more than one key: name a file for each");
    }
    match label {
        Some("PUBLIC KEY" | "RSA PUBLIC KEY") => Ok(()),
        Some("CERTIFICATE") => Err("holds a certificate: give the public key in it"),
        Some(label) if label.ends_with("PRIVATE KEY") => {
            Err("holds a private key: give the public one, and keep this one to yourself")
        }
        _ => Err("holds no public key in PEM"),
    }
}
