//! Sealing: one message that is signed and encrypted, or a signature apart or around a text.
//!
//! No compression (it costs time and tells lengths), no padding. Mail hides no recipients: who
//! must not know of another gets an envelope of their own, made by whoever calls.

use std::io::Write as _;

use bytes::Bytes;
use sequoia_openpgp::cert::{Preferences as _, ValidCert};
use sequoia_openpgp::crypto::{Password, S2K, SessionKey};
use sequoia_openpgp::packet::one_pass_sig::{OnePassSig3, OnePassSig6};
use sequoia_openpgp::packet::skesk::{SKESK4, SKESK6};
use sequoia_openpgp::packet::{Key, SKESK, Signature, key};
use sequoia_openpgp::policy::Policy;
use sequoia_openpgp::serialize::Serialize as _;
use sequoia_openpgp::serialize::stream::{Encryptor, LiteralWriter, Message, Recipient};
use sequoia_openpgp::types::{
    AEADAlgorithm, DataFormat, Features, PublicKeyAlgorithm, SymmetricAlgorithm,
};
use sequoia_openpgp::{Cert, KeyHandle, Packet};

use super::armor::{Kind, Sink};
use super::certs;
use super::door::Refusal;
use super::generate::argon2;
use super::open::{MIME, unencrypted};
use super::policy;
use super::signing::{self, Signers, Signing, common_hash};
use super::verify;
use crate::base::error::{self, Error, Result};
use crate::base::extra::{self, Container, Content, Covers, Naming, Placing, Purpose};
use crate::base::job::Stage;
use crate::base::keys::{KeyId, StoredCert, Usage};
use crate::base::layer::{Seal, SealedOut};
use crate::base::verdict::Scheme;
use crate::base::{Context, Secret, body};

/// How much is sealed before the job is asked whether it still wants to go on.
const CHUNK: usize = 1 << 18;

/// What armor and packets add at most for one recipient, in bytes: ML-KEM-1024 has 1.7 kB.
const PER_RECIPIENT: usize = 2048;

/// What packets add at most for one signature, in bytes: ML-DSA-87 has 4.6 kB.
const PER_SIGNATURE: usize = 8192;

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
    let encrypted = !recipients.is_empty() || !how.extra.passphrases.is_empty();
    let signed = how.signer.is_some() || !how.extra.signers.is_empty();
    if !signed {
        if !encrypted {
            return Err(Error::internal(
                "neither a recipient nor a signer was named",
            ));
        }
        return encrypt(content, &recipients, &[], how, cx);
    }
    let signers = Signers::of(how, &recipients, &policy, cx)?;
    signers.first_that(|signing| match (encrypted, how.extra.placing, how.scheme) {
        (true, ..) => encrypt(content, &recipients, signing, how, cx),
        (false, Placing::Inside, _) => enclose(content, signing, how, cx),
        (false, _, Scheme::Mime) => signing::detach(content, signing, how, cx),
        (false, _, Scheme::Inline) => signing::clearsign(content, signing, how, cx),
        (false, _, Scheme::Opaque) => Err(Error::invalid(
            "/protect/scheme",
            "OpenPGP has no opaque signatures in mail; choose mime or inline",
        )),
    })
}

/// The certificate as it is valid now.
///
/// # Errors
/// `key.unusable`.
pub(super) fn usable<'a>(
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

