//! Sealing one layer: a signature, or an envelope. Whoever wants both seals twice, the
//! signature first (RFC 8551 3.7).

use bytes::Bytes;
use const_oid::ObjectIdentifier;

use super::ber::{self, SEQUENCE};
use super::certs::{self, Certificate};
use super::cms::CONTEXT_0;
use super::{envelope, sign};
use crate::base::context::unix;
use crate::base::error::{Error, Kind, Result};
use crate::base::job::Stage;
use crate::base::keys::{KeyId, SecretState, StoredCert, Usage};
use crate::base::layer::{Seal, SealedOut};
use crate::base::verdict::Scheme;
use crate::base::{Context, ask};
use crate::engine::private::absent;

/// See [`crate::engine::Engine::seal`].
pub(super) fn seal(content: &Bytes, how: &Seal<'_>, cx: &Context) -> Result<SealedOut> {
    if how.scheme == Scheme::Inline {
        return Err(Error::invalid(
            "/protect/scheme",
            "S/MIME has no inline form; choose mime or opaque",
        ));
    }
    cx.job.stage_of(Stage::Crypto, content.len() as u64);
    match (how.signer, how.recipients) {
        (Some(signer), []) => {
            let certs = std::iter::once(signer)
                .chain(how.extra.signers)
                .map(|signer| {
                    let cert = usable(signer, Usage::Sign, cx)?;
                    ready(&cert, cx)?;
                    Ok(cert)
                })
                .collect::<Result<Vec<_>>>()?;
            sign::signed(content, &certs, how.scheme, cx)
        }
        (None, [_, ..]) => {
            let certs = how
                .recipients
                .iter()
                .map(|stored| usable(stored, Usage::Encrypt, cx))
                .collect::<Result<Vec<_>>>()?;
            envelope::enveloped(content, &certs, how.cipher, cx)
        }
        _ => Err(Error::internal("a CMS layer is a signature or an envelope")),
    }
}

/// # Errors
/// `key.unusable`.
fn usable(stored: &StoredCert, usage: Usage, cx: &Context) -> Result<Certificate> {
    let reasons = certs::unfit(&stored.cert, usage, None, unix(cx.now));
    match reasons.is_empty() {
        true => certs::read(&stored.cert),
        false => Err(unusable(&stored.id, reasons)),
    }
}

/// The error for a certificate that is not fit for this.
pub(super) fn unusable(id: &KeyId, reasons: Vec<&'static str>) -> Error {
    Error::new(
        Kind::KeyUnusable {
            id: id.clone(),
            reasons,
        },
        "the key can't be used for this; renew it, or choose another one",
    )
}

/// # Errors
/// `key.locked` before any work is done, `key.missing` when the secret half is not here, `store.*`
/// when it is and can't be read.
fn ready(cert: &Certificate, cx: &Context) -> Result<()> {
    match cx.private.state(&cert.id) {
        SecretState::Locked => Err(ask::locked(&cert.id, &certs::label(cert))),
        SecretState::None | SecretState::Damaged => Err(absent(&cx.certs, &cert.id)),
        SecretState::Unlocked | SecretState::Token | SecretState::Agent => Ok(()),
    }
}

/// A ContentInfo around a SEQUENCE whose fields, of `length` bytes in all, `write` appends.
pub(super) fn content_info(
    kind: ObjectIdentifier,
    length: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let kind = ber::object(kind);
    let mut sequence = Vec::new();
    ber::header(SEQUENCE, length, &mut sequence);
    let mut tagged = Vec::new();
    ber::header(CONTEXT_0, sequence.len() + length, &mut tagged);
    let whole = kind.len() + tagged.len() + sequence.len() + length;
    // The ciphers want room for a block more than they write.
    let mut out = Vec::with_capacity(whole + 64);
    ber::header(SEQUENCE, whole, &mut out);
    for part in [&kind, &tagged, &sequence] {
        out.extend_from_slice(part);
    }
    write(&mut out);
    out
}
