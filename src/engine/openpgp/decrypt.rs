//! Finding the session key: which of our keys a message is made for, and which one opens it.
//!
//! Not here: what is inside. Every failure after a key was found is one and the same error.

use std::sync::Arc;

use sequoia_openpgp::cert::amalgamation::{ValidAmalgamation as _, ValidateAmalgamation as _};
use sequoia_openpgp::crypto::{Password, SessionKey};
use sequoia_openpgp::packet::{Key, PKESK, SEIP, SKESK, key};
use sequoia_openpgp::parse::buffered_reader::BufferedReader as _;
use sequoia_openpgp::parse::{PacketParser, PacketParserResult};
use sequoia_openpgp::policy::Policy as _;
use sequoia_openpgp::types::SymmetricAlgorithm;
use sequoia_openpgp::{Cert, Packet};
use zeroize::Zeroizing;

use super::certs::{self, is_revoked};
use super::door::Door;
use super::mdc::{self, Plain};
use super::names;
use super::open::{Container, Head, broken};
use super::policy;
use super::private::{alone, is_openable};
use crate::base::ask::{self, Answers, Need};
use crate::base::error::{Error, KeyUse, Kind, Result};
use crate::base::extra::{self, Means, Telling};
use crate::base::keys::{KeyId, Protocol, SecretState, StoredCert};
use crate::base::layer::Encryption;
use crate::base::verdict::{Integrity, Reason, Recipient};
use crate::base::{Context, Secret};
use crate::engine::private::absent;

/// The most attempts with own keys at recipients that a message does not name.
const HIDDEN_MAX: usize = 64;

/// The most passphrases that one message may be encrypted to: each costs a stretching.
const PASSPHRASES_MAX: usize = 8;

/// How much ciphertext is moved at once.
const CHUNK: usize = 1 << 16;

/// What a person is asked about a message that a passphrase opens.
pub(super) const PASSPHRASE_LABEL: &str = "an encrypted message";

/// One recipient, and which of our certificates it is.
pub(super) struct Named {
    pub recipient: Recipient,
    own: Vec<StoredCert>,
}

pub(super) fn named(pkesks: &[PKESK], cx: &Context) -> Result<Vec<Named>> {
    let mut all = Vec::with_capacity(pkesks.len());
    for pkesk in pkesks {
        let key_id = pkesk.recipient().map(|handle| certs::handle(&handle));
        let own = match &key_id {
            Some(handle) => {
                let mut found = cx.certs.by_handle(Protocol::OpenPgp, handle)?;
                found.retain(|stored| stored.own);
                found
            }
            None => Vec::new(),
        };
        all.push(Named {
            recipient: Recipient {
                key_id,
                own: !own.is_empty(),
                algorithm: Some(names::public_key(pkesk.pk_algo())),
            },
            own,
        });
    }
    Ok(all)
}

/// One key pair of ours that may open one of the session keys.
struct Way<'a> {
    pkesk: &'a PKESK,
    cert: Arc<Cert>,
    id: KeyId,
    key: Key<key::PublicParts, key::UnspecifiedRole>,
}

/// The ways in which recipients' names point at our keys.
fn named_ways<'a>(pkesks: &'a [PKESK], named: &[Named]) -> Vec<Way<'a>> {
    let mut ways = Vec::new();
    for (pkesk, named) in pkesks.iter().zip(named) {
        let Some(handle) = pkesk.recipient() else {
            continue;
        };
        for stored in &named.own {
            let Ok(cert) = certs::stored(&stored.cert) else {
                continue;
            };
            let key = cert
                .keys()
                .key_handle(handle.clone())
                .find(|ka| ka.key().pk_algo() == pkesk.pk_algo())
                .map(|ka| ka.key().clone());
            if let Some(key) = key {
                ways.push(Way {
                    pkesk,
                    id: stored.id.clone(),
                    key,
                    cert,
                });
            }
        }
    }
    ways
}

/// The ways in which hidden recipients may be any key of ours.
fn hidden_ways<'a>(pkesks: &'a [PKESK], cx: &Context) -> Result<Vec<Way<'a>>> {
    let hidden: Vec<_> = pkesks.iter().filter(|p| p.recipient().is_none()).collect();
    let mut ways = Vec::new();
    if hidden.is_empty() {
        return Ok(ways);
    }
    for stored in cx.certs.own(Protocol::OpenPgp)? {
        let Ok(cert) = certs::stored(&stored.cert) else {
            continue;
        };
        for ka in cert.keys() {
            for pkesk in &hidden {
                if ka.key().pk_algo() == pkesk.pk_algo() && ways.len() < HIDDEN_MAX {
                    ways.push(Way {
                        pkesk,
                        id: stored.id.clone(),
                        key: ka.key().clone(),
                        cert: Arc::clone(&cert),
                    });
                }
            }
        }
    }
    Ok(ways)
}

