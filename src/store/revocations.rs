//! Revocations that were made with a key and kept for the day when its passphrase is lost. Who
//! has one can end the key, no more.

use std::path::PathBuf;

use bytes::Bytes;

use super::index::unfallen;
use super::{Store, files};
use crate::base::{Error, KeyId, Kind, Protocol, Result};

/// The largest one: a certificate with its revocation.
const REVOCATION_MAX: u64 = 1 << 20;

impl Store {
    /// Keeps the revocation of a key.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn put_revocation(&self, id: &KeyId, revocation: &[u8]) -> Result<()> {
        files::write(&self.revocation_path(id)?, revocation)
    }

    /// The revocation that was kept of a key.
    ///
    /// # Errors
    /// `store.damaged` when it is none of this key any more; `store.unavailable`.
    pub fn revocation(&self, id: &KeyId) -> Result<Option<Bytes>> {
        let Some((bytes, _)) = files::read(&self.revocation_path(id)?, REVOCATION_MAX)? else {
            return Ok(None);
        };
        match self.is_revocation(id, &bytes) {
            true => Ok(Some(bytes.into())),
            false => Err(Error::new(
                Kind::StoreDamaged,
                "the revocation that was kept of this key is damaged; restore it from a backup",
            )),
        }
    }

    /// Whether these bytes are the certificate that a revocation of this key comes with.
    pub fn is_revocation(&self, id: &KeyId, bytes: &[u8]) -> bool {
        unfallen(|| (self.facts)(id.protocol(), bytes, 0)).is_ok_and(|facts| facts.id == *id)
    }

    /// The keys of which a revocation was kept.
    pub(super) fn revocations(&self) -> Result<Vec<KeyId>> {
        let names = files::list(&self.home.revocations())?;
        let ids = names.iter().filter_map(|name| {
            KeyId::from_hex(Protocol::OpenPgp, name.strip_suffix(".revocation")?)
        });
        Ok(ids.collect())
    }

    /// Removes it, with the key.
    pub(super) fn forget_revocation(&self, id: &KeyId) -> Result<()> {
        files::remove(&self.revocation_path(id)?).map(drop)
    }

    pub(super) fn revocation_path(&self, id: &KeyId) -> Result<PathBuf> {
        let name = format!("{}.revocation", id.fingerprint());
        files::within(&self.home.revocations(), &name)
    }
}
