//! Whether a public key can verify anything, found out when it is configured instead of by refusing
//! every token later: the point is on the curve, the modulus of a size that is taken.

use std::ops::RangeInclusive;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};

/// The error text for an invalid key, or one of another kind.
pub(crate) const NOT_SUITABLE: &str =
    "holds no key that signs tokens: Ed25519, P-256, or RSA of 2048 to 8192 bits";

const RSA_MODULUS_BYTES: RangeInclusive<usize> = 256..=1_024;
const DER_INTEGER: u8 = 0x02;
const DER_SEQUENCE: u8 = 0x30;

/// Whether `key` is a good public key for `algorithm`.
pub(crate) fn is_valid_key(algorithm: Algorithm, key: &DecodingKey) -> bool {
    match (algorithm, key.kind()) {
        (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(point)) => parses(&ED25519, point),
        (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
            parses(&ECDSA_P256_SHA256_FIXED, point)
        }
        (Algorithm::RS256, DecodingKeyKind::SecretOrDer(pkcs1)) => {
            let modulus = der(pkcs1, DER_SEQUENCE).and_then(|key| der(key, DER_INTEGER));
            modulus.is_some_and(is_modulus)
        }
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            is_modulus(n) && !e.is_empty()
        }
        _ => false,
    }
}

fn parses(algorithm: &'static dyn VerificationAlgorithm, point: &[u8]) -> bool {
    ParsedPublicKey::new(algorithm, point).is_ok()
}

fn is_modulus(number: &[u8]) -> bool {
    let bytes = number.iter().skip_while(|byte| **byte == 0).count();
    RSA_MODULUS_BYTES.contains(&bytes)
}

/// The content of the DER element that `bytes` begin with, if it has this tag.
fn der(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        let add = |sum: usize, digit: &u8| sum.checked_mul(256)?.checked_add(usize::from(*digit));
        (digits.iter().try_fold(0, add)?, rest)
    };
    (*first == tag).then(|| rest.get(..length))?
}
