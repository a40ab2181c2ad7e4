//! Sealing: one message that is signed and encrypted, or a signature apart or around a text.
//!
//! No compression (it costs time and tells lengths), no padding, no hidden recipients: who
//! must not know of another gets an envelope of their own, made by whoever calls.

use std::io::Write as _;

use bytes::Bytes;
use sequoia_openpgp::cert::{Preferences as _, ValidCert};
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::packet::{Key, Signature, key};
use sequoia_openpgp::policy::Policy;
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::serialize::stream::{Encryptor, LiteralWriter, Message, Recipient, Signer};
use sequoia_openpgp::types::{
    Curve, DataFormat, Features, HashAlgorithm, PublicKeyAlgorithm, SignatureType,
    SymmetricAlgorithm,
};
use sequoia_openpgp::{Cert, KeyHandle, Packet};

use super::armor::{self, Kind};
use super::certs;
use super::cleartext;
use super::door::{Door, Refusal};
use super::policy;
use super::verify::hash_name;
use crate::base::error::{self, Error, Result};
use crate::base::job::Stage;
use crate::base::keys::{KeyId, SecretState, StoredCert, Usage};
use crate::base::layer::{Seal, SealedOut};
use crate::base::verdict::Scheme;
use crate::base::{Context, ask};
use crate::engine::private::absent;

/// How much is sealed before the job is asked whether it still wants to go on.
const CHUNK: usize = 1 << 18;

/// What armor and packets add at most for one recipient, in bytes: ML-KEM-1024 has 1.7 kB.
const PER_RECIPIENT: usize = 2048;

/// See [`crate::engine::Engine::seal`].
pub(super) fn seal(content: &Bytes, how: &Seal<'_>, cx: &Context) -> Result<SealedOut> {
    let policy = policy::policy(cx.now);
    let read = how
        .recipients
        .iter()
        .map(|stored| Ok((stored, certs::stored(&stored.cert)?)))
        .collect::<Result<Vec<_>>>()?;
    let recipients = read
        .iter()
        .map(|(stored, cert)| usable(stored, cert, Usage::Encrypt, &policy, cx))
        .collect::<Result<Vec<_>>>()?;
    cx.job.stage_of(Stage::Crypto, content.len() as u64);
    let Some(signer) = how.signer else {
        if recipients.is_empty() {
            return Err(Error::internal(
                "neither a recipient nor a signer was named",
            ));
        }
        return encrypt(content, &recipients, None, how, cx);
    };
    let cert = certs::stored(&signer.cert)?;
    let valid = usable(signer, &cert, Usage::Sign, &policy, cx)?;
    ready(&signer.id, &cert, cx)?;
    let mut last = None;
    for key in signing_keys(&valid) {
        let signing = Signing {
            hash: hash(&key, &recipients),
            id: signer.id.clone(),
            key,
        };
        let sealed = match (recipients.is_empty(), how.scheme) {
            (false, _) => encrypt(content, &recipients, Some(&signing), how, cx),
            (true, Scheme::Mime) => detach(content, &signing, cx),
            (true, Scheme::Inline) => clearsign(content, &signing, cx),
            (true, Scheme::Opaque) => Err(Error::invalid(
                "/protect/scheme",
                "OpenPGP has no opaque signatures in mail; choose mime or inline",
            )),
        };
        match sealed {
            // The secret half of this subkey is elsewhere. An older one may be here.
            Err(error) if matches!(error.kind, error::Kind::KeyMissing { .. }) => {
                last = Some(error);
            }
            done => return done,
        }
    }
    Err(last.unwrap_or_else(|| Error::internal("no signing key")))
}

/// One key to sign with, and how.
struct Signing {
    id: KeyId,
    key: Key<key::PublicParts, key::UnspecifiedRole>,
    hash: HashAlgorithm,
}

impl Signing {
    fn door(&self, cx: &Context) -> (Door, Refusal) {
        let door = Door::new(self.id.clone(), self.key.clone(), cx);
        let refusal = door.refusal();
        (door, refusal)
    }
}

/// The certificate as it is valid now.
///
/// # Errors
/// `key.unusable`.
fn usable<'a>(
    stored: &StoredCert,
    cert: &'a Cert,
    usage: Usage,
    policy: &'a dyn Policy,
    cx: &Context,
) -> Result<ValidCert<'a>> {
    let reasons = certs::unfit_cert(cert, usage, None, cx.now);
    match cert.with_policy(policy, cx.now) {
        Ok(valid) if reasons.is_empty() => Ok(valid),
        Ok(_) | Err(_) if !reasons.is_empty() => Err(unusable(&stored.id, reasons)),
        _ => Err(unusable(&stored.id, vec!["weak"])),
    }
}

fn unusable(id: &KeyId, reasons: Vec<&'static str>) -> Error {
    Error::new(
        error::Kind::KeyUnusable {
            id: id.clone(),
            reasons,
        },
        "the key can't be used for this; renew it, or choose another one",
    )
}

