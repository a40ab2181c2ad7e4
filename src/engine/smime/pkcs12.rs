//! PKCS#12 (RFC 7292): a key with its certificates in one file, by way of OpenSSL.

use std::sync::OnceLock;

use bytes::Bytes;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::provider::Provider;
use openssl::stack::Stack;
use openssl::x509::X509;

use super::ber::{self, Element, INTEGER};
use super::pkcs8::{self, Cost};
use super::{certs, cms, scrypt};
use crate::base::Secret;
use crate::base::body::wiped;
use crate::base::error::{Error, Kind, Result};

/// Rounds of the key derivation in what is written: what current systems write, and read.
const ROUNDS: u32 = if cfg!(fuzzing) { 1_000 } else { 100_000 };

/// Levels that are looked through for rounds: real files have twenty.
const DEPTH_MAX: usize = 48;

/// PKCS#5, PKCS#12's own schemes, and scrypt, as the beginnings of object identifiers.
const SCHEMES: &[&[u8]] = &[
    &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 5],
    &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 12, 1],
    &[0x2B, 6, 1, 4, 1, 0xDA, 0x47, 4, 11],
];

/// What a file holds.
pub(super) struct Contents {
    pub key: Option<PKey<Private>>,
    pub certs: Vec<Vec<u8>>,
}

/// Looks at what opening would cost in all before it is tried. What lies inside an encrypted safe
/// can't be seen.
///
/// # Errors
/// `limit.exceeded`; `message.malformed`.
pub(super) fn costs(data: &[u8]) -> Result<Cost> {
    let file = ber::one(&wiped(data.to_vec()))?;
    let mut sum = Cost::default();
    // MacData (RFC 7292 4): a digest, a salt, and how many rounds.
    if let Some(check) = file.children()?.get(2)
        && let Some(rounds) = check.children()?.get(2)
    {
        sum = sum.and(Cost::of_rounds(largest(rounds, 0)?))?;
    }
    look(&file, 0, &mut sum)?;
    Ok(sum)
}

/// Adds up every encryption scheme and key derivation in the file. What can't be read is passed
/// over, with what stands beside it still looked at: OpenSSL may read it.
fn look(element: &Element, depth: usize, sum: &mut Cost) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(pkcs8::too_slow());
    }
    if element.is(ber::OCTET_STRING) {
        // The safes lie in octet strings, which may be in pieces. What looks like one may be
        // ciphertext.
        return match element.octets().and_then(|octets| ber::one(&octets)) {
            Ok(inner) => look(&inner, depth + 1, sum),
            Err(error) => unless_malformed(error),
        };
    }
    let children = match element.children() {
        Ok(children) => children,
        Err(error) => return unless_malformed(error),
    };
    if element.tag() == ber::SEQUENCE && children.first().is_some_and(is_scheme) {
        *sum = sum.and(scheme(element, depth)?)?;
    }
    let mut children = children.iter();
    children.try_for_each(|child| look(child, depth + 1, sum))
}

/// What a scheme costs. One that stretches by another, which stands in it, costs nothing itself.
fn scheme(element: &Element, depth: usize) -> Result<Cost> {
    let largest = largest(element, depth)?;
    let algorithm = cms::algorithm(element);
    let cost = algorithm.and_then(|algorithm| match algorithm.oid {
        pkcs8::PBES2 => Ok(Cost::default()),
        _ => pkcs8::scheme_costs(&algorithm),
    });
    match cost {
        // OpenSSL would say that the passphrase is wrong.
        Ok(cost) if cost.memory > scrypt::OPENSSL_MEMORY => Err(pkcs8::too_slow()),
        Ok(cost) => Ok(cost),
        Err(error) => unless_malformed(error).map(|()| Cost::of_rounds(largest)),
    }
}

fn unless_malformed(error: Error) -> Result<()> {
    match error.kind {
        Kind::MessageMalformed => Ok(()),
        _ => Err(error),
    }
}

