//! Folders of certificates, as files: OpenPGP ones in the layout of the shared PGP
//! certificate directory, S/MIME ones as `SHA256.der`.
//!
//! The bytes are opaque. The openpgp-cert-d crate says where a certificate lies and whether
//! anything changed; writing goes through [`super::files`], because the crate's own writer
//! (0.3.4) does not wait for the disk. Its lock is taken all the same.

use std::path::PathBuf;

use openpgp_cert_d::CertD;

use super::files::{self, Batch, Durable, Lock, Stamp};
use super::home::Home;
use crate::base::{Error, KeyId, Kind, Protocol, Result};

/// The largest certificate kept, in bytes. Certificates with thousands of signatures by
/// strangers reach a few MiB; beyond that somebody is flooding us.
pub const CERT_MAX: u64 = 8 << 20;

/// How far a certificate is a person's own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Imported, accepted or generated.
    Kept,
    /// Came with a message.
    Harvested,
}

/// One folder of certificates of one family.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) protocol: Protocol,
    pub(super) place: Place,
    base: PathBuf,
}

/// The folder that OpenPGP programs share (`PGP_CERT_D`, or its default).
pub(super) fn shared_folder() -> Result<PathBuf> {
    CertD::user_configured_store_path().map_err(|e| {
        Error::new(
            Kind::StoreUnavailable,
            "there is no folder for certificates on this platform; set PGP_CERT_D or SEALPOST_HOME",
        )
        .because(e)
    })
}

impl Folder {
    /// All folders, the kept ones first.
    pub(super) fn all(home: &Home) -> Vec<Folder> {
        [Protocol::OpenPgp, Protocol::Smime]
            .into_iter()
            .flat_map(|protocol| {
                [Place::Kept, Place::Harvested]
                    .into_iter()
                    .map(move |place| Folder::new(home, protocol, place))
            })
            .collect()
    }

    pub(super) fn new(home: &Home, protocol: Protocol, place: Place) -> Folder {
        let base = match (protocol, place) {
            (Protocol::OpenPgp, Place::Kept) => home.certs.clone(),
            (Protocol::OpenPgp, Place::Harvested) => home.harvested(),
            (Protocol::Smime, Place::Kept) => home.smime(),
            (Protocol::Smime, Place::Harvested) => home.harvested_smime(),
        };
        Folder {
            protocol,
            place,
            base,
        }
    }

    /// A number for the index's rows.
    pub(super) fn number(&self) -> i64 {
        folder_number(self.protocol, self.place)
    }

    /// Where a certificate lies, whether it is there or not.
    ///
    /// # Errors
    /// `store.unavailable` when that is behind a link.
    pub(super) fn path(&self, id: &KeyId) -> Result<PathBuf> {
        match self.protocol {
            Protocol::OpenPgp => {
                let path = self
                    .certd()?
                    .get_path_by_fingerprint(id.fingerprint())
                    .map_err(|e| {
                        Error::internal("a key id has no place; report this").because(e)
                    })?;
                if let Some(section) = path.parent() {
                    files::no_link(section)?;
                }
                Ok(path)
            }
            Protocol::Smime => Ok(self.base.join(format!("{}.der", id.fingerprint()))),
        }
    }

    /// A certificate's bytes; `None` when it is not in this folder.
    ///
    /// # Errors
    /// `store.unavailable`; `limit.exceeded`.
    pub(super) fn read(&self, id: &KeyId) -> Result<Option<(Vec<u8>, Stamp)>> {
        files::read(&self.path(id)?, CERT_MAX)
    }

    pub(super) fn stamp(&self, id: &KeyId) -> Option<Stamp> {
        self.path(id).ok().and_then(|path| files::stamp(&path))
    }

    /// Takes the lock that every writer of this folder takes, and makes the folder.
    pub(super) fn lock(&self) -> Result<Lock> {
        files::folder(&self.base)?;
        Lock::take(&self.lock_file())
    }

    /// The file of that lock.
    pub(super) fn lock_file(&self) -> PathBuf {
        self.base.join("writelock")
    }

    /// A group of writes. Under the lock.
    pub(super) fn batch(&self, durable: Durable) -> Batch {
        Batch::new(&self.base, durable)
    }

