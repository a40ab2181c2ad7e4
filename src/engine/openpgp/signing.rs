//! Who signs, with which of their keys, and signatures that stand apart from a message: in a
//! file of their own or around a text.

use bytes::Bytes;
use sequoia_openpgp::cert::{Preferences as _, ValidCert};
use sequoia_openpgp::crypto::Signer as _;
use sequoia_openpgp::crypto::hash::Hash as _;
use sequoia_openpgp::crypto::mpi::PublicKey;
use sequoia_openpgp::packet::signature::subpacket::SubpacketTag;
use sequoia_openpgp::packet::signature::{Signature4, SignatureBuilder};
use sequoia_openpgp::packet::{Key, Signature, key};
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::types::{Curve, HashAlgorithm, PublicKeyAlgorithm, SignatureType};
use sequoia_openpgp::{Cert, Packet};

use super::armor::{Kind, Sink};
use super::certs;
use super::cleartext;
use super::door::{Door, Refusal};
use super::policy::Strict;
use super::seal::{failed, usable};
use super::verify::{self, hash_name};
use crate::base::error::{self, Error, Result};
use crate::base::extra::Covers;
use crate::base::keys::{KeyId, SecretState, StoredCert, Usage};
use crate::base::layer::{Seal, SealedOut};
use crate::base::{Context, ask};
use crate::engine::private::absent;

/// One key to sign with, and how.
pub(super) struct Signing {
    pub key: Key<key::PublicParts, key::UnspecifiedRole>,
    pub hash: HashAlgorithm,
    id: KeyId,
}

impl Signing {
    /// The private half, and where it says why it did not sign.
    pub(super) fn door(&self, cx: &Context) -> (Door, Refusal) {
        let door = Door::new(self.id.clone(), self.key.clone(), cx);
        let refusal = door.refusal();
        (door, refusal)
    }
}

/// Those who sign, each with the keys that they could take, the newest first.
pub(super) struct Signers(Vec<Vec<Signing>>);

