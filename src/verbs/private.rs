//! Private keys wherever they lie: on a token, or with whoever has the others.

use std::sync::Arc;

use crate::base::keys::{KeyId, KeyPairId, Opening, Private, PrivateKeys, SecretState, Signing};
use crate::base::{Result, Secret};
use crate::tokens::Tokens;

/// The tokens, and everybody else.
pub(super) struct Everywhere {
    tokens: Arc<Tokens>,
    others: Private,
}

impl Everywhere {
    pub(super) fn new(tokens: Arc<Tokens>, others: Private) -> Everywhere {
        Everywhere { tokens, others }
    }

    fn of(&self, id: &KeyId) -> &dyn PrivateKeys {
        match self.tokens.knows(id) {
            true => &*self.tokens,
            false => &*self.others,
        }
    }
}

impl PrivateKeys for Everywhere {
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
                self.tokens.lock(None);
                self.others.lock(None);
            }
        }
    }

    fn expire(&self, now: u64) {
        self.tokens.expire(now);
        self.others.expire(now);
    }
}
