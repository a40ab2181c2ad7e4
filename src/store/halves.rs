//! Secret halves, as the rest of the program keeps and removes them: their files, their rows, and
//! what the desktop's key store has for them.

use std::sync::Arc;

use super::Store;
use super::secrets::{self, Wrap};
use crate::base::error::{Error, Kind};
use crate::base::keys::{Keychain, no_such_key};
use crate::base::{KeyId, Result, Secret};

impl Store {
    /// Writes a secret half, encrypted by whoever calls; on return it is on the disk. Write
    /// it before its certificate: then an interruption never leaves a key that claims to be
    /// ours and can't be opened.
    ///
    /// # Errors
    /// `store.unavailable`; `limit.exceeded` above [`SECRET_MAX`].
    pub fn put_secret(&self, id: &KeyId, sealed: &Secret, wrap: Wrap) -> Result<()> {
        let before = secrets::wrap(&self.home, id);
        secrets::put(&self.home, id, sealed, wrap)?;
        if before == Some(Wrap::Keychain) && wrap != Wrap::Keychain {
            self.leave_keychain(id);
        }
        self.change(|tx| {
            tx.set_secret(id, secrets::wrap(&self.home, id))?;
            tx.bump()
        })
    }

    /// Writes a secret half that is sealed under a passphrase which the desktop's key store is
    /// to keep. Nothing is written where there is no such store.
    ///
    /// # Errors
    /// `passphrase.unavailable`; as [`Store::put_secret`].
    pub fn put_secret_in_keychain(
        &self,
        id: &KeyId,
        sealed: &Secret,
        passphrase: &Secret,
    ) -> Result<()> {
        self.desktop()?.put(&id.to_string(), passphrase)?;
        self.put_secret(id, sealed, Wrap::Keychain)
    }

    /// The desktop's key store.
    ///
    /// # Errors
    /// `passphrase.unavailable` when there is none.
    pub(super) fn desktop(&self) -> Result<&Arc<dyn Keychain>> {
        self.keychain.as_ref().ok_or_else(|| {
            Error::new(
                Kind::PassphraseUnavailable,
                "this desktop has no key store that the host can use; ask for a passphrase instead",
            )
        })
    }

    /// Whether a secret half is here, or known to be somewhere.
    pub fn has_secret(&self, id: &KeyId) -> bool {
        secrets::wrap(&self.home, id).is_some()
    }

    /// Writes another secret half, sealed under the same as the one that is here.
    ///
    /// # Errors
    /// `key.missing`; as [`Store::put_secret`].
    pub fn replace_secret(&self, id: &KeyId, sealed: &Secret) -> Result<()> {
        let wrap = secrets::wrap(&self.home, id).ok_or_else(no_such_key)?;
        self.put_secret(id, sealed, wrap)
    }

    /// Keeps for a certificate the secret half of another one, which has the same key.
    ///
    /// # Errors
    /// `key.missing` when that one has none; as [`Store::put_secret`].
    pub fn put_secret_as(&self, id: &KeyId, other: &KeyId) -> Result<()> {
        let (wrap, sealed) = secrets::whole(&self.home, other)?;
        if let (Wrap::Keychain, Some(keychain)) = (wrap, &self.keychain) {
            keychain.put(&id.to_string(), &keychain.get(&other.to_string())?)?;
        }
        self.put_secret(id, &sealed, wrap)
    }

    /// Removes a secret half for good. The certificate stays.
    ///
    /// # Errors
    /// `key.missing` when there is none; `store.unavailable`.
    pub fn delete_secret(&self, id: &KeyId) -> Result<()> {
        let in_keychain = secrets::wrap(&self.home, id) == Some(Wrap::Keychain);
        if !secrets::delete(&self.home, id)? {
            return Err(no_such_key());
        }
        if in_keychain {
            self.leave_keychain(id);
        }
        self.forget_revocation(id)?;
        self.change(|tx| {
            tx.set_secret(id, secrets::wrap(&self.home, id))?;
            tx.bump()
        })
    }

    /// The desktop's key store need not keep anything for this key.
    fn leave_keychain(&self, id: &KeyId) {
        if let Some(keychain) = &self.keychain
            && let Err(error) = keychain.delete(&id.to_string())
        {
            // It opens nothing any more.
            log::warn!("keychain: {}", error.kind.name());
        }
    }

    /// The store's own passphrase, for keys whose owner wants none: 32 random bytes, made on
    /// first use.
    ///
    /// # Errors
    /// `store.damaged` when it is gone although a key depends on it; `store.unavailable`.
    pub fn device_passphrase(&self) -> Result<Arc<Secret>> {
        secrets::device(&self.home)
    }
}