/// Whether an algorithm is one of those that passphrases are stretched by.
fn is_scheme(kind: &Element) -> bool {
    let is_oid = kind.tag() == ber::OID;
    is_oid && SCHEMES.iter().any(|arc| kind.content().starts_with(arc))
}

/// The largest number in a scheme: any could be its count of rounds, and nothing else in one is
/// large.
fn largest(element: &Element, depth: usize) -> Result<u64> {
    if depth > DEPTH_MAX {
        return Err(pkcs8::too_slow());
    }
    if element.is(INTEGER) {
        let number = pkcs8::number(element);
        return Cost::default()
            .and(Cost::of_rounds(number))
            .map(|cost| cost.rounds);
    }
    let children = match element.children() {
        Ok(children) => children,
        Err(error) => return unless_malformed(error).map(|()| 0),
    };
    let mut most = 0;
    for child in children {
        most = most.max(largest(&child, depth + 1)?);
    }
    Ok(most)
}

/// Opens a file; `None`: the passphrase is wrong.
///
/// # Errors
/// `message.malformed`.
pub(super) fn open(data: &[u8], passphrase: &[u8]) -> Result<Option<Contents>> {
    let broken = || Error::malformed("this is not a whole PKCS#12 file; export it again");
    let file = Pkcs12::from_der(data).map_err(|e| broken().because(e))?;
    let Ok(phrase) = std::str::from_utf8(passphrase) else {
        return Ok(None);
    };
    // OpenSSL's binding panics on a NUL in it.
    if phrase.contains('\0') {
        return Ok(None);
    }
    legacy();
    let Ok(parsed) = file.parse2(phrase) else {
        return Ok(None);
    };
    let mut certs = Vec::new();
    for cert in parsed.cert.iter().map(|cert| cert.to_der()) {
        certs.push(cert.map_err(|e| broken().because(e))?);
    }
    for cert in parsed.ca.iter().flatten() {
        certs.push(cert.to_der().map_err(|e| broken().because(e))?);
    }
    Ok(Some(Contents {
        key: parsed.pkey,
        certs,
    }))
}

/// The provider that has the ciphers of old files. It stays once it was needed.
fn legacy() {
    static LOADED: OnceLock<Option<Provider>> = OnceLock::new();
    LOADED.get_or_init(|| Provider::try_load(None, "legacy", true).ok());
}

/// Writes a file: AES-256 and SHA-256, which OpenSSL, NSS, GnuPG and current systems read.
///
/// # Errors
/// `request.invalid` for a passphrase that no such file can have.
pub(super) fn write(
    key: &PKeyRef<Private>,
    chain: &[Bytes],
    passphrase: &Secret,
) -> Result<Vec<u8>> {
    let phrase = std::str::from_utf8(passphrase.expose())
        .ok()
        .filter(|phrase| !phrase.contains('\0'))
        .ok_or_else(|| Error::invalid("/passphrase", "use a passphrase of ordinary characters"))?;
    let refused = |e| Error::internal("the file can't be written").because(e);
    let Some((own, rest)) = chain.split_first() else {
        return Err(Error::internal("a key without its certificate"));
    };
    let own = certs::read(own)?;
    let mut others = Stack::new().map_err(refused)?;
    for cert in rest {
        others
            .push(X509::from_der(cert).map_err(refused)?)
            .map_err(refused)?;
    }
    let mut builder = Pkcs12::builder();
    builder
        .name(&certs::label(&own).replace('\0', ""))
        .pkey(key)
        .cert(&own.x509)
        .key_algorithm(Nid::AES_256_CBC)
        .cert_algorithm(Nid::AES_256_CBC)
        .key_iter(ROUNDS)
        .mac_iter(ROUNDS)
        .mac_md(MessageDigest::sha256());
    if !rest.is_empty() {
        builder.ca(others);
    }
    builder
        .build2(phrase)
        .and_then(|file| file.to_der())
        .map_err(refused)
}