impl Signers {
    /// # Errors
    /// `key.unusable`; `key.locked` before any work is done; `key.missing`.
    pub(super) fn of(
        how: &Seal<'_>,
        recipients: &[ValidCert<'_>],
        policy: &Strict,
        cx: &Context,
    ) -> Result<Signers> {
        let mut all = Vec::new();
        for signer in how.signer.into_iter().chain(how.extra.signers) {
            let cert = certs::stored(&signer.cert)?;
            let valid = usable(signer, &cert, Usage::Sign, policy, cx)?;
            ready(signer, &cert, cx)?;
            let signing = |key| Signing {
                hash: hash(&key, recipients),
                id: signer.id.clone(),
                key,
            };
            all.push(signing_keys(&valid).into_iter().map(signing).collect());
        }
        Ok(Signers(all))
    }

    /// Signs with the first key of each, by `sign`; where the secret half of one is elsewhere, an
    /// older one of the same signer's may be here.
    ///
    /// # Errors
    /// Those of `sign`.
    pub(super) fn first_that<T>(self, mut sign: impl FnMut(&[&Signing]) -> Result<T>) -> Result<T> {
        let mut left: Vec<std::vec::IntoIter<Signing>> =
            self.0.into_iter().map(Vec::into_iter).collect();
        loop {
            let firsts: Vec<&Signing> = left.iter().filter_map(|l| l.as_slice().first()).collect();
            if firsts.len() < left.len() {
                return Err(Error::internal("no signing key"));
            }
            let error = match sign(&firsts) {
                Err(error) => error,
                done => return done,
            };
            let error::Kind::KeyMissing { key_ids, .. } = &error.kind else {
                return Err(error);
            };
            let named = |l: &std::vec::IntoIter<Signing>| {
                let first = l.as_slice().first();
                first.is_some_and(|s| key_ids.contains(&s.key.fingerprint().to_hex()))
            };
            let any = left.iter().any(named);
            let mut moved = false;
            for signer in &mut left {
                if signer.len() > 1 && (named(signer) || !any) {
                    signer.next();
                    moved = true;
                }
            }
            if !moved {
                return Err(error);
            }
        }
    }
}

/// # Errors
/// `key.locked` before any work is done, `key.missing` when the secret half is not here, `store.*`
/// when it is and can't be read.
fn ready(signer: &StoredCert, cert: &Cert, cx: &Context) -> Result<()> {
    match cx.private.state(&signer.id) {
        SecretState::Locked => Err(ask::locked(&signer.id, &certs::label(cert))),
        SecretState::None | SecretState::Damaged => Err(absent(&cx.certs, &signer.id)),
        SecretState::Unlocked | SecretState::Token | SecretState::Agent => Ok(()),
    }
}

/// The keys that may sign, the newest first.
fn signing_keys(valid: &ValidCert<'_>) -> Vec<Key<key::PublicParts, key::UnspecifiedRole>> {
    let mut keys: Vec<_> = valid
        .keys()
        .alive()
        .revoked(false)
        .supported()
        .for_signing()
        .map(|ka| ka.key().clone())
        .collect();
    keys.sort_by_key(|key| std::cmp::Reverse(key.creation_time()));
    keys
}

/// SHA-256 where key and recipients allow it: the quickest by far on today's processors.
fn hash(
    key: &Key<key::PublicParts, key::UnspecifiedRole>,
    recipients: &[ValidCert<'_>],
) -> HashAlgorithm {
    let strong = match (key.pk_algo(), key.mpis()) {
        (
            PublicKeyAlgorithm::Ed448
            | PublicKeyAlgorithm::MLDSA87_Ed448
            | PublicKeyAlgorithm::SLHDSA256s,
            _,
        ) => Some(HashAlgorithm::SHA512),
        (_, PublicKey::ECDSA { curve, .. }) => match curve {
            Curve::NistP384 | Curve::BrainpoolP384 => Some(HashAlgorithm::SHA384),
            Curve::NistP521 | Curve::BrainpoolP512 => Some(HashAlgorithm::SHA512),
            _ => None,
        },
        _ => None,
    };
    if let Some(strong) = strong {
        return strong;
    }
    let read_by_all = |hash: &HashAlgorithm| {
        recipients.iter().all(|valid| {
            valid
                .preferred_hash_algorithms()
                .is_none_or(|known| known.is_empty() || known.contains(hash))
        })
    };
    [
        HashAlgorithm::SHA256,
        HashAlgorithm::SHA512,
        HashAlgorithm::SHA384,
    ]
    .into_iter()
    .find(read_by_all)
    .unwrap_or(HashAlgorithm::SHA256)
}

/// The one hash under which all of them sign one message.
pub(super) fn common_hash(signing: &[&Signing]) -> HashAlgorithm {
    let first = signing.first().map(|signing| signing.hash);
    match first {
        Some(hash) if signing.iter().all(|signing| signing.hash == hash) => hash,
        // Long enough for every key.
        _ => HashAlgorithm::SHA512,
    }
}

/// The type of a signature over content.
pub(super) fn kind(covers: Covers) -> SignatureType {
    match covers {
        Covers::Bytes => SignatureType::Binary,
        Covers::Text => SignatureType::Text,
    }
}

/// What is in a signature of this type before it is made.
pub(super) fn template(kind: SignatureType, sender: Option<&str>) -> Result<SignatureBuilder> {
    let builder = SignatureBuilder::new(kind);
    match sender {
        Some(sender) => builder
            .set_signers_user_id(sender.as_bytes())
            .map_err(|e| Error::internal("the signature can't be written").because(e)),
        None => Ok(builder),
    }
}

/// A signature over `bytes`, whose line ends are already those of its type.
pub(super) fn sign(
    bytes: &[u8],
    template: SignatureBuilder,
    (signing, hash): (&Signing, HashAlgorithm),
    cx: &Context,
) -> Result<Signature> {
    cx.job.check()?;
    let (mut door, refusal) = signing.door(cx);
    let failed = failed(Some(&refusal));
    template
        .set_hash_algo(hash)
        .set_signature_creation_time(cx.now)
        .and_then(|builder| match signing.key.version() {
            4 => unsalted(builder, &mut door, bytes),
            _ => builder.sign_message(&mut door, bytes),
        })
        .map_err(|e| failed(e.into()))
}

/// A signature of version 4 without the random bytes that Sequoia adds to one as a notation:
/// gpgme-json puts them into its answers as they are, which then are no JSON, and its clients read
/// nothing. What they are for, SHA-1's collisions, is no matter where no such hash is used.
fn unsalted(
    builder: SignatureBuilder,
    door: &mut Door,
    bytes: &[u8],
) -> sequoia_openpgp::Result<Signature> {
    let mut builder = builder.pre_sign(door)?;
    let hashed = builder.hashed_area_mut();
    hashed.remove_all(SubpacketTag::NotationData);
    let hash = builder.hash_algo();
    let mut context = hash.context()?.for_signature(4);
    context.update(bytes);
    builder.hash(&mut context)?;
    let digest = context.into_digest()?;
    let mpis = door.sign(hash, &digest)?;
    let prefix = digest.first_chunk().copied().unwrap_or_default();
    Ok(Signature4::new(
        builder.typ(),
        door.public().pk_algo(),
        hash,
        builder.hashed_area().clone(),
        builder.unhashed_area().clone(),
        prefix,
        mpis,
    )
    .into())
}

/// One signature of each signer.
#[derive(Default)]
struct Made {
    packets: Vec<u8>,
    /// Each once.
    hashes: Vec<HashAlgorithm>,
    /// Those among them that a cleartext frame has to name.
    named: Vec<HashAlgorithm>,
}

impl Made {
    fn of(
        bytes: &[u8],
        kind: SignatureType,
        by: &[&Signing],
        sender: Option<&str>,
        cx: &Context,
    ) -> Result<Made> {
        let mut made = Made::default();
        for signing in by {
            let hash = signing.hash;
            let signature = sign(bytes, template(kind, sender)?, (signing, hash), cx)?;
            cx.job.advance(bytes.len() as u64);
            if !made.hashes.contains(&hash) {
                made.hashes.push(hash);
            }
            if signature.version() < 6 && !made.named.contains(&hash) {
                made.named.push(hash);
            }
            let packet = Packet::from(signature)
                .to_vec()
                .map_err(|e| Error::internal("the signature can't be written").because(e))?;
            made.packets.extend_from_slice(&packet);
        }
        Ok(made)
    }
}

/// Signatures apart from their content.
pub(super) fn detach(
    content: &Bytes,
    signing: &[&Signing],
    how: &Seal<'_>,
    cx: &Context,
) -> Result<SealedOut> {
    let (kind, sender) = (kind(how.extra.covers), how.extra.sender);
    let made = match how.extra.covers {
        Covers::Bytes => Made::of(content, kind, signing, sender, cx)?,
        Covers::Text => Made::of(&verify::canonical(content), kind, signing, sender, cx)?,
    };
    Ok(SealedOut::Detached {
        signature: Sink::of(how.extra.output, Kind::Signature, &made.packets),
        // RFC 3156 5 has one name alone.
        micalg: match made.hashes.as_slice() {
            [one] => format!("pgp-{}", hash_name(*one).to_ascii_lowercase()),
            _ => String::new(),
        },
    })
}

/// A text with its signatures behind it.
pub(super) fn clearsign(
    content: &Bytes,
    signing: &[&Signing],
    how: &Seal<'_>,
    cx: &Context,
) -> Result<SealedOut> {
    let text = cleartext::canonical(content);
    let made = Made::of(&text, SignatureType::Text, signing, how.extra.sender, cx)?;
    let frame = cleartext::frame(&text, &made.packets, &made.named);
    Ok(SealedOut::Inside(frame))
}
