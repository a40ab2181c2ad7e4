//! Signatures: whether one fits its bytes, and what its key's state means for it.
//!
//! Every verdict is reached here, step by step, and not by Sequoia's streaming verifier: that
//! one stops at the first fault, so that it can't tell a changed text from an expired key. Not
//! here: who claims to have written the text, and whether anybody trusts the key.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use sequoia_openpgp::cert::amalgamation::{ValidAmalgamation as _, ValidateAmalgamation as _};
use sequoia_openpgp::crypto::hash::{Context as Hasher, Hash as _};
use sequoia_openpgp::packet::{Signature, Unknown};
use sequoia_openpgp::parse::{Dearmor, PacketParserBuilder, PacketParserResult, Parse as _};
use sequoia_openpgp::policy::{HashAlgoSecurity, Policy as _};
use sequoia_openpgp::types::{HashAlgorithm, RevocationStatus, RevocationType, SignatureType};
use sequoia_openpgp::{Cert, KeyHandle, Packet};

use super::armor::{self, Kind};
use super::certs::{self, ErasedKey, is_revoked};
use super::introducers;
use super::names;
use super::policy::{self, CLOCK_SKEW, Lenient, PACKET_MAX, SIGNATURES_MAX};
use crate::base::Context;
use crate::base::context::unix;
use crate::base::error::{Error, Result};
use crate::base::job::Stage;
use crate::base::keys::Protocol;
use crate::base::layer::{Fit, Opened, SignatureFacts, SignerFacts};
use crate::base::verdict::Reason;

/// How much is hashed before the job is asked whether it still wants to go on.
const CHUNK: usize = 1 << 20;

/// A signature packet, or one that could not be read as a signature.
pub(super) type MaybeSignature = std::result::Result<Signature, Unknown>;

/// Verifies content and signatures that stand apart (RFC 1847, RFC 3156 5).
///
/// # Errors
/// `message.malformed` when there is anything but signatures; `limit.exceeded`; `cancelled`.
pub(super) fn detached(content: &Bytes, signature: &Bytes, cx: &Context) -> Result<Opened> {
    // Old programs wrote MESSAGE over a signature. What is in it decides.
    let packets = armor::one(signature, &[Kind::Signature, Kind::Message])?;
    let signatures = signatures(&packets)?;
    cx.job
        .stage_of(Stage::Crypto, (content.len() * signatures.len()) as u64);
    let mut keyring = Keyring::new(cx);
    let mut hashes = Hashes::new(content);
    let signatures = signatures
        .into_iter()
        .map(|signature| {
            let digest = match &signature {
                Ok(signature) => hashes.digest(signature, cx)?,
                Err(_) => None,
            };
            keyring.judge(&signature, digest.as_deref())
        })
        .collect::<Result<_>>()?;
    Ok(Opened::signed(content.clone(), signatures))
}

/// The signatures in `packets`, which must hold nothing else.
///
/// # Errors
/// `message.malformed`; `limit.exceeded`.
pub(super) fn signatures(packets: &[u8]) -> Result<Vec<MaybeSignature>> {
    let broken = || Error::malformed("this is not an OpenPGP signature; get the message again");
    let mut found = Vec::new();
    let mut next = PacketParserBuilder::from_bytes(packets)
        .and_then(|builder| {
            builder
                .dearmor(Dearmor::Disabled)
                .max_packet_size(PACKET_MAX)
                .automatic_hashing(false)
                .buffer_unread_content()
                .build()
        })
        .map_err(|e| broken().because(e))?;
    while let PacketParserResult::Some(parser) = next {
        let (packet, rest) = parser.next().map_err(|e| broken().because(e))?;
        next = rest;
        match packet {
            Packet::Signature(signature) => found.push(Ok(signature)),
            Packet::Unknown(unknown)
                if unknown.tag() == sequoia_openpgp::packet::Tag::Signature =>
            {
                found.push(Err(unknown));
            }
            Packet::Marker(_) => {}
            _ => return Err(broken()),
        }
        too_many(found.len())?;
    }
    if found.is_empty() {
        return Err(broken());
    }
    Ok(found)
}

