//! The door to private keys, wherever they lie: in this process, in the agent, in gpg-agent, on
//! a token.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::Result;
use super::job::Job;
use super::keys::{KeyId, SecretState};
use super::secret::Secret;

/// The hashes that private operations of S/MIME name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Digest {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// How a private key is to sign, and with it the formats of what goes in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signing {
    /// A digest under this hash algorithm (RFC 9580 9.5). Out come the signature's
    /// algorithm-specific fields (5.2.3).
    OpenPgp(u8),
    /// A digest, padded as PKCS#1 v1.5.
    RsaPkcs1(Digest),
    /// A digest, padded as PSS: MGF1 with the same hash, a salt of its length.
    RsaPss(Digest),
    /// A digest. Out comes the DER of an `ECDSA-Sig-Value`.
    Ecdsa,
    /// The message itself: Ed25519 (RFC 8419), ML-DSA (RFC 9882).
    Message,
}

/// How a private key is to open something, and with it the formats of what goes in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opening<'a> {
    /// The PKESK's algorithm-specific fields (RFC 9580 5.1). Out comes the session key
    /// material as the public-key algorithm yields it. `length` is its expected length in
    /// bytes, where known: it makes the answer to a wrong padding look like that to a right one.
    OpenPgp { length: Option<usize> },
    /// PKCS#1 v1.5. A wrong padding yields a made-up key, never an error.
    RsaPkcs1,
    /// OAEP, with MGF1.
    RsaOaep {
        digest: Digest,
        mgf: Digest,
        #[serde(borrow)]
        label: &'a [u8],
    },
    /// The peer's public key as SubjectPublicKeyInfo. Out comes the shared secret (ECDH,
    /// X25519).
    Agreement,
    /// The ciphertext of a KEM. Out comes the shared secret.
    Kem,
}

/// Names one key pair inside a certificate: the certificate and the (sub)key's fingerprint;
/// for S/MIME the certificate's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyPairId {
    pub cert: KeyId,
    /// Upper-case hex.
    pub subkey: String,
}

/// Private-key operations, wherever the key lies: in this process, in the agent, in
/// gpg-agent, on a token. An engine hands over bytes and gets bytes; it never sees the key.
pub trait PrivateKeys: Send + Sync {
    /// Whether the key can be used now.
    fn state(&self, id: &KeyId) -> SecretState;

    /// Signs `data` as [`Signing`] says.
    ///
    /// # Errors
    /// `key.locked`, with the question that would unlock it; `key.missing`; `key.unusable`.
    fn sign(&self, key: &KeyPairId, how: Signing, data: &[u8]) -> Result<Vec<u8>>;

    /// Recovers a session key, or what one is derived from, as [`Opening`] says.
    ///
    /// # Errors
    /// As [`PrivateKeys::sign`]; `decrypt.failed` for every fault in the ciphertext.
    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret>;

    /// Opens the key with its passphrase until its [`Lease`] is over or [`PrivateKeys::lock`],
    /// whichever is first.
    ///
    /// # Errors
    /// `passphrase.wrong`; `key.missing`; `key.unusable` when public and secret half don't
    /// belong together.
    fn unlock(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<()>;

    /// Until when an unlocked key stays so if it isn't used, in Unix seconds. `None` for one
    /// that is not unlocked, or that no passphrase opened.
    fn until(&self, id: &KeyId) -> Option<u64>;

    /// Wipes one unlocked key, or all of them, for everybody.
    fn lock(&self, id: Option<&KeyId>);

    /// Wipes what this process holds itself.
    fn wipe(&self) {
        self.lock(None);
    }

    /// Wipes what has passed its time limit. What is used before the next call is taken to be
    /// used at `now`.
    fn expire(&self, now: u64);

    /// The same door for one request: what takes long behind it ends when the request is taken
    /// back. `None` where it makes no difference.
    fn during(&self, job: &Arc<Job>) -> Option<Private> {
        let _ = job;
        None
    }
}

/// How long a key stays unlocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    until: u64,
    idle: u64,
    end: u64,
}

impl Lease {
    /// From `now` (Unix seconds) until it was not used for `idle` seconds, at most `most`
    /// seconds in all.
    pub fn new(now: u64, idle: u64, most: u64) -> Lease {
        let end = now.saturating_add(most);
        Lease {
            until: now.saturating_add(idle).min(end),
            idle,
            end,
        }
    }

    /// Without an end: for a key that nobody's passphrase opened.
    pub const FOREVER: Lease = Lease {
        until: u64::MAX,
        idle: u64::MAX,
        end: u64::MAX,
    };

    /// Until when, in Unix seconds, if it isn't used.
    pub fn until(self) -> u64 {
        self.until
    }

    /// Until when, however much it is used.
    pub fn end(self) -> u64 {
        self.end
    }

    /// It was used at `now`.
    pub fn used(&mut self, now: u64) {
        self.until = self.until.max(now.saturating_add(self.idle).min(self.end));
    }

    /// Whether its time is over.
    pub fn is_over(self, now: u64) -> bool {
        self.until <= now
    }
}

/// Shared handle on the private keys.
pub type Private = Arc<dyn PrivateKeys>;

/// Two doors, and which keys are behind the first: some keys lie in a special place, the others
/// with whoever has them.
pub struct Parted {
    is_special: Arc<dyn Fn(&KeyId) -> bool + Send + Sync>,
    special: Private,
    others: Private,
}

impl Parted {
    /// `special` for the keys of which `is_special` says so, `others` for all else.
    pub fn new(
        is_special: impl Fn(&KeyId) -> bool + Send + Sync + 'static,
        special: Private,
        others: Private,
    ) -> Parted {
        Parted {
            is_special: Arc::new(is_special),
            special,
            others,
        }
    }

    fn of(&self, id: &KeyId) -> &Private {
        match (self.is_special)(id) {
            true => &self.special,
            false => &self.others,
        }
    }
}

impl PrivateKeys for Parted {
    fn state(&self, id: &KeyId) -> SecretState {
        self.of(id).state(id)
    }

    fn sign(&self, key: &KeyPairId, how: Signing, data: &[u8]) -> Result<Vec<u8>> {
        self.of(&key.cert).sign(key, how, data)
    }

    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret> {
        self.of(&key.cert).decrypt(key, how, ciphertext)
    }

    fn unlock(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<()> {
        self.of(id).unlock(id, passphrase, lease)
    }

    fn until(&self, id: &KeyId) -> Option<u64> {
        self.of(id).until(id)
    }

    fn lock(&self, id: Option<&KeyId>) {
        match id {
            Some(one) => self.of(one).lock(id),
            None => {
                self.special.lock(None);
                self.others.lock(None);
            }
        }
    }

    fn wipe(&self) {
        self.special.wipe();
        self.others.wipe();
    }

    fn expire(&self, now: u64) {
        self.special.expire(now);
        self.others.expire(now);
    }

    fn during(&self, job: &Arc<Job>) -> Option<Private> {
        let (special, others) = (self.special.during(job), self.others.during(job));
        (special.is_some() || others.is_some()).then(|| {
            Arc::new(Parted {
                is_special: Arc::clone(&self.is_special),
                special: special.unwrap_or_else(|| Arc::clone(&self.special)),
                others: others.unwrap_or_else(|| Arc::clone(&self.others)),
            }) as Private
        })
    }
}
