//! What becomes of a key later: another end, or its revocation (RFC 9580 5.2.3.13, 5.2.3.31). What
//! it consists of changes in [`super::parts`].

use std::time::SystemTime;

use sequoia_openpgp::cert::amalgamation::ValidAmalgamation as _;
use sequoia_openpgp::cert::amalgamation::key::ValidSubordinateKeyAmalgamation;
use sequoia_openpgp::cert::{CertRevocationBuilder, ValidCert};
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::packet::signature::subpacket::SubpacketTag;
use sequoia_openpgp::packet::{Signature, key};
use sequoia_openpgp::types::{ReasonForRevocation, SignatureType};
use sequoia_openpgp::{Cert, Packet};

use super::certs;
use super::door::Door;
use super::import;
use super::parts;
use super::policy::{Lenient, policy};
use crate::base::Context;
use crate::base::context::{from_unix, unix};
use crate::base::error::{Error, Kind, Result};
use crate::base::keys::Usage;
use crate::engine::{Part, Renewed, Revoking, Word};

/// How far ahead of the clock a key's own word may be dated and still be followed by another one,
/// in seconds: dozens of changes within one second, or the clock of another machine.
const AHEAD_MOST: u64 = 60;

/// The instant at which all that a key says of itself is said already: now, or the moment after
/// it, as signatures count in seconds and the later of two counts.
///
/// # Errors
/// `key.unusable` for a key that was changed at a time still to come.
pub(super) fn present(cert: &Cert, cx: &Context) -> Result<SystemTime> {
    let now = unix(cx.now);
    match certs::changed(cert) {
        Some(changed) if changed > now.saturating_add(AHEAD_MOST) => Err(Error::new(
            Kind::KeyUnusable {
                id: certs::id(cert),
                reasons: vec!["not-yet-valid"],
            },
            "this key was changed at a time that is still to come, and what is said now would not count against that; set the clock right, or wait until then",
        )),
        Some(changed) if changed > now => Ok(from_unix(changed)),
        _ => Ok(cx.now),
    }
}

/// The instant of a word that counts against those which the key said before, the last of them
/// at `before`: a second later than that, if need be.
pub(super) fn later(before: Option<u64>, cx: &Context) -> SystemTime {
    match before.filter(|before| *before >= unix(cx.now)) {
        Some(before) => from_unix(before.saturating_add(1)),
        None => cx.now,
    }
}

/// See [`crate::engine::Engine::renew`].
pub(super) fn renew(bytes: &[u8], expires: u64, cx: &Context) -> Result<Renewed> {
    let cert = certs::parse(bytes)?;
    let at = present(&cert, cx)?;
    let policy = policy(at);
    let valid = cert
        .with_policy(&policy, at)
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
    let at = later(certs::changed(cert), cx);
    let mut made = of_primary(valid, &mut primary, end, at).map_err(&failed)?;
    let whole = valid.primary_key().key_expiration_time();
    for subkey in valid.keys().subkeys() {
        let let_go = subkey
            .key_expiration_time()
            .is_some_and(|end| end <= cx.now && whole.is_none_or(|whole| end < whole));
        if let_go || certs::is_revoked(&subkey.revocation_status()) {
            continue;
        }
        let signing =
            subkey.for_signing() || subkey.for_certification() || subkey.for_authentication();
        let mut own = signing.then(|| Door::new(id.clone(), subkey.key().clone().into(), cx));
        let refusal = own.as_ref().map(Door::refusal);
        let signed = of_subkey(&subkey, &mut primary, own.as_mut(), end, at);
        made.push(signed.map_err(|e| {
            let ours = refusal.and_then(|refusal| refusal.take());
            ours.unwrap_or_else(|| failed(e))
        })?);
    }
    Ok(made)
}