/// # Errors
/// `limit.exceeded`.
pub(super) fn too_many(signatures: usize) -> Result<()> {
    if signatures > SIGNATURES_MAX {
        return Err(Error::limit(
            "signatures",
            "there are too many signatures over one content",
        ));
    }
    Ok(())
}

/// The digests of one content, each computed once.
struct Hashes<'a> {
    content: &'a [u8],
    done: Vec<(HashAlgorithm, u8, bool, Vec<u8>, Hasher)>,
}

impl<'a> Hashes<'a> {
    fn new(content: &'a [u8]) -> Hashes<'a> {
        Hashes {
            content,
            done: Vec::new(),
        }
    }

    /// The digest of content and signature. `None` when the hash is not here.
    fn digest(&mut self, signature: &Signature, cx: &Context) -> Result<Option<Vec<u8>>> {
        let algorithm = signature.hash_algo();
        let text = signature.typ() == SignatureType::Text;
        let version = signature.version();
        let salt = salt(signature);
        let known = self
            .done
            .iter()
            .find(|(a, v, t, s, _)| *a == algorithm && *v == version && *t == text && s == salt);
        let hasher = match known {
            Some((.., hasher)) => {
                cx.job.advance(self.content.len() as u64);
                hasher.clone()
            }
            None => {
                let Ok(builder) = algorithm.context() else {
                    return Ok(None);
                };
                let mut hasher = builder.for_signature(version);
                hasher.update(salt);
                for chunk in self.content.chunks(CHUNK) {
                    cx.job.check()?;
                    if !text {
                        hasher.update(chunk);
                    }
                    cx.job.advance(chunk.len() as u64);
                }
                if text {
                    hash_text(&mut hasher, self.content);
                }
                self.done
                    .push((algorithm, version, text, salt.to_vec(), hasher.clone()));
                hasher
            }
        };
        Ok(finish(signature, hasher))
    }
}

/// The digest after the content went into `hasher`.
fn finish(signature: &Signature, mut hasher: Hasher) -> Option<Vec<u8>> {
    signature.hash(&mut hasher).ok()?;
    hasher.into_digest().ok()
}

/// The digest of text whose line ends are canonical already, and a signature over it.
pub(super) fn digest(signature: &Signature, text: &[u8]) -> Option<Vec<u8>> {
    let mut hasher = signature
        .hash_algo()
        .context()
        .ok()?
        .for_signature(signature.version());
    hasher.update(salt(signature));
    hasher.update(text);
    finish(signature, hasher)
}

/// Text with its line ends as they are hashed.
pub(super) fn canonical(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 32);
    each_line(content, |piece| out.extend_from_slice(piece));
    out
}

/// Hashes text with its line ends as CRLF (RFC 9580 5.2.1.2).
fn hash_text(hasher: &mut Hasher, content: &[u8]) {
    each_line(content, |piece| hasher.update(piece));
}

/// The lines of a text and CRLF between them, one piece after the other.
fn each_line(content: &[u8], mut piece: impl FnMut(&[u8])) {
    let mut rest = content;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        let (line, end) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        piece(line);
        piece(b"\r\n");
        rest = end
            .strip_prefix(b"\r\n")
            .or_else(|| end.strip_prefix(b"\r"))
            .or_else(|| end.strip_prefix(b"\n"))
            .unwrap_or(&[]);
    }
    piece(rest);
}

fn salt(signature: &Signature) -> &[u8] {
    match signature {
        Signature::V6(signature) => signature.salt(),
        _ => &[],
    }
}

/// The certificates that the signatures of one layer name, each read once.
pub(super) struct Keyring<'a> {
    cx: &'a Context,
    at: SystemTime,
    policy: policy::Strict,
    read: Vec<(String, Vec<Arc<Cert>>)>,
}

