//! The secret keys that are unlocked in this process.
//!
//! Here alone a secret key is in the clear, in memory that is encrypted against swapping
//! (Sequoia) or wiped when freed (OpenSSL), until its time is over. Not here: asking for
//! passphrases, and files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sequoia_openpgp::Cert;
use sequoia_openpgp::crypto::S2K;
use sequoia_openpgp::crypto::{Decryptor as _, KeyPair, Password, SessionKey, Signer as _, mpi};
use sequoia_openpgp::packet::key::{SecretKeyMaterial, Unencrypted};
use sequoia_openpgp::packet::{Key, key};
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::types::HashAlgorithm;

use super::certs;
use super::rsa::{self, RsaPair};
use crate::base::error::{Error, KeyUse, Kind, Result};
use crate::base::keys::{
    Certs, KeyId, KeyPairId, Lease, Opening, PrivateKeys, Protocol, SecretState, Signing,
};
use crate::base::{Secret, ask};
use crate::engine::private::Held;

/// The most memory that stretching a passphrase may take, as Argon2's exponent of KiB: 512 MiB.
/// Programs write 64 MiB, RFC 9106's second recommendation; its first, 2 GiB, would let whoever
/// sends a mail take all that a small machine has.
const ARGON2_MEMORY_MAX: u8 = 19;

/// The most work, in KiB that are filled, all passes together: four times that memory, some two
/// seconds. RFC 9106's second recommendation is a tenth of it.
const ARGON2_WORK_MAX: u64 = 4 << ARGON2_MEMORY_MAX;

/// Held while Argon2 has its memory: requests side by side take no more than one of them.
static STRETCHING: Mutex<()> = Mutex::new(());

/// Private keys in this process, unlocked for a time. A key whose passphrase the store itself
/// keeps opens by itself when it is used first.
pub struct Unlocked {
    certs: Arc<dyn Certs>,
    open: Held<Pairs>,
}

/// One certificate's key pairs, by fingerprint.
type Pairs = HashMap<String, Pair>;

impl Unlocked {
    /// None is unlocked yet.
    pub fn new(certs: Arc<dyn Certs>) -> Unlocked {
        Unlocked {
            certs,
            open: Held::default(),
        }
    }

    fn open_as(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<Arc<Pairs>> {
        let sealed = self.certs.sealed_secret(id)?;
        let cert = certs::parse(sealed.sealed.expose())?;
        if certs::id(&cert) != *id {
            return Err(mismatch(&certs::id(&cert)));
        }
        let pairs = pairs(&cert, &Password::from(passphrase.expose()))?;
        Ok(self.open.hold(id, pairs, lease))
    }

    /// The unlocked key pairs of one certificate.
    fn opened(&self, id: &KeyId) -> Result<Arc<Pairs>> {
        if let Some(open) = self.open.used(id) {
            return Ok(open);
        }
        let sealed = self.certs.sealed_secret(id)?;
        match sealed.device {
            Some(opener) => self.open_as(id, &*opener.passphrase()?, Lease::FOREVER),
            None => {
                let cert = certs::parse(sealed.sealed.expose())?;
                Err(ask::locked(id, &certs::label(&cert)))
            }
        }
    }
}

impl PrivateKeys for Unlocked {
    fn state(&self, id: &KeyId) -> SecretState {
        if id.protocol() != Protocol::OpenPgp {
            return SecretState::None;
        }
        if self.open.has(id) {
            return SecretState::Unlocked;
        }
        match self.certs.sealed_secret(id) {
            Ok(sealed) if sealed.device.is_some() => SecretState::Unlocked,
            Ok(_) => SecretState::Locked,
            Err(error) if matches!(error.kind, Kind::StoreDamaged | Kind::StoreUnavailable) => {
                SecretState::Damaged
            }
            Err(_) => SecretState::None,
        }
    }

