//! Secret keys that GnuPG's agent has: OpenPGP's values as the agent's S-expressions, and back.
//! What the agent does not do, deriving a key from a shared secret, is done here.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sequoia_openpgp::Cert;
use sequoia_openpgp::crypto::mem::Protected;
use sequoia_openpgp::crypto::{ecdh, mpi};
use sequoia_openpgp::packet::{Key, key};
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::types::{Curve, HashAlgorithm};

use super::certs;
use super::expression::{self, Expression};
use crate::base::error::{Error, KeyUse, Kind, Result};
use crate::base::gnupg::{Access, GnuPg, Grip, Value};
use crate::base::job::Job;
use crate::base::keys::{
    Certs, KeyId, KeyPairId, Lease, Opening, Private, PrivateKeys, Protocol, SecretState, Signing,
};
use crate::base::{Secret, ask};

/// The keys of which the store knows that GnuPG's agent has them.
pub struct InGnuPg {
    certs: Arc<dyn Certs>,
    gnupg: Arc<dyn GnuPg>,
    /// Keys whose passphrase was just given, and which were not used since. If the agent wants
    /// it again all the same, it remembers nothing, and asks by itself.
    given: Arc<Mutex<HashSet<KeyId>>>,
    /// The request that this is for; one that is never taken back where it is for none.
    job: Arc<Job>,
}

type Public = Key<key::PublicParts, key::UnspecifiedRole>;

impl InGnuPg {
    pub fn new(certs: Arc<dyn Certs>, gnupg: Arc<dyn GnuPg>) -> InGnuPg {
        InGnuPg {
            certs,
            gnupg,
            given: Arc::default(),
            job: Arc::default(),
        }
    }

    fn cert(&self, id: &KeyId) -> Result<Arc<Cert>> {
        let found = self.certs.by_handle(Protocol::OpenPgp, id.fingerprint())?;
        let stored = found.into_iter().find(|stored| stored.id == *id);
        certs::stored(&stored.ok_or_else(|| absent(id.fingerprint()))?.cert)
    }

    /// A key pair: what the agent calls it, and its public half.
    fn pair(&self, key: &KeyPairId) -> Result<(Grip, Public)> {
        let grips = self.certs.grips(&key.cert)?;
        let grip = grips.into_iter().find(|grip| grip.subkey == key.subkey);
        let grip = grip.ok_or_else(|| absent(&key.subkey))?;
        let cert = self.cert(&key.cert)?;
        let public = public(&cert, &key.subkey).ok_or_else(|| absent(&key.subkey))?;
        Ok((grip, public))
    }

    /// Does something with what the agent remembers, or says that it has to be asked for.
    fn access<T>(
        &self,
        id: &KeyId,
        (grip, to): (&Grip, KeyUse),
        operation: impl Fn(Access<'_>) -> Result<T>,
    ) -> Result<T> {
        let operation = |access| operation(access).map_err(|error| about(grip, error));
        let wants = |done: &Result<T>| matches!(done, Err(error) if error.kind == Kind::PassphraseUnavailable);
        if self.job.asks_nobody() {
            let done = operation(Access::Silent);
            return match wants(&done) {
                true => Err(self.locked(id)?),
                false => done,
            };
        }
        let on_card = self.gnupg.on_card(&grip.keygrip, to, &self.job);
        if on_card.map_err(|error| about(grip, error))? {
            return operation(Access::Asking);
        }
        let done = operation(Access::Remembered);
        let wanted = wants(&done);
        if wanted && self.given().contains(id) {
            return operation(Access::Asking);
        }
        if wanted {
            return Err(self.locked(id)?);
        }
        self.given().remove(id);
        done
    }

    /// The error that carries the question for the passphrase.
    fn locked(&self, id: &KeyId) -> Result<Error> {
        Ok(ask::locked(id, &certs::label(&*self.cert(id)?)))
    }

    fn given(&self) -> MutexGuard<'_, HashSet<KeyId>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sign_with(
        &self,
        (grip, public): &(Grip, Public),
        digest: (u8, &[u8]),
        access: Access<'_>,
    ) -> Result<mpi::Signature> {
        let said = self.gnupg.sign(&grip.keygrip, digest, access, &self.job)?;
        signature(public, said.expose()).ok_or_else(|| {
            Error::new(
                Kind::StoreUnavailable,
                "GnuPG's agent gave something that is no signature; see whether gpg can sign in a terminal",
            )
        })
    }

