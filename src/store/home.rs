//! Where things lie: one folder of state, and the folder of certificates, which may be
//! shared with other OpenPGP programs.

use std::env;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::certs;
use crate::base::{Error, Kind, Protocol, Result};

/// Whose the folder of kept OpenPGP certificates is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Ours alone, inside the folder of state.
    Ours,
    /// The person's, for every program that knows the shared PGP certificate directory.
    /// Nothing is ever deleted in it.
    Shared,
}

/// The folders that one person's hosts work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Everything that is not a kept OpenPGP certificate.
    pub state: PathBuf,
    /// OpenPGP certificates that were imported, accepted or generated: a PGP cert-d.
    pub certs: PathBuf,
    /// Whose `certs` is.
    pub ownership: Ownership,
}

impl Home {
    /// `SEALPOST_HOME` for everything, if it is set; else the platform's data folder for
    /// state and the person's shared certificate directory (`PGP_CERT_D`, or its default).
    /// Touches no disk.
    ///
    /// # Errors
    /// `store.unavailable` when `SEALPOST_HOME` is not an absolute path or when there is no
    /// home folder to be found.
    pub fn from_env() -> Result<Home> {
        if let Some(path) = env::var_os("SEALPOST_HOME").filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            // A browser starts its hosts wherever it likes.
            if !path.is_absolute() {
                return Err(unavailable(
                    "SEALPOST_HOME has to be an absolute path; set it so",
                ));
            }
            return Ok(Home::at(path));
        }
        let data = etcetera::base_strategy::choose_native_strategy()
            .map_err(|e| {
                unavailable("there is no home folder; set HOME or SEALPOST_HOME").because(e)
            })?
            .data_dir();
        Ok(Home {
            state: data.join("sealpost"),
            certs: certs::shared_folder()?,
            ownership: Ownership::Shared,
        })
    }

    /// Everything under this one folder.
    pub fn at(path: impl Into<PathBuf>) -> Home {
        let state = path.into();
        Home {
            certs: state.join("pgp.cert.d"),
            state,
            ownership: Ownership::Ours,
        }
    }

    /// Where the person's own rules stand.
    pub fn policy(&self) -> PathBuf {
        self.state.join("policy.toml")
    }

    /// The folders of ours in it, whether they are there or not.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![
            self.harvested(),
            self.smime(),
            self.harvested_smime(),
            self.anchors(),
            self.revocation_lists(),
            self.revocations(),
            self.capabilities(),
            self.secrets(),
            self.agent(),
            self.locked(),
        ];
        if self.ownership == Ownership::Ours {
            folders.push(self.certs.clone());
        }
        folders
    }

    pub(super) fn harvested(&self) -> PathBuf {
        self.state.join("harvested.cert.d")
    }

    pub(super) fn smime(&self) -> PathBuf {
        self.state.join("smime")
    }

    pub(super) fn harvested_smime(&self) -> PathBuf {
        self.state.join("harvested.smime")
    }

    pub(super) fn anchors(&self) -> PathBuf {
        self.state.join("anchors")
    }

    pub(super) fn revocation_lists(&self) -> PathBuf {
        self.state.join("revocation-lists")
    }

    pub(super) fn revocations(&self) -> PathBuf {
        self.state.join("revocations")
    }

    pub(super) fn capabilities(&self) -> PathBuf {
        self.state.join("capabilities")
    }

    pub(super) fn secrets(&self) -> PathBuf {
        self.state.join("secrets")
    }

    pub(super) fn device_key(&self) -> PathBuf {
        self.state.join("device.key")
    }

    pub(super) fn marks(&self) -> PathBuf {
        self.state.join("marks.key")
    }

    pub(super) fn decisions(&self) -> PathBuf {
        self.state.join("decisions.journal")
    }

    pub(super) fn gnupg(&self) -> PathBuf {
        self.state.join("gnupg")
    }

    pub(super) fn descriptions(&self) -> PathBuf {
        self.state.join("descriptions")
    }

    pub(super) fn gnupg_listing(&self, of: Protocol) -> PathBuf {
        self.state.join(format!("gnupg-{}.listing", of.name()))
    }

    pub(super) fn gnupg_certs(&self, of: Protocol) -> PathBuf {
        self.state.join(format!("gnupg-{}.certs", of.name()))
    }

    pub(super) fn agent(&self) -> PathBuf {
        self.state.join("agent")
    }

    pub(super) fn locked(&self) -> PathBuf {
        self.state.join("locked")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.state.join("log")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    pub(super) fn index(&self, generation: u32) -> PathBuf {
        self.state.join(format!("index-{generation}.db"))
    }
}

impl AsRef<Path> for Home {
    fn as_ref(&self) -> &Path {
        &self.state
    }
}

/// GnuPG's home folder, where its keys are to be used: the one that `GNUPGHOME` names, or else
/// the person's own, unless this is not the person's own state (`SEALPOST_HOME`). `None` when
/// there is no such folder.
pub fn gnupg_home() -> Option<PathBuf> {
    let named = |name| env::var_os(name).filter(|value| !value.is_empty());
    let home = match (named("GNUPGHOME"), named("SEALPOST_HOME")) {
        (Some(path), _) => PathBuf::from(path),
        (None, None) => etcetera::home_dir().ok()?.join(".gnupg"),
        (None, Some(_)) => return None,
    };
    (home.is_absolute() && home.is_dir()).then_some(home)
}

fn unavailable(message: &str) -> Error {
    Error::new(Kind::StoreUnavailable, message)
}
