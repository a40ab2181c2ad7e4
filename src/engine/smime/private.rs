//! The secret keys that are unlocked in this process.

use std::sync::Arc;

use crate::base::Secret;
use crate::base::error::Result;
use crate::base::keys::{
    Certs, KeyId, KeyPairId, Opening, PrivateKeys, SecretState, Signing, no_such_key,
};

/// Private keys in this process, unlocked for a time. A key whose passphrase the store itself
/// keeps opens by itself when it is used first.
pub struct Unlocked {
    certs: Arc<dyn Certs>,
}

impl Unlocked {
    /// None is unlocked yet.
    pub fn new(certs: Arc<dyn Certs>) -> Unlocked {
        Unlocked { certs }
    }
}

impl PrivateKeys for Unlocked {
    fn state(&self, id: &KeyId) -> SecretState {
        match self.certs.sealed_secret(id) {
            Ok(_) => SecretState::Locked,
            Err(_) => SecretState::None,
        }
    }

    fn sign(&self, _key: &KeyPairId, _how: Signing, _data: &[u8]) -> Result<Vec<u8>> {
        Err(no_such_key())
    }

    fn decrypt(&self, _key: &KeyPairId, _how: Opening<'_>, _ciphertext: &[u8]) -> Result<Secret> {
        Err(no_such_key())
    }

    fn unlock(&self, _id: &KeyId, _passphrase: &Secret, _until: u64) -> Result<()> {
        Err(no_such_key())
    }

    fn lock(&self, _id: Option<&KeyId>) {}

    fn expire(&self, _now: u64) {}
}