    fn decrypt_with(
        &self,
        (grip, public): &(Grip, Public),
        ciphertext: &mpi::Ciphertext,
        access: Access<'_>,
    ) -> Result<Secret> {
        let asked = asked(ciphertext).ok_or_else(Error::decrypt_failed)?;
        let value = self
            .gnupg
            .decrypt(&grip.keygrip, &asked, access, &self.job)?;
        recovered(public, ciphertext, &value).ok_or_else(Error::decrypt_failed)
    }
}

impl PrivateKeys for InGnuPg {
    fn state(&self, _: &KeyId) -> SecretState {
        SecretState::Agent
    }

    fn sign(&self, key: &KeyPairId, how: Signing, digest: &[u8]) -> Result<Vec<u8>> {
        let Signing::OpenPgp(hash) = how else {
            return Err(Error::internal("an OpenPGP key signs in OpenPGP's way"));
        };
        let pair = self.pair(key)?;
        let signature = self.access(&key.cert, (&pair.0, KeyUse::Sign), |access| {
            self.sign_with(&pair, (hash, digest), access)
        })?;
        signature
            .to_vec()
            .map_err(|e| Error::internal("the signature can't be written").because(e))
    }

    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret> {
        let Opening::OpenPgp { .. } = how else {
            return Err(Error::internal("an OpenPGP key opens in OpenPGP's way"));
        };
        let pair = self.pair(key)?;
        let ciphertext = mpi::Ciphertext::parse(pair.1.pk_algo(), ciphertext)
            .map_err(|e| Error::decrypt_failed().because(e))?;
        self.access(&key.cert, (&pair.0, KeyUse::Decrypt), |access| {
            self.decrypt_with(&pair, &ciphertext, access)
        })
    }

    /// Uses each key pair once with the passphrase, so that the agent remembers it.
    fn unlock(&self, id: &KeyId, passphrase: &Secret, _: Lease) -> Result<()> {
        let cert = self.cert(id)?;
        let access = Access::With(passphrase);
        let mut outcome = Err(absent(id.fingerprint()));
        for grip in self.certs.grips(id)? {
            let Some(public) = public(&cert, &grip.subkey) else {
                continue;
            };
            if self
                .gnupg
                .on_card(&grip.keygrip, KeyUse::Decrypt, &self.job)?
            {
                continue;
            }
            let pair = (grip, public);
            let used = match own_point(&pair.1) {
                // It can't sign; what comes out of its own point is thrown away.
                Some(point) => self.decrypt_with(&pair, &point, access).map(drop),
                None => {
                    let hash = HashAlgorithm::SHA256.into();
                    self.sign_with(&pair, (hash, &[0x5A; 32]), access).map(drop)
                }
            };
            match used {
                // The next would be waited for as long.
                Err(error) if is_silence(&error) => return Err(error),
                Err(error)
                    if matches!(error.kind, Kind::PassphraseWrong | Kind::StoreUnavailable) =>
                {
                    // Another pair may lie under it.
                    if outcome.is_err() {
                        outcome = Err(error);
                    }
                }
                // Whatever it made of our made-up value, the passphrase opened the key.
                _ => outcome = Ok(()),
            }
        }
        if outcome.is_ok() {
            self.given().insert(id.clone());
        }
        outcome
    }

    fn until(&self, _: &KeyId) -> Option<u64> {
        None
    }

    /// What the agent remembers is its own affair.
    fn wipe(&self, _: Option<&KeyId>) {}

    fn expire(&self, _: u64) {}

    fn during(&self, job: &Arc<Job>) -> Option<Private> {
        Some(Arc::new(InGnuPg {
            certs: Arc::clone(&self.certs),
            gnupg: Arc::clone(&self.gnupg),
            given: Arc::clone(&self.given),
            job: Arc::clone(job),
        }))
    }
}

/// The public half of a key pair.
fn public(cert: &Cert, subkey: &str) -> Option<Public> {
    let keys = cert.keys().map(|ka| ka.key().clone().take_secret().0);
    keys.into_iter()
        .find(|key| key.fingerprint().to_hex() == subkey)
        .map(|key| key.role_into_unspecified())
}

