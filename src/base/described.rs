//! A certificate as lists of keys describe it, in the words of gpgme: its key pairs, its names, what
//! they are fit for. The names of the fields are those of gpgme-json.

use serde::Serialize;

use super::Address;
use super::keys::{KeyId, Protocol};

/// A certificate.
#[derive(Debug, Clone, Serialize)]
pub struct Described {
    #[serde(skip)]
    pub id: KeyId,
    #[serde(flatten)]
    pub flags: Flags,
    #[serde(serialize_with = "family")]
    pub protocol: Protocol,
    #[serde(flatten)]
    pub issued: Option<Issued>,
    /// Upper-case hex: OpenPGP's own; the SHA-1 of an X.509 certificate.
    pub fingerprint: String,
    pub owner_trust: Validity,
    pub origin: u64,
    pub last_update: u64,
    /// The primary key first.
    pub subkeys: Vec<DescribedKey>,
    pub userids: Vec<DescribedName>,
}

fn family<S: serde::Serializer>(protocol: &Protocol, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match protocol {
        Protocol::OpenPgp => "OpenPGP",
        Protocol::Smime => "CMS",
    })
}

/// What holds for a certificate or one of its key pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Flags {
    pub revoked: bool,
    pub expired: bool,
    pub disabled: bool,
    pub invalid: bool,
    pub can_encrypt: bool,
    pub can_sign: bool,
    pub can_certify: bool,
    pub can_authenticate: bool,
    pub secret: bool,
    pub is_qualified: bool,
}

impl Flags {
    /// The same, and what another can do besides.
    pub fn join(&mut self, other: Flags) {
        self.can_encrypt |= other.can_encrypt;
        self.can_sign |= other.can_sign;
        self.can_certify |= other.can_certify;
        self.can_authenticate |= other.can_authenticate;
    }
}

/// Who issued a certificate (S/MIME).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issued {
    #[serde(rename = "issuer_serial")]
    pub serial: String,
    #[serde(rename = "issuer_name")]
    pub name: String,
    /// The fingerprint of the issuer's certificate, where it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<String>,
}

/// One key pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DescribedKey {
    #[serde(flatten)]
    pub flags: Flags,
    pub is_cardkey: bool,
    pub is_de_vs: bool,
    #[serde(flatten)]
    pub algorithm: Algorithm,
    /// 16 hex digits, upper case.
    pub keyid: String,
    /// Its fingerprint, upper-case hex.
    #[serde(skip)]
    pub fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keygrip: Option<String>,
    /// Unix seconds.
    pub timestamp: u64,
    /// Unix seconds; 0: never.
    pub expires: u64,
}

/// What kind of key it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Algorithm {
    /// `None` for one that gpgme has no name for.
    #[serde(rename = "pubkey_algo_name", skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    /// `rsa3072`, `ed25519`.
    #[serde(rename = "pubkey_algo_string")]
    pub string: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<String>,
    #[serde(rename = "pubkey_algo")]
    pub number: u32,
    /// In bits.
    pub length: u32,
}

/// gpgme's numbers and names of algorithms, by those of OpenPGP (RFC 9580 9.1).
const ALGORITHMS: [(u8, u32, &str); 9] = [
    (1, 1, "RSA"),
    (2, 2, "RSA-E"),
    (3, 3, "RSA-S"),
    (16, 16, "ELG-E"),
    (17, 17, "DSA"),
    (18, 302, "ECDH"),
    (19, 301, "ECDSA"),
    (20, 20, "ELG"),
    (22, 303, "EdDSA"),
];

impl Algorithm {
    /// Its number in OpenPGP; 0 for one that gpgme has no name for.
    pub fn openpgp(&self) -> u8 {
        let known = ALGORITHMS.iter();
        let mut known = known.filter(|(_, number, _)| *number == self.number);
        known.next().map_or(0, |(openpgp, ..)| *openpgp)
    }

    /// An algorithm by its number in OpenPGP; `word` is what its own name would be where there is
    /// neither a length nor a curve that tell.
    pub fn new(number: u8, length: u32, curve: Option<String>, word: &str) -> Algorithm {
        // X25519, X448, Ed25519 and Ed448 of RFC 9580 are what these were before.
        let number = match number {
            25 | 26 => 18,
            27 | 28 => 22,
            number => number,
        };
        let known = ALGORITHMS.iter().find(|(theirs, ..)| *theirs == number);
        let string = match number {
            1..=3 => format!("rsa{length}"),
            16 => format!("elg{length}"),
            17 => format!("dsa{length}"),
            20 => format!("xxx{length}"),
            _ => curve.clone().unwrap_or_else(|| word.to_owned()),
        };
        Algorithm {
            name: known.map(|(_, _, name)| *name),
            string,
            curve,
            number: known.map_or(0, |(_, number, _)| *number),
            length,
        }
    }
}

/// One name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DescribedName {
    pub revoked: bool,
    pub invalid: bool,
    pub validity: Validity,
    pub uid: String,
    pub name: String,
    pub email: String,
    pub comment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub origin: u64,
    pub last_update: u64,
}

