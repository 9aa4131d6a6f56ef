//! Origin checks: the own page and the origins an operator lists.
//!
//! Origins are compared in the form in which browsers write them: lower case, default ports left out,
//! IPv6 addresses compressed. Both sides are brought into that form, so `https://App.example:443` in a
//! list and `https://app.example` in a header are the same origin.

use std::net::Ipv6Addr;

/// What browsers send for a page without an origin of its own, such as a sandboxed frame.
const OPAQUE: &str = "null";
/// The only scheme whose origin has no host: pages that an Android web view loads from files.
const HOSTLESS: &str = "file";

/// Origins beside the server's own that may connect, from browsers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    /// In the form of [`normalized`].
    origins: Vec<String>,
}

/// The text is no origin of the form `scheme://host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an origin as browsers write it, such as https://chat.example.com, \
     http://localhost:5173, capacitor://localhost or null; there are no wildcards"
)]
pub struct OriginError(String);

impl AllowedOrigins {
    /// Only the origin that a request was sent to.
    pub const fn same_origin() -> Self {
        Self {
            origins: Vec::new(),
        }
    }

    /// Reads a list of origins, of web pages or of app schemes; returns every entry that is none.
    pub fn parse<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<OriginError>> {
        let (mut origins, mut bad) = (Vec::new(), Vec::new());
        for text in list {
            let origin = text.trim();
            // Operators copy addresses from the location bar, which ends in a slash.
            let origin = origin
                .strip_suffix('/')
                .filter(|rest| !rest.ends_with('/'))
                .unwrap_or(origin);
            match normalized(origin) {
                Some(origin) => origins.push(origin),
                None => bad.push(OriginError(text.into())),
            }
        }
        if bad.is_empty() {
            Ok(Self { origins })
        } else {
            Err(bad)
        }
    }

    /// Whether a page of `origin` may call the server that it reached as `host` (the `Host` header). The
    /// server's own origin is permitted whatever is listed; `null` only when it is listed.
    pub fn permits(&self, origin: &str, host: Option<&str>) -> bool {
        let Some(origin) = normalized(origin) else {
            return false;
        };
        self.origins.contains(&origin) || host.is_some_and(|host| is_own(&origin, host))
    }
}

/// Whether a web page of this normalized origin was served under this `Host`.
fn is_own(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(scheme, _)| {
        matches!(scheme, "http" | "https")
            && normalized(&format!("{scheme}://{host}")).is_some_and(|own| own == origin)
    })
}

/// The origin as a browser would write it; `None` for what is no origin.
fn normalized(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case(OPAQUE) {
        return Some(OPAQUE.to_owned());
    }
    let (scheme, authority) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if !is_scheme(&scheme) {
        return None;
    }
    if authority.is_empty() && scheme == HOSTLESS {
        return Some(format!("{scheme}://"));
    }
    let (host, port) = split_port(authority)?;
    let host = normalized_host(host)?;
    Some(match port {
        Some(port) if Some(port) != default_port(&scheme) => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

/// RFC 3986, section 3.1. The schemes of sockets are none of pages.
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !matches!(scheme, "ws" | "wss")
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Host and port; `None` when what follows the last colon is no port.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        // The last colon may be one of an IPv6 address.
        Some((host, port)) if !port.ends_with(']') => {
            let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            Some((host, Some(port.parse().ok().filter(|_| digits)?)))
        }
        _ => Some((authority, None)),
    }
}

fn normalized_host(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (!host.is_empty() && host.bytes().all(allowed)).then(|| host.to_ascii_lowercase())
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
        assert!(!listed.permits("capacitor://localhost", Some("localhost")));
    }

    #[test]
    fn default_ports_and_case_are_equal_on_both_sides() {
        let same = [
            "https://app.example",
            "https://app.example:443",
            "HTTPS://App.Example:0443",
        ];
        for listed in same {
            let listed = AllowedOrigins::parse([listed]).unwrap();
            for origin in same {
                assert!(listed.permits(origin, None), "{origin} of {listed:?}");
            }
            for other in [
                "https://app.example:444",
                "http://app.example",
                "https://app.example:80",
            ] {
                assert!(!listed.permits(other, None), "{other} of {listed:?}");
            }
        }
        let own = AllowedOrigins::same_origin();
        assert!(own.permits("http://A.example:80", Some("a.EXAMPLE")));
        assert!(own.permits("http://[::1]:8080", Some("[0:0::1]:8080")));
        assert!(!own.permits("https://a.example", Some("a.example:80")));
    }

    #[test]
    fn app_schemes_and_null_are_permitted_only_when_listed() {
        let apps = [
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "app://-",
            "chrome-extension://abcdefghijklmnop",
            "file://",
            "null",
        ];
        let listed = AllowedOrigins::parse(apps).unwrap();
        for app in apps {
            assert!(listed.permits(app, Some("localhost")), "{app}");
            assert!(
                !AllowedOrigins::same_origin().permits(app, Some("localhost")),
                "{app}"
            );
        }
        assert!(listed.permits("Capacitor://LOCALHOST", None));
        assert!(!listed.permits("capacitor://localhost:443", None));
    }

    #[test]
    fn every_bad_origin_of_a_list_is_named() {
        let bad = [
            "example.com",
            "*",
            "https://*.example.com",
            "https://",
            "capacitor://",
            "://a",
            "https://a/b",
            "https://a:",
            "https://a:99999",
            "https://a:+1",
            "https://u@a",
            "https://a b",
            "https://[::g]",
            "wss://a.example",
            "https://a.example//",
            "",
        ];
        let ok = ["https://ok.example"];
        let named = AllowedOrigins::parse(bad.into_iter().chain(ok)).unwrap_err();
        let named: Vec<_> = named
            .iter()
            .map(|OriginError(text)| text.as_str())
            .collect();
        assert_eq!(named, bad);
    }
}
