//! Trusted proxies: the addresses whose `X-Forwarded-For` is used.
//!
//! Behind a proxy every connection comes from the proxy, and limits by address would count all clients
//! as one. A trusted proxy gives the origin of a request in `X-Forwarded-For`; the header of another peer
//! is ignored, since a client may write anything into it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Once;

/// Addresses and networks of proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<Network>,
}

/// The addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl TrustedProxies {
    /// Parses addresses (`10.0.0.7`, `fd00::1`) and networks (`10.0.0.0/8`, `fd00::/8`); the error
    /// names the first entry that is neither.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let network = |entry: &'a str| {
            Network::parse(entry).ok_or_else(|| {
                format!("{entry:?} is neither an address nor a network such as 10.0.0.0/8")
            })
        };
        let networks = entries.into_iter().map(network).collect::<Result<_, _>>()?;
        Ok(Self { networks })
    }

    /// The address that limits count by: of those in `forwarded`, the values of `X-Forwarded-For` in
    /// their order, the last that no trusted proxy has; the peer itself when it is no trusted proxy.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut client = peer.to_canonical();
        let entries = forwarded.rev().flat_map(|value| value.rsplit(','));
        for entry in entries {
            if !self.trust(client) {
                break;
            }
            // What is no address was not written by a proxy that is trusted: the last good one counts.
            let Some(address) = address(entry.trim()) else {
                break;
            };
            client = address;
        }
        client
    }

    /// Warns once about a proxy that is not trusted, since its clients share limits.
    pub(crate) fn say_untrusted(&self, peer: IpAddr) {
        static SAID: Once = Once::new();
        if !self.trust(peer.to_canonical()) {
            SAID.call_once(|| {
                tracing::warn!(%peer, "ignored X-Forwarded-For of a peer that is not among \
                    --trusted-proxies: limits count all its clients as one address");
            });
        }
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.has(address))
    }
}

impl Network {
    fn parse(entry: &str) -> Option<Self> {
        let (address, bits) = match entry.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (entry, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        (bits <= most).then_some(Self { address, bits })
    }

    fn has(&self, address: IpAddr) -> bool {
        let differs = |ours: u128, theirs: u128, width: u32| {
            // A shift by the whole width is none.
            let shift = width - self.bits;
            (ours ^ theirs).checked_shr(shift).unwrap_or(0) != 0
        };
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                !differs(u32::from(ours).into(), u32::from(theirs).into(), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => !differs(ours.into(), theirs.into(), 128),
            _ => false,
        }
    }
}

/// An address as proxies write it: bare, in brackets, with a port behind it.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok();
    let address = address.or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted = TrustedProxies::parse(trusted.iter().copied()).unwrap();
        let client = trusted.client(ip(peer), forwarded.iter().copied());
        client.to_string()
    }

    #[test]
    fn header_of_an_untrusted_peer_is_ignored() {
        assert_eq!(client(&[], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        let other = ["10.0.0.0/8", "192.0.2.2", "::/0"];
        assert_eq!(client(&other, "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn last_address_that_no_trusted_proxy_has_is_the_client() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        for (forwarded, expected) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            (&["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            (&["203.0.113.9, 198.51.100.7,10.9.9.9"], "198.51.100.7"),
            (
                &["203.0.113.9", "198.51.100.7", "fd00::2, 10.1.1.1"],
                "198.51.100.7",
            ),
            (&["198.51.100.7:4711"], "198.51.100.7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
            (&["198.51.100.7, unknown, 10.1.1.1"], "10.1.1.1"),
            (&["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            (&["", " "], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(
                client(&trusted, "10.0.0.1", forwarded),
                expected,
                "{forwarded:?}"
            );
        }
        assert_eq!(
            client(&trusted, "::ffff:10.0.0.1", &["198.51.100.7"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn networks_are_compared_by_their_bits() {
        let has = |network: &str, address: &str| Network::parse(network).unwrap().has(ip(address));
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.1.2.3/32", "10.1.2.3") && !has("10.1.2.3", "10.1.2.2"));
        assert!(has("0.0.0.0/0", "203.0.113.9") && !has("0.0.0.0/0", "::1"));
        assert!(has("fd00::/8", "fdff::1") && !has("fd00::/8", "fe00::1"));
        assert!(has("::/0", "2001:db8::1"));
    }

    #[test]
    fn entries_that_are_neither_address_nor_network_are_named() {
        for wrong in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0",
            "::/129",
        ] {
            let error = TrustedProxies::parse(["10.0.0.1", wrong]).unwrap_err();
            assert!(error.starts_with(&format!("{wrong:?}")), "{error}");
        }
    }
}
