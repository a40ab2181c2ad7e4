//! What rules are made of: allow lists, clients, destinations, groups, as `policy.toml` spells
//! them. Which rules there are is in [`super::policy`].

use core::net::{Ipv6Addr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::address::Address;
use super::policy::P11_KIT;

/// The shortest RSA modulus that counts at all (NIST SP 800-131A; RFC 8550 4.3). No rule goes
/// below it.
pub const RSA_BITS_LEAST: u32 = 2048;

/// The longest RSA modulus that a rule may ask for: OpenSSL reads no longer ones, so a slip of
/// the pen would shut everybody out.
const RSA_BITS_MOST: u32 = 16_384;

const ALL: &str = "all";
const NONE: &str = "none";

/// A list of what is allowed. Written as a list; an empty one, like `"all"`, leaves all of it
/// allowed. `"none"` is what two lists without a common word come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Allowed<T> {
    #[default]
    All,
    Only(Vec<T>),
}

impl<T: PartialEq + Clone> Allowed<T> {
    /// Whether it is on the list.
    pub fn allows(&self, one: &T) -> bool {
        match self {
            Allowed::All => true,
            Allowed::Only(list) => list.contains(one),
        }
    }

    /// What both allow.
    pub fn both(self, other: &Allowed<T>) -> Allowed<T> {
        match (self, other) {
            (Allowed::All, other) => other.clone(),
            (ours, Allowed::All) => ours,
            (Allowed::Only(mut ours), Allowed::Only(theirs)) => {
                ours.retain(|one| theirs.contains(one));
                Allowed::Only(ours)
            }
        }
    }
}

impl<T: Serialize> Serialize for Allowed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Allowed::All => serializer.serialize_str(ALL),
            Allowed::Only(list) if list.is_empty() => serializer.serialize_str(NONE),
            Allowed::Only(list) => list.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Allowed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Allowed<T>, D::Error> {
        struct Words<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Words<T> {
            type Value = Allowed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list, \"all\" or \"none\"")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Allowed<T>, E> {
                match word {
                    ALL => Ok(Allowed::All),
                    NONE => Ok(Allowed::Only(Vec::new())),
                    _ => Err(E::custom("use a list, \"all\" or \"none\"")),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Allowed<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(match all.is_empty() {
                    true => Allowed::All,
                    false => Allowed::Only(all),
                })
            }
        }
        deserializer.deserialize_any(Words(PhantomData))
    }
}

/// An extension, as its browser names it: Chromium's id (with or without the
/// `chrome-extension://` around it), or a Firefox or Thunderbird add-on's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// Reads one. `None` when there is nothing in it.
    pub fn parse(text: &str) -> Option<ClientId> {
        let id = text.strip_prefix("chrome-extension://").unwrap_or(text);
        let id = id.trim_end_matches('/');
        (!id.is_empty()).then(|| ClientId(id.to_owned()))
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ClientId, D::Error> {
        let text = String::deserialize(deserializer)?;
        ClientId::parse(&text).ok_or_else(|| de::Error::custom("an extension's id expected"))
    }
}

/// To whom a rule applies: everybody (`*`), or the addresses at one domain, without those below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Anybody,
    /// Lower-case A-labels.
    Domain(String),
}

impl Destination {
    /// Reads `*` or a domain.
    pub fn parse(text: &str) -> Option<Destination> {
        if text == "*" {
            return Some(Destination::Anybody);
        }
        let address = Address::parse(&format!("somebody@{text}"))?;
        Some(Destination::Domain(address.domain().to_owned()))
    }

    /// Whether it applies to an address; `None` stands for somebody who is not named.
    pub fn meets(&self, address: Option<&Address>) -> bool {
        match self {
            Destination::Anybody => true,
            Destination::Domain(domain) => address.is_some_and(|a| a.domain() == domain),
        }
    }
}

impl Serialize for Destination {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Destination::Anybody => "*",
            Destination::Domain(domain) => domain,
        })
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Destination, D::Error> {
        let text = String::deserialize(deserializer)?;
        Destination::parse(&text).ok_or_else(|| de::Error::custom("a domain or * expected"))
    }
}

