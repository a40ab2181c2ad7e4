//! Certificates as people bring them: many, flooded, with stubs, with secrets in the clear.
//!
//! What is kept is what the certificate's own key vouches for, and the word of the person's
//! introducers (see `introducers`). Other third-party signatures, trust packets, user attributes and whatever is not bound fall away, so a stored certificate is
//! small and every byte of it means something.

use std::collections::HashMap;

use sequoia_openpgp::cert::amalgamation::UserIDAmalgamation;
use sequoia_openpgp::packet::key::SecretKeyMaterial;
use sequoia_openpgp::packet::{Packet, Signature, UserID};
use sequoia_openpgp::parse::{Dearmor, PacketParserBuilder, PacketParserResult, Parse as _};
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::{Cert, KeyHandle};

use super::armor::{self, Kind};
use super::certs;
use super::introducers::{self, Introducers};
use super::policy::{
    CERT_MAX, KEYRING_CERTS_MAX, KEYRING_MAX, PACKET_MAX, SELF_SIGNATURES_MAX, USER_IDS_MAX,
};
use super::private;
use crate::base::context::unix;
use crate::base::error::{Error, Result};
use crate::base::{Context, Secret};
use crate::engine::{Incoming, IncomingKey, IncomingSecret, Under};

/// Packets of one certificate among which strangers' signatures are looked at, where there are
/// introducers: a flood behind them falls away unread.
const OTHERS_MAX: usize = 2_000;

/// Signatures of its own that one certificate may have: a key that is renewed every month, with
/// ten names and subkeys, has as many after twenty years.
const OWN_SIGNATURES_MAX: usize = 5_000;

/// See [`crate::engine::Engine::read_keys`].
pub(super) fn read_keys(data: &[u8], cx: &Context) -> Result<Incoming> {
    if data.len() > KEYRING_MAX {
        return Err(Error::limit(
            "keyring",
            "there is too much in this file to read it at once; split it up",
        ));
    }
    let mut skipped = Vec::new();
    let introducers = Introducers::of(cx)?;
    let mut found = Found {
        introducers: introducers.handles(),
        ..Found::default()
    };
    if armor::is_binary(data) {
        found.read(data, &mut skipped, cx)?;
    } else {
        for block in armor::blocks(data)? {
            if matches!(block.kind, Kind::PublicKey | Kind::PrivateKey) {
                found.read(&block.bytes, &mut skipped, cx)?;
            }
        }
    }
    let mut keys = Vec::new();
    for cert in found.certs {
        cx.job.check()?;
        match incoming(cert, &introducers, unix(cx.judged_at()), &mut skipped) {
            Ok(key) => keys.push(key),
            Err(reason) => skipped.push(reason),
        }
    }
    if keys.is_empty() && skipped.is_empty() {
        return Err(Error::malformed(
            "there is no OpenPGP key in this; export the key again",
        ));
    }
    Ok(Incoming { keys, skipped })
}

/// See [`crate::engine::Engine::merge`].
pub(super) fn merge(old: &[u8], new: &[u8]) -> Result<Vec<u8>> {
    let (old, new) = (certs::parse(old)?, certs::parse(new)?);
    let apart = || Error::malformed("these are two certificates, not two copies of one");
    if old.fingerprint() != new.fingerprint() {
        return Err(apart());
    }
    let both = old
        .merge_public(new)
        .map_err(|e| apart().because(e))?
        .strip_secret_key_material();
    let kept = keep(&both, &introducers::told).map_err(|_| {
        Error::limit(
            "certificate",
            "the certificate would become too large; delete it and import a clean copy",
        )
    })?;
    public(&kept)
}

/// The certificate alone, as it is stored.
pub(super) fn public(cert: &Cert) -> Result<Vec<u8>> {
    cert.to_vec()
        .map_err(|e| Error::internal("the certificate can't be written").because(e))
}

/// The certificate with its secret half, as it is stored.
pub(super) fn secret(cert: &Cert) -> Result<Secret> {
    cert.as_tsk()
        .to_vec()
        .map(Secret::new)
        .map_err(|e| Error::internal("the secret key can't be written").because(e))
}

/// The packets of one certificate. Each signature that fits none of its components is tried with
/// all of them, so both are counted before.
#[derive(Default)]
struct Group {
    packets: Vec<Packet>,
    user_ids: usize,
    /// Those that claim to be the certificate's own.
    signatures: usize,
}

