//! SMIMECapabilities (RFC 8551 2.5.2): which algorithms somebody reads.

use const_oid::ObjectIdentifier;

use super::ber::{self, SEQUENCE};
use super::cms::{self, Fields};
use crate::base::Context;
use crate::base::keys::KeyId;

/// What is read here, the best first: AES-256-GCM and AES-128-GCM, then the same as CBC.
const READ: &[&str] = &[
    "2.16.840.1.101.3.4.1.46",
    "2.16.840.1.101.3.4.1.6",
    "2.16.840.1.101.3.4.1.42",
    "2.16.840.1.101.3.4.1.22",
    "2.16.840.1.101.3.4.1.2",
];

const AES_256_GCM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.46");

/// The most that is looked at: real lists have about ten.
const MOST: usize = 64;

/// What goes into our own signatures.
pub(super) fn ours() -> Vec<u8> {
    let all: Vec<Vec<u8>> = READ
        .iter()
        .map(|oid| ber::algorithm(ObjectIdentifier::new_unwrap(oid), &[]))
        .collect();
    let parts: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    ber::element(SEQUENCE, &parts)
}

/// Whether the owner of a certificate has said that they read AES-256 in GCM mode.
pub(super) fn reads_gcm(id: &KeyId, cx: &Context) -> bool {
    let stated = cx.certs.capabilities(id).ok().flatten();
    stated.is_some_and(|der| lists(&der, AES_256_GCM).unwrap_or(false))
}

fn lists(der: &bytes::Bytes, wanted: ObjectIdentifier) -> crate::base::Result<bool> {
    let mut fields = Fields::of(&ber::one(der)?, SEQUENCE)?;
    for _ in 0..MOST {
        match fields.next() {
            None => break,
            Some(one) if cms::algorithm(&one).is_ok_and(|a| a.oid == wanted) => return Ok(true),
            Some(_) => {}
        }
    }
    Ok(false)
}
