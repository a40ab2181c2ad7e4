//! What a certificate says: ids, addresses, usage, state. Not who vouches for it.

use openssl::x509::X509;

use crate::base::Address;
use crate::base::error::{Error, Result};
use crate::base::keys::{CertFacts, KeyId, Usage};

/// One certificate, read.
pub(super) struct Certificate {
    pub id: KeyId,
    pub der: bytes::Bytes,
    pub x509: X509,
    pub parsed: x509_cert::Certificate,
}

/// Reads one DER certificate.
///
/// # Errors
/// `message.malformed`.
pub(super) fn read(_der: &[u8]) -> Result<Certificate> {
    Err(Error::internal("not built yet"))
}

/// See [`crate::engine::Engine::facts`].
pub(super) fn facts(_cert: &[u8], _at: u64) -> Result<CertFacts> {
    Err(Error::malformed("not built yet"))
}

/// See [`crate::engine::Engine::unfit`].
pub(super) fn unfit(
    _cert: &[u8],
    _usage: Usage,
    _address: Option<&Address>,
    _at: u64,
) -> Vec<&'static str> {
    Vec::new()
}

impl Certificate {
    /// The addresses it names: rfc822Name and SmtpUTF8Mailbox (RFC 9598); those of the subject
    /// only where there are no alternative names at all.
    pub(super) fn addresses(&self) -> Vec<Address> {
        Vec::new()
    }

    /// What all certificates of this key share: SHA-256 over SubjectPublicKeyInfo, upper-case
    /// hex.
    pub(super) fn key_handle(&self) -> String {
        String::new()
    }

    /// The subject key identifier: the extension's, or the SHA-1 over the key.
    pub(super) fn key_identifier(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// What the store finds a certificate by when a message names its issuer and serial number:
/// upper-case hex of the SHA-256 over both, as DER.
pub(super) fn issuer_and_serial(_issuer: &[u8], _serial: &[u8]) -> String {
    String::new()
}
