//! New keys in three profiles, and the protections that secret keys lie under.

use std::time::Duration;

use sequoia_openpgp::cert::{CertBuilder, CipherSuite};
use sequoia_openpgp::crypto::{Password, S2K};
use sequoia_openpgp::packet::key::{KeyParts, KeyRole, SecretKeyMaterial};
use sequoia_openpgp::packet::{Key, Packet, Signature, UserID, key};
use sequoia_openpgp::types::{
    AEADAlgorithm, Features, HashAlgorithm, KeyFlags, SymmetricAlgorithm,
};
use sequoia_openpgp::{Cert, Profile as Version};

use super::certs;
use super::import;
use super::private::{alone, is_openable};
use crate::base::address::hidden;
use crate::base::context::unix;
use crate::base::error::{Error, Kind, Result};
use crate::base::keys::Usage;
use crate::base::{Address, Context, Secret};
use crate::engine::{KeySpec, NewKey, Passphrase, Profile};

/// How many bytes are hashed to stretch what has 256 random bits already: the least there is.
const NO_STRETCH: u32 = 1024;

/// See [`crate::engine::Engine::generate`].
pub(super) fn generate(spec: &KeySpec, passphrase: &Passphrase, cx: &Context) -> Result<NewKey> {
    if matches!(passphrase, Passphrase::None) {
        return Err(Error::internal("a new key needs something to lie under"));
    }
    cx.job.check()?;
    let user_id = user_id(spec.name.as_deref(), &spec.address);
    let (cert, revocation) = build(
        spec.profile,
        spec.expires,
        vec![user_id],
        &[Usage::Sign, Usage::Encrypt],
        cx,
    )?;
    cx.job.check()?;
    let cert = reseal(cert, &Passphrase::None, passphrase)?;
    let sealed = import::secret(&cert)?;
    let public = cert.strip_secret_key_material();
    let revoked = public
        .clone()
        .insert_packets(std::iter::once(Packet::from(revocation)))
        .map_err(|e| Error::internal("the key can't be made").because(e))?
        .0;
    Ok(NewKey {
        facts: certs::facts_of(&public, unix(cx.now)),
        cert: import::public(&public)?,
        sealed,
        request: None,
        revocation: Some(import::public(&revoked)?),
    })
}

/// What a key is to be that is nobody's in particular.
pub struct Plain<'a> {
    /// Any text.
    pub user_ids: &'a [String],
    pub profile: Profile,
    /// What it has subkeys for.
    pub usage: &'a [Usage],
}

/// Makes a key that lies in no store; `passphrase` may be none.
///
/// # Errors
/// `internal` when the cryptographic library refuses.
pub fn make(plain: &Plain<'_>, passphrase: &Passphrase, cx: &Context) -> Result<Secret> {
    let user_ids = plain
        .user_ids
        .iter()
        .map(|text| UserID::from(text.as_str()));
    let (cert, _) = build(plain.profile, None, user_ids.collect(), plain.usage, cx)?;
    import::secret(&reseal(cert, &Passphrase::None, passphrase)?)
}

/// A key in the clear, and its revocation.
fn build(
    profile: Profile,
    expires: Option<u64>,
    user_ids: Vec<UserID>,
    usage: &[Usage],
    cx: &Context,
) -> Result<(Cert, Signature)> {
    let refused = |e| Error::internal("the key can't be made").because(e);
    let (version, suite, features) = match profile {
        // GnuPG can't read what Sequoia's own Features invite others to send.
        Profile::Compatible => (
            Version::RFC4880,
            CipherSuite::Cv25519,
            Features::empty().set_seipdv1(),
        ),
        Profile::Modern => (
            Version::RFC9580,
            CipherSuite::Cv25519,
            Features::empty().set_seipdv1().set_seipdv2(),
        ),
        Profile::PostQuantum => (
            Version::RFC9580,
            CipherSuite::MLDSA65_Ed25519,
            Features::empty().set_seipdv1().set_seipdv2(),
        ),
    };
    let lifetime = expires.map(|end| Duration::from_secs(end.saturating_sub(unix(cx.now)).max(1)));
    let encryption = KeyFlags::empty()
        .set_transport_encryption()
        .set_storage_encryption();
    let mut builder = CertBuilder::new()
        .set_creation_time(cx.now)
        .set_cipher_suite(suite)
        .set_profile(version)
        .and_then(|builder| builder.set_features(features))
        .map_err(refused)?
        .set_primary_key_flags(KeyFlags::empty().set_certification())
        .set_validity_period(lifetime);
    for user_id in user_ids {
        builder = builder.add_userid(user_id);
    }
    if usage.contains(&Usage::Sign) {
        builder = builder.add_signing_subkey();
    }
    if usage.contains(&Usage::Encrypt) {
        builder = builder.add_subkey(encryption, None, None);
    }
    builder.generate().map_err(refused)
}

