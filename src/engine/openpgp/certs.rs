//! What a certificate's bytes say: names, keys, times, and what it is fit for.
//!
//! Not here: whether anybody trusts it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use openssl::sha::sha256;
use sequoia_openpgp::cert::ValidCert;
use sequoia_openpgp::crypto::mpi;
use sequoia_openpgp::packet::{Key, Signature, UserID, key};
use sequoia_openpgp::parse::{Dearmor, PacketParserBuilder, Parse as _};
use sequoia_openpgp::policy::Policy;
use sequoia_openpgp::types::{Curve, PublicKeyAlgorithm, RevocationStatus};
use sequoia_openpgp::{Cert, KeyHandle};

use super::policy::{self, CERT_MAX, Lenient};
use crate::base::Address;
use crate::base::address::hidden;
use crate::base::context::{from_unix, rfc3339, unix};
use crate::base::error::{Error, Result};
use crate::base::keys::{Attention, CertFacts, KeyId, KeyStatus, Protocol, Usage};

/// How long before its end a certificate asks for attention: 30 days.
const SOON: u64 = 30 * 24 * 60 * 60;

/// The longest name that is shown, in characters.
const NAME_MAX: usize = 200;

/// Reads the bytes of one binary certificate, with or without secret keys.
///
/// # Errors
/// `message.malformed`; `limit.exceeded`.
pub(super) fn parse(bytes: &[u8]) -> Result<Cert> {
    if bytes.len() > CERT_MAX {
        return Err(Error::limit(
            "certificate",
            "the certificate is too large; get a copy without other people's signatures",
        ));
    }
    PacketParserBuilder::from_bytes(bytes)
        .and_then(|builder| builder.dearmor(Dearmor::Disabled).build())
        .and_then(Cert::try_from)
        .map_err(|e| {
            Error::malformed("this is not one OpenPGP certificate; export it again").because(e)
        })
}

/// How many certificates are kept read: those of a conversation, a few megabytes at most.
const RECENT: usize = 32;

/// The certificates that were read last, by the SHA-256 of their bytes. Reading one takes
/// 0.1 ms and finding its self-signatures good takes more, as much as the rest of opening a
/// short message.
static CACHE: Mutex<VecDeque<([u8; 32], Arc<Cert>)>> = Mutex::new(VecDeque::new());

/// As [`parse`], for public certificates out of the store, which come again and again.
///
/// # Errors
/// As [`parse`].
pub(super) fn stored(bytes: &[u8]) -> Result<Arc<Cert>> {
    let name = sha256(bytes);
    let cache = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut recent = cache();
    if let Some(place) = recent.iter().position(|(known, _)| *known == name)
        && let Some(found) = recent.remove(place)
    {
        let cert = Arc::clone(&found.1);
        recent.push_front(found);
        return Ok(cert);
    }
    drop(recent);
    let cert = Arc::new(parse(bytes)?.strip_secret_key_material());
    let mut recent = cache();
    recent.push_front((name, Arc::clone(&cert)));
    recent.truncate(RECENT);
    Ok(cert)
}

/// The id of a certificate.
pub(super) fn id(cert: &Cert) -> KeyId {
    KeyId::from_hex(Protocol::OpenPgp, &cert.fingerprint().to_hex())
        .expect("v4 and v6 fingerprints are the two lengths an id has, others are not parsed")
}

/// A handle as the store's index spells it.
pub(super) fn handle(handle: &KeyHandle) -> String {
    match handle {
        KeyHandle::Fingerprint(fingerprint) => fingerprint.to_hex(),
        KeyHandle::KeyID(id) => id.to_hex(),
    }
}

/// Both names of one key, fingerprint first.
fn handles_of<R: key::KeyRole>(key: &Key<key::PublicParts, R>) -> [String; 2] {
    [key.fingerprint().to_hex(), key.keyid().to_hex()]
}

/// See [`crate::engine::Engine::facts`].
pub(super) fn facts(bytes: &[u8], at: u64) -> Result<CertFacts> {
    Ok(facts_of(&parse(bytes)?, at))
}