    fn sign(&self, key: &KeyPairId, how: Signing, digest: &[u8]) -> Result<Vec<u8>> {
        let Signing::OpenPgp(hash) = how else {
            return Err(Error::internal("an OpenPGP key signs in OpenPGP's way"));
        };
        let open = self.opened(&key.cert)?;
        let pair = open.get(&key.subkey);
        let pair = pair.ok_or_else(|| absent(KeyUse::Sign, &key.subkey))?;
        let signature = pair.sign(HashAlgorithm::from(hash), digest)?;
        signature
            .to_vec()
            .map_err(|e| Error::internal("the signature can't be written").because(e))
    }

    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret> {
        let Opening::OpenPgp { length } = how else {
            return Err(Error::internal("an OpenPGP key opens in OpenPGP's way"));
        };
        let open = self.opened(&key.cert)?;
        let pair = open.get(&key.subkey);
        let pair = pair.ok_or_else(|| absent(KeyUse::Decrypt, &key.subkey))?;
        let ciphertext = mpi::Ciphertext::parse(pair.public.pk_algo(), ciphertext)
            .map_err(|e| Error::decrypt_failed().because(e))?;
        pair.decrypt(&ciphertext, length)
    }

    fn unlock(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<()> {
        self.open_as(id, passphrase, lease).map(|_| ())
    }

    fn until(&self, id: &KeyId) -> Option<u64> {
        self.open.until(id)
    }

    fn wipe(&self, id: Option<&KeyId>) {
        self.open.wipe(id);
    }

    fn expire(&self, now: u64) {
        self.open.expire(now);
    }
}

/// One key pair, ready for use.
pub(super) struct Pair {
    public: Key<key::PublicParts, key::UnspecifiedRole>,
    half: Half,
}

enum Half {
    Soft(Box<KeyPair>),
    Rsa(RsaPair),
}

impl Pair {
    /// Puts both halves together. `None` when they don't belong together; [`Pair::proves`]
    /// finds out the rest.
    fn new(
        public: Key<key::PublicParts, key::UnspecifiedRole>,
        secret: &Unencrypted,
    ) -> Option<Pair> {
        let half = if matches!(public.mpis(), mpi::PublicKey::RSA { .. }) {
            Half::Rsa(secret.map(|secret| RsaPair::new(public.mpis(), secret))?)
        } else {
            Half::Soft(Box::new(KeyPair::new(public.clone(), secret.clone()).ok()?))
        };
        Some(Pair { public, half })
    }

    fn sign(&self, hash: HashAlgorithm, digest: &[u8]) -> Result<mpi::Signature> {
        let refused = || Error::internal("the key can't sign this");
        match &self.half {
            Half::Rsa(pair) if rsa::names(hash) => {
                pair.sign(hash, digest).map_err(|e| refused().because(e))
            }
            Half::Rsa(_) => Err(refused()),
            Half::Soft(pair) => pair
                .clone()
                .sign(hash, digest)
                .map_err(|e| refused().because(e)),
        }
    }

    fn decrypt(&self, ciphertext: &mpi::Ciphertext, length: Option<usize>) -> Result<Secret> {
        match (&self.half, ciphertext) {
            (Half::Rsa(pair), mpi::Ciphertext::RSA { c }) => pair
                .decrypt(c.value())
                .map(|plain| Secret::new(plain.to_vec()))
                .map_err(|e| Error::decrypt_failed().because(e)),
            (Half::Rsa(_), _) => Err(Error::decrypt_failed()),
            (Half::Soft(pair), _) => pair
                .clone()
                .decrypt(ciphertext, length)
                .map(|plain| Secret::new(plain.to_vec()))
                .map_err(|e| Error::decrypt_failed().because(e)),
        }
    }