    /// Waits until what was written together is on the disk.
    pub(super) fn settle(&self) -> Result<()> {
        files::settle(&self.base)
    }

    /// Removes a certificate's file; false when there was none. Under the lock.
    pub(super) fn remove(&self, id: &KeyId) -> Result<bool> {
        files::remove(&self.path(id)?)
    }

    /// Changes whenever a certificate is added, changed or removed, by whomever.
    pub(super) fn tag(&self) -> i64 {
        match self.protocol {
            Protocol::OpenPgp => self.certd().map_or(0, |d| d.tag().0.cast_signed()),
            Protocol::Smime => files::stamp(&self.base).map_or(0, Stamp::number),
        }
    }

    /// The parts of the folder that change apart: their names, with their stamps.
    pub(super) fn sections(&self) -> Result<Vec<(String, Stamp)>> {
        match self.protocol {
            Protocol::OpenPgp => Ok(files::list_named(&self.base)?
                .into_iter()
                .filter(|name| name.len() == 2 && lower_hex(name))
                .filter_map(|name| files::stamp(&self.base.join(&name)).map(|s| (name, s)))
                .collect()),
            Protocol::Smime => Ok(files::stamp(&self.base)
                .map(|stamp| (String::new(), stamp))
                .into_iter()
                .collect()),
        }
    }

    /// The certificates that lie in one section, with their files' stamps.
    pub(super) fn in_section(&self, section: &str) -> Result<Vec<(KeyId, Stamp)>> {
        let folder = self.base.join(section);
        let found = files::list_named(&folder)?.into_iter().filter_map(|name| {
            let id = match self.protocol {
                Protocol::OpenPgp if lower_hex(&name) => {
                    KeyId::from_hex(self.protocol, &format!("{section}{name}"))?
                }
                Protocol::OpenPgp => return None,
                Protocol::Smime => KeyId::from_hex(self.protocol, name.strip_suffix(".der")?)?,
            };
            Some((id, files::stamp(&folder.join(name))?))
        });
        Ok(found.collect())
    }

    fn certd(&self) -> Result<CertD> {
        CertD::with_base_dir(&self.base).map_err(|e| {
            Error::new(
                Kind::StoreUnavailable,
                "the folder of certificates can't be used; check it",
            )
            .because(e)
        })
    }
}

/// The number under which the index knows a folder.
pub(super) fn folder_number(protocol: Protocol, place: Place) -> i64 {
    match (protocol, place) {
        (Protocol::OpenPgp, Place::Kept) => 0,
        (Protocol::OpenPgp, Place::Harvested) => 1,
        (Protocol::Smime, Place::Kept) => 2,
        (Protocol::Smime, Place::Harvested) => 3,
    }
}

fn lower_hex(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn id(hex: &str) -> KeyId {
        KeyId::from_hex(Protocol::OpenPgp, hex).unwrap()
    }

    #[test]
    fn openpgp_certificates_lie_where_the_shared_directory_wants_them() {
        let home = Home::at("/nowhere");
        let folder = Folder::new(&home, Protocol::OpenPgp, Place::Kept);
        let path = folder
            .path(&id("EB85BB5FA33A75E15E944E63F231550C4F47E38E"))
            .unwrap();
        assert_eq!(
            path,
            Path::new("/nowhere/pgp.cert.d/eb/85bb5fa33a75e15e944e63f231550c4f47e38e")
        );
    }

    #[test]
    fn strangers_in_the_folder_are_not_certificates() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(&Home::at(home.path()), Protocol::OpenPgp, Place::Kept);
        let one = id("EB85BB5FA33A75E15E944E63F231550C4F47E38E");
        files::write(&folder.path(&one).unwrap(), b"x").unwrap();
        for name in [
            "eb/README",
            "eb/EB",
            "zz/aa",
            "trust-root",
            ".tmpABC",
            "eb/.tmpABC",
        ] {
            files::write(&folder.base.join(name), b"x").unwrap();
        }
        let sections = folder.sections().unwrap();
        assert_eq!(sections.len(), 1);
        let found = folder.in_section(&sections[0].0).unwrap();
        assert_eq!(
            found.into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
            [one]
        );
    }
}
