//! EnvelopedData and AuthEnvelopedData (RFC 5652 6, RFC 5083).
//!
//! Once one of our keys is among the recipients, every fault further in is the same fault.

use bytes::Bytes;

use super::certs::{self, Certificate};
use super::cms::{self, AuthEnvelopedData, CertId, EnvelopedData, Object};
use super::content::{self, Chosen};
use super::recipient::{self, Way};
use super::verify::{handle, names, short};
use crate::base::ask::{self, Answers, Need};
use crate::base::body::wiped;
use crate::base::context::unix;
use crate::base::error::{Error, KeyUse, Kind, Result};
use crate::base::extra::Means;
use crate::base::job::Stage;
use crate::base::keys::{KeyPairId, KeyStatus, Protocol, SecretState};
use crate::base::layer::{ContentFormat, Encryption, Opened};
use crate::base::verdict::{Integrity, Reason, Recipient};
use crate::base::{Context, Secret};
use crate::engine::private::absent;

/// How many times own keys are tried on one message: each costs a private operation, and a
/// sender may name the same key again and again.
const TRIES_MAX: usize = 16;

/// What a question for a message's password is about.
const PASSWORD: &str = "the password of a message";

/// See [`crate::engine::Engine::recipients`].
pub(super) fn recipients(data: &[u8], cx: &Context) -> Vec<Recipient> {
    let read = cms::read(&Bytes::copy_from_slice(data));
    let infos = match &read {
        Ok(Object::Enveloped(enveloped)) => &enveloped.recipients,
        Ok(Object::AuthEnveloped(auth)) => &auth.enveloped.recipients,
        _ => return Vec::new(),
    };
    let named = recipient::ways(infos).and_then(|ways| Ok(named(ways, cx)?.recipients()));
    named.unwrap_or_default()
}

/// Opens an EnvelopedData. Its content has no integrity of its own.
///
/// # Errors
/// As [`crate::engine::Engine::open`].
pub(super) fn enveloped(data: &EnvelopedData, means: &Means, cx: &Context) -> Result<Opened> {
    let chosen = content::cbc(&data.algorithm);
    let (key, chosen, encryption) = content_key(data, chosen, Integrity::None, means, cx)?;
    let plain = chosen.open(&key, &data.ciphertext, None, cx)?;
    Ok(opened(plain, encryption))
}

/// Opens an AuthEnvelopedData.
///
/// # Errors
/// As [`crate::engine::Engine::open`].
pub(super) fn auth_enveloped(
    data: &AuthEnvelopedData,
    means: &Means,
    cx: &Context,
) -> Result<Opened> {
    let chosen = content::gcm(&data.enveloped.algorithm);
    let (key, chosen, encryption) =
        content_key(&data.enveloped, chosen, Integrity::Aead, means, cx)?;
    let aad = data.attributes.as_ref().map(|set| set.encoded.as_slice());
    let authenticated = Some((aad.unwrap_or_default(), data.tag.as_ref()));
    let plain = chosen.open(&key, &data.enveloped.ciphertext, authenticated, cx)?;
    Ok(opened(plain, encryption))
}

fn opened(plain: Vec<u8>, encryption: Encryption) -> Opened {
    Opened {
        content: wiped(plain),
        encryption: Some(encryption),
        signatures: Vec::new(),
        file_name: None,
        format: ContentFormat::Binary,
    }
}

/// The recipients, with our own certificates where one of them is ours.
struct Named {
    all: Vec<(Way, Option<Certificate>)>,
}

impl Named {
    fn recipients(&self) -> Vec<Recipient> {
        let mut all = Vec::with_capacity(self.all.len());
        for (way, cert) in &self.all {
            all.push(Recipient {
                key_id: way.id.as_ref().map(short),
                own: cert.is_some(),
                algorithm: way.kind().map(str::to_owned),
            });
        }
        all
    }
}

fn named(ways: Vec<Way>, cx: &Context) -> Result<Named> {
    let mut all = Vec::with_capacity(ways.len());
    for way in ways {
        let own = match &way.id {
            Some(id) => own(id, cx)?,
            None => None,
        };
        all.push((way, own));
    }
    Ok(Named { all })
}

/// Our own certificate that is named so.
fn own(id: &CertId, cx: &Context) -> Result<Option<Certificate>> {
    let found = cx.certs.by_handle(Protocol::Smime, &handle(id))?;
    let own = found.iter().filter(|stored| stored.own);
    let read = own.filter_map(|stored| certs::read(&stored.cert).ok());
    // Renewals share a key identifier: the newest is told.
    let at = unix(cx.judged_at());
    Ok(read.filter(|cert| names(id, cert)).max_by_key(|cert| {
        let valid = cert.status(at) == KeyStatus::Valid;
        (valid, cert.not_before(), !cert.is_self_issued())
    }))
}