/// # Errors
/// `key.locked` before any work is done, `key.missing` when the secret half is not here, `store.*`
/// when it is and can't be read.
fn ready(id: &KeyId, cert: &Cert, cx: &Context) -> Result<()> {
    match cx.private.state(id) {
        SecretState::Locked => Err(ask::locked(id, &certs::label(cert))),
        SecretState::None | SecretState::Damaged => Err(absent(&cx.certs, id)),
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
    use sequoia_openpgp::crypto::mpi::PublicKey;
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

/// The error of a writer, or of the private key behind it.
fn failed(refusal: Option<&Refusal>) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> Error {
    let refusal = refusal.cloned();
    move |source| {
        refusal
            .as_ref()
            .and_then(Refusal::take)
            .unwrap_or_else(|| Error::internal("the message can't be sealed").because(source))
    }
}

fn encrypt(
    content: &Bytes,
    recipients: &[ValidCert<'_>],
    signing: Option<&Signing>,
    how: &Seal<'_>,
    cx: &Context,
) -> Result<SealedOut> {
    let aead = recipients.iter().all(|valid| {
        valid
            .features()
            .is_some_and(|features| features.supports_seipdv2())
    });
    let mut sink = armor::Writer::new(
        Kind::Message,
        content.len() + (recipients.len() + 4) * PER_RECIPIENT,
    );
    let door = signing.map(|signing| (signing, signing.door(cx)));
    let refusal = door.as_ref().map(|(_, (_, refusal))| refusal.clone());
    let failed = failed(refusal.as_ref());
    let keys = encryption_keys(recipients, aead)?;
    let encryptor = Encryptor::for_recipients(
        Message::new(&mut sink),
        keys.iter().map(|key| recipient(key, aead)),
    );
    let mut message = encryptor
        .symmetric_algo(SymmetricAlgorithm::AES256)
        .build()
        .map_err(|e| failed(e.into()))?;
    if let Some((signing, (door, _))) = door {
        let template = SignatureBuilder::new(SignatureType::Binary);
        let mut signer = Signer::with_template(message, door, template)
            .and_then(|signer| signer.hash_algo(signing.hash))
            .map_err(|e| failed(e.into()))?
            .creation_time(cx.now);
        if how.intended {
            for valid in recipients {
                signer = signer.add_intended_recipient(valid.cert());
            }
        }
        message = signer.build().map_err(|e| failed(e.into()))?;
    }
    let mut literal = LiteralWriter::new(message)
        .format(DataFormat::Binary)
        .build()
        .map_err(|e| failed(e.into()))?;
    for chunk in content.chunks(CHUNK) {
        cx.job.check()?;
        literal.write_all(chunk).map_err(|e| failed(e.into()))?;
        cx.job.advance(chunk.len() as u64);
    }
    literal.finalize().map_err(|e| failed(e.into()))?;
    Ok(SealedOut::Encrypted(sink.finish()))
}

/// The keys of all recipients that a container of this kind can be made for, each once.
///
/// # Errors
/// `key.unusable` when a recipient has none.
fn encryption_keys(
    recipients: &[ValidCert<'_>],
    aead: bool,
) -> Result<Vec<Key<key::PublicParts, key::UnspecifiedRole>>> {
    let mut keys: Vec<Key<key::PublicParts, key::UnspecifiedRole>> = Vec::new();
    for valid in recipients {
        let mut any = false;
        for ka in valid
            .keys()
            .alive()
            .revoked(false)
            .supported()
            .for_transport_encryption()
            .for_storage_encryption()
        {
            // RFC 9980 has it for version 2 of the container alone.
            if !aead && ka.key().pk_algo() == PublicKeyAlgorithm::MLKEM1024_X448 {
                continue;
            }
            any = true;
            if !keys
                .iter()
                .any(|known| known.fingerprint() == ka.key().fingerprint())
            {
                keys.push(ka.key().clone());
            }
        }
        if !any {
            return Err(unusable(
                &certs::id(valid.cert()),
                vec!["no-encryption-key"],
            ));
        }
    }
    Ok(keys)
}

/// A recipient as its session key packet names it. The container was chosen for all of them
/// together, so Sequoia is told what that choice needs, not what each certificate says.
fn recipient(key: &Key<key::PublicParts, key::UnspecifiedRole>, aead: bool) -> Recipient<'_> {
    let features = Features::empty().set_seipdv1();
    if aead {
        let handle = KeyHandle::from(key.fingerprint());
        Recipient::new(features.set_seipdv2(), handle, key)
    } else {
        let handle = KeyHandle::from(key.keyid());
        Recipient::new(features, handle, key)
    }
}

/// A signature over `bytes`.
fn sign(bytes: &[u8], kind: SignatureType, signing: &Signing, cx: &Context) -> Result<Signature> {
    cx.job.check()?;
    let (mut door, refusal) = signing.door(cx);
    let failed = failed(Some(&refusal));
    let signature = SignatureBuilder::new(kind)
        .set_hash_algo(signing.hash)
        .set_signature_creation_time(cx.now)
        .and_then(|builder| builder.sign_message(&mut door, bytes))
        .map_err(|e| failed(e.into()))?;
    cx.job.advance(bytes.len() as u64);
    Ok(signature)
}

fn packet(signature: Signature) -> Result<Vec<u8>> {
    Packet::from(signature)
        .to_vec()
        .map_err(|e| Error::internal("the signature can't be written").because(e))
}

fn detach(content: &Bytes, signing: &Signing, cx: &Context) -> Result<SealedOut> {
    let signature = sign(content, SignatureType::Binary, signing, cx)?;
    Ok(SealedOut::Detached {
        signature: armor::armored(Kind::Signature, &packet(signature)?),
        micalg: format!("pgp-{}", hash_name(signing.hash).to_ascii_lowercase()),
    })
}

fn clearsign(content: &Bytes, signing: &Signing, cx: &Context) -> Result<SealedOut> {
    let text = cleartext::canonical(content);
    let signature = sign(&text, SignatureType::Text, signing, cx)?;
    let hash = (signature.version() < 6).then_some(signing.hash);
    Ok(SealedOut::Inside(cleartext::frame(
        &text,
        &packet(signature)?,
        hash,
    )))
}