    /// Uses the pair once each way, and sees whether the public half agrees.
    fn proves(&self) -> bool {
        // RSA was checked by its numbers.
        if matches!(self.half, Half::Rsa(_)) {
            return true;
        }
        if self.public.pk_algo().for_signing() {
            let digest = [0x5A; 64];
            return self.sign(HashAlgorithm::SHA512, &digest).is_ok_and(|s| {
                self.public
                    .verify(&s, HashAlgorithm::SHA512, &digest)
                    .is_ok()
            });
        }
        let session_key = SessionKey::from(vec![0x5A; 32]);
        self.public
            .encrypt(&session_key)
            .ok()
            .and_then(|ciphertext| self.decrypt(&ciphertext, Some(32)).ok())
            .is_some_and(|plain| plain.expose() == &session_key[..])
    }
}

/// Opens the key pairs of a transferable secret key. Subkeys under another passphrase, stubs
/// and algorithms that are not here are left out.
///
/// # Errors
/// `passphrase.wrong` when nothing opens; `key.missing` when there is nothing to open;
/// `key.unusable` when public and secret half of any of them don't belong together.
fn pairs(cert: &Cert, password: &Password) -> Result<HashMap<String, Pair>> {
    let mut pairs = HashMap::new();
    let mut wrong = 0;
    for ka in cert.keys().secret() {
        let public = ka.key().clone().take_secret().0;
        if !public.pk_algo().is_supported() {
            continue;
        }
        let secret = match ka.key().secret() {
            SecretKeyMaterial::Unencrypted(secret) => secret.clone(),
            SecretKeyMaterial::Encrypted(sealed) => {
                if !is_openable(sealed.s2k())? {
                    continue;
                }
                match alone(sealed.s2k(), || sealed.decrypt(&public, password)) {
                    Ok(secret) => secret,
                    Err(_) => {
                        wrong += 1;
                        continue;
                    }
                }
            }
        };
        let fingerprint = public.fingerprint().to_hex();
        let pair = Pair::new(public, &secret)
            .filter(Pair::proves)
            .ok_or_else(|| mismatch(&certs::id(cert)))?;
        pairs.insert(fingerprint, pair);
    }
    match (pairs.is_empty(), wrong) {
        (true, 0) => Err(absent(KeyUse::Sign, &cert.fingerprint().to_hex())),
        (true, _) => Err(Error::new(
            Kind::PassphraseWrong,
            "the passphrase is wrong; try again",
        )),
        (false, _) => Ok(pairs),
    }
}

/// Whether a passphrase is stretched in a way that is here. GnuPG's stubs are not: their
/// secret key is elsewhere.
///
/// # Errors
/// `limit.exceeded` when it would take more memory than a mail program may.
pub(super) fn is_openable(s2k: &S2K) -> Result<bool> {
    match s2k {
        S2K::Argon2 { m, t, .. }
            if *m > ARGON2_MEMORY_MAX || u64::from(*t) << *m > ARGON2_WORK_MAX =>
        {
            Err(Error::limit(
                "passphrase-memory",
                "opening this takes more memory than is allowed; protect it with other settings",
            ))
        }
        _ => Ok(s2k.is_supported()),
    }
}

/// Stretches a passphrase that [`is_openable`] let pass, in `act`: with Argon2 one at a time.
pub(super) fn alone<T>(s2k: &S2K, act: impl FnOnce() -> T) -> T {
    let turn = matches!(s2k, S2K::Argon2 { .. })
        .then(|| STRETCHING.lock().unwrap_or_else(PoisonError::into_inner));
    let done = act();
    drop(turn);
    done
}

/// Whether both halves of every key that is in the clear belong together.
pub(super) fn agrees(cert: &Cert) -> bool {
    cert.keys().secret().all(|ka| match ka.key().secret() {
        SecretKeyMaterial::Encrypted(_) => true,
        SecretKeyMaterial::Unencrypted(secret) => {
            let public = ka.key().clone().take_secret().0;
            !public.pk_algo().is_supported()
                || Pair::new(public, secret).is_some_and(|pair| pair.proves())
        }
    })
}

fn mismatch(id: &KeyId) -> Error {
    Error::new(
        Kind::KeyUnusable {
            id: id.clone(),
            reasons: vec!["mismatch"],
        },
        "the key's public and secret halves don't belong together; import it from a good copy",
    )
}

fn absent(r#for: KeyUse, handle: &str) -> Error {
    Error::new(
        Kind::KeyMissing {
            r#for,
            addresses: Vec::new(),
            key_ids: vec![handle.to_owned()],
        },
        "the secret half of this key is not here; import it",
    )
}
