//! The tables of a backup: what is known of each certificate, a line each, its words apart by
//! tabs. Lines that can't be read are passed over: a later version may write more.

use std::collections::BTreeMap;

use crate::base::context::parse_rfc3339;
use crate::base::keys::{Seen, Source};
use crate::base::{Address, KeyId};

const SOURCE_WORDS: [(Source, &str); 11] = [
    (Source::Generated, "generated"),
    (Source::Imported, "imported"),
    (Source::Autocrypt, "autocrypt"),
    (Source::Attached, "attached"),
    (Source::Signature, "signature"),
    (Source::Shared, "shared"),
    (Source::Gnupg, "gnupg"),
    (Source::Gossip, "gossip"),
    (Source::Wkd, "wkd"),
    (Source::Keyserver, "keyserver"),
    (Source::Ldap, "ldap"),
];

/// How a certificate came.
pub(super) fn source(id: &KeyId, source: Source) -> String {
    let word = SOURCE_WORDS.iter().find(|(known, _)| *known == source);
    word.map_or_else(String::new, |(_, word)| format!("{id}\t{word}\n"))
}

/// When mail from an address used a certificate.
pub(super) fn seen(id: &KeyId, seen: &Seen) -> String {
    let Seen {
        address,
        first,
        last,
    } = seen;
    format!("{id}\t{first}\t{last}\t{address}\n")
}

/// What [`source`] wrote.
pub(super) fn read_sources(bytes: &[u8]) -> BTreeMap<KeyId, Source> {
    let text = String::from_utf8_lossy(bytes);
    let line = |line: &str| {
        let (id, word) = line.split_once('\t')?;
        let (source, _) = SOURCE_WORDS.iter().find(|(_, known)| *known == word)?;
        Some((KeyId::parse(id)?, *source))
    };
    text.lines().filter_map(line).collect()
}

/// What [`seen`] wrote.
pub(super) fn read_seen(bytes: &[u8]) -> Vec<(KeyId, Seen)> {
    let text = String::from_utf8_lossy(bytes);
    let line = |line: &str| {
        let mut words = line.splitn(4, '\t');
        let id = KeyId::parse(words.next()?)?;
        let (first, last) = (words.next()?, words.next()?);
        parse_rfc3339(first).and(parse_rfc3339(last))?;
        let seen = Seen {
            address: Address::parse(words.next()?)?,
            first: first.to_owned(),
            last: last.to_owned(),
        };
        Some((id, seen))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Protocol;

    #[test]
    fn a_line_that_says_nothing_is_passed_over() {
        let id = KeyId::from_hex(Protocol::OpenPgp, &"AB".repeat(20)).unwrap();
        let one = Seen {
            address: Address::parse("a@example.org").unwrap(),
            first: "2026-01-01T00:00:00Z".to_owned(),
            last: "2026-02-01T00:00:00Z".to_owned(),
        };
        let line = seen(&id, &one);
        let table = format!("\nwhat\n{id}\tnever\tnever\ta@example.org\n{line}{id}\n");
        assert_eq!(read_seen(table.as_bytes()), [(id.clone(), one)]);
        let table = format!("{id}\tsomehow\n{}", source(&id, Source::Wkd));
        assert_eq!(
            read_sources(table.as_bytes()),
            BTreeMap::from([(id, Source::Wkd)])
        );
    }
}
