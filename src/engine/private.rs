//! The unlocked keys of all families behind one door.

use std::sync::Arc;

use crate::base::Secret;
use crate::base::error::Result;
use crate::base::keys::{
    Certs, KeyId, KeyPairId, Opening, Private, PrivateKeys, Protocol, SecretState, Signing,
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

    fn unlock(&self, id: &KeyId, passphrase: &Secret, until: u64) -> Result<()> {
        self.of(id).unlock(id, passphrase, until)
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
