//! The unlocked keys of all families behind one door, and the table in which a family holds
//! its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::Secret;
use crate::base::error::Result;
use crate::base::keys::{
    Certs, KeyId, KeyPairId, Lease, Opening, Private, PrivateKeys, Protocol, SecretState, Signing,
};

/// The private keys in this process, each with its family.
pub struct Unlocked {
    openpgp: Private,
    smime: Private,
}

impl Unlocked {
    /// None is unlocked yet.
    pub fn new(certs: &Arc<dyn Certs>) -> Unlocked {
        Unlocked {
            openpgp: Arc::new(super::openpgp::Unlocked::new(Arc::clone(certs))),
            smime: Arc::new(super::smime::Unlocked::new(Arc::clone(certs))),
        }
    }

    fn of(&self, id: &KeyId) -> &Private {
        match id.protocol() {
            Protocol::OpenPgp => &self.openpgp,
            Protocol::Smime => &self.smime,
        }
    }
}

impl PrivateKeys for Unlocked {
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
                self.openpgp.lock(None);
                self.smime.lock(None);
            }
        }
    }

    fn expire(&self, now: u64) {
        self.openpgp.expire(now);
        self.smime.expire(now);
    }
}

/// What a family has unlocked, each for its time. Using it makes that time longer.
pub(super) struct Held<T> {
    held: Mutex<HashMap<KeyId, (Lease, Arc<T>)>>,
    /// When [`Held::expire`] was called last.
    now: AtomicU64,
}

impl<T> Default for Held<T> {
    fn default() -> Held<T> {
        Held {
            held: Mutex::default(),
            now: AtomicU64::default(),
        }
    }
}

impl<T> Held<T> {
    fn table(&self) -> MutexGuard<'_, HashMap<KeyId, (Lease, Arc<T>)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a key from now on.
    pub(super) fn hold(&self, id: &KeyId, key: T, lease: Lease) -> Arc<T> {
        let key = Arc::new(key);
        self.table().insert(id.clone(), (lease, Arc::clone(&key)));
        key
    }

    /// A key that is to be used now.
    pub(super) fn used(&self, id: &KeyId) -> Option<Arc<T>> {
        let mut table = self.table();
        let (lease, key) = table.get_mut(id)?;
        lease.used(self.now.load(Ordering::Relaxed));
        Some(Arc::clone(key))
    }

    /// Whether a key is held.
    pub(super) fn has(&self, id: &KeyId) -> bool {
        self.table().contains_key(id)
    }

    /// As [`PrivateKeys::until`].
    pub(super) fn until(&self, id: &KeyId) -> Option<u64> {
        let until = self.table().get(id)?.0.until();
        (until != Lease::FOREVER.until()).then_some(until)
    }

    /// As [`PrivateKeys::lock`].
    pub(super) fn lock(&self, id: Option<&KeyId>) {
        let mut table = self.table();
        match id {
            Some(id) => drop(table.remove(id)),
            None => table.clear(),
        }
    }

    /// As [`PrivateKeys::expire`].
    pub(super) fn expire(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
        self.table().retain(|_, (lease, _)| !lease.is_over(now));
    }
}
