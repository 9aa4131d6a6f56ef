//! Which web pages may speak to us: those we served, and those an operator lists.

/// Origins beside our own that may connect, from browsers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    origins: Vec<String>,
}

/// The text is no origin of the form `scheme://host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an origin like https://chat.example.com")]
pub struct BadOrigin(String);

impl AllowedOrigins {
    /// Only the origin that a request was sent to.
    pub const fn same_origin() -> Self {
        Self {
            origins: Vec::new(),
        }
    }

    /// Reads a list of origins; all that are none are named.
    pub fn parse<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<BadOrigin>> {
        let (mut origins, mut bad) = (Vec::new(), Vec::new());
        for text in list {
            let origin = text.trim().trim_end_matches('/').to_ascii_lowercase();
            if is_origin(&origin) {
                origins.push(origin);
            } else {
                bad.push(BadOrigin(text.into()));
            }
        }
        if bad.is_empty() {
            Ok(Self { origins })
        } else {
            Err(bad)
        }
    }

    /// Whether a page of `origin` may speak to the server that it reached as `host`. Listing origins
    /// does not shut out our own.
    pub fn permits(&self, origin: &str, host: Option<&str>) -> bool {
        let origin = origin.to_ascii_lowercase();
        let own = origin
            .split_once("://")
            .zip(host)
            .is_some_and(|((scheme, authority), host)| {
                matches!(scheme, "http" | "https") && same_authority(scheme, authority, host)
            });
        own || self.origins.contains(&origin)
    }
}

fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, authority)| {
        matches!(scheme, "http" | "https")
            && !authority.is_empty()
            && authority
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    })
}

fn same_authority(scheme: &str, authority: &str, host: &str) -> bool {
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let plain = |text: &str| {
        text.strip_suffix(default_port)
            .unwrap_or(text)
            .to_ascii_lowercase()
    };
    plain(authority) == plain(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_and_listed_origins_are_permitted() {
        let listed = AllowedOrigins::parse(["https://chat.example.com/"]).unwrap();
        assert!(listed.permits("https://chat.example.com", Some("127.0.0.1:8080")));
        assert!(listed.permits("http://127.0.0.1:8080", Some("127.0.0.1:8080")));
        assert!(listed.permits("https://a.example", Some("a.example:443")));
        assert!(!listed.permits("https://evil.example", Some("127.0.0.1:8080")));
        assert!(!listed.permits("null", Some("127.0.0.1:8080")));
        assert!(!listed.permits("http://127.0.0.1:8081", Some("127.0.0.1:8080")));
        assert!(!listed.permits("http://127.0.0.1:8080", None));
    }

    #[test]
    fn every_bad_origin_of_a_list_is_named() {
        let bad =
            AllowedOrigins::parse(["https://ok.example", "example.com", "ftp://x"]).unwrap_err();
        assert_eq!(bad.len(), 2);
    }
}