impl Group {
    /// Why it is not read.
    fn refused(&self) -> Option<&'static str> {
        match self {
            group if group.user_ids > USER_IDS_MAX => Some("too-many-user-ids"),
            group if group.signatures > OWN_SIGNATURES_MAX => Some("too-large"),
            _ => None,
        }
    }

    /// Adds a packet, unless there are too many already. A user id that no signature follows is
    /// bound by none.
    fn put(&mut self, packet: Packet) {
        let bare = matches!(self.packets.last(), Some(Packet::UserID(_)));
        if bare && !matches!(packet, Packet::Signature(_)) {
            self.packets.pop();
            self.user_ids -= 1;
        }
        if self.refused().is_none() {
            self.user_ids += usize::from(matches!(packet, Packet::UserID(_)));
            self.packets.push(packet);
        }
    }
}

/// Certificates in the order in which they were found, each once.
#[derive(Default)]
struct Found {
    /// Whose signatures on others' certificates are wanted. Where there are any, those of
    /// strangers may be of people whom they trust.
    introducers: Vec<KeyHandle>,
    certs: Vec<Cert>,
    places: HashMap<String, usize>,
}

impl Found {
    /// Reads a stream of packets.
    ///
    /// # Errors
    /// `limit.exceeded`; `cancelled`. What can't be read is skipped.
    fn read(
        &mut self,
        packets: &[u8],
        skipped: &mut Vec<&'static str>,
        cx: &Context,
    ) -> Result<()> {
        let mut next = match PacketParserBuilder::from_bytes(packets).and_then(|builder| {
            builder
                .dearmor(Dearmor::Disabled)
                .max_packet_size(PACKET_MAX)
                .automatic_hashing(false)
                .buffer_unread_content()
                .build()
        }) {
            Ok(next) => next,
            Err(_) => {
                skipped.push("malformed");
                return Ok(());
            }
        };
        let mut group = Group::default();
        while let PacketParserResult::Some(parser) = next {
            // Certificates hold no compressed data, and what unpacks may have no end.
            if matches!(parser.packet, Packet::CompressedData(_)) {
                skipped.push("malformed");
                break;
            }
            let (packet, rest) = match parser.next() {
                Ok(both) => both,
                Err(_) => {
                    skipped.push("malformed");
                    break;
                }
            };
            next = rest;
            match packet {
                Packet::PublicKey(_) | Packet::SecretKey(_) => {
                    cx.job.check()?;
                    self.end(std::mem::take(&mut group), skipped)?;
                    group.packets.push(packet);
                }
                Packet::Signature(signature) if own(&signature, &group.packets) => {
                    group.signatures += 1;
                    group.put(signature.into());
                }
                Packet::Signature(signature) if self.introduces(&signature, &group.packets) => {
                    group.put(signature.into());
                }
                Packet::PublicSubkey(_) | Packet::SecretSubkey(_) | Packet::UserID(_)
                    if !group.packets.is_empty() =>
                {
                    group.put(packet);
                }
                // Kept so that the signatures behind it don't count as another component's.
                Packet::UserAttribute(_) if !group.packets.is_empty() => group.put(packet),
                _ => {}
            }
        }
        self.end(group, skipped)
    }

    /// A certificate is read to its end.
    fn end(&mut self, group: Group, skipped: &mut Vec<&'static str>) -> Result<()> {
        match group.refused() {
            Some(reason) => {
                skipped.push(reason);
                Ok(())
            }
            None => self.add(group.packets, skipped),
        }
    }

    /// Whether a signature claims to be by an introducer, or may be by one whom they trust. Both
    /// are checked later.
    fn introduces(&self, signature: &Signature, group: &[Packet]) -> bool {
        let known = |issuer: KeyHandle| self.introducers.iter().any(|known| issuer.aliases(known));
        !self.introducers.is_empty()
            && (group.len() < OTHERS_MAX || signature.get_issuers().into_iter().any(known))
    }

    fn add(&mut self, group: Vec<Packet>, skipped: &mut Vec<&'static str>) -> Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        let Ok(cert) = Cert::try_from(group) else {
            skipped.push("malformed");
            return Ok(());
        };
        let fingerprint = cert.fingerprint().to_hex();
        match self.places.get(&fingerprint) {
            Some(place) => {
                if let Some(known) = self.certs.get_mut(*place)
                    && let Ok(both) = known.clone().merge_public_and_secret(cert)
                {
                    *known = both;
                }
            }
            None => {
                self.places.insert(fingerprint, self.certs.len());
                self.certs.push(cert);
            }
        }
        if self.certs.len() > KEYRING_CERTS_MAX {
            return Err(Error::limit(
                "keyring-certificates",
                "there are too many keys in this file to read it at once; split it up",
            ));
        }
        Ok(())
    }
}