/// As [`facts`], of a certificate that was read already.
pub(super) fn facts_of(cert: &Cert, at: u64) -> CertFacts {
    let when = from_unix(at);
    let standard = policy::policy(when);
    let judged = Judged::new(cert, &standard, when);
    let mut handles = Vec::new();
    let mut key_ids = Vec::new();
    for ka in cert.keys() {
        let [fingerprint, key_id] = handles_of(ka.key());
        handles.push(fingerprint);
        handles.push(key_id.clone());
        key_ids.push(key_id);
    }
    let created = unix(cert.primary_key().key().creation_time());
    let expires = judged.expires();
    let names = judged.names();
    CertFacts {
        id: id(cert),
        handles,
        key_ids,
        algorithm: algorithm(cert.primary_key().key()),
        created: Some(rfc3339(created)),
        changed: changed(cert).map(rfc3339),
        expires: expires.map(rfc3339),
        status: judged.status,
        usage: judged.usage(),
        issuer: None,
        attention: judged.attention(&names, expires),
        addresses: names.addresses,
        name: names.name,
    }
}

/// See [`crate::engine::Engine::unfit`].
pub(super) fn unfit(
    bytes: &[u8],
    usage: Usage,
    address: Option<&Address>,
    at: u64,
) -> Vec<&'static str> {
    match stored(bytes) {
        Ok(cert) => unfit_cert(&cert, usage, address, from_unix(at)),
        Err(_) => vec!["malformed"],
    }
}

/// See [`crate::engine::Engine::rsa_bits`].
pub(super) fn rsa_bits(bytes: &[u8], at: u64) -> Option<u32> {
    let cert = stored(bytes).ok()?;
    let when = from_unix(at);
    let standard = policy::policy(when);
    let judged = Judged::new(&cert, &standard, when);
    let bits = judged.keys().filter_map(|key| match key.key().mpis() {
        mpi::PublicKey::RSA { .. } => u32::try_from(key.key().mpis().bits()?).ok(),
        _ => None,
    });
    bits.min()
}

/// As [`unfit`], of a certificate that was read already.
pub(super) fn unfit_cert(
    cert: &Cert,
    usage: Usage,
    address: Option<&Address>,
    at: SystemTime,
) -> Vec<&'static str> {
    let standard = policy::policy(at);
    let judged = Judged::new(cert, &standard, at);
    let mut reasons = Vec::new();
    match judged.status {
        KeyStatus::Valid => {}
        KeyStatus::Expired => reasons.push("expired"),
        KeyStatus::Revoked => reasons.push("revoked"),
        KeyStatus::NotYetValid => reasons.push("not-yet-valid"),
        KeyStatus::Weak => reasons.push("weak"),
    }
    if reasons.is_empty() && !judged.usage().contains(&usage) {
        reasons.push(match usage {
            Usage::Encrypt => "no-encryption-key",
            Usage::Sign | Usage::Certify => "no-signing-key",
        });
    }
    if let Some(address) = address
        && !judged.names().addresses.contains(address)
    {
        reasons.push("no-address");
    }
    reasons
}

/// A certificate as it stands at one instant.
struct Judged<'a> {
    cert: &'a Cert,
    at: SystemTime,
    /// `None` when it was not bound together at that instant, even by weak algorithms.
    valid: Option<ValidCert<'a>>,
    status: KeyStatus,
}

