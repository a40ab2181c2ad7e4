//! What others say of a certificate's user ids: to say it, and to see whether it was said.

use sequoia_openpgp::packet::UserID;
use sequoia_openpgp::types::{HashAlgorithm, PublicKeyAlgorithm, SignatureType};
use sequoia_openpgp::{Cert, Packet};

use super::door::Door;
use super::introducers::{standing, usable};
use super::life::unusable;
use super::policy::policy;
use super::{certs, import};
use crate::base::Context;
use crate::base::address::Address;
use crate::base::error::{Error, Result};

/// What a certificate has to say itself of a user id that others certify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// That it is its own.
    Needed,
    /// Nothing.
    Any,
}

/// What is looked for among the user ids of a certificate.
#[derive(Debug, Clone)]
pub enum Wanted<'a> {
    /// This very text.
    UserId(&'a str),
    /// Any with this address.
    Address(&'a Address),
}

/// The certificate with somebody's word that a user id is its owner's. Asks the private key of
/// `by`, a certificate.
///
/// # Errors
/// `key.unusable` with `no-user-id` when the certificate does not have it, for the id of that
/// certificate; with another reason for the id of `by`, when that can't certify; `key.locked`.
pub fn certify(cert: &[u8], user_id: &str, own: Own, by: &[u8], cx: &Context) -> Result<Vec<u8>> {
    let cert = certs::parse(cert)?;
    if own == Own::Needed && !has(&cert, &Wanted::UserId(user_id), cx) {
        return Err(unusable(&cert, "no-user-id"));
    }
    let by = certs::parse(by)?;
    if !usable(&by, &policy(cx.now), cx.now) {
        return Err(unusable(&by, "no-certification-key"));
    }
    let primary = by.primary_key().key();
    let certifies = by
        .with_policy(&policy(cx.now), cx.now)
        .is_ok_and(|valid| valid.primary_key().for_certification());
    if !certifies {
        return Err(unusable(&by, "no-certification-key"));
    }
    let hash = match primary.pk_algo() {
        PublicKeyAlgorithm::Ed448
        | PublicKeyAlgorithm::MLDSA87_Ed448
        | PublicKeyAlgorithm::SLHDSA256s
        | PublicKeyAlgorithm::ECDSA => HashAlgorithm::SHA512,
        _ => HashAlgorithm::SHA256,
    };
    let user_id = UserID::from(user_id);
    let mut door = Door::new(certs::id(&by), primary.clone().into(), cx);
    let refusal = door.refusal();
    let signature = user_id
        .certify(
            &mut door,
            &cert,
            SignatureType::GenericCertification,
            hash,
            cx.now,
        )
        .map_err(|e| {
            let ours = refusal.take();
            ours.unwrap_or_else(|| Error::internal("the user id can't be certified").because(e))
        })?;
    let packets = vec![Packet::from(user_id), Packet::from(signature)];
    let (cert, _) = cert
        .insert_packets(packets)
        .map_err(|e| Error::internal("the certificate can't be written").because(e))?;
    import::public(&cert.strip_secret_key_material())
}

fn is_wanted(user_id: &UserID, wanted: &Wanted<'_>) -> bool {
    match wanted {
        Wanted::UserId(text) => user_id.value() == text.as_bytes(),
        Wanted::Address(address) => certs::address(user_id).as_ref() == Some(*address),
    }
}

/// Whether a certificate that counts has such a user id by its own word.
fn has(cert: &Cert, wanted: &Wanted<'_>, cx: &Context) -> bool {
    let policy = policy(cx.judged_at());
    cert.with_policy(&policy, cx.judged_at())
        .is_ok_and(|valid| {
            let mut named = valid.userids().revoked(false);
            named.any(|ua| is_wanted(ua.userid(), wanted))
        })
}

/// Whether a certificate counts at the instant to judge by, says itself that a user id is its
/// own, and one of `authorities` says so too.
///
/// # Errors
/// `message.malformed` when one of them is no certificate.
pub fn validate(
    cert: &[u8],
    wanted: &Wanted<'_>,
    authorities: &[&[u8]],
    cx: &Context,
) -> Result<bool> {
    let at = cx.judged_at();
    let policy = policy(at);
    let cert = certs::parse(cert)?;
    let authorities = authorities
        .iter()
        .map(|bytes| certs::parse(bytes))
        .collect::<Result<Vec<_>>>()?;
    if !usable(&cert, &policy, at) {
        return Ok(false);
    }
    let Ok(valid) = cert.with_policy(&policy, at) else {
        return Ok(false);
    };
    let mut named = valid.userids().revoked(false);
    Ok(named.any(|ua| {
        is_wanted(ua.userid(), wanted)
            && authorities.iter().any(|by| {
                // An authority vouches for its own user ids by having them.
                let own = by.fingerprint() == cert.fingerprint();
                usable(by, &policy, at)
                    && (own || standing(ua.amalgamation(), by, &policy, at).is_some())
            })
    }))
}
