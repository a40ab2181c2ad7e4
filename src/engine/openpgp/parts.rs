//! What a key consists of, later: addresses and subkeys that are added, and those that are let
//! go (RFC 9580 5.2.1, 5.2.3.31).

use std::time::SystemTime;

use sequoia_openpgp::cert::amalgamation::ValidAmalgamation as _;
use sequoia_openpgp::cert::{
    CipherSuite, KeyBuilder, SubkeyRevocationBuilder, UserIDRevocationBuilder, ValidCert,
};
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::packet::signature::subpacket::SubpacketTag;
use sequoia_openpgp::packet::{Key, UserID, key};
use sequoia_openpgp::types::{KeyFlags, PublicKeyAlgorithm, ReasonForRevocation, SignatureType};
use sequoia_openpgp::{Cert, Packet};

use super::certs;
use super::door::{Door, Refusal};
use super::generate::{reseal, user_id};
use super::import;
use super::life::{later, present, unusable};
use super::policy::{USER_IDS_MAX, policy};
use crate::base::error::{Error, Result};
use crate::base::keys::Usage;
use crate::base::{Address, Context, Secret};
use crate::engine::{Part, Passphrase};

/// See [`crate::engine::Engine::change`].
pub(super) fn change(bytes: &[u8], part: &Part<'_>, cx: &Context) -> Result<Vec<u8>> {
    let cert = certs::parse(bytes)?;
    let mut primary = Door::new(
        certs::id(&cert),
        cert.primary_key().key().clone().into(),
        cx,
    );
    let refusal = primary.refusal();
    let made = {
        let at = present(&cert, cx)?;
        let policy = policy(at);
        let valid = usable(&cert, &policy, at)?;
        match part {
            Part::Address { name, address } => {
                add_address(&valid, *name, address, &mut primary, &refusal, cx)?
            }
            Part::NoAddress(address) => {
                retire_address(&valid, address, &mut primary, &refusal, cx)?
            }
            Part::NoSubkey(handle) => retire_subkey(&valid, handle, &mut primary, &refusal, cx)?,
        }
    };
    let (cert, _) = cert
        .insert_packets(made)
        .map_err(|e| Error::internal("the certificate can't be written").because(e))?;
    import::public(&cert.strip_secret_key_material())
}

/// A certificate that can still be changed.
fn usable<'a>(
    cert: &'a Cert,
    policy: &'a dyn sequoia_openpgp::policy::Policy,
    at: SystemTime,
) -> Result<ValidCert<'a>> {
    let valid = cert
        .with_policy(policy, at)
        .map_err(|e| unusable(cert, "weak").because(e))?;
    match certs::is_revoked(&valid.revocation_status()) {
        true => Err(unusable(cert, "revoked")),
        false => Ok(valid),
    }
}

fn add_address(
    valid: &ValidCert<'_>,
    name: Option<&str>,
    address: &Address,
    primary: &mut Door,
    refusal: &Refusal,
    cx: &Context,
) -> Result<Vec<Packet>> {
    if valid.userids().count() >= USER_IDS_MAX {
        return Err(Error::limit(
            "userIds",
            "the key has as many addresses as a key may have; let one go first",
        ));
    }
    let known = certs::names(valid).name;
    let user_id = user_id(name.or(known.as_deref()), address);
    if certs::address(&user_id).as_ref() != Some(address) {
        return Err(Error::invalid(
            "/add",
            "a user id has no place for this address; use another one, or another name",
        ));
    }
    // It may have been let go before.
    let mut same = valid.cert().userids().filter(|ua| *ua.userid() == user_id);
    let before =
        same.find_map(|ua| certs::newest(ua.self_signatures().chain(ua.self_revocations())));
    let at = later(before, cx);
    // What the key says of itself with the addresses that it has, it says with this one.
    let template = match valid.primary_userid() {
        Ok(ua) => SignatureBuilder::from(ua.binding_signature().clone()),
        Err(_) => SignatureBuilder::new(SignatureType::PositiveCertification),
    };
    let signature = template
        .set_type(SignatureType::PositiveCertification)
        .modify_hashed_area(|mut area| {
            area.remove_all(SubpacketTag::PrimaryUserID);
            Ok(area)
        })
        .and_then(|builder| builder.set_signature_creation_time(at))
        .and_then(|builder| user_id.bind(primary, valid.cert(), builder))
        .map_err(|e| failed(refusal, e))?;
    Ok(vec![user_id.into(), signature.into()])
}