impl<'a> Judged<'a> {
    fn new(cert: &'a Cert, standard: &'a dyn Policy, at: SystemTime) -> Judged<'a> {
        let strict = cert.with_policy(standard, at).ok();
        let valid = strict
            .clone()
            .or_else(|| cert.with_policy(&Lenient, at).ok());
        let status = match (&strict, &valid) {
            _ if cert.primary_key().key().creation_time() > at => KeyStatus::NotYetValid,
            (_, Some(valid)) if is_revoked(&valid.revocation_status()) => KeyStatus::Revoked,
            (None, _) => KeyStatus::Weak,
            (Some(valid), _) if valid.alive().is_err() => KeyStatus::Expired,
            (Some(_), _) => KeyStatus::Valid,
        };
        Judged {
            cert,
            at,
            valid,
            status,
        }
    }

    fn expires(&self) -> Option<u64> {
        let valid = self.valid.as_ref()?;
        valid.primary_key().key_expiration_time().map(unix)
    }

    /// The keys that can be used at that instant.
    fn keys(&self) -> impl Iterator<Item = ErasedKey<'a>> {
        let valid = self
            .valid
            .clone()
            .filter(|_| self.status == KeyStatus::Valid);
        valid
            .into_iter()
            .flat_map(|v| v.keys().alive().revoked(false).supported())
    }

    fn usage(&self) -> Vec<Usage> {
        let mut usage = Vec::new();
        for key in self.keys() {
            let fits = [
                (Usage::Sign, key.for_signing()),
                (
                    Usage::Encrypt,
                    key.for_transport_encryption() || key.for_storage_encryption(),
                ),
                (Usage::Certify, key.for_certification()),
            ];
            usage.extend(fits.into_iter().filter(|(_, fit)| *fit).map(|(u, _)| u));
        }
        usage.sort_unstable();
        usage.dedup();
        usage
    }

    fn names(&self) -> Names {
        self.valid.as_ref().map(names).unwrap_or_default()
    }

    fn attention(&self, names: &Names, expires: Option<u64>) -> Vec<Attention> {
        let mut attention = Vec::new();
        match self.status {
            KeyStatus::Expired => attention.push(Attention::Expired),
            KeyStatus::Weak => attention.push(Attention::Weak),
            KeyStatus::Valid => {
                let usage = self.usage();
                let encryption_ends = self
                    .keys()
                    .filter(|k| k.for_transport_encryption() || k.for_storage_encryption())
                    .map(|k| k.key_expiration_time().map(unix))
                    .reduce(|a, b| Some(a?.max(b?)))
                    .flatten();
                let ends = [expires, encryption_ends].into_iter().flatten().min();
                if ends.is_some_and(|ends| ends < unix(self.at).saturating_add(SOON)) {
                    attention.push(Attention::ExpiresSoon);
                }
                if !usage.contains(&Usage::Encrypt) {
                    attention.push(Attention::NoEncryptionKey);
                }
                if !usage.contains(&Usage::Sign) {
                    attention.push(Attention::NoSigningKey);
                }
            }
            KeyStatus::Revoked | KeyStatus::NotYetValid => {}
        }
        if names.addresses.is_empty() && self.cert.userids().next().is_some() {
            attention.push(Attention::NoAddress);
        }
        attention
    }
}

/// One valid key, primary or not.
pub(super) type ErasedKey<'a> =
    sequoia_openpgp::cert::amalgamation::key::ValidErasedKeyAmalgamation<'a, key::PublicParts>;

/// The names that a certificate binds to itself.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub addresses: Vec<Address>,
    pub name: Option<String>,
}

/// The addresses and the name in those user ids that are valid and not revoked, primary first.
pub(super) fn names(valid: &ValidCert<'_>) -> Names {
    let mut names = Names::default();
    let mut ids: Vec<&UserID> = Vec::new();
    if let Ok(primary) = valid.primary_userid() {
        ids.push(primary.userid());
    }
    ids.extend(valid.userids().revoked(false).map(|ua| ua.userid()));
    let bound: Vec<&UserID> = valid
        .userids()
        .revoked(false)
        .map(|ua| ua.userid())
        .collect();
    for user_id in ids.into_iter().filter(|id| bound.contains(id)) {
        if let Some(address) = address(user_id)
            && !names.addresses.contains(&address)
        {
            names.addresses.push(address);
        }
        if names.name.is_none() {
            names.name = name(user_id);
        }
    }
    names
}

/// The address in a user id (RFC 9580 5.11): what stands in angle brackets, or all of it.
pub(super) fn address(user_id: &UserID) -> Option<Address> {
    match user_id.email().ok().flatten() {
        Some(email) => Address::parse(email),
        None => quoted(user_id).map(|(_, address)| address),
    }
}

/// The name and the address in a user id whose local part is a quoted string, for which Sequoia
/// 2.4.2 has no eyes.
fn quoted(user_id: &UserID) -> Option<(&str, Address)> {
    let text = std::str::from_utf8(user_id.value()).ok()?;
    let (name, address) = match text.strip_suffix('>') {
        Some(text) => text.split_once('<')?,
        None => ("", text),
    };
    // Two readers must not find two addresses.
    let plain = address.starts_with('"') && !name.contains(['"', '@', '>']);
    Some((name.trim(), plain.then(|| Address::parse(address))??))
}

