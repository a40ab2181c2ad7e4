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
use super::pkcs8::{self, ROUNDS_MAX};
use super::{certs, cms};
use crate::base::Secret;
use crate::base::error::{Error, Kind, Result};

/// Rounds of the key derivation in what is written: what current systems write, and read.
const ROUNDS: u32 = if cfg!(fuzzing) { 1_000 } else { 100_000 };

/// Levels that are looked through for rounds.
const DEPTH_MAX: usize = 16;

/// What a file holds.
pub(super) struct Contents {
    pub key: Option<PKey<Private>>,
    pub certs: Vec<Vec<u8>>,
}

/// Looks at what opening would cost before it is tried.
///
/// # Errors
/// `limit.exceeded`; `message.malformed`.
pub(super) fn costs(data: &[u8]) -> Result<()> {
    look(&ber::one(&Bytes::copy_from_slice(data))?, 0)
}

/// Every number in the file that could be a count of rounds. Nothing else in one is large.
fn look(element: &Element, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(ber::broken());
    }
    if element.tag() == ber::SEQUENCE
        && let Ok(algorithm) = cms::algorithm(element)
        && algorithm.parameters.is_some()
        && let Err(error) = pkcs8::scheme_costs(&algorithm)
        && error.kind != Kind::MessageMalformed
    {
        return Err(error);
    }
    if element.tag() & 0x20 != 0 {
        for child in element.children()? {
            look(&child, depth + 1)?;
        }
    } else if element.is(INTEGER) && pkcs8::number(element) > ROUNDS_MAX {
        return Err(Error::limit(
            "passphrase-rounds",
            "opening this takes longer than is allowed; protect it with other settings",
        ));
    } else if element.is(ber::OCTET_STRING)
        && let Ok(inner) = element.octets().and_then(|octets| ber::one(&octets))
    {
        // The safes lie in octet strings. What looks like one may be ciphertext.
        match look(&inner, depth + 1) {
            Err(error) if error.kind != Kind::MessageMalformed => return Err(error),
            _ => {}
        }
    }
    Ok(())
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