/// The error of a writer, or of the private key behind it.
pub(super) fn failed(
    refusal: Option<&Refusal>,
) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> Error {
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
    signing: &[&Signing],
    how: &Seal<'_>,
    cx: &Context,
) -> Result<SealedOut> {
    let aead = match how.extra.container {
        Container::Known => !recipients.is_empty() && recipients.iter().all(reads_aead),
        Container::Mdc => false,
        Container::Aead => true,
    };
    let mut sink = sink(content, recipients.len() + how.extra.passphrases.len(), how);
    let failed = failed(None);
    let keys = encryption_keys(recipients, aead, how.extra.purpose)?;
    let given = match how.extra.session_key {
        Some(given) => Some(given.clone()),
        None if how.extra.passphrases.is_empty() => None,
        None => Some(extra::SessionKey::random()?),
    };
    let named = keys
        .iter()
        .map(|key| recipient(key, aead, how.extra.naming));
    let encryptor = match &given {
        // The usual way: a session key that nobody outside ever sees.
        None => Encryptor::for_recipients(Message::new(&mut sink), named)
            .symmetric_algo(SymmetricAlgorithm::AES256),
        Some(given) => {
            let cipher = SymmetricAlgorithm::from(given.algorithm());
            sound(cipher, cx)?;
            let session_key = SessionKey::from(given.expose());
            for passphrase in how.extra.passphrases {
                under(passphrase, cipher, &session_key, aead)?
                    .serialize(&mut sink)
                    .map_err(|e| failed(e.into()))?;
            }
            let encryptor =
                Encryptor::with_session_key(Message::new(&mut sink), cipher, session_key)
                    .map_err(|e| failed(e.into()))?;
            let encryptor = encryptor.add_recipients(named);
            match aead {
                true => encryptor.aead_algo(AEADAlgorithm::default()),
                false => encryptor,
            }
        }
    };
    let message = encryptor.build().map_err(|e| failed(e.into()))?;
    let intended = match how.intended {
        true => recipients,
        false => &[],
    };
    match how.extra.content {
        Content::Message if !signing.is_empty() => {
            return Err(Error::internal(
                "a message that is taken as it is can't be signed",
            ));
        }
        Content::Message => copy(&unencrypted(content, cx)?, message, &failed, cx)?,
        Content::Data | Content::Mime => write(message, content, signing, intended, how, cx)?,
    }
    Ok(SealedOut::Encrypted(sink.finish()))
}

/// A message that is signed and not encrypted.
fn enclose(
    content: &Bytes,
    signing: &[&Signing],
    how: &Seal<'_>,
    cx: &Context,
) -> Result<SealedOut> {
    let mut sink = sink(content, 0, how);
    write(Message::new(&mut sink), content, signing, &[], how, cx)?;
    Ok(SealedOut::Inside(sink.finish()))
}

fn sink(content: &Bytes, readers: usize, how: &Seal<'_>) -> Sink {
    let signers = 1 + how.extra.signers.len();
    let more = (readers + 1) * PER_RECIPIENT + signers * PER_SIGNATURE;
    Sink::new(how.extra.output, Kind::Message, content.len() + more)
}

/// Writes the content and the signatures around it.
fn write(
    mut message: Message<'_>,
    content: &Bytes,
    signing: &[&Signing],
    intended: &[ValidCert<'_>],
    how: &Seal<'_>,
    cx: &Context,
) -> Result<()> {
    let failed = failed(None);
    // GnuPG 2.2 hashes what is there as it is: its line ends have to be those of a text already.
    let text = !signing.is_empty() && how.extra.covers == Covers::Text;
    let content = match text {
        true => body::wiped(verify::canonical(content)),
        false => content.clone(),
    };
    let mut signatures = Vec::with_capacity(signing.len());
    if !signing.is_empty() {
        let mut template = signing::template(signing::kind(how.extra.covers), how.extra.sender)?;
        if !intended.is_empty() {
            let readers = intended.iter().map(|valid| valid.cert().fingerprint());
            template = template
                .set_intended_recipients(readers.collect::<Vec<_>>())
                .map_err(|e| failed(e.into()))?;
        }
        let hash = common_hash(signing);
        for signing in signing {
            let by = (*signing, hash);
            signatures.push(signing::sign(&content, template.clone(), by, cx)?);
        }
    }
    for (at, signature) in signatures.iter().enumerate() {
        let last = at + 1 == signatures.len();
        announced(signature, last)
            .and_then(|packet| packet.serialize(&mut message))
            .map_err(|e| failed(e.into()))?;
    }
    let format = match how.extra.content {
        Content::Mime => MIME,
        Content::Data if text => DataFormat::Unicode,
        Content::Data | Content::Message => DataFormat::Binary,
    };
    let mut literal = LiteralWriter::new(message).format(format);
    if let Some(name) = how.extra.file_name {
        literal = literal.filename(name).map_err(|e| failed(e.into()))?;
    }
    let literal = literal.build().map_err(|e| failed(e.into()))?;
    let literal = filled(&content, literal, &failed, cx)?;
    let around = literal.finalize_one().map_err(|e| failed(e.into()))?;
    let Some(mut message) = around else {
        return Err(Error::internal("a message around nothing"));
    };
    // The last one that was announced comes first.
    for signature in signatures.into_iter().rev() {
        Packet::from(signature)
            .serialize(&mut message)
            .map_err(|e| failed(e.into()))?;
    }
    message.finalize().map_err(|e| failed(e.into()))
}

/// What stands before the content for a signature behind it.
fn announced(signature: &Signature, last: bool) -> sequoia_openpgp::Result<Packet> {
    Ok(match signature {
        Signature::V6(_) => {
            let mut packet = OnePassSig6::try_from(signature)?;
            packet.set_last(last);
            Packet::from(packet)
        }
        _ => {
            let mut packet = OnePassSig3::try_from(signature)?;
            packet.set_last(last);
            Packet::from(packet)
        }
    })
}

/// Writes all that there is of a message.
fn copy(
    content: &[u8],
    message: Message<'_>,
    failed: &dyn Fn(Box<dyn std::error::Error + Send + Sync>) -> Error,
    cx: &Context,
) -> Result<()> {
    let message = filled(content, message, failed, cx)?;
    message.finalize().map_err(|e| failed(e.into()))
}

fn filled<'a>(
    content: &[u8],
    mut message: Message<'a>,
    failed: &dyn Fn(Box<dyn std::error::Error + Send + Sync>) -> Error,
    cx: &Context,
) -> Result<Message<'a>> {
    for chunk in content.chunks(CHUNK) {
        cx.job.check()?;
        message.write_all(chunk).map_err(|e| failed(e.into()))?;
        cx.job.advance(chunk.len() as u64);
    }
    Ok(message)
}