/// The name in a user id, without anything that hides or reorders text.
fn name(user_id: &UserID) -> Option<String> {
    let spoken = match user_id.name().ok().flatten() {
        Some(name) => name,
        None if user_id.email().ok().flatten().is_some() => return None,
        None => match quoted(user_id) {
            Some((name, _)) => name,
            None => std::str::from_utf8(user_id.value()).ok()?,
        },
    };
    let clean: String = spoken
        .chars()
        .filter(|c| !c.is_control() && !hidden(*c))
        .take(NAME_MAX)
        .collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// What a dialog calls a certificate: a name and an address, or the fingerprint.
pub(super) fn label(cert: &Cert) -> String {
    let found = cert
        .userids()
        .filter(|ua| ua.self_signatures().next().is_some())
        .map(|ua| (name(ua.userid()), address(ua.userid())))
        .find(|(name, address)| name.is_some() || address.is_some());
    match found {
        Some((Some(name), Some(address))) => format!("{name} <{address}>"),
        Some((Some(name), None)) => name,
        Some((None, Some(address))) => address.to_string(),
        _ => cert.fingerprint().to_hex(),
    }
}

/// The instant of the newest self-signature.
pub(super) fn changed(cert: &Cert) -> Option<u64> {
    let keys = cert
        .keys()
        .filter_map(|ka| newest(ka.self_signatures().chain(ka.self_revocations())));
    let ids = cert
        .userids()
        .filter_map(|ua| newest(ua.self_signatures().chain(ua.self_revocations())));
    keys.chain(ids).max()
}

/// The instant of the newest of these signatures.
pub(super) fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<u64> {
    signatures
        .filter_map(|signature| signature.signature_creation_time())
        .max()
        .map(unix)
}

pub(super) fn is_revoked(status: &RevocationStatus<'_>) -> bool {
    matches!(status, RevocationStatus::Revoked(_))
}

/// The algorithm of a key in one word: `ed25519`, `rsa4096`, `mldsa65-ed25519`.
pub(super) fn algorithm<R: key::KeyRole>(key: &Key<key::PublicParts, R>) -> String {
    let curve = |curve: &Curve| {
        match curve {
            Curve::NistP256 => "p256",
            Curve::NistP384 => "p384",
            Curve::NistP521 => "p521",
            Curve::BrainpoolP256 => "brainpoolp256r1",
            Curve::BrainpoolP384 => "brainpoolp384r1",
            Curve::BrainpoolP512 => "brainpoolp512r1",
            Curve::Ed25519 => "ed25519",
            Curve::Cv25519 => "x25519",
            _ => "unknown-curve",
        }
        .to_owned()
    };
    let bits = key.mpis().bits().unwrap_or_default();
    match key.mpis() {
        mpi::PublicKey::RSA { .. } => format!("rsa{bits}"),
        mpi::PublicKey::DSA { .. } => format!("dsa{bits}"),
        mpi::PublicKey::ElGamal { .. } => format!("elgamal{bits}"),
        mpi::PublicKey::EdDSA { curve: c, .. }
        | mpi::PublicKey::ECDSA { curve: c, .. }
        | mpi::PublicKey::ECDH { curve: c, .. } => curve(c),
        _ => match key.pk_algo() {
            PublicKeyAlgorithm::Ed25519 => "ed25519",
            PublicKeyAlgorithm::Ed448 => "ed448",
            PublicKeyAlgorithm::X25519 => "x25519",
            PublicKeyAlgorithm::X448 => "x448",
            PublicKeyAlgorithm::MLDSA65_Ed25519 => "mldsa65-ed25519",
            PublicKeyAlgorithm::MLDSA87_Ed448 => "mldsa87-ed448",
            PublicKeyAlgorithm::SLHDSA128s => "slhdsa128s",
            PublicKeyAlgorithm::SLHDSA128f => "slhdsa128f",
            PublicKeyAlgorithm::SLHDSA256s => "slhdsa256s",
            PublicKeyAlgorithm::MLKEM768_X25519 => "mlkem768-x25519",
            PublicKeyAlgorithm::MLKEM1024_X448 => "mlkem1024-x448",
            _ => "unknown",
        }
        .to_owned(),
    }
}
