//! The signed attributes that S/MIME knows, and those that bind a signature to its certificate
//! and its algorithms.

use const_oid::ObjectIdentifier;
use openssl::hash::hash;
use openssl::memcmp;

use super::ber::{OCTET_STRING, SEQUENCE};
use super::certs::Certificate;
use super::cms::{self, Attributes, CONTEXT_1, Fields, SignerInfo};
use super::policy;
use crate::base::error::Result;
use crate::base::keys::Digest;

pub(super) const CONTENT_TYPE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
pub(super) const MESSAGE_DIGEST: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
pub(super) const SIGNING_TIME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
pub(super) const CAPABILITIES: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.15");
/// RFC 2634 5.4 and RFC 5035 5.4.
const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
pub(super) const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// RFC 6211.
pub(super) const ALGORITHM_PROTECTION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.52");

/// Whether attributes that name certificate and algorithms name those in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Yes,
    No,
}

/// Looks at `signingCertificate`, `signingCertificateV2` and `CMSAlgorithmProtection`, where
/// they are there.
///
/// # Errors
/// `message.malformed` when one of them can't be read.
pub(super) fn bound(
    attributes: &Attributes,
    signer: &SignerInfo,
    cert: &Certificate,
) -> Result<Bound> {
    for (kind, default) in [
        (SIGNING_CERTIFICATE, Digest::Sha1),
        (SIGNING_CERTIFICATE_V2, Digest::Sha256),
    ] {
        if let Some(value) = attributes.single(kind)? {
            let mut fields = Fields::of(value, SEQUENCE)?;
            let ids = fields.take(SEQUENCE)?.children()?;
            let first = ids.first().ok_or_else(super::ber::broken)?;
            let mut id = Fields::of(first, SEQUENCE)?;
            let digest = match id.optional(SEQUENCE) {
                Some(named) => policy::digest(cms::algorithm(&named)?.oid),
                None => Some(default),
            };
            let stated = id.take(OCTET_STRING)?.octets()?;
            let found = digest
                .and_then(|digest| hash(policy::message_digest(digest), &cert.der).ok())
                .is_some_and(|hash| hash.len() == stated.len() && memcmp::eq(&hash, &stated));
            if !found {
                return Ok(Bound::No);
            }
        }
    }
    if let Some(value) = attributes.single(ALGORITHM_PROTECTION)? {
        let mut fields = Fields::of(value, SEQUENCE)?;
        let digest = cms::algorithm(&fields.take(SEQUENCE)?)?;
        let signature = fields.take(CONTEXT_1)?.retagged(SEQUENCE)?;
        let signature = cms::algorithm(&super::ber::one(&signature.into())?)?;
        fields.end()?;
        if digest.oid != signer.digest.oid || signature != signer.algorithm {
            return Ok(Bound::No);
        }
    }
    Ok(Bound::Yes)
}
