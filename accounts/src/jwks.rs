//! JSON Web Key Sets (RFC 7517): selects the keys that sign tokens.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use crate::key_validation::{NOT_SUITABLE, is_valid_key};
use crate::verifying_key::VerifyingKey;

/// Keys of one set; more is refused, for each may be tried on each token.
const KEYS_MAX: usize = 100;

/// Why a set is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JwksError {
    #[error("is no JWKS")]
    NoKeySet(#[from] serde_json::Error),
    #[error("holds {0} keys, and {KEYS_MAX} are enough")]
    TooMany(usize),
    #[error("{NOT_SUITABLE}")]
    NoneSuitable,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// The keys of a set that sign tokens with an algorithm we take; the others are not ours to judge.
pub(crate) fn parse(json: &[u8]) -> Result<Vec<VerifyingKey>, JwksError> {
    let set: KeySet = serde_json::from_slice(json)?;
    if set.keys.len() > KEYS_MAX {
        return Err(JwksError::TooMany(set.keys.len()));
    }
    let keys: Vec<_> = set.keys.into_iter().filter_map(suitable).collect();
    if keys.is_empty() {
        Err(JwksError::NoneSuitable)
    } else {
        Ok(keys)
    }
}

fn suitable(key: Value) -> Option<VerifyingKey> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let for_signatures = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let (algorithm, name) = algorithm_of(&jwk)?;
    let for_algorithm = jwk.common.key_algorithm.is_none_or(|named| named == name);
    if !for_signatures || !for_algorithm {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    is_valid_key(algorithm, &key)
        .then(|| VerifyingKey::new(jwk.common.key_id.as_deref(), algorithm, key))
}

/// A set is public, so a shared secret (`oct`) in one is a mistake we don't build on.
fn algorithm_of(jwk: &Jwk) -> Option<(Algorithm, KeyAlgorithm)> {
    match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Some((Algorithm::EdDSA, KeyAlgorithm::EdDSA))
        }
        AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
            Some((Algorithm::ES256, KeyAlgorithm::ES256))
        }
        AlgorithmParameters::RSA(_) => Some((Algorithm::RS256, KeyAlgorithm::RS256)),
        _ => None,
    }
}
