//! Which addresses may be contacted: those that everybody can reach. What a stranger's
//! certificate names must not lead into somebody's own network. And where names lead that
//! policy knows better than the resolver.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Finds addresses, and leaves out those that a stranger must not lead us to. Asked anew for
/// each redirect.
#[derive(Clone, Default)]
pub(super) struct Places {
    pub(super) private_hosts: Vec<String>,
    pub(super) connect_to: BTreeMap<String, String>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places")
    }
}

/// Why a place was not looked for, or not gone to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the host has private addresses alone")]
    Private,
    #[error("connect-to names no address with a port")]
    Rule,
}

impl Resolver for Places {
    /// # Errors
    /// `HostNotFound` where there is no such host; one of [`Refused`].
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let mut kept = self.empty();
        if let Some(place) = self.instead(uri, host) {
            let place: SocketAddr = place
                .parse()
                .map_err(|_| ureq::Error::Other(Box::new(Refused::Rule)))?;
            kept.push(place);
            return Ok(kept);
        }
        let found = DefaultResolver::default().resolve(uri, config, timeout);
        let found = found.map_err(|e| match e {
            // Whatever the resolver says, it has no address.
            ureq::Error::Io(_) => ureq::Error::HostNotFound,
            e => e,
        })?;
        let named = self
            .private_hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(host));
        if named {
            return Ok(found);
        }
        for address in found.iter().filter(|address| is_public(address.ip())) {
            kept.push(*address);
        }
        match kept.is_empty() {
            true => Err(ureq::Error::Other(Box::new(Refused::Private))),
            false => Ok(kept),
        }
    }
}

impl Places {
    /// Where policy wants connections to a host and port to go.
    fn instead(&self, uri: &Uri, host: &str) -> Option<&str> {
        if self.connect_to.is_empty() {
            return None;
        }
        let usual = if uri.scheme_str() == Some("http") {
            80
        } else {
            443
        };
        let asked = format!("{host}:{}", uri.port_u16().unwrap_or(usual));
        self.connect_to
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&asked))
            .map(|(_, place)| place.as_str())
    }
}

/// Whether an address is one of the public network (IANA's special-purpose registries).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match inside(v6) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a >= 240
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // Shared with a provider (RFC 6598), protocol assignments, benchmarks (RFC 2544).
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (b == 18 || b == 19)))
}

/// The address of the older kind that one of the newer kind stands for: mapped, compatible,
/// translated (RFC 6052), 6to4 (RFC 3056).
fn inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0 | 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(v4(g, h)),
        (0x2002, ..) => Some(v4(b, c)),
        _ => None,
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast is 2000::/3 so far; without protocol assignments (Teredo among them) and
    // documentation.
    a & 0xe000 == 0x2000
        && !(a == 0x2001 && (b < 0x0200 || b == 0x0db8))
        && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_places_are_known_in_every_spelling() {
        for text in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2002:c0a8:101::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.1.0.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