impl DescribedName {
    /// A user id of OpenPGP, taken apart as gpgme does: a name, a comment in parentheses, an
    /// address in angle brackets.
    pub fn openpgp(uid: &str) -> DescribedName {
        let parts = Parts::of(uid);
        let address = address(uid, &parts.email);
        let (mut name, mut email) = (parts.name, parts.email);
        if email.is_empty() && address.as_ref() == Some(&name.to_ascii_lowercase()) {
            email = std::mem::take(&mut name);
        }
        DescribedName {
            revoked: false,
            invalid: false,
            validity: Validity::Unknown,
            uid: uid.to_owned(),
            name,
            email,
            comment: parts.comment,
            address,
            origin: 0,
            last_update: 0,
        }
    }

    /// A subject, or an address in angle brackets.
    pub fn smime(uid: &str) -> DescribedName {
        let bracketed = uid.starts_with('<') && uid.ends_with('>');
        let email = if bracketed { uid } else { "" };
        let inner = email.trim_matches(['<', '>']);
        DescribedName {
            name: String::new(),
            email: email.to_owned(),
            comment: String::new(),
            address: address("", inner),
            ..DescribedName::openpgp(uid)
        }
    }

    /// The address that it is for.
    pub fn mailbox(&self) -> Option<Address> {
        Address::parse(self.address.as_deref()?)
    }
}

/// The address of a user id, in lower case as gpgme gives it.
fn address(uid: &str, email: &str) -> Option<String> {
    let text = if email.is_empty() { uid } else { email };
    Address::parse(text).map(|_| text.to_ascii_lowercase())
}

#[derive(Default)]
struct Parts {
    name: String,
    email: String,
    comment: String,
}

impl Parts {
    /// The first of each kind counts. Brackets nest.
    fn of(uid: &str) -> Parts {
        let mut parts = Parts::default();
        let (mut names, mut rest) = (0, uid);
        while let Some(first) = rest.chars().next() {
            let end = match first {
                '<' => {
                    let (inner, after) = inside(rest, '<', '>');
                    if let (Some(inner), true) = (inner, parts.email.is_empty()) {
                        inner.trim_end().clone_into(&mut parts.email);
                    }
                    after
                }
                '(' => {
                    let (inner, after) = inside(rest, '(', ')');
                    if let (Some(inner), true) = (inner, parts.comment.is_empty()) {
                        inner.trim_end().clone_into(&mut parts.comment);
                    }
                    after
                }
                ' ' | '\t' => rest.get(1..).unwrap_or_default(),
                _ => {
                    let end = rest.find(['<', '(']).unwrap_or(rest.len());
                    let (name, after) = rest.split_at(end);
                    if names == 0 {
                        name.trim_end().clone_into(&mut parts.name);
                    }
                    names += 1;
                    after
                }
            };
            rest = end;
        }
        parts
    }
}

/// What stands in the brackets that a text begins with, and what follows them. `None`: they don't
/// end.
fn inside(text: &str, open: char, close: char) -> (Option<&str>, &str) {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                return (text.get(1..at), text.get(at + 1..).unwrap_or_default());
            }
        }
    }
    (None, "")
}

/// How sure it is that a name is its owner's, or how far their word goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    #[default]
    Unknown,
    Undefined,
    Never,
    Marginal,
    Full,
    Ultimate,
}

impl Validity {
    /// By GnuPG's letter. What is expired or revoked has none.
    pub fn of(letter: char) -> Validity {
        match letter {
            'q' => Validity::Undefined,
            'n' => Validity::Never,
            'm' => Validity::Marginal,
            'f' => Validity::Full,
            'u' => Validity::Ultimate,
            _ => Validity::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DescribedName;

    #[test]
    fn user_ids_are_taken_apart_as_gpgme_does() {
        for (uid, name, email, comment, address) in [
            (
                "Alice M (c) <Alice@a.example>",
                "Alice M",
                "Alice@a.example",
                "c",
                Some("alice@a.example"),
            ),
            ("<a@a.example>", "", "a@a.example", "", Some("a@a.example")),
            ("a@a.example", "", "a@a.example", "", Some("a@a.example")),
            ("Nobody", "Nobody", "", "", None),
            (
                "A (x (y)) <a@a.example> B",
                "A",
                "a@a.example",
                "x (y)",
                Some("a@a.example"),
            ),
            ("A <a@a.example", "A", "", "", None),
            ("", "", "", "", None),
        ] {
            let found = DescribedName::openpgp(uid);
            assert_eq!(
                (
                    &*found.name,
                    &*found.email,
                    &*found.comment,
                    found.address.as_deref()
                ),
                (name, email, comment, address),
                "{uid}"
            );
        }
        let subject = DescribedName::smime("CN=Alice <x@a.example>");
        assert_eq!((&*subject.name, &*subject.email), ("", ""));
        assert_eq!(
            DescribedName::smime("<a@a.example>").address.as_deref(),
            Some("a@a.example")
        );
    }
}
