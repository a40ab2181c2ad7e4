//! Private keys wherever they lie: some in a special place, the others with whoever has them.

use crate::base::keys::{
    KeyId, KeyPairId, Lease, Opening, Private, PrivateKeys, SecretState, Signing,
};
use crate::base::{Result, Secret};

/// Two doors, and which keys are behind the first.
pub(super) struct Parted {
    is_special: Box<dyn Fn(&KeyId) -> bool + Send + Sync>,
    special: Private,
    others: Private,
}

impl Parted {
    pub(super) fn new(
        is_special: impl Fn(&KeyId) -> bool + Send + Sync + 'static,
        special: Private,
        others: Private,
    ) -> Parted {
        Parted {
            is_special: Box::new(is_special),
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
}