/// Addresses that stand for others: a list for its members, an alias for the one address whose
/// key it uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Groups(BTreeMap<Address, Members>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Members {
    Alias(Address),
    List(Vec<Address>),
}

impl Members {
    fn addresses(&self) -> &[Address] {
        match self {
            Members::Alias(address) => std::slice::from_ref(address),
            Members::List(addresses) => addresses,
        }
    }
}

impl Groups {
    /// Both; of two of one name ours.
    pub fn with(mut self, other: &Groups) -> Groups {
        for (address, members) in &other.0 {
            self.0
                .entry(address.clone())
                .or_insert_with(|| members.clone());
        }
        self
    }

    /// Whom an address stands for, each once: groups inside it are looked into, and one that is
    /// met again adds nothing. `None`: it stands for itself.
    pub fn members(&self, address: &Address) -> Option<Vec<Address>> {
        self.0.get(address)?;
        let mut members = Vec::new();
        let mut met = BTreeSet::new();
        let mut todo = vec![address];
        // Each group is looked into once, so that the file's size bounds the work.
        while let Some(next) = todo.pop() {
            if !met.insert(next) {
                continue;
            }
            match self.0.get(next) {
                Some(inner) => todo.extend(inner.addresses().iter().rev()),
                None => members.push(next.clone()),
            }
        }
        Some(members)
    }
}

/// Files that a rule names. A browser starts its hosts wherever it likes, so that nothing else
/// than an absolute path says which file is meant.
pub(super) fn files<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    struct Named(PathBuf);
    impl<'de> Deserialize<'de> for Named {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Named, D::Error> {
            let path = PathBuf::deserialize(deserializer)?;
            match path.is_absolute() {
                true => Ok(Named(path)),
                false => Err(de::Error::custom("an absolute path expected")),
            }
        }
    }
    let files = Vec::<Named>::deserialize(deserializer)?;
    Ok(files.into_iter().map(|Named(path)| path).collect())
}

/// As [`files`], of PKCS#11 modules: `p11-kit` stands for all that the system has registered.
pub(super) fn modules<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<PathBuf>, D::Error> {
    struct Named(PathBuf);
    impl<'de> Deserialize<'de> for Named {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Named, D::Error> {
            let path = PathBuf::deserialize(deserializer)?;
            match path.is_absolute() || path == Path::new(P11_KIT) {
                true => Ok(Named(path)),
                false => Err(de::Error::custom("an absolute path, or p11-kit, expected")),
            }
        }
    }
    let modules = Vec::<Named>::deserialize(deserializer)?;
    Ok(modules.into_iter().map(|Named(path)| path).collect())
}

/// Servers of keys, by URL.
pub(super) fn keyservers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    // Not in the clear: whom somebody wants to write to is nobody else's business.
    let expected = "a URL that begins with https:// or hkps:// expected";
    let plain = |url: &str| url.chars().all(|c| c.is_ascii_graphic());
    let is_server = |url: &str| is_url(url, &["https", "hkps"]) && plain(url);
    each(deserializer, expected, is_server)
}

/// Directories of certificates, by URL.
pub(super) fn directories<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let expected = "a URL that begins with ldaps:// or ldap:// expected";
    each(deserializer, expected, |url| {
        is_url(url, &["ldaps", "ldap"])
    })
}

/// Names of hosts, or their addresses.
pub(super) fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let expected = "a host without a port expected";
    each(deserializer, expected, is_host)
}

/// A list of texts that are all in order.
fn each<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &str,
    is_right: impl Fn(&str) -> bool,
) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    match texts.iter().all(|text| is_right(text)) {
        true => Ok(texts),
        false => Err(de::Error::custom(expected)),
    }
}

/// Where connections go instead: from a host and port to an address and port.
pub(super) fn places<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let places = BTreeMap::<String, String>::deserialize(deserializer)?;
    for (from, to) in &places {
        if !host_and_port(from).is_some_and(|(host, _)| is_host(host)) {
            return Err(de::Error::custom("a host with a port expected"));
        }
        if to.parse::<SocketAddr>().is_err() {
            return Err(de::Error::custom("an address with a port expected"));
        }
    }
    Ok(places)
}

