//! What becomes of a key later: another end, or its revocation (RFC 9580 5.2.3.13, 5.2.3.31). What
//! it consists of changes in [`super::parts`].

use std::time::SystemTime;

use sequoia_openpgp::cert::amalgamation::ValidAmalgamation as _;
use sequoia_openpgp::cert::{CertRevocationBuilder, ValidCert};
use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::types::ReasonForRevocation;
use sequoia_openpgp::{Cert, Packet};

use super::certs;
use super::door::Door;
use super::import;
use super::policy::policy;
use crate::base::Context;
use crate::base::context::from_unix;
use crate::base::error::{Error, Kind, Result};
use crate::engine::{Renewed, Revoking};

/// See [`crate::engine::Engine::renew`].
pub(super) fn renew(bytes: &[u8], expires: u64, cx: &Context) -> Result<Renewed> {
    let cert = certs::parse(bytes)?;
    let policy = policy(cx.now);
    let valid = cert
        .with_policy(&policy, cx.now)
        .map_err(|e| unusable(&cert, "weak").because(e))?;
    if certs::is_revoked(&valid.revocation_status()) {
        return Err(unusable(&cert, "revoked"));
    }
    let signatures = signatures(&valid, &cert, from_unix(expires), cx)?;
    Ok(Renewed {
        cert: Some(with(cert, signatures)?),
        request: None,
    })
}

/// The primary key gets another end, and with it every subkey but those that are revoked or had
/// ended before it: those were let go on purpose.
fn signatures(
    valid: &ValidCert<'_>,
    cert: &Cert,
    end: SystemTime,
    cx: &Context,
) -> Result<Vec<Signature>> {
    let id = certs::id(cert);
    let mut primary = Door::new(id.clone(), cert.primary_key().key().clone().into(), cx);
    let refusal = primary.refusal();
    let failed = |e: sequoia_openpgp::anyhow::Error| {
        let ours = refusal.take();
        ours.unwrap_or_else(|| Error::internal("the key can't be renewed").because(e))
    };
    let mut made = valid
        .primary_key()
        .set_expiration_time(&mut primary, Some(end))
        .map_err(&failed)?;
    let whole = valid.primary_key().key_expiration_time();
    for subkey in valid.keys().subkeys() {
        let let_go = subkey
            .key_expiration_time()
            .is_some_and(|end| end <= cx.now && whole.is_none_or(|whole| end < whole));
        if let_go || certs::is_revoked(&subkey.revocation_status()) {
            continue;
        }
        let key = subkey.key().clone();
        let signed = if subkey.for_signing() || subkey.for_certification() {
            let mut own = Door::new(id.clone(), key.into(), cx);
            let refusal = own.refusal();
            subkey
                .set_expiration_time(&mut primary, Some(&mut own), Some(end))
                .map_err(|e| refusal.take().unwrap_or_else(|| failed(e)))?
        } else {
            subkey
                .set_expiration_time(&mut primary, None, Some(end))
                .map_err(&failed)?
        };
        made.extend(signed);
    }
    Ok(made)
}

/// See [`crate::engine::Engine::revoke`].
pub(super) fn revoke(bytes: &[u8], why: Revoking, cx: &Context) -> Result<Vec<u8>> {
    let cert = certs::parse(bytes)?;
    let mut primary = Door::new(
        certs::id(&cert),
        cert.primary_key().key().clone().into(),
        cx,
    );
    let refusal = primary.refusal();
    let code = match why {
        Revoking::Unspecified => ReasonForRevocation::Unspecified,
        Revoking::Superseded => ReasonForRevocation::KeySuperseded,
        Revoking::Compromised => ReasonForRevocation::KeyCompromised,
        Revoking::Retired => ReasonForRevocation::KeyRetired,
    };
    let signature = CertRevocationBuilder::new()
        .set_signature_creation_time(cx.now)
        .and_then(|builder| builder.set_reason_for_revocation(code, b""))
        .and_then(|builder| builder.build(&mut primary, &cert, None))
        .map_err(|e| {
            let ours = refusal.take();
            ours.unwrap_or_else(|| Error::internal("the key can't be revoked").because(e))
        })?;
    with(cert, vec![signature])
}

/// See [`crate::engine::Engine::revoke_by`].
pub(super) fn revoke_by(bytes: &[u8], stored: &[u8]) -> Result<Vec<u8>> {
    let revoked = import::merge(bytes, stored)?;
    let cert = certs::parse(&revoked)?;
    let status = cert.revocation_status(&super::policy::Lenient, None);
    match certs::is_revoked(&status) {
        true => Ok(revoked),
        false => Err(Error::malformed(
            "the revocation that was kept is not this key's; unlock the key to revoke it",
        )),
    }
}

fn with(cert: Cert, signatures: Vec<Signature>) -> Result<Vec<u8>> {
    let packets = signatures.into_iter().map(Packet::from);
    let (cert, _) = cert
        .insert_packets(packets)
        .map_err(|e| Error::internal("the certificate can't be written").because(e))?;
    import::public(&cert.strip_secret_key_material())
}

pub(super) fn unusable(cert: &Cert, reason: &'static str) -> Error {
    Error::new(
        Kind::KeyUnusable {
            id: certs::id(cert),
            reasons: vec![reason],
        },
        "this key can't be changed any more; make a new one",
    )
}