/// What the primary key says of its end: by itself, and with every user id, as others look there
/// first.
fn of_primary(
    valid: &ValidCert<'_>,
    primary: &mut Door,
    end: SystemTime,
    at: SystemTime,
) -> sequoia_openpgp::Result<Vec<Signature>> {
    let key = valid.primary_key();
    let ending = |builder: SignatureBuilder| {
        builder
            .set_signature_creation_time(at)?
            .set_key_expiration_time(key.key(), Some(end))
    };
    let direct = match valid.direct_key_signature() {
        Ok(known) => known.clone().into(),
        Err(_) => SignatureBuilder::from(key.binding_signature().clone())
            .set_type(SignatureType::DirectKey)
            .modify_hashed_area(|mut area| {
                // What only makes sense with a user id.
                for tag in [
                    SubpacketTag::ExportableCertification,
                    SubpacketTag::Revocable,
                    SubpacketTag::TrustSignature,
                    SubpacketTag::RegularExpression,
                    SubpacketTag::SignersUserID,
                    SubpacketTag::ReasonForRevocation,
                    SubpacketTag::SignatureTarget,
                    SubpacketTag::EmbeddedSignature,
                ] {
                    area.remove_all(tag);
                }
                Ok(area)
            })?,
    };
    let direct = ending(direct)?.modify_hashed_area(|mut area| {
        area.remove_all(SubpacketTag::PrimaryUserID);
        Ok(area)
    })?;
    let mut made = vec![direct.sign_direct_key(primary, None)?];
    let first = valid.primary_userid().ok().map(|ua| ua.userid().clone());
    for ua in valid.userids().revoked(false) {
        // Which one is the first stays as it is.
        let builder = ending(ua.binding_signature().clone().into())?
            .set_primary_userid(first.as_ref() == Some(ua.userid()))?;
        made.push(builder.sign_userid_binding(primary, key.key(), ua.userid())?);
    }
    Ok(made)
}

/// What is said of a subkey's end; one that signs says itself whose it is.
fn of_subkey(
    subkey: &ValidSubordinateKeyAmalgamation<'_, key::PublicParts>,
    primary: &mut Door,
    own: Option<&mut Door>,
    end: SystemTime,
    at: SystemTime,
) -> sequoia_openpgp::Result<Signature> {
    let first = subkey.cert().primary_key().key();
    let known = subkey.binding_signature();
    let mut builder = SignatureBuilder::from(known.clone())
        .set_signature_creation_time(at)?
        .set_key_expiration_time(subkey.key(), Some(end))?;
    if let Some(own) = own {
        let back = SignatureBuilder::new(SignatureType::PrimaryKeyBinding)
            .set_signature_creation_time(at)?
            .set_hash_algo(known.hash_algo())
            .sign_primary_key_binding(own, first, subkey.key())?;
        builder = builder.set_embedded_signature(back)?;
    }
    builder.sign_subkey_binding(primary, first, subkey.key())
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
    let hard = matches!(why, Revoking::Unspecified | Revoking::Compromised);
    // One that counts against whatever else is said counts at once.
    let at = match hard {
        true => cx.now,
        false => present(&cert, cx)?,
    };
    let signature = CertRevocationBuilder::new()
        .set_signature_creation_time(at)
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
    let status = cert.revocation_status(&Lenient, None);
    match certs::is_revoked(&status) {
        true => Ok(revoked),
        false => Err(Error::malformed(
            "the revocation that was kept is not this key's; unlock the key to revoke it",
        )),
    }
}

/// See [`crate::engine::Engine::says`].
pub(super) fn says(bytes: &[u8], word: &Word<'_>, at: u64) -> bool {
    let Ok(cert) = certs::parse(bytes) else {
        return false;
    };
    let at = from_unix(certs::changed(&cert).unwrap_or(0).max(at));
    // One that counts for nothing else can still be revoked.
    if *word == Word::Over {
        return certs::is_revoked(&cert.revocation_status(&Lenient, at));
    }
    let policy = policy(at);
    let Ok(valid) = cert.with_policy(&policy, at) else {
        return false;
    };
    let subkeys = || valid.keys().subkeys();
    let addresses = || certs::names(&valid).addresses;
    match word {
        Word::End(end) => valid.primary_key().key_expiration_time() == Some(from_unix(*end)),
        Word::Over => false,
        Word::Fit(usage) => subkeys().revoked(false).any(|ka| match usage {
            Usage::Sign => ka.for_signing(),
            Usage::Encrypt => ka.for_transport_encryption() || ka.for_storage_encryption(),
            Usage::Certify => ka.for_certification(),
        }),
        Word::Part(Part::Address { address, .. }) => addresses().contains(address),
        Word::Part(Part::NoAddress(address)) => !addresses().contains(address),
        Word::Part(Part::NoSubkey(handle)) => subkeys()
            .filter(|ka| parts::is_named(ka.key(), handle))
            .all(|ka| certs::is_revoked(&ka.revocation_status())),
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