/// `Name <address>`, the name without what would make it another address.
pub(super) fn user_id(name: Option<&str>, address: &Address) -> UserID {
    let name: String = name
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control() && !hidden(*c) && !matches!(c, '<' | '>'))
        .collect();
    UserID::from(match name.trim() {
        "" => format!("<{address}>"),
        name => format!("{name} <{address}>"),
    })
}

/// The certificate with its secret half under another protection.
///
/// # Errors
/// `passphrase.wrong`; `internal`.
pub(super) fn reseal(cert: Cert, old: &Passphrase, new: &Passphrase) -> Result<Cert> {
    let old: Vec<Password> = password(old).into_iter().collect();
    resealed(cert, &old, new)
}

/// As [`reseal`], where one of several passphrases opens each part.
///
/// # Errors
/// As [`reseal`].
pub(super) fn reseal_by(cert: Cert, old: &[Secret], new: &Passphrase) -> Result<Cert> {
    let old: Vec<Password> = old.iter().map(|old| Password::from(old.expose())).collect();
    resealed(cert, &old, new)
}

fn resealed(cert: Cert, old: &[Password], new: &Passphrase) -> Result<Cert> {
    let packets = cert
        .into_tsk()
        .into_packets()
        .map(|packet| {
            Ok(match packet {
                Packet::SecretKey(key) => Packet::SecretKey(reseal_key(key, old, new)?),
                Packet::SecretSubkey(key) => Packet::SecretSubkey(reseal_key(key, old, new)?),
                other => other,
            })
        })
        .collect::<Result<Vec<Packet>>>()?;
    Cert::try_from(packets)
        .map_err(|e| Error::internal("the secret key can't be written").because(e))
}

fn reseal_key<R: KeyRole>(
    key: Key<key::SecretParts, R>,
    old: &[Password],
    new: &Passphrase,
) -> Result<Key<key::SecretParts, R>> {
    let wrong = || Error::new(Kind::PassphraseWrong, "the passphrase is wrong; try again");
    let (public, secret) = key.take_secret();
    let secret = match secret {
        SecretKeyMaterial::Encrypted(sealed) => {
            if !is_openable(sealed.s2k())? {
                // A stub: there is nothing to protect.
                return Ok(public.add_secret(sealed.into()).0);
            }
            let mut last = wrong();
            let opened = old.iter().find_map(|password| {
                match alone(sealed.s2k(), || sealed.decrypt(&public, password)) {
                    Ok(open) => Some(open),
                    Err(error) => {
                        last = wrong().because(error);
                        None
                    }
                }
            });
            SecretKeyMaterial::from(opened.ok_or(last)?)
        }
        open => open,
    };
    let secret = protect(secret, &public, new)?;
    Ok(public.add_secret(secret).0)
}

fn password(passphrase: &Passphrase) -> Option<Password> {
    match passphrase {
        Passphrase::None => None,
        Passphrase::Human(secret) | Passphrase::Random(secret) => {
            Some(Password::from(secret.expose()))
        }
    }
}

/// Puts a secret half that is in the clear under `passphrase`. Version 4 keys as every client
/// can read them; version 6 keys with Argon2 and AEAD.
fn protect<P: KeyParts, R: KeyRole>(
    secret: SecretKeyMaterial,
    key: &Key<P, R>,
    passphrase: &Passphrase,
) -> Result<SecretKeyMaterial> {
    let Some(password) = password(passphrase) else {
        return Ok(secret);
    };
    let refused = |e| Error::internal("the secret key can't be protected").because(e);
    let modern = key.version() == 6;
    let stretched = match passphrase {
        Passphrase::Random(_) => {
            S2K::new_iterated(HashAlgorithm::SHA256, NO_STRETCH).map_err(refused)?
        }
        _ if modern => argon2()?,
        _ => S2K::default(),
    };
    secret
        .encrypt_with(
            key,
            stretched,
            SymmetricAlgorithm::AES256,
            modern.then_some(AEADAlgorithm::OCB),
            &password,
        )
        .map_err(refused)
}

/// RFC 9106's second recommendation: three passes over 64 MiB.
pub(super) fn argon2() -> Result<S2K> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|e| Error::internal("the system has no random numbers").because(e.to_string()))?;
    Ok(S2K::Argon2 {
        salt,
        t: 3,
        p: 4,
        m: 16,
    })
}