/// The content key, the cipher that it is for, and what is to be said of the encryption.
fn content_key(
    data: &EnvelopedData,
    chosen: Result<Chosen>,
    integrity: Integrity,
    means: &Means,
    cx: &Context,
) -> Result<(Secret, Chosen, Encryption)> {
    cx.job.stage_of(Stage::Crypto, data.ciphertext.len() as u64);
    let named = named(recipient::ways(&data.recipients)?, cx)?;
    let ours = |(way, cert): &(Way, Option<Certificate>)| cert.is_some() || way.is_password();
    // Before any key is used: told afterwards, it would say that the key fitted.
    let chosen = match chosen {
        Err(_) if !named.all.iter().any(ours) => return Err(missing(&named)),
        chosen => chosen?,
    };
    let mut encryption = Encryption {
        cipher: chosen.kind.name.to_owned(),
        mode: match integrity {
            Integrity::Aead => "GCM",
            Integrity::Mdc | Integrity::None => "CBC",
        },
        integrity,
        recipients: named.recipients(),
        key: None,
        reasons: Vec::new(),
        session_key: None,
    };
    if chosen.kind.legacy {
        encryption.reasons.push(Reason::WeakAlgorithm);
    }
    let by_password = named.all.iter().filter(|(way, _)| way.is_password());
    for (way, _) in by_password.take(TRIES_MAX) {
        for given in &means.passphrases {
            cx.job.check()?;
            if let Ok(key) = way.open_with(given) {
                return Ok((key, chosen, encryption));
            }
        }
    }
    let mut locked = Vec::new();
    let mut failed = None;
    let mut unusable = None;
    let own = named
        .all
        .iter()
        .filter_map(|(way, cert)| Some((way, cert.as_ref()?)));
    let mut own: Vec<_> = own.take(TRIES_MAX).collect();
    // Before a token is asked, and its owner for a PIN.
    own.sort_by_key(|(_, cert)| cx.private.state(&cert.id) != SecretState::Unlocked);
    for (way, cert) in own {
        cx.job.check()?;
        match cx.private.state(&cert.id) {
            SecretState::None | SecretState::Damaged => {
                let error = absent(&cx.certs, &cert.id);
                if !matches!(error.kind, Kind::KeyMissing { .. }) {
                    unusable.get_or_insert(error);
                }
                continue;
            }
            SecretState::Locked => {
                locked.push(cert);
                continue;
            }
            SecretState::Unlocked | SecretState::Token | SecretState::Agent => {}
        }
        let pair = KeyPairId {
            cert: cert.id.clone(),
            subkey: cert.id.fingerprint().to_owned(),
        };
        match way.open(cert, &|how, data| cx.private.decrypt(&pair, how, data)) {
            Ok(key) => {
                encryption.key = Some(cert.id.clone());
                encryption.reasons.extend(state(cert, cx));
                encryption.reasons.dedup();
                return Ok((key, chosen, encryption));
            }
            Err(error) if error.question.is_some() || is_about_key(&error.kind) => {
                return Err(error);
            }
            // Nothing was tried: the token is not here, or does not do this.
            Err(error)
                if matches!(
                    error.kind,
                    Kind::KeyMissing { .. } | Kind::KeyUnusable { .. } | Kind::PolicyRefused { .. }
                ) =>
            {
                unusable.get_or_insert(error);
            }
            Err(error) => failed = Some(error),
        }
    }
    if let Some(first) = locked.first() {
        return Err(ask::locked(&first.id, &certs::label(first)));
    }
    if failed.is_some() {
        return Err(Error::decrypt_failed());
    }
    if let Some(unusable) = unusable {
        return Err(unusable);
    }
    if let Some((way, _)) = named.all.iter().find(|(way, _)| way.is_password()) {
        let (password, attempt) = cx.answers.passphrase(Need::Unwrap, None, PASSWORD)?;
        return match way.open_with(&password) {
            Ok(key) => Ok((key, chosen, encryption)),
            Err(error) if error.kind == Kind::DecryptFailed => {
                Err(Answers::wrong(Need::Unwrap, None, PASSWORD, attempt))
            }
            Err(error) => Err(error),
        };
    }
    Err(missing(&named))
}

/// Whether an error says that a key could not be used at all, and nothing of the ciphertext.
fn is_about_key(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Cancelled
            | Kind::KeyUnusable { .. }
            | Kind::PassphraseCancelled
            | Kind::PassphraseUnavailable
            | Kind::StoreDamaged
            | Kind::StoreUnavailable
    )
}

/// What is to be said of the key that opened it: it opens all the same.
fn state(cert: &Certificate, cx: &Context) -> Option<Reason> {
    match cert.status(unix(cx.judged_at())) {
        KeyStatus::Expired => Some(Reason::KeyExpired),
        KeyStatus::Revoked => Some(Reason::KeyRevoked),
        KeyStatus::Weak => Some(Reason::WeakAlgorithm),
        KeyStatus::Valid | KeyStatus::NotYetValid => None,
    }
}

fn missing(named: &Named) -> Error {
    Error::new(
        Kind::KeyMissing {
            r#for: KeyUse::Decrypt,
            addresses: Vec::new(),
            key_ids: named
                .all
                .iter()
                .filter_map(|(way, _)| way.id.as_ref().map(short))
                .collect(),
        },
        "the message is not encrypted to any key that is here; import the secret key it was made for",
    )
}
