//! How engines find certificates: by handle, by address, our own. The index says which, the
//! file gives the bytes.
//!
//! A file that changed behind the index is judged again before it is handed out; one that is
//! no certificate any more is left out.

use bytes::Bytes;

use super::certs::{Folder, Place};
use super::db::{Brief, Db};
use super::{Sight, Store, index, likeness, secrets};
use crate::base::error::Kind;
use crate::base::gnupg::Grip;
use crate::base::keys::{Acceptance, Anchor, Certs, Introducer, SealedSecret, StoredCert, not_own};
use crate::base::policy::ANCHORS_FILES;
use crate::base::{Address, KeyId, Protocol, Result};

impl Certs for Store {
    fn by_handle(&self, protocol: Protocol, handle: &str) -> Result<Vec<StoredCert>> {
        let handle = handle.to_ascii_uppercase();
        let find = |db: &Db| db.by_handle(protocol, &handle);
        let found = self.look(Sight::Usual, find)?;
        if !found.is_empty() {
            return self.open_all(found);
        }
        if let Some(id) = KeyId::from_hex(protocol, &handle)
            && let Some(cert) = unindexed(self, &id)?
        {
            return Ok(vec![cert]);
        }
        self.open_all(self.look(Sight::Fresh, find)?)
    }

    fn indexed(&self, protocol: Protocol, handle: &str) -> Result<Vec<StoredCert>> {
        let handle = handle.to_ascii_uppercase();
        self.open_all(self.look(Sight::Usual, |db| db.by_handle(protocol, &handle))?)
    }

    fn by_address(&self, protocol: Protocol, address: &Address) -> Result<Vec<StoredCert>> {
        let find = |db: &Db| db.by_address(protocol, address);
        let found = self.look(Sight::Usual, find)?;
        if !found.is_empty() {
            return self.open_all(found);
        }
        self.open_all(self.look(Sight::Fresh, find)?)
    }

    fn own(&self, protocol: Protocol) -> Result<Vec<StoredCert>> {
        self.open_all(self.look(Sight::Usual, |db| db.own(protocol))?)
    }

    fn acceptance(&self, id: &KeyId, address: &Address) -> Result<Acceptance> {
        self.look(Sight::Usual, |db| db.acceptance(id, address))
    }

    fn imitates_known(&self, address: &Address) -> Result<bool> {
        self.look(Sight::Usual, |db| likeness::imitates(self, db, address))
    }

    fn sealed_secret(&self, id: &KeyId) -> Result<SealedSecret> {
        let found = secrets::get(&self.home, id, self.keychain.as_ref());
        match found {
            Err(error) if matches!(error.kind, Kind::KeyMissing { .. }) => {
                // Somebody else's is here, all the same.
                let theirs = self.row(id)?.is_some_and(|row| !row.own);
                Err(if theirs { not_own() } else { error })
            }
            found => found,
        }
    }

    fn grips(&self, id: &KeyId) -> Result<Vec<Grip>> {
        secrets::grips(&self.home, id)
    }

    fn token(&self, id: &KeyId) -> Result<Option<Bytes>> {
        secrets::token(&self.home, id)
    }

    fn introducers(&self) -> Result<Vec<Introducer>> {
        let mut all = Vec::new();
        for (id, domains) in self.look(Sight::Usual, Db::introducers)? {
            if let Some(cert) = cert(self, &id)? {
                all.push(Introducer { cert, domains });
            }
        }
        Ok(all)
    }

    fn anchors(&self) -> Result<Vec<Anchor>> {
        self.own_anchors()
    }

    fn authorities(&self) -> Result<Vec<Bytes>> {
        let files = Store::authorities(self).clone();
        files
            .iter()
            .map(|path| super::authority_file(ANCHORS_FILES, path))
            .collect()
    }

    fn revocation_list(&self, issuer: &str) -> Result<Option<Bytes>> {
        self.list_of(issuer)
    }

    fn keep_revocation_list(&self, issuer: &str, list: &Bytes) -> Result<()> {
        self.put_revocation_list(issuer, list)
    }

    fn capabilities(&self, id: &KeyId) -> Result<Option<Bytes>> {
        Ok(self.stated_capabilities(id)?.map(|(_, stated)| stated))
    }
}

/// One certificate by its id.
pub(super) fn cert(store: &Store, id: &KeyId) -> Result<Option<StoredCert>> {
    match store.look(Sight::Usual, |db| db.brief(id))? {
        Some(row) if row.hidden => Ok(None),
        Some(row) => Ok(store.open_all(vec![row])?.pop()),
        None => unindexed(store, id),
    }
}

/// A certificate that lies in its place although the index does not know it yet: its one
/// file is read, nothing else.
fn unindexed(store: &Store, id: &KeyId) -> Result<Option<StoredCert>> {
    for place in [Place::Kept, Place::Harvested] {
        let folder = Folder::new(&store.home, id.protocol(), place);
        if folder.stamp(id).is_none() {
            continue;
        }
        let row = store.look(Sight::Usual, |db| {
            index::take_in(
                &store.home,
                &store.facts,
                db,
                &folder,
                std::slice::from_ref(id),
            )?;
            db.brief(id)
        })?;
        if let Some(row) = row.filter(|row| !row.hidden) {
            return Ok(store.open_all(vec![row])?.pop());
        }
    }
    Ok(None)
}

impl Store {
    /// As [`Certs::by_address`], for thousands of addresses of which hardly any has a certificate:
    /// without looking whether another program has just brought one.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn naming(&self, protocol: Protocol, address: &Address) -> Result<Vec<StoredCert>> {
        self.open_all(self.look(Sight::Usual, |db| db.by_address(protocol, address))?)
    }

    /// Whether more than one certificate names an address; reads none of them.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn is_shared(&self, protocol: Protocol, address: &Address) -> Result<bool> {
        let found = self.look(Sight::Usual, |db| db.by_address(protocol, address))?;
        Ok(found.len() > 1)
    }

    /// Reads the files of these certificates.
    fn open_all(&self, rows: Vec<Brief>) -> Result<Vec<StoredCert>> {
        let mut certs = Vec::with_capacity(rows.len());
        for row in rows {
            let mut folder = Folder::new(&self.home, row.id.protocol(), row.place);
            let mut read = folder.read(&row.id);
            if let Ok(None) = read {
                // Taken away, or moved to or from the kept ones in this instant.
                let place = match row.place {
                    Place::Kept => Place::Harvested,
                    Place::Harvested => Place::Kept,
                };
                folder = Folder::new(&self.home, row.id.protocol(), place);
                read = folder.read(&row.id);
            }
            let (bytes, stamp) = match read {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(_) => {
                    log::warn!("a certificate file can't be read and is skipped");
                    continue;
                }
            };
            if stamp.number() != row.stamp && !self.still_a_cert(&folder, &row.id)? {
                continue;
            }
            certs.push(StoredCert {
                id: row.id,
                cert: bytes.into(),
                source: row.source,
                own: row.own,
            });
        }
        Ok(certs)
    }

    /// Judges a file that changed since its row was written, and brings the row in line.
    fn still_a_cert(&self, folder: &Folder, id: &KeyId) -> Result<bool> {
        let one = std::slice::from_ref(id);
        self.look(Sight::Usual, |db| {
            index::take_in(&self.home, &self.facts, db, folder, one)?;
            Ok(db.brief(id)?.is_some())
        })
    }
}