impl<'a> Keyring<'a> {
    pub(super) fn new(cx: &'a Context) -> Keyring<'a> {
        let at = cx.judged_at();
        Keyring {
            cx,
            at,
            policy: policy::policy(at),
            read: Vec::new(),
        }
    }

    /// The certificates that have a key of this fingerprint or key id.
    fn certs(&mut self, handle: &KeyHandle) -> Result<Vec<Arc<Cert>>> {
        let name = certs::handle(handle);
        if let Some((_, certs)) = self.read.iter().find(|(known, _)| *known == name) {
            return Ok(certs.clone());
        }
        let stored = self.cx.certs.by_handle(Protocol::OpenPgp, &name)?;
        let certs: Vec<Arc<Cert>> = stored
            .iter()
            .filter_map(|stored| certs::stored(&stored.cert).ok())
            .collect();
        self.read.push((name, certs.clone()));
        Ok(certs)
    }

    /// What can be said of one signature whose content and own fields hash to `digest`.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn judge(
        &mut self,
        signature: &MaybeSignature,
        digest: Option<&[u8]>,
    ) -> Result<SignatureFacts> {
        let signature = match signature {
            Ok(signature) => signature,
            Err(unknown) => return Ok(unread(unknown)),
        };
        let mut facts = plain_facts(signature);
        let at = unix(self.at);
        let Some(signed_at) = signature.signature_creation_time() else {
            facts.fit = Fit::Malformed;
            facts.reasons.push(Reason::Malformed);
            return Ok(facts);
        };
        if !matches!(signature.typ(), SignatureType::Binary | SignatureType::Text) {
            facts.fit = Fit::Malformed;
            facts.reasons.push(Reason::Malformed);
            return Ok(facts);
        }
        if !signature.hash_algo().is_supported() || !signature.pk_algo().is_supported() {
            facts.fit = Fit::Unsupported;
            facts.reasons.push(Reason::UnsupportedAlgorithm);
            return Ok(facts);
        }
        let Some(digest) = digest else {
            facts.fit = Fit::Malformed;
            facts.reasons.push(Reason::Malformed);
            return Ok(facts);
        };
        let tolerance = if self.cx.at.is_some() { 0 } else { CLOCK_SKEW };
        if unix(signed_at) > at.saturating_add(tolerance) {
            facts.reasons.push(Reason::Future);
        }
        if signature
            .signature_expiration_time()
            .is_some_and(|end| end <= self.at)
        {
            facts.reasons.push(Reason::KeyExpired);
        }
        let mut first = None;
        for handle in signature.get_issuers() {
            for cert in self.certs(&handle)? {
                let Some(verified) = verifies(signature, digest, &cert, &handle) else {
                    continue;
                };
                if verified {
                    self.fits(signature, signed_at, &cert, &handle, &mut facts);
                    if let Some(signer) = &facts.signer {
                        facts.introduced = introducers::all_for(&cert, &signer.addresses, self.cx)?;
                    }
                    facts.reasons.sort_unstable();
                    facts.reasons.dedup();
                    return Ok(facts);
                }
                first.get_or_insert(cert);
            }
        }
        if let Some(cert) = first {
            facts.fit = Fit::Altered;
            facts.reasons = vec![Reason::Altered];
            facts.signer = Some(self.signer(&cert, signed_at));
        }
        Ok(facts)
    }

