//! Who vouches for a certificate: path validation by OpenSSL, with what it leaves to us
//! (RFC 5280 6, RFC 8550).

use bytes::Bytes;

use super::certs::Certificate;
use crate::base::Address;
use crate::base::Context;
use crate::base::error::{Error, Result};
use crate::base::layer::Trust;
use crate::base::verdict::{Reason, Revocation};

/// What the authorities say of a signer's certificate.
pub(super) struct Judged {
    pub trust: Trust,
    /// `key-expired`, `expired-since`, `key-revoked`, `weak-algorithm`.
    pub reasons: Vec<Reason>,
    pub revocation: Option<Revocation>,
    /// The addresses that the anchor may vouch for, of those the certificate names.
    pub addresses: Vec<Address>,
}

/// Judges a certificate that signed something at `signed_at` (Unix seconds, as the signer
/// claims). `brought` came along with the message: intermediates perhaps, never anchors.
pub(super) fn judge(
    _cert: &Certificate,
    _brought: &[Bytes],
    _signed_at: Option<u64>,
    _cx: &Context,
) -> Result<Judged> {
    Err(Error::internal("not built yet"))
}

/// The certificates between `cert` and its root, nearest first, as far as they are here: what
/// goes along with a signature. Without the root.
pub(super) fn intermediates(_cert: &Certificate, _cx: &Context) -> Result<Vec<Bytes>> {
    Ok(Vec::new())
}

/// What the bundled anchors say of themselves, where policy lets them speak.
pub(super) fn authorities(_cx: &Context) -> Vec<crate::base::keys::CertFacts> {
    Vec::new()
}
