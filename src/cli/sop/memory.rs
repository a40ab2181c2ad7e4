//! A key store that one command line makes and forgets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::error::Result;
use crate::base::keys::{
    Acceptance, Certs, KeyId, Opener, Protocol, SealedSecret, Source, StoredCert, no_such_key,
    not_own,
};
use crate::base::{Address, Secret};
use crate::engine::Under;
use crate::engine::openpgp::{self, Transferable};

/// The certificates and keys that were named, each once.
#[derive(Default)]
pub struct Memory(Mutex<Vec<Entry>>);

struct Entry {
    stored: StoredCert,
    handles: Vec<String>,
    secret: Option<Arc<Secret>>,
    under: Under,
}

impl Memory {
    fn all(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a certificate or a key up, and says what is here of it from then on: of two copies
    /// both.
    ///
    /// # Errors
    /// `message.malformed` when two certificates have one fingerprint.
    pub fn put(&self, one: Transferable) -> Result<StoredCert> {
        let mut all = self.all();
        let known = all.iter_mut().find(|entry| entry.stored.id == one.id);
        let secret = one.secret.map(Arc::new);
        if let Some(known) = known {
            if known.stored.cert != one.cert {
                let both = openpgp::merge_whole(&known.stored.cert, &one.cert)?;
                known.stored.cert = both.into();
                for handle in one.handles {
                    if !known.handles.contains(&handle) {
                        known.handles.push(handle);
                    }
                }
            }
            if known.secret.is_none() {
                (known.secret, known.under) = (secret, one.under);
            }
            known.stored.own = known.secret.is_some();
            return Ok(known.stored.clone());
        }
        let stored = StoredCert {
            id: one.id,
            cert: one.cert,
            source: Source::Imported,
            own: secret.is_some(),
        };
        all.push(Entry {
            stored: stored.clone(),
            handles: one.handles,
            secret,
            under: one.under,
        });
        Ok(stored)
    }

    fn find(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<StoredCert> {
        let all = self.all();
        let found = all.iter().filter(|entry| wanted(entry));
        found.map(|entry| entry.stored.clone()).collect()
    }
}

impl Certs for Memory {
    fn by_handle(&self, protocol: Protocol, handle: &str) -> Result<Vec<StoredCert>> {
        Ok(self.find(|entry| {
            entry.stored.id.protocol() == protocol && entry.handles.iter().any(|h| h == handle)
        }))
    }

    fn by_address(&self, _: Protocol, _: &Address) -> Result<Vec<StoredCert>> {
        // Whoever is meant here is named by a file, never by an address.
        Ok(Vec::new())
    }

    fn own(&self, protocol: Protocol) -> Result<Vec<StoredCert>> {
        Ok(self.find(|entry| entry.stored.own && entry.stored.id.protocol() == protocol))
    }

    fn acceptance(&self, _: &KeyId, _: &Address) -> Result<Acceptance> {
        Ok(Acceptance::Undecided)
    }

    fn sealed_secret(&self, id: &KeyId) -> Result<SealedSecret> {
        let all = self.all();
        let entry = all.iter().find(|entry| entry.stored.id == *id);
        let entry = entry.ok_or_else(no_such_key)?;
        let secret = entry.secret.as_ref().ok_or_else(not_own)?;
        Ok(SealedSecret {
            sealed: Secret::new(secret.expose().to_vec()),
            // What lies in the clear opens by anything.
            device: (entry.under == Under::Nothing)
                .then(|| Opener::Store(Arc::new(Secret::default()))),
        })
    }
}