/// Finds the session key, by a passphrase that is asked for under `label` where no key of ours
/// is named, and opens the container with it.
pub(super) fn decrypt<'a>(
    head: Head<'a>,
    label: &str,
    means: &Means,
    cx: &Context,
) -> Result<(Content<'a>, Encryption)> {
    let PacketParserResult::Some(mut parser) = head.next else {
        return Err(broken());
    };
    let named = named(&head.pkesks, cx)?;
    let own = named.iter().any(|named| named.recipient.own);
    let integrity = match head.container {
        Some(Container::Mdc) => Integrity::Mdc,
        Some(Container::Aead) => Integrity::Aead,
        _ if own => return Err(Error::decrypt_failed()),
        _ => return Err(missing(&named)),
    };
    let (hint, mode) = match &parser.packet {
        Packet::SEIP(SEIP::V2(seip)) => (Some(seip.symmetric_algo()), names::mode(seip.aead())),
        _ => (None, "CFB"),
    };
    let mut mdc_key = None;
    let mut told = None;
    let mut open = |algorithm: Option<SymmetricAlgorithm>, session_key: &SessionKey| {
        let algorithm = hint.or(algorithm)?;
        allowed(algorithm, &parser.packet, cx).then_some(())?;
        if integrity == Integrity::Mdc
            && let Some(cipher) = mdc::cipher(algorithm)
        {
            mdc::fits(cipher, session_key, parser.data(mdc::PREFIX).ok()?).then_some(())?;
            mdc_key = Some((cipher, session_key.clone()));
        } else {
            whole(&mut parser, algorithm).then_some(())?;
            parser.decrypt(algorithm, session_key).ok()?;
        }
        told = (means.session_key == Telling::Told)
            .then(|| extra::SessionKey::new(algorithm.into(), Secret::new(session_key.to_vec())));
        Some(algorithm)
    };
    let mut closed = Closed::default();
    let mut found = given(&head.skesks, means, &mut open, cx)?.map(|algorithm| (algorithm, None));
    let by_key = |(algorithm, way)| (algorithm, Some(way));
    if found.is_none() {
        let ways = named_ways(&head.pkesks, &named);
        found = first_that_opens(ways, hint, &mut open, &mut closed, cx)?.map(by_key);
    }
    if found.is_none() && !closed.locked.is_empty() {
        return Err(locked_error(&closed.locked));
    }
    if found.is_none() {
        let ways = hidden_ways(&head.pkesks, cx)?;
        found = first_that_opens(ways, hint, &mut open, &mut closed, cx)?.map(by_key);
    }
    if found.is_none() && own {
        let error = closed.absent.or_else(|| unreadable(&named, cx));
        return Err(error.unwrap_or_else(Error::decrypt_failed));
    }
    // One question at most about keys that the message does not even name.
    if found.is_none()
        && let Some(first) = closed.locked.first()
        && !cx
            .certs
            .own(Protocol::OpenPgp)?
            .iter()
            .any(|own| cx.answers.was_asked(Need::Unlock, &own.id))
    {
        return Err(locked_error(std::slice::from_ref(first)));
    }
    if found.is_none() && !head.skesks.is_empty() {
        let algorithm = with_passphrase(&head.skesks, label, &mut open, cx)?;
        found = Some((algorithm, None));
    }
    let Some((algorithm, way)) = found else {
        return Err(missing(&named));
    };
    let encryption = Encryption {
        cipher: cipher_name(algorithm),
        mode,
        integrity,
        recipients: named.into_iter().map(|named| named.recipient).collect(),
        key: way.as_ref().map(|way| way.id.clone()),
        reasons: way.map(|way| state_of(&way, cx)).unwrap_or_default(),
        session_key: told,
    };
    let content = match mdc_key {
        Some((cipher, session_key)) => {
            let body = body(&mut parser, head.length)?;
            // The container is the last packet there is.
            if !matches!(parser.next(), Ok((_, PacketParserResult::EOF(_)))) {
                return Err(Error::decrypt_failed());
            }
            Content::Plain(mdc::open(body, cipher, &session_key, cx)?)
        }
        None => Content::Stream(Box::new(parser)),
    };
    Ok((content, encryption))
}