    /// A signature that a key of `cert` made: how sound it is, and the key's state.
    fn fits(
        &self,
        signature: &Signature,
        signed_at: SystemTime,
        cert: &Cert,
        handle: &KeyHandle,
        facts: &mut SignatureFacts,
    ) {
        facts.fit = Fit::Intact;
        facts.signer = Some(self.signer(cert, signed_at));
        let made_by = cert.keys().key_handle(handle.clone()).next();
        facts.key = made_by.map(|ka| ka.key().fingerprint().to_hex());
        let hash = signature.hash_algo();
        let broken_since = self
            .policy
            .hash_cutoff(hash, HashAlgoSecurity::CollisionResistance);
        if broken_since.is_some_and(|since| since <= self.at) {
            facts.fit = Fit::Weak;
            facts.reasons.push(Reason::WeakAlgorithm);
        } else if self
            .policy
            .signature(signature, HashAlgoSecurity::CollisionResistance)
            .is_err()
        {
            // What else the policy refuses: critical subpackets that nobody here understands.
            facts.fit = Fit::Unsupported;
            facts.reasons.push(Reason::UnsupportedAlgorithm);
        }
        let Some(ka) = cert.keys().key_handle(handle.clone()).next() else {
            return;
        };
        // A certificate whose owner renewed it may carry its newest self-signatures alone. Then
        // these speak for the time before them too, as far back as the key goes.
        let then = ka.clone().with_policy(&self.policy, signed_at);
        let now = ka.clone().with_policy(&self.policy, self.at);
        let Some(valid) = then.as_ref().ok().or(now.as_ref().ok()) else {
            let bound = ka.clone().with_policy(&Lenient, signed_at).is_ok()
                || ka.with_policy(&Lenient, self.at).is_ok();
            if ka_is_future(cert, signed_at) {
                facts.reasons.push(Reason::Future);
            } else if bound {
                facts.fit = Fit::Weak;
                facts.reasons.push(Reason::WeakAlgorithm);
            } else {
                facts.fit = Fit::NoCert;
                facts.signer = None;
            }
            return;
        };
        if !valid.for_signing() {
            facts.fit = Fit::Malformed;
            facts.reasons.push(Reason::Malformed);
        }
        if valid.key().creation_time() > signed_at || ka_is_future(cert, signed_at) {
            facts.reasons.push(Reason::Future);
        }
        let mut state = Vec::new();
        if expired(valid, signed_at) {
            state.push(Reason::KeyExpired);
        }
        if then.as_ref().is_ok_and(revoked) {
            state.push(Reason::KeyRevoked);
        }
        if let Ok(now) = &now {
            match revoked_since(now, signed_at) {
                Some(Reason::KeyRevoked) if !state.contains(&Reason::KeyRevoked) => {
                    state.push(Reason::KeyRevoked);
                }
                Some(Reason::ExpiredSince) if state.is_empty() => {
                    state.push(Reason::ExpiredSince);
                }
                _ if state.is_empty() && expired(now, self.at) => {
                    state.push(Reason::ExpiredSince);
                }
                _ => {}
            }
        }
        facts.reasons.extend(state);
    }

    fn signer(&self, cert: &Cert, signed_at: SystemTime) -> SignerFacts {
        let names = cert
            .with_policy(&self.policy, self.at)
            .or_else(|_| cert.with_policy(&self.policy, signed_at))
            .map(|valid| certs::names(&valid))
            .unwrap_or_default();
        SignerFacts {
            id: certs::id(cert),
            addresses: names.addresses,
            name: names.name,
        }
    }
}

/// Whether the key that `handle` names made the signature. `None`: the key is not in `cert`.
fn verifies(signature: &Signature, digest: &[u8], cert: &Cert, handle: &KeyHandle) -> Option<bool> {
    let key = cert.keys().key_handle(handle.clone()).next()?.key();
    let older = signature
        .signature_creation_time()
        .is_some_and(|at| at < key.creation_time());
    Some(if older {
        // Sequoia refuses what is older than its key without looking: but whether it fits and
        // when it was made are two questions.
        (signature.version() == 6) == (key.version() == 6)
            && key
                .verify(signature.mpis(), signature.hash_algo(), digest)
                .is_ok()
    } else {
        signature.verify_digest(key, digest).is_ok()
    })
}