/// Whether the owner of a certificate says that they read version 2 of the container.
fn reads_aead(valid: &ValidCert<'_>) -> bool {
    valid
        .features()
        .is_some_and(|features| features.supports_seipdv2())
}

/// # Errors
/// `request.invalid` for a cipher that is broken, or not here.
fn sound(cipher: SymmetricAlgorithm, cx: &Context) -> Result<()> {
    let policy = policy::policy(cx.now);
    match policy.symmetric_algorithm(cipher) {
        Ok(()) if cipher.is_supported() => Ok(()),
        _ => Err(Error::invalid(
            "/sessionKey",
            "this cipher is not used to encrypt; take AES",
        )),
    }
}

/// The session key under a passphrase (RFC 9580 5.3).
fn under(
    passphrase: &Secret,
    cipher: SymmetricAlgorithm,
    session_key: &SessionKey,
    aead: bool,
) -> Result<Packet> {
    let refused = |e| Error::internal("the session key can't be sealed").because(e);
    let password = Password::from(passphrase.expose());
    let made: SKESK = match aead {
        true => SKESK6::with_password(
            cipher,
            SymmetricAlgorithm::AES256,
            AEADAlgorithm::default(),
            argon2()?,
            session_key,
            &password,
        )
        .map_err(refused)?
        .into(),
        false => SKESK4::with_password(
            cipher,
            SymmetricAlgorithm::AES256,
            S2K::default(),
            session_key,
            &password,
        )
        .map_err(refused)?
        .into(),
    };
    Ok(Packet::SKESK(made))
}

/// The keys of all recipients that a container of this kind can be made for, each once.
///
/// # Errors
/// `key.unusable` when a recipient has none.
fn encryption_keys(
    recipients: &[ValidCert<'_>],
    aead: bool,
    purpose: Purpose,
) -> Result<Vec<Key<key::PublicParts, key::UnspecifiedRole>>> {
    let mut keys: Vec<Key<key::PublicParts, key::UnspecifiedRole>> = Vec::new();
    for valid in recipients {
        let mut any = false;
        let fit = valid.keys().alive().revoked(false).supported();
        let fit = match purpose {
            Purpose::Any => fit.for_transport_encryption().for_storage_encryption(),
            Purpose::Communications => fit.for_transport_encryption(),
            Purpose::Storage => fit.for_storage_encryption(),
        };
        for ka in fit {
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
fn recipient(
    key: &Key<key::PublicParts, key::UnspecifiedRole>,
    aead: bool,
    naming: Naming,
) -> Recipient<'_> {
    let features = Features::empty().set_seipdv1();
    let handle = match (naming, aead) {
        (Naming::Hidden, _) => None,
        (Naming::Named, true) => Some(KeyHandle::from(key.fingerprint())),
        (Naming::Named, false) => Some(KeyHandle::from(key.keyid())),
    };
    match aead {
        true => Recipient::new(features.set_seipdv2(), handle, key),
        false => Recipient::new(features, handle, key),
    }
}
