//! What S/MIME needs beside certificates: the person's own trust anchors, revocation lists, and
//! what correspondents said of the algorithms they read. Small files, each written whole.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::index::unfallen;
use super::{Store, files};
use crate::base::keys::Anchor;
use crate::base::{Error, KeyId, Kind, Protocol, Result};

/// The largest anchor, with its domains.
const ANCHOR_MAX: u64 = 1 << 20;

/// Anchors of one person: an administrator's list has a dozen.
const ANCHORS_MAX: usize = 500;

/// The largest revocation list: some authorities never forget anybody.
const LIST_MAX: u64 = 64 << 20;

/// The largest file of authorities, in bytes: those of all systems together are a tenth of it.
const AUTHORITIES_MAX: u64 = 16 << 20;

/// The largest record of capabilities, with its date.
const CAPABILITIES_MAX: u64 = 16 << 10;

/// What ends the domains in an anchor's file.
const END: u8 = b'\n';

impl Store {
    /// Keeps a trust anchor; on return it is on the disk.
    ///
    /// # Errors
    /// `limit.exceeded`; `store.unavailable`.
    pub fn put_anchor(&self, id: &KeyId, anchor: &Anchor) -> Result<()> {
        if self.anchor_ids()?.len() >= ANCHORS_MAX {
            return Err(Error::limit(
                "anchors",
                "there are as many trust anchors as anybody can look after; remove some",
            ));
        }
        let mut bytes = anchor.domains.join(" ").into_bytes();
        bytes.push(END);
        bytes.extend_from_slice(&anchor.cert);
        files::write(&self.anchor_path(id)?, &bytes)?;
        self.change(|tx| tx.bump())
    }

    /// Removes a trust anchor; false when there was none.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn remove_anchor(&self, id: &KeyId) -> Result<bool> {
        let removed = files::remove(&self.anchor_path(id)?)?;
        self.change(|tx| tx.bump())?;
        Ok(removed)
    }

    /// Keeps the newest revocation list of an issuer, which the caller has checked.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn put_revocation_list(&self, issuer: &str, list: &[u8]) -> Result<()> {
        files::write(&self.list_path(issuer)?, list)?;
        self.change(|tx| tx.bump())
    }

    /// Keeps what the owner of a certificate said at `stated_at` (Unix seconds) of the
    /// algorithms they read, unless something later is known.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn put_capabilities(&self, id: &KeyId, stated_at: u64, stated: &[u8]) -> Result<()> {
        if stated.len() as u64 > CAPABILITIES_MAX - 8 {
            return Ok(());
        }
        if let Some((known_at, known)) = self.stated_capabilities(id)?
            && (known_at >= stated_at || known.as_ref() == stated)
        {
            return Ok(());
        }
        let bytes = [&stated_at.to_be_bytes(), stated].concat();
        files::write(&self.capabilities_path(id)?, &bytes)
    }

    pub(super) fn stated_capabilities(&self, id: &KeyId) -> Result<Option<(u64, Bytes)>> {
        let Some((bytes, _)) = files::read(&self.capabilities_path(id)?, CAPABILITIES_MAX)? else {
            return Ok(None);
        };
        let bytes = Bytes::from(bytes);
        let date = bytes.first_chunk().map(|date| u64::from_be_bytes(*date));
        Ok(date.map(|date| (date, bytes.slice(8..))))
    }

    pub(super) fn own_anchors(&self) -> Result<Vec<Anchor>> {
        let mut anchors = Vec::new();
        for id in self.anchor_ids()? {
            let Some((bytes, _)) = files::read(&self.anchor_path(&id)?, ANCHOR_MAX)? else {
                continue;
            };
            anchors.extend(anchor(&Bytes::from(bytes)));
        }
        Ok(anchors)
    }

    /// An anchor whose file is as it was written.
    pub(super) fn whole_anchor(&self, id: &KeyId) -> Result<Option<Anchor>> {
        let found = match files::read(&self.anchor_path(id)?, ANCHOR_MAX) {
            Err(e) if matches!(e.kind, Kind::LimitExceeded { .. }) => None,
            found => found?,
        };
        let anchor = found.and_then(|(bytes, _)| anchor(&Bytes::from(bytes)));
        let is_this = |anchor: &Anchor| {
            let facts = unfallen(|| (self.facts)(id.protocol(), &anchor.cert, 0));
            facts.is_ok_and(|facts| facts.id == *id)
        };
        Ok(anchor.filter(is_this))
    }

    pub(super) fn list_of(&self, issuer: &str) -> Result<Option<Bytes>> {
        let found = files::read(&self.list_path(issuer)?, LIST_MAX)?;
        Ok(found.map(|(bytes, _)| bytes.into()))
    }

    pub(super) fn anchor_ids(&self) -> Result<Vec<KeyId>> {
        let names = files::list(&self.home.anchors())?;
        let ids = names
            .iter()
            .filter_map(|name| KeyId::from_hex(Protocol::Smime, name.strip_suffix(".anchor")?));
        Ok(ids.take(ANCHORS_MAX).collect())
    }

    pub(super) fn anchor_path(&self, id: &KeyId) -> Result<PathBuf> {
        let name = format!("{}.anchor", id.fingerprint());
        files::within(&self.home.anchors(), &name)
    }

    fn capabilities_path(&self, id: &KeyId) -> Result<PathBuf> {
        let name = format!("{}.capabilities", id.fingerprint());
        files::within(&self.home.capabilities(), &name)
    }

    /// Issuers are named by a digest, so that no name from a certificate becomes a file's.
    fn list_path(&self, issuer: &str) -> Result<PathBuf> {
        let plain = issuer.bytes().all(|b| b.is_ascii_hexdigit());
        let name = if plain { issuer } else { "none" };
        files::within(&self.home.revocation_lists(), &format!("{name}.crl"))
    }
}

/// An anchor out of its file; `None` when it is damaged.
pub(super) fn anchor(bytes: &Bytes) -> Option<Anchor> {
    let end = memchr::memchr(END, bytes)?;
    let domains = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default())
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    Some(Anchor {
        cert: bytes.slice(end + 1..),
        domains,
    })
}

/// A file of authorities that a rule of policy names.
///
/// # Errors
/// `policy.refused` when it can't be read.
pub fn authority_file(rule: &'static str, path: &Path) -> Result<Bytes> {
    let refused = |what: &str| {
        Error::refused(
            rule,
            format!("{} {what}; mend policy.toml or the file", path.display()),
        )
    };
    if !path.is_absolute() {
        return Err(refused("is no absolute path"));
    }
    match files::read_named(path, AUTHORITIES_MAX) {
        Ok(Some((bytes, _))) => Ok(bytes.into()),
        Ok(None) => Err(refused("is not there")),
        Err(e) => Err(refused("can't be read").because(e)),
    }
}