/// Whether a text is a URL of one of these schemes, with a host and perhaps a port, for nobody
/// in particular.
fn is_url(text: &str, schemes: &[&str]) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host_and_port(authority).map_or(authority, |(host, _)| host);
    schemes.contains(&scheme) && is_host(host) && !path.chars().any(char::is_control)
}

/// What stands before and behind the last colon, where that is a port.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some((host, port))
}

/// Whether a text is a name or an address, one of IPv6 in brackets.
fn is_host(text: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match text.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !text.is_empty() && text.chars().all(name),
    }
}

/// A number of bits of an RSA modulus, as a rule may ask for it.
pub(super) fn bits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let bits = u32::deserialize(deserializer)?;
    match (RSA_BITS_LEAST..=RSA_BITS_MOST).contains(&bits) {
        true => Ok(bits),
        false => Err(de::Error::custom(format!(
            "a number from {RSA_BITS_LEAST} to {RSA_BITS_MOST} expected"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn groups(list: &[(&str, &[&str])]) -> Groups {
        let members = |all: &[&str]| Members::List(all.iter().map(|one| address(one)).collect());
        Groups(
            list.iter()
                .map(|(name, all)| (address(name), members(all)))
                .collect(),
        )
    }

    #[test]
    fn groups_end_however_they_are_nested() {
        let groups = groups(&[
            (
                "all@x.example",
                &["team@x.example", "b@x.example", "c@y.example"],
            ),
            (
                "team@x.example",
                &["A@x.example", "all@x.example", "b@x.example"],
            ),
            ("self@x.example", &["self@x.example"]),
        ]);
        let names = |name: &str| groups.members(&address(name));
        assert_eq!(
            names("ALL@x.example").unwrap(),
            ["a@x.example", "b@x.example", "c@y.example"].map(address)
        );
        assert_eq!(
            names("team@x.example").unwrap(),
            ["a@x.example", "b@x.example", "c@y.example"].map(address)
        );
        assert_eq!(names("self@x.example").unwrap(), []);
        assert_eq!(names("a@x.example"), None);
    }

    #[test]
    fn a_hundred_groups_within_groups_are_looked_into() {
        let name = |n: usize| format!("g{n}@x.example");
        let list = (0..100).map(|n| {
            let inner = vec![address(&name(n + 1)), address(&format!("m{n}@x.example"))];
            (address(&name(n)), Members::List(inner))
        });
        let members = Groups(list.collect()).members(&address(&name(0))).unwrap();
        assert_eq!(members.len(), 101);
    }

    #[test]
    fn an_empty_list_allows_all_and_two_that_differ_nothing() {
        let only = |all: &[u8]| Allowed::Only(all.to_vec());
        assert!(Allowed::All.allows(&1));
        assert_eq!(Allowed::All.both(&only(&[1])), only(&[1]));
        assert_eq!(only(&[1, 2]).both(&only(&[2, 3])), only(&[2]));
        let nothing = only(&[1]).both(&only(&[2]));
        assert!(!nothing.allows(&1) && !nothing.allows(&2));
        assert_eq!(nothing.both(&Allowed::All), only(&[]));
    }

    #[test]
    fn clients_and_destinations_compare_however_they_are_written() {
        assert_eq!(
            ClientId::parse("chrome-extension://abcd/"),
            ClientId::parse("abcd")
        );
        assert_eq!(ClientId::parse("chrome-extension:///"), None);
        let domain = Destination::parse("Bücher.example").unwrap();
        assert!(domain.meets(Some(&address("a@xn--bcher-kva.EXAMPLE"))));
        assert!(!domain.meets(Some(&address("a@x.bücher.example"))));
        assert!(!domain.meets(None) && Destination::Anybody.meets(None));
        assert_eq!(Destination::parse("a@b.example"), None);
    }
}
