//! The unlocked keys of all families behind one door, and the table in which a family holds
//! its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::error::{Error, KeyUse, Kind};
use crate::base::keys::{Certs, KeyId, Lease, Parted, Private, Protocol};

/// The private keys in this process, each with its family. None is unlocked yet.
pub fn unlocked(certs: &Arc<dyn Certs>) -> Private {
    Arc::new(Parted::new(
        |id| id.protocol() == Protocol::OpenPgp,
        Arc::new(super::openpgp::Unlocked::new(Arc::clone(certs))),
        Arc::new(super::smime::Unlocked::new(Arc::clone(certs))),
    ))
}

/// The error where what a private half gave is no signature of its certificate: an agent or a
/// token that has another key under this name, or is broken.
pub(super) fn not_signed(id: &KeyId) -> Error {
    Error::new(
        Kind::KeyUnusable {
            id: id.clone(),
            reasons: vec!["mismatch"],
        },
        "the agent or token of this key signed with another key, and that signature was thrown away; see whether it has the right key",
    )
}

/// The error for a secret half that no door knows: what the store says of it, which may have it
/// and not be able to read it, or else that it is not there.
pub(super) fn absent(certs: &Arc<dyn Certs>, id: &KeyId) -> Error {
    match certs.sealed_secret(id) {
        Err(error) if !matches!(error.kind, Kind::KeyMissing { .. }) => error,
        _ => Error::new(
            Kind::KeyMissing {
                r#for: KeyUse::Sign,
                addresses: Vec::new(),
                key_ids: vec![id.fingerprint().to_owned()],
            },
            "the secret half of this key is not here; import it",
        ),
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

    /// As [`PrivateKeys::wipe`].
    pub(super) fn wipe(&self, id: Option<&KeyId>) {
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
