//! Revocations that were made with a key and kept for the day when its passphrase is lost. Who
//! has one can end the key, no more.

use std::path::PathBuf;

use bytes::Bytes;

use super::{Store, files};
use crate::base::{KeyId, Result};

/// The largest one: a certificate with its revocation.
const REVOCATION_MAX: u64 = 1 << 20;

impl Store {
    /// Keeps the revocation of a key.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn put_revocation(&self, id: &KeyId, revocation: &[u8]) -> Result<()> {
        files::folder(&self.home.revocations())?;
        files::write(&self.revocation_path(id), revocation)
    }

    /// The revocation that was kept of a key.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn revocation(&self, id: &KeyId) -> Result<Option<Bytes>> {
        let found = files::read(&self.revocation_path(id), REVOCATION_MAX)?;
        Ok(found.map(|(bytes, _)| bytes.into()))
    }

    /// Removes it, with the key.
    pub(super) fn forget_revocation(&self, id: &KeyId) -> Result<()> {
        files::remove(&self.revocation_path(id)).map(drop)
    }

    fn revocation_path(&self, id: &KeyId) -> PathBuf {
        let name = format!("{}.revocation", id.fingerprint());
        self.home.revocations().join(name)
    }
}
