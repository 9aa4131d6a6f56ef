//! Token policy of a key source: issuer, audience and whether `admin` is granted.
//!
//! An identity provider signs tokens for all its applications with the same keys. The issuer and the
//! audience distinguish those that are meant for this service, and only tokens of a source that may do
//! so speak for the host product's server.

use std::borrow::Cow;

use crate::claims::Claims;

/// The demands of one source, as written behind its `#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenPolicy {
    issuer: Option<String>,
    audience: Option<String>,
    /// Whether the scope `admin` counts.
    pub(crate) admin: bool,
}

impl TokenPolicy {
    /// Parses `issuer=…&audience=…&admin=yes|no`, each at most once, values percent-encoded. The error
    /// is a sentence for the operator.
    pub(crate) fn parse(options: &str, admin_default: bool) -> Result<Self, String> {
        let (mut issuer, mut audience, mut admin) = (None, None, None);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (word, value) = option.split_once('=').unwrap_or((option, ""));
            let place = match word {
                "issuer" => &mut issuer,
                "audience" => &mut audience,
                "admin" => &mut admin,
                _ => {
                    let known = "issuer, audience and admin may stand behind #";
                    return Err(format!("{word:?} is unknown: {known}"));
                }
            };
            let value = decoded(value)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("{word} needs a percent-encoded value"))?;
            if place.replace(value.into_owned()).is_some() {
                return Err(format!("{word} is given twice"));
            }
        }
        let admin = match admin.as_deref() {
            None => admin_default,
            Some("yes") => true,
            Some("no") => false,
            Some(_) => return Err("admin is yes or no".to_owned()),
        };
        Ok(Self {
            issuer,
            audience,
            admin,
        })
    }

    /// Whether tokens of any issuer and for any audience pass.
    pub(crate) fn demands_nothing(&self) -> bool {
        self.issuer.is_none() && self.audience.is_none()
    }

    /// Checks the claims of a token with a valid signature; the error names what is wrong.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), &'static str> {
        if let Some(issuer) = &self.issuer
            && !claims.is_of_issuer(issuer)
        {
            return Err("its iss is not the issuer that is configured");
        }
        if let Some(audience) = &self.audience
            && !claims.is_for_audience(audience)
        {
            return Err("its aud does not name the audience that is configured");
        }
        Ok(())
    }
}

/// The text that `value` stands for (RFC 3986); `None` when it is malformed or no UTF-8.
fn decoded(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains('%') {
        return Some(Cow::Borrowed(value));
    }
    let mut parts = value.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.as_bytes().split_at_checked(2)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
        bytes.extend_from_slice(rest);
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_percent_decoded_and_may_be_left_out() {
        let policy = TokenPolicy::parse("", true).unwrap();
        assert!(policy.demands_nothing() && policy.admin);
        let written = "issuer=https%3A%2F%2Fid.example%2Fa%23b&audience=chat%20one&admin=no";
        let policy = TokenPolicy::parse(written, true).unwrap();
        assert_eq!(policy.issuer.as_deref(), Some("https://id.example/a#b"));
        assert_eq!(policy.audience.as_deref(), Some("chat one"));
        assert!(!policy.admin);
        let plain = TokenPolicy::parse("issuer=https://id.example/+&admin=yes", false).unwrap();
        assert_eq!(plain.issuer.as_deref(), Some("https://id.example/+"));
        assert!(plain.admin);
    }

    #[test]
    fn options_that_are_unknown_or_malformed_are_named() {
        for (written, complaint) in [
            ("isuer=a", "\"isuer\" is unknown"),
            ("audience", "audience needs"),
            ("issuer=", "issuer needs"),
            ("issuer=%2", "issuer needs"),
            ("issuer=%zz", "issuer needs"),
            ("issuer=%+1", "issuer needs"),
            ("issuer=%ff", "issuer needs"),
            ("issuer=a&issuer=b", "issuer is given twice"),
            ("admin=true", "admin is yes or no"),
        ] {
            let error = TokenPolicy::parse(written, true).unwrap_err();
            assert!(error.starts_with(complaint), "{written}: {error}");
        }
    }
}
