//! Key sources: the syntax and options of `--token-key`.
//!
//! Files are read here and now, so that a wrong one is a wrong configuration, named before anything
//! starts. A key set behind a URL is fetched later, by the [`KeyRing`](crate::KeyRing): the host
//! product may start after us.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};

use hyper::Uri;

use crate::jwks;
use crate::token_policy::TokenPolicy;
use crate::verifying_key::VerifyingKey;

/// Bytes of a file or reply with keys; more is refused.
pub(crate) const KEYS_BYTES_MAX: usize = 1 << 20;
/// RFC 7518 wants at least as many bytes of secret as HS256 gives.
const SECRET_BYTES_ADVISED: usize = 32;

/// Of a URL without demands.
const OPEN_TO_ALL: &str = "tokens that its issuer made for any other application are taken as well: \
                           put #issuer=…&audience=… behind it";

/// One source of keys, read as far as it can be before the start.
#[derive(Clone)]
pub struct KeySource {
    pub(crate) name: String,
    pub(crate) keys: Keys,
    /// The required claims of its tokens.
    pub(crate) policy: TokenPolicy,
    /// What the operator should know about it.
    pub(crate) warnings: Vec<&'static str>,
}

/// Where the keys of a source are.
#[derive(Clone)]
pub(crate) enum Keys {
    Here(Vec<VerifyingKey>),
    Behind(Uri),
}

impl KeySource {
    /// Reads one `--token-key`: a PEM or JWKS file, the URL of a JWKS, or `hs256:FILE`, and behind the
    /// last `#` the required claims of its tokens: `issuer=…&audience=…&admin=yes|no`. The error is a sentence
    /// for the operator, which names the source and no secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (place, options) = text.rsplit_once('#').unwrap_or((text, ""));
        let source = if let Some(path) = place.strip_prefix("hs256:") {
            secret(path)
        } else if let Some((scheme, _)) = place.split_once("://") {
            url(scheme, place)
        } else {
            public_keys(place).map(|keys| (Keys::Here(keys), None))
        };
        let source = source.and_then(|(keys, warning)| {
            let is_file = matches!(keys, Keys::Here(_));
            let policy = TokenPolicy::parse(options, is_file)?;
            let open = (!is_file && policy.demands_nothing()).then_some(OPEN_TO_ALL);
            let warnings = [warning, open].into_iter().flatten().collect();
            Ok((keys, policy, warnings))
        });
        let (keys, policy, warnings) = source.map_err(|reason| match place.split_once('@') {
            // Perhaps a password stands before it: not to be repeated.
            Some(_) if place.contains("://") => reason,
            _ => format!("{text}: {reason}"),
        })?;
        Ok(Self {
            name: text.to_owned(),
            keys,
            policy,
            warnings,
        })
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeySource").field(&self.name).finish()
    }
}

type Source = (Keys, Option<&'static str>);

fn secret(path: &str) -> Result<Source, String> {
    let bytes = read(path)?;
    let secret = bytes.trim_ascii();
    if secret.is_empty() {
        return Err("holds no secret".to_owned());
    }
    let short = secret.len() < SECRET_BYTES_ADVISED;
    let warning = short.then_some("the secret is shorter than 32 bytes and may be guessed");
    Ok((Keys::Here(vec![VerifyingKey::from_secret(secret)]), warning))
}

fn url(scheme: &str, text: &str) -> Result<Source, String> {
    if text.contains('@') {
        return Err("a key URL holds no user and no password".to_owned());
    }
    let uri = text
        .parse::<Uri>()
        .map_err(|error| format!("is no URL: {error}"))?;
    match scheme {
        "https" => Ok((Keys::Behind(uri), None)),
        "http" => Ok((
            Keys::Behind(uri),
            Some("whoever is on the way to it can give us keys: use https"),
        )),
        _ => Err("is neither http nor https".to_owned()),
    }
}

fn public_keys(path: &str) -> Result<Vec<VerifyingKey>, String> {
    let bytes = read(path)?;
    let text = str::from_utf8(&bytes).map_err(|_| "is neither PEM nor JWKS".to_owned())?;
    if text.trim_start().starts_with('{') {
        return jwks::parse(text.as_bytes()).map_err(|error| error.to_string());
    }
    let key = VerifyingKey::from_pem(text).map_err(str::to_owned)?;
    Ok(vec![key])
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(KEYS_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > KEYS_BYTES_MAX {
        return Err(format!("is over {KEYS_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
