//! An old key made sound again: what it says of itself under a broken hash, it says anew.

use std::time::SystemTime;

use sequoia_openpgp::cert::SubkeyRevocationBuilder;
use sequoia_openpgp::cert::amalgamation::key::ValidSubordinateKeyAmalgamation;
use sequoia_openpgp::cert::amalgamation::{ValidAmalgamation as _, ValidateAmalgamation as _};
use sequoia_openpgp::packet::key;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::policy::Policy as _;
use sequoia_openpgp::types::{HashAlgorithm, ReasonForRevocation, SignatureType};
use sequoia_openpgp::{Cert, Packet};

use super::door::Door;
use super::life::{later, unusable};
use super::policy::{Lenient, policy};
use super::{certs, import};
use crate::base::Context;
use crate::base::error::{Error, Result};

/// What becomes of subkeys whose algorithm is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weak {
    Keep,
    Revoke,
}

/// The certificate with everything that it says of itself under a hash that counts. Asks the
/// private key, unless there is nothing to do.
///
/// # Errors
/// `key.unusable` for one whose first key is broken or that was revoked; `key.locked`.
pub fn refresh(bytes: &[u8], weak: Weak, cx: &Context) -> Result<Vec<u8>> {
    let cert = certs::parse(bytes)?;
    let at = later(certs::changed(&cert), cx);
    let made = {
        let bound = cert
            .with_policy(&Lenient, cx.now)
            .map_err(|e| unusable(&cert, "weak").because(e))?;
        if certs::is_revoked(&bound.revocation_status()) {
            return Err(unusable(&cert, "revoked"));
        }
        let strict = policy(cx.now);
        if strict.key(&bound.primary_key().into()).is_err() {
            return Err(unusable(&cert, "weak"));
        }
        let mut primary = Door::new(
            certs::id(&cert),
            cert.primary_key().key().clone().into(),
            cx,
        );
        let refusal = primary.refusal();
        let failed = |e: sequoia_openpgp::anyhow::Error| {
            let ours = refusal.take();
            ours.unwrap_or_else(|| Error::internal("the key can't be changed").because(e))
        };
        let mut made: Vec<Packet> = names(&cert, &mut primary, at, cx).map_err(failed)?;
        for subkey in bound.keys().subkeys() {
            if certs::is_revoked(&subkey.revocation_status()) {
                continue;
            }
            if strict.key(&subkey.clone().into()).is_err() {
                if weak == Weak::Revoke {
                    let word = SubkeyRevocationBuilder::new()
                        .set_signature_creation_time(at)
                        .and_then(|b| {
                            b.set_reason_for_revocation(ReasonForRevocation::KeyRetired, b"")
                        })
                        .and_then(|b| b.build(&mut primary, &cert, subkey.key(), None))
                        .map_err(failed)?;
                    made.push(subkey.key().clone().into());
                    made.push(word.into());
                }
                continue;
            }
            let counts = subkey.amalgamation().clone().with_policy(&strict, cx.now);
            if counts.is_err() {
                made.push(subkey.key().clone().into());
                made.push(bind(&subkey, &mut primary, at, cx).map_err(failed)?);
            }
        }
        made
    };
    let cert = match made.is_empty() {
        true => cert,
        false => {
            cert.insert_packets(made)
                .map_err(|e| Error::internal("the certificate can't be written").because(e))?
                .0
        }
    };
    match cert.with_policy(&policy(at), at).is_ok() {
        true => import::public(&cert.strip_secret_key_material()),
        false => Err(unusable(&cert, "weak")),
    }
}

/// What the primary key says of itself with its user ids, or alone where it has none.
fn names(
    cert: &Cert,
    primary: &mut Door,
    at: SystemTime,
    cx: &Context,
) -> sequoia_openpgp::Result<Vec<Packet>> {
    let strict = policy(cx.now);
    let bound = cert.with_policy(&Lenient, cx.now)?;
    let key = cert.primary_key().key();
    let mut made = Vec::new();
    for ua in bound.userids().revoked(false) {
        if ua
            .amalgamation()
            .clone()
            .with_policy(&strict, cx.now)
            .is_ok()
        {
            continue;
        }
        let signature = sound(ua.binding_signature().clone().into(), at)?
            .set_type(SignatureType::PositiveCertification)
            .sign_userid_binding(primary, key, ua.userid())?;
        made.push(ua.userid().clone().into());
        made.push(signature.into());
    }
    if made.is_empty() && cert.with_policy(&strict, cx.now).is_err() {
        let known = bound.direct_key_signature()?.clone();
        let signature = sound(known.into(), at)?.sign_direct_key(primary, None)?;
        made.push(signature.into());
    }
    Ok(made)
}

/// The same under a hash that counts.
fn sound(builder: SignatureBuilder, at: SystemTime) -> sequoia_openpgp::Result<SignatureBuilder> {
    builder
        .set_hash_algo(HashAlgorithm::SHA512)
        .set_signature_creation_time(at)
}

fn bind(
    subkey: &ValidSubordinateKeyAmalgamation<'_, key::PublicParts>,
    primary: &mut Door,
    at: SystemTime,
    cx: &Context,
) -> sequoia_openpgp::Result<Packet> {
    let first = subkey.cert().primary_key().key();
    let mut builder = sound(subkey.binding_signature().clone().into(), at)?;
    if subkey.for_signing() || subkey.for_certification() || subkey.for_authentication() {
        let id = certs::id(subkey.cert());
        let mut own = Door::new(id, subkey.key().clone().into(), cx);
        let back = sound(SignatureBuilder::new(SignatureType::PrimaryKeyBinding), at)?
            .sign_primary_key_binding(&mut own, first, subkey.key())?;
        builder = builder.set_embedded_signature(back)?;
    }
    Ok(builder
        .sign_subkey_binding(primary, first, subkey.key())?
        .into())
}
