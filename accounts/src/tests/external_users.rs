//! A host product's keys: what it signs with, and what it hands out.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::fixture::clock;

/// A key pair of the host's.
pub(crate) struct HostKey {
    pub(crate) algorithm: Algorithm,
    signing: EncodingKey,
    pub(crate) public_pem: String,
    pub(crate) private_pem: String,
    jwk: Value,
}

impl HostKey {
    pub(crate) fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let public = pair.public_key();
        let der: PublicKeyX509Der<'_> = public.as_der().unwrap();
        let x = URL_SAFE_NO_PAD.encode(public.as_ref());
        Self {
            algorithm: Algorithm::EdDSA,
            signing: EncodingKey::from_ed_der(pkcs8.as_ref()),
            public_pem: pem("PUBLIC KEY", &*der),
            private_pem: pem("PRIVATE KEY", pkcs8),
            jwk: json!({ "kty": "OKP", "crv": "Ed25519", "x": x }),
        }
    }

    pub(crate) fn p256() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let signing = EncodingKey::from_ec_der(pkcs8.as_ref());
        Self {
            algorithm: Algorithm::ES256,
            public_pem: pem("PUBLIC KEY", &*public),
            private_pem: pem("PRIVATE KEY", pkcs8),
            jwk: jwk(&signing, Algorithm::ES256),
            signing,
        }
    }

    pub(crate) fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let private_pem = pem("PRIVATE KEY", &*private);
        let signing = EncodingKey::from_rsa_pem(private_pem.as_bytes()).unwrap();
        Self {
            algorithm: Algorithm::RS256,
            public_pem: pem("PUBLIC KEY", &*public),
            private_pem,
            jwk: jwk(&signing, Algorithm::RS256),
            signing,
        }
    }

    /// One for each algorithm with a public key.
    pub(crate) fn each() -> [Self; 3] {
        [Self::ed25519(), Self::p256(), Self::rsa()]
    }

    /// Its entry of a key set.
    pub(crate) fn jwk(&self, key_id: Option<&str>) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["use"] = json!("sig");
        if let Some(key_id) = key_id {
            jwk["kid"] = json!(key_id);
        }
        jwk
    }

    /// A token that holds for a minute.
    pub(crate) fn token(&self, key_id: Option<&str>) -> String {
        self.sign(
            &Header {
                kid: key_id.map(str::to_owned),
                ..self.header()
            },
            &claims("host:7"),
        )
    }

    pub(crate) fn header(&self) -> Header {
        Header::new(self.algorithm)
    }

    pub(crate) fn sign(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.signing).unwrap()
    }
}

/// The required claims of a token, valid for a minute from now.
pub(crate) fn claims(sub: &str) -> Value {
    json!({ "sub": sub, "exp": seconds_from_now(60) })
}

pub(crate) fn seconds_from_now(seconds: i64) -> i64 {
    i64::try_from(clock().as_millis()).unwrap() / 1_000 + seconds
}

pub(crate) fn key_set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

pub(crate) fn with_secret(secret: &[u8], header: &Header, claims: &Value) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn pem(label: &str, der: impl AsRef<[u8]>) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn jwk(signing: &EncodingKey, algorithm: Algorithm) -> Value {
    serde_json::to_value(Jwk::from_encoding_key(signing, algorithm).unwrap()).unwrap()
}
