//! Notices of locked keys: one small file for each key that was ever locked by name, and one for
//! all of them, where every process of this folder looks.
//!
//! Nobody but the person may write into the folder of state. Whoever can could only lock.

use std::path::PathBuf;

use super::Store;
use super::files;
use crate::base::error::{Error, Kind, Result};
use crate::base::keys::KeyId;
use crate::base::notices::{Notice, Notices};

/// What a notice says: bytes that no other has.
const LENGTH: usize = 16;

/// What stands for a notice that is there and can't be read.
const UNREADABLE: &[u8] = b"unreadable";

impl Store {
    fn notice(&self, id: Option<&KeyId>) -> Result<PathBuf> {
        let name = match id {
            Some(id) => format!("{}-{}", id.protocol().name(), id.fingerprint()),
            None => "all".to_owned(),
        };
        files::within(&self.home.locked(), &name)
    }
}

impl Notices for Store {
    fn last(&self, id: &KeyId) -> Notice {
        let mut last = Vec::with_capacity(2 * (LENGTH + 1));
        for path in [self.notice(None), self.notice(Some(id))] {
            let read = path.and_then(|path| match files::read(&path, LENGTH as u64)? {
                Some((bytes, _)) => Ok(bytes),
                None if files::is_something(&path) => Ok(UNREADABLE.to_vec()),
                None => Ok(Vec::new()),
            });
            last.extend(read.unwrap_or_else(|_| UNREADABLE.to_vec()));
            last.push(b'.');
        }
        Notice(last)
    }

    fn post(&self, id: Option<&KeyId>) -> Result<()> {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes)
            .map_err(|_| Error::internal("the system gives no random bytes"))?;
        let written = self.notice(id).and_then(|path| files::write(&path, &bytes));
        written.map_err(|error| {
            Error::new(
                Kind::StoreUnavailable,
                format!(
                    "locked here, but others that hold keys can't be told; {}",
                    error.message
                ),
            )
        })
    }
}
