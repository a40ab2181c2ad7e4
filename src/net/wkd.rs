//! Web Key Directory (draft-koch-openpgp-webkey-service): where the keys of an address lie in
//! its own domain.

use std::iter;

use openssl::sha::sha1;

use super::escape::escaped;
use crate::base::Address;

/// The 32 letters of zbase32 (RFC 6189 5.1.6).
const LETTERS: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";

/// Whether an address has a domain that a directory could lie at.
pub fn has_domain(address: &Address) -> bool {
    !address.domain().starts_with('[')
}

/// The URL by the advanced method.
pub(super) fn advanced(address: &Address) -> String {
    let domain = address.domain();
    format!(
        "https://openpgpkey.{domain}/{}?l={}",
        advanced_path(address),
        escaped(address.local())
    )
}

/// The URL by the direct method, for domains without a host for the advanced one (3.1).
pub(super) fn direct(address: &Address) -> String {
    format!(
        "https://{}/{}?l={}",
        address.domain(),
        direct_path(address),
        escaped(address.local())
    )
}

/// The file in which the keys of an address lie at `openpgpkey.` its domain.
pub fn advanced_path(address: &Address) -> String {
    let domain = address.domain();
    format!(".well-known/openpgpkey/{domain}/hu/{}", name(address))
}

/// The file in which the keys of an address lie at its domain.
pub fn direct_path(address: &Address) -> String {
    format!(".well-known/openpgpkey/hu/{}", name(address))
}

/// The files whose being there, even empty, says that there is a directory (4.5).
pub fn policy_paths(address: &Address) -> [String; 2] {
    [
        format!(".well-known/openpgpkey/{}/policy", address.domain()),
        ".well-known/openpgpkey/policy".to_owned(),
    ]
}

/// What a file is called after the local part, its ASCII letters made lower case.
fn name(address: &Address) -> String {
    let local = address.local().to_ascii_lowercase();
    zbase32(&sha1(local.as_bytes()))
}

/// Five bits a letter, the first bits first. 160 bits leave none over.
fn zbase32(bytes: &[u8; 20]) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let letter = |place: usize| {
        let five = (0..5).fold(0, |value, n| value << 1 | bit(place * 5 + n));
        LETTERS.get(usize::from(five)).copied().map(char::from)
    };
    iter::successors(Some(0), |place| Some(place + 1))
        .take(32)
        .filter_map(letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_draft() {
        let address = Address::parse("Joe.Doe@Example.ORG").unwrap();
        assert_eq!(
            advanced(&address),
            "https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/\
             iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe"
        );
        assert_eq!(
            direct(&address),
            "https://example.org/.well-known/openpgpkey/hu/\
             iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe"
        );
    }

    #[test]
    fn nothing_in_an_address_changes_the_url_around_it() {
        for (address, local) in [
            ("a+b%40c@b.example", "a%2Bb%2540c"),
            ("\"a b\"@b.example", "%22a%20b%22"),
            (
                "x/../../y?l=z#f&g@b.example",
                "x%2F..%2F..%2Fy%3Fl%3Dz%23f%26g",
            ),
            ("grüße@bücher.example", "gr%C3%BC%C3%9Fe"),
        ] {
            let address = Address::parse(address).unwrap();
            let url = direct(&address);
            assert!(url.ends_with(&format!("?l={local}")), "{url}");
            assert_eq!(url.matches('?').count(), 1);
        }
        let named = Address::parse("a@bücher.example").unwrap();
        assert!(direct(&named).starts_with("https://xn--bcher-kva.example/"));
        assert!(!has_domain(&Address::parse("a@[192.0.2.1]").unwrap()));
    }
}
