//! The secret by which this store knows again what it gave out: drafts, and what stands in for a
//! message that is answered. It opens no key.

use super::{Store, files};
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

    fn read_marks(&self) -> Result<Option<Secret>> {
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