fn ka_is_future(cert: &Cert, signed_at: SystemTime) -> bool {
    cert.primary_key().key().creation_time() > signed_at
}

fn expired(key: &ErasedKey<'_>, at: SystemTime) -> bool {
    let ends = [
        key.key_expiration_time(),
        key.valid_cert().primary_key().key_expiration_time(),
    ];
    ends.into_iter().flatten().any(|end| end <= at)
}

/// Whether key or certificate was revoked as it stood at that instant.
fn revoked(key: &ErasedKey<'_>) -> bool {
    is_revoked(&key.revocation_status()) || is_revoked(&key.valid_cert().revocation_status())
}

/// What revocations that are known now mean for what was signed then.
fn revoked_since(now: &ErasedKey<'_>, signed_at: SystemTime) -> Option<Reason> {
    let statuses = [
        now.revocation_status(),
        now.valid_cert().revocation_status(),
    ];
    let mut reason = None;
    for status in &statuses {
        let RevocationStatus::Revoked(signatures) = status else {
            continue;
        };
        for signature in signatures {
            let hard = signature
                .reason_for_revocation()
                .is_none_or(|(why, _)| why.revocation_type() == RevocationType::Hard);
            let before = signature
                .signature_creation_time()
                .is_none_or(|at| at <= signed_at);
            if hard || before {
                return Some(Reason::KeyRevoked);
            }
            reason = Some(Reason::ExpiredSince);
        }
    }
    reason
}

/// What a signature says by itself; its certificate is not here until it is found.
fn plain_facts(signature: &Signature) -> SignatureFacts {
    let issuers = signature.get_issuers();
    let fingerprint = issuers
        .iter()
        .find(|handle| matches!(handle, KeyHandle::Fingerprint(_)));
    SignatureFacts {
        issuer: fingerprint.or(issuers.first()).map(certs::handle),
        signed_at: signature.signature_creation_time().map(unix),
        hash: Some(hash_name(signature.hash_algo())),
        intended: signature
            .intended_recipients()
            .map(|fingerprint| fingerprint.to_hex())
            .collect(),
        text: signature.typ() == SignatureType::Text,
        algorithm: Some(names::public_key(signature.pk_algo())),
        expires: signature.signature_expiration_time().map(unix),
        notations: names::notations(signature),
        ..SignatureFacts::unread(Fit::NoCert)
    }
}

/// A packet that Sequoia could not read as a signature.
fn unread(unknown: &Unknown) -> SignatureFacts {
    use sequoia_openpgp::Error as Library;
    let unsupported = matches!(
        unknown.error().downcast_ref::<Library>(),
        Some(
            Library::UnsupportedHashAlgorithm(_)
                | Library::UnsupportedPublicKeyAlgorithm(_)
                | Library::UnsupportedEllipticCurve(_)
                | Library::UnsupportedSignatureType(_)
                | Library::UnsupportedPacketType(_)
        )
    );
    let (fit, reason) = if unsupported {
        (Fit::Unsupported, Reason::UnsupportedAlgorithm)
    } else {
        (Fit::Malformed, Reason::Malformed)
    };
    SignatureFacts {
        reasons: vec![reason],
        ..SignatureFacts::unread(fit)
    }
}

/// As in `SHA256`.
pub(super) fn hash_name(hash: HashAlgorithm) -> String {
    match hash {
        HashAlgorithm::MD5 => "MD5",
        HashAlgorithm::SHA1 => "SHA1",
        HashAlgorithm::RipeMD => "RIPEMD160",
        HashAlgorithm::SHA256 => "SHA256",
        HashAlgorithm::SHA384 => "SHA384",
        HashAlgorithm::SHA512 => "SHA512",
        HashAlgorithm::SHA224 => "SHA224",
        HashAlgorithm::SHA3_256 => "SHA3-256",
        HashAlgorithm::SHA3_512 => "SHA3-512",
        _ => "unknown",
    }
    .to_owned()
}
