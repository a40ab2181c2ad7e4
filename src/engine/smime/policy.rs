//! Which algorithms count, and what they are called.

use const_oid::ObjectIdentifier;
use openssl::hash::MessageDigest;
use openssl::md::{Md, MdRef};

use crate::base::keys::Digest;

/// The hashes by object identifier, name and `micalg` (RFC 8551 3.5.3.2).
const DIGESTS: &[(&str, Digest, &str, &str)] = &[
    ("1.3.14.3.2.26", Digest::Sha1, "SHA1", "sha-1"),
    (
        "2.16.840.1.101.3.4.2.4",
        Digest::Sha224,
        "SHA224",
        "sha-224",
    ),
    (
        "2.16.840.1.101.3.4.2.1",
        Digest::Sha256,
        "SHA256",
        "sha-256",
    ),
    (
        "2.16.840.1.101.3.4.2.2",
        Digest::Sha384,
        "SHA384",
        "sha-384",
    ),
    (
        "2.16.840.1.101.3.4.2.3",
        Digest::Sha512,
        "SHA512",
        "sha-512",
    ),
];

/// Hashes for which collisions can be made: what is signed over them says nothing.
const BROKEN: &[(&str, &str)] = &[
    ("1.2.840.113549.2.2", "MD2"),
    ("1.2.840.113549.2.4", "MD4"),
    ("1.2.840.113549.2.5", "MD5"),
    ("1.3.14.3.2.26", "SHA1"),
];

/// A hash by its object identifier.
pub(super) fn digest(oid: ObjectIdentifier) -> Option<Digest> {
    let text = oid.to_string();
    let known = DIGESTS.iter().find(|(known, ..)| *known == text);
    known.map(|(_, digest, ..)| *digest)
}

/// The object identifier of a hash.
pub(super) fn digest_oid(digest: Digest) -> ObjectIdentifier {
    let (text, ..) = entry(digest);
    ObjectIdentifier::new_unwrap(text)
}

/// A hash as a verdict names it.
pub(super) fn digest_name(oid: ObjectIdentifier) -> Option<&'static str> {
    let text = oid.to_string();
    let broken = BROKEN.iter().find(|(known, _)| *known == text);
    broken
        .map(|(_, name)| *name)
        .or_else(|| digest(oid).map(|digest| entry(digest).2))
}

/// A hash as `micalg` names it.
pub(super) fn micalg(digest: Digest) -> &'static str {
    entry(digest).3
}

/// Whether signatures over this hash say nothing any more.
pub(super) fn is_broken(oid: ObjectIdentifier) -> bool {
    let text = oid.to_string();
    BROKEN.iter().any(|(known, _)| *known == text)
}

fn entry(digest: Digest) -> (&'static str, Digest, &'static str, &'static str) {
    DIGESTS
        .iter()
        .copied()
        .find(|(_, known, ..)| *known == digest)
        .expect("every digest stands in the table")
}

/// The hash in OpenSSL's terms.
pub(super) fn message_digest(digest: Digest) -> MessageDigest {
    match digest {
        Digest::Sha1 => MessageDigest::sha1(),
        Digest::Sha224 => MessageDigest::sha224(),
        Digest::Sha256 => MessageDigest::sha256(),
        Digest::Sha384 => MessageDigest::sha384(),
        Digest::Sha512 => MessageDigest::sha512(),
    }
}

/// The same, for those of OpenSSL's functions that want it so.
pub(super) fn md(digest: Digest) -> &'static MdRef {
    match digest {
        Digest::Sha1 => Md::sha1(),
        Digest::Sha224 => Md::sha224(),
        Digest::Sha256 => Md::sha256(),
        Digest::Sha384 => Md::sha384(),
        Digest::Sha512 => Md::sha512(),
    }
}
