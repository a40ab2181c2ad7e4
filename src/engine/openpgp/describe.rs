//! What a certificate's bytes say for a list of keys. Its sibling is `smime/describe.rs`.

use std::time::SystemTime;

use sequoia_openpgp::Cert;
use sequoia_openpgp::cert::ValidCert;
use sequoia_openpgp::cert::amalgamation::ValidAmalgamation as _;
use sequoia_openpgp::crypto::mpi;
use sequoia_openpgp::packet::{Key, key};
use sequoia_openpgp::types::{Curve, KeyFlags, PublicKeyAlgorithm};

use super::certs::{self, is_revoked};
use super::policy::{self, Lenient};
use crate::base::context::{from_unix, unix};
use crate::base::described::{Algorithm, Described, DescribedKey, DescribedName, Flags, Validity};
use crate::base::error::Result;
use crate::base::keys::Protocol;

/// See [`crate::engine::Engine::describe`].
pub(super) fn describe(cert: &[u8], at: u64) -> Result<Described> {
    let cert = certs::parse(cert)?;
    let at = from_unix(at);
    // What was never bound by anything sound is invalid, and described all the same.
    let standard = policy::policy(at);
    let sound = cert.with_policy(&standard, at).is_ok();
    let valid = cert.with_policy(&Lenient, at).ok();
    let subkeys = keys(&cert, valid.as_ref(), at);
    let userids = names(&cert, at);
    let revoked = is_revoked(&cert.revocation_status(&Lenient, at));
    let first = subkeys.first().map(|key| key.flags).unwrap_or_default();
    let mut flags = Flags {
        revoked,
        invalid: !sound && !revoked,
        ..first
    };
    let usable =
        |key: &&DescribedKey| !(key.flags.revoked || key.flags.expired || key.flags.invalid);
    if !(flags.revoked || flags.expired || flags.invalid) {
        for key in subkeys.iter().filter(usable) {
            flags.join(key.flags);
        }
    }
    Ok(Described {
        id: certs::id(&cert),
        flags,
        protocol: Protocol::OpenPgp,
        issued: None,
        fingerprint: cert.fingerprint().to_hex(),
        owner_trust: Validity::Unknown,
        origin: 0,
        last_update: 0,
        subkeys,
        userids,
    })
}

/// The key pairs, the primary first. All of them go with it.
fn keys(cert: &Cert, valid: Option<&ValidCert<'_>>, at: SystemTime) -> Vec<DescribedKey> {
    let gone = is_revoked(&cert.revocation_status(&Lenient, at));
    let bound = |key: &Key<key::PublicParts, key::UnspecifiedRole>| {
        let mut keys = valid.into_iter().flat_map(|valid| valid.keys());
        keys.find(|ka| ka.key().fingerprint() == key.fingerprint())
    };
    cert.keys()
        .map(|ka| {
            let known = bound(ka.key());
            let known = known.as_ref();
            let created = unix(ka.key().creation_time());
            let can = known.and_then(|known| known.key_flags());
            let can = can.unwrap_or_else(|| possible(ka.key().pk_algo()));
            let expires = known.and_then(|known| known.key_expiration_time());
            let first = ka.key().fingerprint() == cert.fingerprint();
            let revoked = match first {
                true => gone,
                false => gone || known.is_some_and(|known| is_revoked(&known.revocation_status())),
            };
            DescribedKey {
                flags: Flags {
                    revoked,
                    expired: expires.is_some_and(|end| end <= at),
                    invalid: known.is_none() && !revoked,
                    can_encrypt: can.for_transport_encryption() || can.for_storage_encryption(),
                    can_sign: can.for_signing(),
                    can_certify: can.for_certification(),
                    can_authenticate: can.for_authentication(),
                    ..Flags::default()
                },
                is_cardkey: false,
                is_de_vs: false,
                algorithm: algorithm(ka.key()),
                keyid: ka.key().keyid().to_hex(),
                fingerprint: ka.key().fingerprint().to_hex(),
                card_number: None,
                keygrip: None,
                timestamp: created,
                expires: expires.map_or(0, unix),
            }
        })
        .collect()
}

/// What a key can do of which nothing is said.
fn possible(algorithm: PublicKeyAlgorithm) -> KeyFlags {
    let flags = KeyFlags::empty();
    match (algorithm.for_signing(), algorithm.for_encryption()) {
        (true, true) => flags
            .set_signing()
            .set_certification()
            .set_transport_encryption(),
        (true, false) => flags.set_signing().set_certification(),
        (false, true) => flags.set_transport_encryption(),
        (false, false) => flags,
    }
}

/// The names that it ever bound to itself, the first one first.
fn names(cert: &Cert, at: SystemTime) -> Vec<DescribedName> {
    let primary = cert
        .with_policy(&Lenient, at)
        .ok()
        .and_then(|valid| valid.primary_userid().ok().map(|ua| ua.userid().clone()));
    let gone = is_revoked(&cert.revocation_status(&Lenient, at));
    let mut names: Vec<_> = cert
        .userids()
        .filter(|ua| ua.self_signatures().next().is_some())
        .map(|ua| {
            let text = String::from_utf8_lossy(ua.userid().value());
            let revoked = gone || is_revoked(&ua.revocation_status(&Lenient, at));
            let invalid = !revoked && ua.binding_signature(&Lenient, at).is_err();
            let first = primary.as_ref() == Some(ua.userid());
            let name = DescribedName {
                revoked,
                invalid,
                ..DescribedName::openpgp(&text)
            };
            (!first, name)
        })
        .collect();
    names.sort_by_key(|(later, _)| *later);
    names.into_iter().map(|(_, name)| name).collect()
}

/// The kind of a key in gpgme's words.
pub(super) fn algorithm<R: key::KeyRole>(key: &Key<key::PublicParts, R>) -> Algorithm {
    let curve = match key.mpis() {
        mpi::PublicKey::EdDSA { curve, .. }
        | mpi::PublicKey::ECDSA { curve, .. }
        | mpi::PublicKey::ECDH { curve, .. } => named(curve),
        _ => match key.pk_algo() {
            PublicKeyAlgorithm::Ed25519 => Some("ed25519"),
            PublicKeyAlgorithm::X25519 => Some("cv25519"),
            PublicKeyAlgorithm::Ed448 => Some("ed448"),
            PublicKeyAlgorithm::X448 => Some("cv448"),
            _ => None,
        },
    };
    let length = match curve {
        Some("ed25519" | "cv25519") => 255,
        Some("ed448" | "cv448") => 448,
        _ => key
            .mpis()
            .bits()
            .and_then(|bits| u32::try_from(bits).ok())
            .unwrap_or_default(),
    };
    let word = certs::algorithm(key);
    Algorithm::new(
        u8::from(key.pk_algo()),
        length,
        curve.map(str::to_owned),
        &word,
    )
}

/// The name of a curve as GnuPG writes it.
fn named(curve: &Curve) -> Option<&'static str> {
    Some(match curve {
        Curve::NistP256 => "nistp256",
        Curve::NistP384 => "nistp384",
        Curve::NistP521 => "nistp521",
        Curve::BrainpoolP256 => "brainpoolP256r1",
        Curve::BrainpoolP384 => "brainpoolP384r1",
        Curve::BrainpoolP512 => "brainpoolP512r1",
        Curve::Ed25519 => "ed25519",
        Curve::Cv25519 => "cv25519",
        _ => return None,
    })
}
