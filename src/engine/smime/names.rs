//! The names in a certificate: whose addresses it is for, and how its names read.
//!
//! A name that could be read in two ways is none: the authority checked what it saw, and a
//! mail client must not see anything else.

use const_oid::ObjectIdentifier;
use der::asn1::{Any, ContextSpecific, Ia5StringRef, Utf8StringRef};
use der::{Decode, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use crate::base::Address;
use crate::base::address::hidden;

/// The longest text of one attribute that is shown, in characters.
const VALUE_MAX: usize = 200;

/// How many attributes of a name are shown: real ones have four to eight.
const ATTRIBUTES_MAX: usize = 16;

/// How many alternative names are read. Mail certificates have one to five; addresses of
/// which nobody can tell why they are there are of no use.
const ALTERNATIVES_MAX: usize = 256;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const EMAIL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
pub(super) const SMTP_UTF8_MAILBOX: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");

/// Attribute types by the names that people know (RFC 4514 3 and use).
const TYPES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "E"),
];

/// The addresses that alternative names hold: rfc822Name (RFC 5280 4.2.1.6) and
/// SmtpUTF8Mailbox (RFC 9598 3). `None` when there is no e-mail among them at all; one that
/// can't be read counts as e-mail, so that nothing else is taken in its place.
pub(super) fn alternative(san: &[u8]) -> Option<Vec<Address>> {
    let Ok(names) = Vec::<Any>::from_der(san) else {
        return Some(Vec::new());
    };
    let mut addresses: Vec<Address> = Vec::new();
    let mut mail = false;
    for name in names.iter().take(ALTERNATIVES_MAX) {
        let address = match name.tag() {
            Tag::ContextSpecific {
                constructed: false,
                number: TagNumber(1),
            } => {
                mail = true;
                Ia5StringRef::new(name.value())
                    .ok()
                    .and_then(|text| certified(text.as_str()))
            }
            Tag::ContextSpecific {
                constructed: true,
                number: TagNumber(0),
            } => match other_name(name.value()) {
                Some((SMTP_UTF8_MAILBOX, text)) => {
                    mail = true;
                    text.as_deref().and_then(internationalized)
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(address) = address
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    mail.then_some(addresses)
}

/// The type of an otherName, and its value where that is a UTF8String.
fn other_name(value: &[u8]) -> Option<(ObjectIdentifier, Option<String>)> {
    let mut reader = SliceReader::new(value).ok()?;
    let oid = ObjectIdentifier::decode(&mut reader).ok()?;
    let text =
        ContextSpecific::<Utf8StringRef<'_>>::decode_explicit(&mut reader, TagNumber(0)).ok();
    let text = text
        .flatten()
        .filter(|_| reader.is_finished())
        .map(|field| field.value.as_str().to_owned());
    Some((oid, text))
}

/// An address as RFC 5280 lets an rfc822Name spell it. A dot at its end would make it another
/// name to the constraints of an authority and the same one to a mail client.
pub(super) fn certified(text: &str) -> Option<Address> {
    (text.is_ascii() && !text.ends_with('.')).then(|| Address::parse(text))?
}

/// A SmtpUTF8Mailbox: the domain as A-labels, a local part that ASCII could not spell
/// (RFC 9598 3). Anything else belongs in an rfc822Name.
fn internationalized(text: &str) -> Option<Address> {
    let (local, domain) = text.rsplit_once('@')?;
    (!local.is_ascii() && domain.is_ascii() && !domain.ends_with('.'))
        .then(|| Address::parse(text))?
}

/// The addresses in a subject (PKCS#9 emailAddress), where old certificates have them.
pub(super) fn in_subject(subject: &Name) -> Vec<Address> {
    let mut addresses: Vec<Address> = Vec::new();
    for attribute in subject.iter().filter(|a| a.oid == EMAIL) {
        if let Some(address) = raw_text(&attribute.value).as_deref().and_then(certified)
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    addresses
}

/// The common name, the most specific one, without anything that hides or reorders text.
pub(super) fn common_name(subject: &Name) -> Option<String> {
    subject
        .iter()
        .filter(|a| a.oid == COMMON_NAME)
        .filter_map(|a| clean(&raw_text(&a.value)?))
        .last()
}

/// A name in one line, most specific part first (RFC 4514 2). `None` for one without text.
pub(super) fn line(name: &Name) -> Option<String> {
    let parts = spoken(name);
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The same as GnuPG writes it.
pub(super) fn compact(name: &Name) -> String {
    spoken(name).join(",")
}

fn spoken(name: &Name) -> Vec<String> {
    let mut parts: Vec<String> = name
        .iter()
        .take(ATTRIBUTES_MAX)
        .filter_map(|attribute| {
            let value = clean(&raw_text(&attribute.value)?)?;
            let oid = attribute.oid.to_string();
            let spoken = TYPES.iter().find(|(known, _)| *known == oid);
            let spoken = spoken.map_or(oid.as_str(), |(_, spoken)| *spoken);
            Some(format!("{spoken}={}", escaped(&value)))
        })
        .collect();
    parts.reverse();
    parts
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The characters of a directory string, in whichever of its encodings.
fn raw_text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => String::from_utf8(value.value().to_vec()).ok(),
        // T.61 in theory; what is written under that name is Latin-1.
        Tag::TeletexString => Some(value.value().iter().map(|b| char::from(*b)).collect()),
        Tag::BmpString => {
            let units: Option<Vec<u16>> = value
                .value()
                .chunks(2)
                .map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)))
                .collect();
            String::from_utf16(&units?).ok()
        }
        _ => None,
    }
}

/// Text without control characters and those that hide or reorder others.
fn clean(text: &str) -> Option<String> {
    let clean: String = text
        .chars()
        .filter(|c| !c.is_control() && !hidden(*c))
        .take(VALUE_MAX)
        .collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// A name such that equal names are equal strings, as far as that decides where to look: case
/// and white space aside, whichever encoding it has (RFC 5280 7.1). OpenSSL compares again.
pub(super) fn canonical(name: &Name) -> String {
    let mut out = String::new();
    for rdn in name.iter_rdn() {
        let mut parts: Vec<String> = rdn
            .iter()
            .map(|attribute| {
                let text = raw_text(&attribute.value)
                    .unwrap_or_else(|| super::certs::hex(attribute.value.value()));
                let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
                format!("{}={}", attribute.oid, words.join(" "))
            })
            .collect();
        parts.sort_unstable();
        out.push('\n');
        out.push_str(&parts.join("\0"));
    }
    out
}

/// Whether an authority with these name constraints (RFC 5280 4.2.1.10) may vouch for an
/// address, compared as a mail client compares. OpenSSL checks the same on the names as they
/// are spelled, where `BOB@` and `bob@`, A-labels and U-labels are different.
pub(super) fn permits(constraints: &[u8], address: &Address) -> bool {
    let Ok(constraints) = NameConstraints::from_der(constraints) else {
        return false;
    };
    let bases = |trees: Option<Vec<GeneralSubtree>>| -> Vec<String> {
        let trees = trees.unwrap_or_default().into_iter();
        trees
            .filter_map(|tree| match tree.base {
                GeneralName::Rfc822Name(base) => Some(base.as_str().to_owned()),
                _ => None,
            })
            .collect()
    };
    let excluded = bases(constraints.excluded_subtrees);
    let permitted = bases(constraints.permitted_subtrees);
    let out = excluded
        .iter()
        .any(|base| covers(base, address).unwrap_or(true));
    let within = |base: &String| covers(base, address).unwrap_or(false);
    !out && (permitted.is_empty() || permitted.iter().any(within))
}

/// Whether an address is within the base of a subtree: a mailbox, a host, or (with a dot in
/// front) all hosts of a domain. `None` when the base can't be read.
fn covers(base: &str, address: &Address) -> Option<bool> {
    if base.contains('@') {
        return Some(Address::parse(base)? == *address);
    }
    if base.is_empty() {
        return Some(true);
    }
    let host = base.strip_prefix('.').unwrap_or(base);
    let host = Address::parse(&format!("x@{host}"))?;
    let rest = address.domain().strip_suffix(host.domain());
    Some(match rest {
        Some("") => !base.starts_with('.'),
        Some(rest) => base.starts_with('.') && rest.ends_with('.'),
        None => false,
    })
}