fn retire_address(
    valid: &ValidCert<'_>,
    address: &Address,
    primary: &mut Door,
    refusal: &Refusal,
    cx: &Context,
) -> Result<Vec<Packet>> {
    let named = |user_id: &UserID| certs::address(user_id).as_ref() == Some(address);
    let (gone, stay): (Vec<_>, Vec<_>) = valid
        .userids()
        .filter(|ua| !certs::is_revoked(&ua.revocation_status()))
        .partition(|ua| named(ua.userid()));
    if gone.is_empty() {
        return Err(Error::invalid(
            "/retire",
            "the key does not have this address; see keys/show",
        ));
    }
    if !stay.iter().any(|ua| certs::address(ua.userid()).is_some()) {
        return Err(Error::invalid(
            "/retire",
            "this is the key's last address; add another one first, or revoke the key",
        ));
    }
    let mut made = Vec::new();
    for ua in gone {
        let before = certs::newest(ua.self_signatures().chain(ua.self_revocations()));
        let signature = UserIDRevocationBuilder::new()
            .set_signature_creation_time(later(before, cx))
            .and_then(|b| b.set_reason_for_revocation(ReasonForRevocation::UIDRetired, b""))
            .and_then(|b| b.build(primary, valid.cert(), ua.userid(), None))
            .map_err(|e| failed(refusal, e))?;
        made.push(ua.userid().clone().into());
        made.push(signature.into());
    }
    Ok(made)
}

fn retire_subkey(
    valid: &ValidCert<'_>,
    handle: &str,
    primary: &mut Door,
    refusal: &Refusal,
    cx: &Context,
) -> Result<Vec<Packet>> {
    let subkey = valid
        .keys()
        .subkeys()
        .find(|ka| is_named(ka.key(), handle) && !certs::is_revoked(&ka.revocation_status()))
        .ok_or_else(|| {
            Error::invalid(
                "/retire",
                "the key does not have this subkey; see keys/show",
            )
        })?;
    // Of two words of one instant a revocation counts, and so at once.
    let signature = SubkeyRevocationBuilder::new()
        .set_signature_creation_time(present(valid.cert(), cx)?)
        .and_then(|b| b.set_reason_for_revocation(ReasonForRevocation::KeyRetired, b""))
        .and_then(|b| b.build(primary, valid.cert(), subkey.key(), None))
        .map_err(|e| failed(refusal, e))?;
    Ok(vec![subkey.key().clone().into(), signature.into()])
}

/// Whether a subkey has this fingerprint or key id.
pub(super) fn is_named(key: &Key<key::PublicParts, key::SubordinateRole>, handle: &str) -> bool {
    key.fingerprint().to_hex() == handle || key.keyid().to_hex() == handle
}

/// See [`crate::engine::Engine::add_subkey`].
pub(super) fn add_subkey(
    bytes: &[u8],
    sealed: &Secret,
    usage: Usage,
    passphrase: &Passphrase,
    cx: &Context,
) -> Result<(Vec<u8>, Secret)> {
    let flags = match usage {
        Usage::Sign => KeyFlags::empty().set_signing(),
        Usage::Encrypt => KeyFlags::empty()
            .set_transport_encryption()
            .set_storage_encryption(),
        Usage::Certify => {
            return Err(Error::invalid("/add", "a subkey signs or encrypts"));
        }
    };
    let refused = |e| Error::internal("the subkey can't be made").because(e);
    // What became of the certificate since its secret half was written goes along.
    let whole = certs::parse(sealed.expose())?
        .merge_public(certs::parse(bytes)?)
        .map_err(refused)?;
    let open = reseal(whole, passphrase, &Passphrase::None)?;
    let at = present(&open, cx)?;
    let policy = policy(at);
    let valid = usable(&open, &policy, at)?;
    if valid.alive().is_err() {
        let ended = unusable(&open, "expired");
        return Err(Error::new(ended.kind, "this key has ended; renew it first"));
    }
    let suite = match open.primary_key().key().pk_algo() {
        PublicKeyAlgorithm::MLDSA65_Ed25519 | PublicKeyAlgorithm::MLDSA87_Ed448 => {
            CipherSuite::MLDSA65_Ed25519
        }
        _ => CipherSuite::Cv25519,
    };
    let grown = KeyBuilder::new(flags)
        .set_cipher_suite(suite)
        .set_creation_time(cx.now)
        .subkey(valid)
        .and_then(|builder| builder.attach_cert())
        .map_err(refused)?;
    let grown = reseal(grown, &Passphrase::None, passphrase)?;
    let public = import::public(&grown.clone().strip_secret_key_material())?;
    Ok((public, import::secret(&grown)?))
}

/// See [`crate::engine::Engine::secret_pairs`].
pub(super) fn secret_pairs(sealed: &Secret) -> Result<Vec<String>> {
    let cert = certs::parse(sealed.expose())?;
    Ok(cert
        .keys()
        .secret()
        .map(|ka| ka.key().fingerprint().to_hex())
        .collect())
}

fn failed(refusal: &Refusal, error: sequoia_openpgp::anyhow::Error) -> Error {
    refusal
        .take()
        .unwrap_or_else(|| Error::internal("the key can't be changed").because(error))
}
