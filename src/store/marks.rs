//! The secret by which this store knows again what it gave out: drafts, and what stands in for a
//! message that is answered. It opens no key.

use super::{Copied, Store, files, secrets};
use crate::base::error::{Error, Kind};
use crate::base::{Result, Secret};

/// Its length in bytes.
const LENGTH: usize = 32;

impl Store {
    /// The secret: random, made when it is first asked for, the same for every host from then on.
    /// One that is cut or swollen gives way to a new one: what was marked with it is no longer
    /// known again, and nothing else is lost.
    ///
    /// # Errors
    /// `store.unavailable`; `internal` when the system has no randomness.
    pub fn marks(&self) -> Result<Secret> {
        let file = self.home.marks();
        if let Some(secret) = self.read_marks()? {
            return Ok(secret);
        }
        if files::stamp(&file).is_some() {
            log::warn!("the secret for marks is damaged; a new one is made");
            files::remove(&file)?;
        }
        files::write_first(&file, Secret::random(LENGTH)?.expose())?;
        self.read_marks()?.ok_or_else(|| {
            Error::new(
                Kind::StoreUnavailable,
                "the secret for drafts can't be kept in the folder of state; look at its disk",
            )
        })
    }

    /// Whether the secret of a backup would become this store's: only where there is no secret key,
    /// so that no draft of its own can be here, and where the backup has one to read drafts with.
    /// Whoever knows the secret could otherwise have their mail opened as a draft.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn takes_marks(&self, copied: &Copied) -> Result<bool> {
        let whole = |secret: &Secret| secret.expose().len() == LENGTH;
        Ok(copied.marks.as_ref().is_some_and(whole)
            && !copied.secrets.is_empty()
            && secrets::all(&self.home)?.is_empty())
    }

    /// Takes up the secret of a backup, where [`Store::takes_marks`]: before its secret keys, so that
    /// what is cut off is finished by doing it again.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn restore_marks(&self, copied: &Copied) -> Result<()> {
        let _lock = secrets::lock(&self.home)?;
        match &copied.marks {
            Some(marks) if self.takes_marks(copied)? => {
                files::write(&self.home.marks(), marks.expose())
            }
            _ => Ok(()),
        }
    }

    /// The secret, where there is one that is whole.
    pub(super) fn read_marks(&self) -> Result<Option<Secret>> {
        match files::read(&self.home.marks(), LENGTH as u64) {
            Ok(found) => {
                let secret = found.map(|(bytes, _)| Secret::new(bytes));
                Ok(secret.filter(|secret| secret.expose().len() == LENGTH))
            }
            Err(e) if matches!(e.kind, Kind::LimitExceeded { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}
