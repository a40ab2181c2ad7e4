//! What one process locks is locked in all of them: each posts a notice where every other looks
//! before it uses a key. Unlocked keys may lie in the agent and in any host that has none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::Result;
use super::keys::{KeyId, KeyPairId, SecretState};
use super::private::{Lease, Opening, Private, PrivateKeys, Signing};
use super::secret::Secret;

/// What was posted last of a key. Where two are equal, it was not locked in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice(pub Vec<u8>);

/// The place for notices that all processes of a person share.
pub trait Notices: Send + Sync {
    /// What was posted last of this key, or of all.
    fn last(&self, id: &KeyId) -> Notice;

    /// Tells every process that a key is locked, or that all are.
    ///
    /// # Errors
    /// `store.unavailable`: then nobody else heard of it.
    fn post(&self, id: Option<&KeyId>) -> Result<()>;
}

/// A door that heeds the notices of all processes, and posts one for whatever it locks itself.
pub struct Heeding {
    notices: Arc<dyn Notices>,
    keys: Private,
    /// What stood there when a key was opened.
    seen: Mutex<HashMap<KeyId, Notice>>,
}

impl Heeding {
    /// In front of `keys`, which this process holds itself.
    pub fn new(notices: Arc<dyn Notices>, keys: Private) -> Heeding {
        Heeding {
            notices,
            keys,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<KeyId, Notice>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wipes a key that was locked since it was opened here.
    fn heed(&self, id: &KeyId) {
        // Held until it is wiped: whoever looks meanwhile waits for that.
        let mut seen = self.seen();
        if let Some(before) = seen.get_mut(id) {
            let last = self.notices.last(id);
            if *before != last {
                self.keys.wipe(Some(id));
                *before = last;
            }
        }
    }

    /// As [`Heeding::heed`], for a key that is to be used: it may open by itself.
    fn heed_to_use(&self, id: &KeyId) {
        if !self.seen().contains_key(id) {
            let last = self.notices.last(id);
            self.seen().entry(id.clone()).or_insert(last);
        }
        self.heed(id);
    }
}

impl PrivateKeys for Heeding {
    fn state(&self, id: &KeyId) -> SecretState {
        self.heed(id);
        self.keys.state(id)
    }

    fn sign(&self, key: &KeyPairId, how: Signing, data: &[u8]) -> Result<Vec<u8>> {
        self.heed_to_use(&key.cert);
        self.keys.sign(key, how, data)
    }

    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret> {
        self.heed_to_use(&key.cert);
        self.keys.decrypt(key, how, ciphertext)
    }

    fn unlock(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<()> {
        // As it was before: what is posted while the passphrase is stretched counts.
        let before = self.notices.last(id);
        self.keys.unlock(id, passphrase, lease)?;
        self.seen().insert(id.clone(), before);
        Ok(())
    }

    fn until(&self, id: &KeyId) -> Option<u64> {
        self.heed(id);
        self.keys.until(id)
    }

    fn lock(&self, id: Option<&KeyId>) -> Result<()> {
        let posted = self.notices.post(id);
        self.keys.wipe(id);
        posted
    }

    fn wipe(&self, id: Option<&KeyId>) {
        self.keys.wipe(id);
    }

    fn expire(&self, now: u64) {
        let opened: Vec<KeyId> = self.seen().keys().cloned().collect();
        for id in &opened {
            self.heed(id);
        }
        self.keys.expire(now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;
    use crate::base::keys::Protocol;

    /// One process's keys: whether the one that there is is open.
    #[derive(Default)]
    struct One(Mutex<bool>);

    impl PrivateKeys for One {
        fn state(&self, _: &KeyId) -> SecretState {
            match *self.0.lock().unwrap() {
                true => SecretState::Unlocked,
                false => SecretState::Locked,
            }
        }

        fn sign(&self, key: &KeyPairId, _: Signing, _: &[u8]) -> Result<Vec<u8>> {
            match self.state(&key.cert) {
                SecretState::Unlocked => Ok(Vec::new()),
                _ => Err(crate::base::ask::locked(&key.cert, "one")),
            }
        }

        fn decrypt(&self, _: &KeyPairId, _: Opening<'_>, _: &[u8]) -> Result<Secret> {
            Err(crate::base::Error::decrypt_failed())
        }

        fn unlock(&self, _: &KeyId, _: &Secret, _: Lease) -> Result<()> {
            *self.0.lock().unwrap() = true;
            Ok(())
        }

        fn until(&self, _: &KeyId) -> Option<u64> {
            None
        }

        fn wipe(&self, _: Option<&KeyId>) {
            *self.0.lock().unwrap() = false;
        }

        fn expire(&self, _: u64) {}
    }

    #[derive(Default)]
    struct Board(AtomicU8);

    impl Notices for Board {
        fn last(&self, _: &KeyId) -> Notice {
            Notice(vec![self.0.load(Ordering::SeqCst)])
        }

        fn post(&self, _: Option<&KeyId>) -> Result<()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    #[test]
    fn what_one_process_locks_no_other_uses() {
        let board: Arc<Board> = Arc::default();
        let process = || {
            let keys: Arc<One> = Arc::default();
            let board = Arc::clone(&board) as Arc<dyn Notices>;
            (Heeding::new(board, Arc::clone(&keys) as Private), keys)
        };
        let ((first, _), (second, held)) = (process(), process());
        let id = KeyId::from_hex(Protocol::OpenPgp, &"AB".repeat(20)).unwrap();
        let key = KeyPairId {
            cert: id.clone(),
            subkey: "AB".repeat(20),
        };
        let passphrase = Secret::new(Vec::new());
        let open = || second.unlock(&id, &passphrase, Lease::FOREVER).unwrap();
        open();
        second.sign(&key, Signing::Ecdsa, b"").unwrap();
        first.lock(Some(&id)).unwrap();
        assert!(second.sign(&key, Signing::Ecdsa, b"").is_err());
        open();
        second.sign(&key, Signing::Ecdsa, b"").unwrap();
        first.lock(None).unwrap();
        assert_eq!(second.state(&id), SecretState::Locked);
        // On its own, too.
        open();
        first.lock(None).unwrap();
        assert!(*held.0.lock().unwrap());
        second.expire(0);
        assert!(!*held.0.lock().unwrap());
        // Wiping is nobody else's affair.
        open();
        first.wipe(None);
        second.sign(&key, Signing::Ecdsa, b"").unwrap();
    }
}