/// The error for a secret half of ours that the message is for, and that can't be read.
fn unreadable(named: &[Named], cx: &Context) -> Option<Error> {
    let ours = named.iter().flat_map(|named| &named.own);
    let is_unknown = |state| matches!(state, SecretState::None | SecretState::Damaged);
    ours.filter(|cert| is_unknown(cx.private.state(&cert.id)))
        .map(|cert| absent(&cx.certs, &cert.id))
        .find(|error| !matches!(error.kind, Kind::KeyMissing { .. }))
}

/// What is inside a container whose session key was found.
pub(super) enum Content<'a> {
    /// Decrypted, and checked, while it is read: not to be believed before its end.
    Stream(Box<PacketParser<'a>>),
    /// Decrypted and checked.
    Plain(Plain),
}

/// The container's body as it came, at most `most` bytes.
fn body(parser: &mut PacketParser<'_>, most: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::new(Vec::with_capacity(most));
    loop {
        let chunk = parser
            .data(CHUNK)
            .map_err(|e| Error::decrypt_failed().because(e))?;
        let read = chunk.len().min(CHUNK);
        if read == 0 {
            return Ok(body);
        }
        body.extend_from_slice(chunk.get(..read).unwrap_or_default());
        parser.consume(read);
    }
}

/// The packet that ends a version 1 container, in bytes.
const MDC: usize = 22;

/// Whether a container is long enough to be one. Sequoia 2.4.2 panics on a version 1 container
/// that ends within its first block and has no room for its end.
fn whole(parser: &mut PacketParser<'_>, algorithm: SymmetricAlgorithm) -> bool {
    if !matches!(parser.packet, Packet::SEIP(SEIP::V1(_))) {
        return true;
    }
    let Ok(block) = algorithm.block_size() else {
        return false;
    };
    let least = block + 2 + MDC;
    parser.data(least).is_ok_and(|data| data.len() >= least)
}

/// Opens the container with a session key, and says which cipher that took.
type Opening<'o> =
    dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> Option<SymmetricAlgorithm> + 'o;

enum Tried {
    Opened(SymmetricAlgorithm),
    Locked,
    /// The key is elsewhere, and not there either now.
    Absent(Error),
    Failed,
}

/// What did not open, though nothing in the message was against it.
#[derive(Default)]
struct Closed<'a> {
    locked: Vec<Way<'a>>,
    absent: Option<Error>,
}

/// Tries one way after the other; those whose key is locked are put aside.
fn first_that_opens<'a>(
    ways: Vec<Way<'a>>,
    hint: Option<SymmetricAlgorithm>,
    open: &mut Opening<'_>,
    closed: &mut Closed<'a>,
    cx: &Context,
) -> Result<Option<(SymmetricAlgorithm, Way<'a>)>> {
    for way in ways {
        match try_way(&way, hint, open, cx)? {
            Tried::Opened(algorithm) => return Ok(Some((algorithm, way))),
            Tried::Locked => closed.locked.push(way),
            Tried::Absent(error) => closed.absent = closed.absent.take().or(Some(error)),
            Tried::Failed => {}
        }
    }
    Ok(None)
}

fn try_way(
    way: &Way<'_>,
    hint: Option<SymmetricAlgorithm>,
    open: &mut Opening<'_>,
    cx: &Context,
) -> Result<Tried> {
    cx.job.check()?;
    match cx.private.state(&way.id) {
        SecretState::None | SecretState::Damaged => return Ok(Tried::Failed),
        SecretState::Locked => return Ok(Tried::Locked),
        SecretState::Unlocked | SecretState::Token | SecretState::Agent => {}
    }
    let mut door = Door::new(way.id.clone(), way.key.clone(), cx);
    let session_key = way.pkesk.decrypt(&mut door, hint);
    match (session_key, door.refusal().take()) {
        (Some((algorithm, session_key)), _) => Ok(match open(algorithm, &session_key) {
            Some(algorithm) => Tried::Opened(algorithm),
            None => Tried::Failed,
        }),
        (None, Some(error)) => match error.kind {
            Kind::KeyLocked { .. } => Ok(Tried::Locked),
            Kind::KeyMissing { .. } => Ok(Tried::Absent(error)),
            Kind::DecryptFailed => Ok(Tried::Failed),
            _ => Err(error),
        },
        (None, None) => Ok(Tried::Failed),
    }
}

