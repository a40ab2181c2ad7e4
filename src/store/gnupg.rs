//! Which keys GnuPG's agent has, as far as they were taken up: for each a file among the secret
//! halves that says so, and one file that says as of when all of them are.

use std::path::PathBuf;

use super::secrets::{self, Wrap};
use super::{Store, files};
use crate::base::gnupg::Grip;
use crate::base::{KeyId, Kind, Result};

/// The longest stamp: a few files' times and sizes.
const STAMP_MAX: u64 = 4 << 10;

impl Store {
    /// Notes that GnuPG's agent has these key pairs of a certificate. A secret half that is here
    /// stays: false then.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn put_grips(&self, id: &KeyId, grips: &[Grip]) -> Result<bool> {
        match secrets::wrap(&self.home, id) {
            Some(Wrap::GnuPg) if secrets::grips(&self.home, id).is_ok_and(|here| here == grips) => {
                Ok(true)
            }
            // What is damaged is best replaced: GnuPG has the key.
            Some(wrap) if wrap != Wrap::GnuPg && !self.is_damaged(id) => Ok(false),
            _ => self
                .put_secret(id, &secrets::written(grips), Wrap::GnuPg)
                .map(|()| true),
        }
    }

    fn is_damaged(&self, id: &KeyId) -> bool {
        secrets::whole(&self.home, id).is_err_and(|e| e.kind == Kind::StoreDamaged)
    }

    /// Whether GnuPG's agent has the secret half.
    pub fn is_in_gnupg(&self, id: &KeyId) -> bool {
        secrets::wrap(&self.home, id) == Some(Wrap::GnuPg)
    }

    /// Whether the secret half is known to be elsewhere, and only used from here.
    pub fn is_elsewhere(&self, id: &KeyId) -> bool {
        matches!(
            secrets::wrap(&self.home, id),
            Some(Wrap::GnuPg | Wrap::Token)
        )
    }

    /// The certificates of which GnuPG's agent has the secret halves.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn in_gnupg(&self) -> Result<Vec<KeyId>> {
        let all = secrets::all(&self.home)?;
        let theirs = all.into_iter().filter(|(_, wrap)| *wrap == Wrap::GnuPg);
        Ok(theirs.map(|(id, _)| id).collect())
    }

    /// What changes when one of these files does.
    pub fn stamp_of(&self, paths: &[PathBuf]) -> String {
        let stamps = paths
            .iter()
            .map(|path| files::stamp(path).map_or(0, files::Stamp::number));
        // Another keyring is another state, too.
        let name = paths.first().map(|path| path.display().to_string());
        stamps.fold(name.unwrap_or_default(), |text, stamp| {
            format!("{text} {stamp:x}")
        })
    }

    /// As of which stamp GnuPG's keys were taken up. `None` when they never were.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn gnupg_stamp(&self) -> Result<Option<String>> {
        let found = files::read(&self.home.gnupg(), STAMP_MAX)?;
        Ok(found.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Keeps that they were.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn put_gnupg_stamp(&self, stamp: &str) -> Result<()> {
        files::write(&self.home.gnupg(), stamp.as_bytes())
    }
}