/// What the agent said, as the signature of this key.
fn signature(public: &Public, said: &[u8]) -> Option<mpi::Signature> {
    let said = expression::read(said)?;
    let values = said.named("sig-val")?;
    let number = |list: &Expression<'_>, name| Some(mpi::MPI::new(list.named(name)?.value()?));
    Some(match public.mpis() {
        mpi::PublicKey::RSA { .. } => mpi::Signature::RSA {
            s: number(values.named("rsa")?, "s")?,
        },
        mpi::PublicKey::DSA { .. } => {
            let list = values.named("dsa")?;
            mpi::Signature::DSA {
                r: number(list, "r")?,
                s: number(list, "s")?,
            }
        }
        mpi::PublicKey::ECDSA { .. } => {
            let list = values.named("ecdsa")?;
            mpi::Signature::ECDSA {
                r: number(list, "r")?,
                s: number(list, "s")?,
            }
        }
        mpi::PublicKey::EdDSA { .. } => {
            let list = values.named("eddsa")?;
            mpi::Signature::EdDSA {
                r: number(list, "r")?,
                s: number(list, "s")?,
            }
        }
        _ => return None,
    })
}

/// A ciphertext, as the agent wants it.
fn asked(ciphertext: &mpi::Ciphertext) -> Option<Vec<u8>> {
    Some(match ciphertext {
        mpi::Ciphertext::RSA { c } => expression::value("rsa", &[("a", c.value())]),
        mpi::Ciphertext::ElGamal { e, c } => {
            expression::value("elg", &[("a", e.value()), ("b", c.value())])
        }
        mpi::Ciphertext::ECDH { e, key } => {
            expression::value("ecdh", &[("s", key), ("e", e.value())])
        }
        _ => return None,
    })
}

/// What the agent made of a ciphertext, as the session key material that was in it.
fn recovered(public: &Public, ciphertext: &mpi::Ciphertext, value: &Value) -> Option<Secret> {
    let said = expression::read(value.expression.expose())?;
    let plain = match said.named("value") {
        Some(value) => value.value()?,
        None => said.value()?,
    };
    match (public.mpis(), ciphertext) {
        (mpi::PublicKey::ECDH { curve, .. }, mpi::Ciphertext::ECDH { .. }) => {
            let shared = Protected::from(shared(curve, plain)?);
            let key = ecdh::decrypt_unwrap(public, &shared, ciphertext, None).ok()?;
            Some(Secret::new(key.to_vec()))
        }
        _ if value.padded => unpadded(plain),
        _ => Some(Secret::new(plain.to_vec())),
    }
}

/// The shared secret in the point that the agent gives.
fn shared<'a>(curve: &Curve, point: &'a [u8]) -> Option<&'a [u8]> {
    match (curve, point.split_first()?) {
        (Curve::Cv25519, (0x40, x)) => Some(x),
        (Curve::Cv25519, _) => Some(point),
        // Uncompressed: its first coordinate.
        (_, (4, both)) => both.get(..both.len() / 2),
        _ => None,
    }
}

/// What is inside PKCS#1 v1.5's padding for encryption (RFC 8017 7.2.2).
fn unpadded(padded: &[u8]) -> Option<Secret> {
    let padded = padded.strip_prefix(&[0]).unwrap_or(padded);
    let padded = padded.strip_prefix(&[2])?;
    let end = padded.iter().position(|byte| *byte == 0)?;
    (end >= 8).then(|| Secret::new(padded.get(end + 1..).unwrap_or_default().to_vec()))
}

/// A key's own point as if somebody had encrypted to it, for a key that can only decrypt.
fn own_point(public: &Public) -> Option<mpi::Ciphertext> {
    match public.mpis() {
        mpi::PublicKey::ECDH { q, .. } => Some(mpi::Ciphertext::ECDH {
            e: q.clone(),
            key: vec![0; 40].into_boxed_slice(),
        }),
        mpi::PublicKey::ElGamal { g, y, .. } => Some(mpi::Ciphertext::ElGamal {
            e: g.clone(),
            c: y.clone(),
        }),
        _ => None,
    }
}

/// Whether the agent did not answer in its time.
fn is_silence(error: &Error) -> bool {
    let source = error.source.as_ref();
    let io = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
}

/// An error about a key, which the agent has another name for.
fn about(grip: &Grip, mut error: Error) -> Error {
    if let Kind::KeyMissing { key_ids, .. } = &mut error.kind {
        *key_ids = vec![grip.subkey.clone()];
    }
    error
}

fn absent(handle: &str) -> Error {
    Error::new(
        Kind::KeyMissing {
            r#for: KeyUse::Decrypt,
            addresses: Vec::new(),
            key_ids: vec![handle.to_owned()],
        },
        "GnuPG's agent does not have the secret half of this key; import it there",
    )
}