/// Tries what was given beforehand: session keys, then passphrases.
fn given(
    skesks: &[SKESK],
    means: &Means,
    open: &mut Opening<'_>,
    cx: &Context,
) -> Result<Option<SymmetricAlgorithm>> {
    for known in &means.session_keys {
        let session_key = SessionKey::from(known.expose());
        if let Some(algorithm) = open(Some(known.algorithm().into()), &session_key) {
            return Ok(Some(algorithm));
        }
    }
    for passphrase in &means.passphrases {
        let found = by_passphrase(skesks, passphrase, open, cx)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Tries what the person gave as this message's passphrase, or asks for it.
fn with_passphrase(
    skesks: &[SKESK],
    label: &str,
    open: &mut Opening<'_>,
    cx: &Context,
) -> Result<SymmetricAlgorithm> {
    let (secret, attempt) = cx.answers.passphrase(Need::Unwrap, None, label)?;
    let found = by_passphrase(skesks, &secret, open, cx)?;
    found.ok_or_else(|| Answers::wrong(Need::Unwrap, None, label, attempt))
}

fn by_passphrase(
    skesks: &[SKESK],
    passphrase: &Secret,
    open: &mut Opening<'_>,
    cx: &Context,
) -> Result<Option<SymmetricAlgorithm>> {
    let password = Password::from(passphrase.expose());
    for skesk in skesks.iter().take(PASSPHRASES_MAX) {
        cx.job.check()?;
        let s2k = match skesk {
            SKESK::V4(skesk) => skesk.s2k(),
            SKESK::V6(skesk) => skesk.s2k(),
            _ => continue,
        };
        if !is_openable(s2k)? {
            continue;
        }
        if let Ok((algorithm, session_key)) = alone(s2k, || skesk.decrypt(&password))
            && let Some(algorithm) = open(algorithm, &session_key)
        {
            return Ok(Some(algorithm));
        }
    }
    Ok(None)
}

/// The question for the first of several locked keys; the error names them all.
fn locked_error(ways: &[Way<'_>]) -> Error {
    let mut ids: Vec<KeyId> = ways.iter().map(|way| way.id.clone()).collect();
    ids.dedup();
    let Some(first) = ways.first() else {
        return Error::decrypt_failed();
    };
    let mut error = ask::locked(&first.id, &certs::label(&first.cert));
    error.kind = Kind::KeyLocked { ids };
    error
}

fn missing(named: &[Named]) -> Error {
    let key_ids = named
        .iter()
        .filter_map(|named| named.recipient.key_id.clone())
        .collect();
    Error::new(
        Kind::KeyMissing {
            r#for: KeyUse::Decrypt,
            addresses: Vec::new(),
            key_ids,
        },
        "the message is not encrypted to any key that is here; import the secret key it was made for",
    )
}

/// Whether a cipher may be used, by the rules of today.
fn allowed(algorithm: SymmetricAlgorithm, container: &Packet, cx: &Context) -> bool {
    if cx.policy.legacy {
        return true;
    }
    let policy = policy::policy(cx.judged_at());
    let aead = match container {
        Packet::SEIP(SEIP::V2(seip)) => policy.aead_algorithm(seip.aead()).is_ok(),
        _ => true,
    };
    aead && policy.symmetric_algorithm(algorithm).is_ok()
}

/// What is to be said of the key that opened a message. It opens whatever its state is.
fn state_of(way: &Way<'_>, cx: &Context) -> Vec<Reason> {
    let at = cx.judged_at();
    let policy = policy::policy(at);
    let Some(valid) = way
        .cert
        .keys()
        .key_handle(way.key.key_handle())
        .next()
        .and_then(|ka| ka.with_policy(&policy, at).ok())
    else {
        return vec![Reason::WeakAlgorithm];
    };
    let mut reasons = Vec::new();
    if valid.alive().is_err() || valid.valid_cert().alive().is_err() {
        reasons.push(Reason::KeyExpired);
    }
    if is_revoked(&valid.revocation_status()) || is_revoked(&valid.valid_cert().revocation_status())
    {
        reasons.push(Reason::KeyRevoked);
    }
    reasons
}

/// As in `AES256`. Old messages have old ciphers.
#[allow(deprecated)]
fn cipher_name(algorithm: SymmetricAlgorithm) -> String {
    match algorithm {
        SymmetricAlgorithm::AES128 => "AES128",
        SymmetricAlgorithm::AES192 => "AES192",
        SymmetricAlgorithm::AES256 => "AES256",
        SymmetricAlgorithm::TripleDES => "3DES",
        SymmetricAlgorithm::CAST5 => "CAST5",
        SymmetricAlgorithm::Blowfish => "BLOWFISH",
        SymmetricAlgorithm::IDEA => "IDEA",
        SymmetricAlgorithm::Twofish => "TWOFISH",
        SymmetricAlgorithm::Camellia128 => "CAMELLIA128",
        SymmetricAlgorithm::Camellia192 => "CAMELLIA192",
        SymmetricAlgorithm::Camellia256 => "CAMELLIA256",
        _ => "unknown",
    }
    .to_owned()
}