/// Whether a signature claims to be by the certificate that is being read. The claim is
/// checked later; here a hundred thousand strangers' signatures fall away cheaply.
fn own(signature: &Signature, group: &[Packet]) -> bool {
    let primary = match group.first() {
        Some(Packet::PublicKey(key)) => KeyHandle::from(key.fingerprint()),
        Some(Packet::SecretKey(key)) => KeyHandle::from(key.fingerprint()),
        _ => return false,
    };
    let issuers = signature.get_issuers();
    issuers.is_empty() || issuers.iter().any(|issuer| issuer.aliases(&primary))
}

fn incoming(
    cert: Cert,
    introducers: &Introducers<'_>,
    at: u64,
    skipped: &mut Vec<&'static str>,
) -> std::result::Result<IncomingKey, &'static str> {
    let kept = keep(&cert, &|user_id| introducers.said(user_id, at))?;
    drop(cert);
    let bytes = public(&kept).map_err(|_| "malformed")?;
    if bytes.len() > CERT_MAX {
        return Err("too-large");
    }
    Ok(IncomingKey {
        facts: certs::facts_of(&kept, at),
        secret: incoming_secret(&kept, skipped),
        cert: bytes,
    })
}

fn incoming_secret(cert: &Cert, skipped: &mut Vec<&'static str>) -> Option<IncomingSecret> {
    let mut under = Under::Passphrase;
    let (mut any, mut costly) = (false, false);
    for ka in cert.keys().secret() {
        match ka.key().secret() {
            SecretKeyMaterial::Unencrypted(_) => {
                any = true;
                under = Under::Nothing;
            }
            // A stub of GnuPG's says where the key is not.
            SecretKeyMaterial::Encrypted(sealed) => {
                let openable = private::is_openable(sealed.s2k());
                costly |= openable.is_err();
                any |= openable.unwrap_or(false);
            }
        }
    }
    if !any {
        if cert.is_tsk() {
            skipped.push(match costly {
                true => "secret-too-costly",
                false => "secret-elsewhere",
            });
        }
        return None;
    }
    if !private::agrees(cert) {
        skipped.push("mismatch");
        return None;
    }
    let sealed = secret(cert).ok()?;
    Some(IncomingSecret { sealed, under })
}

/// The certificate with nothing in it but what its own key vouches for, secrets included, and
/// what `others` picks of other people's signatures on a user id.
///
/// # Errors
/// Why nothing is left: `unbound`, `too-many-user-ids`, `malformed`.
pub(super) fn keep(
    cert: &Cert,
    others: &dyn Fn(&UserIDAmalgamation<'_>) -> Vec<Signature>,
) -> std::result::Result<Cert, &'static str> {
    let mut packets: Vec<Packet> = Vec::new();
    let primary = cert.primary_key();
    packets.push(match primary.key().clone().parts_into_secret() {
        Ok(key) => Packet::SecretKey(key),
        Err(_) => Packet::PublicKey(primary.key().clone()),
    });
    packets.extend(newest(
        primary.self_signatures(),
        primary.self_revocations(),
    ));
    let mut user_ids = 0;
    for ua in cert.userids() {
        let signatures = newest(ua.self_signatures(), ua.self_revocations());
        if signatures.is_empty() {
            continue;
        }
        user_ids += 1;
        if user_ids > USER_IDS_MAX {
            return Err("too-many-user-ids");
        }
        packets.push(Packet::UserID(UserID::from(ua.userid().value())));
        packets.extend(signatures);
        packets.extend(others(&ua).into_iter().map(Packet::from));
    }
    for ka in cert.keys().subkeys() {
        if ka.self_signatures().next().is_none() {
            continue;
        }
        packets.push(match ka.key().clone().parts_into_secret() {
            Ok(key) => Packet::SecretSubkey(key),
            Err(_) => Packet::PublicSubkey(ka.key().clone()),
        });
        packets.extend(newest(ka.self_signatures(), ka.self_revocations()));
    }
    if packets.len() < 2 {
        return Err("unbound");
    }
    Cert::try_from(packets).map_err(|_| "malformed")
}

/// The newest self-signatures, and as many revocations.
fn newest<'a>(
    signatures: impl Iterator<Item = &'a Signature>,
    revocations: impl Iterator<Item = &'a Signature>,
) -> Vec<Packet> {
    let by_age = |signatures: Vec<&Signature>| {
        let mut signatures = signatures;
        signatures.sort_by_key(|s| std::cmp::Reverse(s.signature_creation_time()));
        signatures.truncate(SELF_SIGNATURES_MAX);
        signatures
            .into_iter()
            .map(|s| Packet::from(s.clone()))
            .collect::<Vec<_>>()
    };
    let mut kept = by_age(signatures.collect());
    kept.extend(by_age(revocations.collect()));
    kept
}
