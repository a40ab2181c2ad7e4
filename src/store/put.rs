//! Writing certificates: one, or ten thousand, merged with what is there.
//!
//! Under the folder's lock the old bytes are read, the caller merges, the new file is put in
//! place, and then the row is written. An interruption after the file leaves a certificate
//! that the index takes in at its next look.

use std::collections::HashMap;

use super::certs::{CERT_MAX, Folder, Place};
use super::db::{Meta, NewRow, Tx};
use super::files::{Durable, Lock};
use super::journal::{Dated, Entry};
use super::{Sight, Store, index, secrets};
use crate::base::keys::{CertFacts, Source};
use crate::base::{Error, KeyId, Result};

/// Certificates per group: one order to the disk and one transaction for all of them, and
/// others get at the folder in between.
const GROUP: usize = 512;

/// What putting a certificate did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    New,
    /// It says something new, or it was harvested and is kept now.
    Updated,
    Unchanged,
}

/// A certificate that is to be put.
#[derive(Debug, Clone)]
pub struct Put {
    pub id: KeyId,
    pub source: Source,
    /// A kept certificate stays kept, whatever is asked here.
    pub place: Place,
}

/// The bytes to keep, and what they say.
pub type Merged = Result<(Vec<u8>, CertFacts)>;

/// Gives the bytes to keep from what is kept now.
type Merge<'a> = &'a mut dyn FnMut(usize, Option<&[u8]>) -> Merged;

impl Store {
    /// Puts one certificate. `merge` gets the bytes that are here, if any, and gives those to
    /// keep; it runs under the folder's lock, so that nothing that another program wrote is
    /// lost, and may run again without old bytes when these turn out to be damaged.
    ///
    /// # Errors
    /// What `merge` gives; `limit.exceeded` above [`CERT_MAX`]; `store.unavailable`.
    pub fn put(
        &self,
        id: &KeyId,
        source: Source,
        place: Place,
        now: u64,
        merge: &mut dyn FnMut(Option<&[u8]>) -> Merged,
    ) -> Result<Change> {
        let puts = [Put {
            id: id.clone(),
            source,
            place,
        }];
        let mut done = self.put_many(&puts, now, &mut |_, old| merge(old))?;
        done.pop()
            .unwrap_or_else(|| Err(Error::internal("nothing was put; report this")))
    }

    /// Puts many certificates, each as [`Store::put`] would; `merge` is told which one by its
    /// position. One that fails does not hold up the others.
    ///
    /// # Errors
    /// `store.unavailable`; those before it may be in place then.
    pub fn put_many(
        &self,
        puts: &[Put],
        now: u64,
        merge: Merge<'_>,
    ) -> Result<Vec<Result<Change>>> {
        let mut done: Vec<Option<Result<Change>>> = Vec::new();
        done.resize_with(puts.len(), || None);
        let numbered: Vec<(usize, &Put)> = puts.iter().enumerate().collect();
        let folders = Folder::all(&self.home);
        let mut used = [false; 4];
        for group in numbered.chunks(GROUP) {
            for (folder, used) in folders.iter().zip(&mut used) {
                let here: Vec<_> = group
                    .iter()
                    .copied()
                    .filter(|(_, put)| self.belongs(put, folder))
                    // Settled by the folder before this one.
                    .filter(|(n, _)| done.get(*n).is_some_and(Option::is_none))
                    .collect();
                if here.is_empty() {
                    continue;
                }
                *used |= here.len() > 1;
                for (n, change) in self.put_group(folder, &here, now, merge)? {
                    if let Some(slot) = done.get_mut(n) {
                        *slot = Some(change);
                    }
                }
            }
        }
        for (folder, used) in folders.iter().zip(used) {
            if used {
                folder.settle()?;
            }
        }
        let nowhere = || Err(Error::internal("a certificate has no place; report this"));
        Ok(done
            .into_iter()
            .map(|change| change.unwrap_or_else(nowhere))
            .collect())
    }

    fn belongs(&self, put: &Put, folder: &Folder) -> bool {
        if put.id.protocol() != folder.protocol {
            return false;
        }
        let kept = put.place == Place::Kept
            || Folder::new(&self.home, folder.protocol, Place::Kept)
                .stamp(&put.id)
                .is_some();
        // The kept folder has its turn first and takes what is its own.
        kept == (folder.place == Place::Kept)
    }

    fn put_group(
        &self,
        folder: &Folder,
        puts: &[(usize, &Put)],
        now: u64,
        merge: Merge<'_>,
    ) -> Result<Vec<(usize, Result<Change>)>> {
        // The index in line first: afterwards the folder's tag tells of nothing but this.
        let db = self.index(Sight::Usual)?;
        let _lock = folder.lock()?;
        let other = Other::of(self, folder, puts)?;
        let before = folder.tag();
        let known = db.meta(Meta::Tag(folder.number()))?;

        let durable = match puts.len() {
            1 => Durable::Each,
            _ => Durable::Together,
        };
        let mut batch = folder.batch(durable);
        let mut staged: HashMap<&KeyId, Vec<u8>> = HashMap::new();
        let mut fresh: Vec<Fresh<'_>> = Vec::new();
        let mut done = Vec::new();
        for (n, put) in puts {
            let old = match staged.get(&put.id) {
                Some(bytes) => Ok(Some(bytes.clone())),
                None => folder
                    .read(&put.id)
                    .map(|found| found.map(|(bytes, _)| bytes)),
            };
            let outcome = old.and_then(|old| {
                let (old, moved) = match old {
                    Some(old) => (Some(old), false),
                    None => (other.read(&put.id)?, true),
                };
                let (bytes, facts) = self.merged(*n, put, old.as_deref(), now, merge)?;
                let change = match &old {
                    None => Change::New,
                    Some(old) if *old == bytes && !moved => Change::Unchanged,
                    Some(_) => Change::Updated,
                };
                if change != Change::Unchanged {
                    batch.stage(folder.path(&put.id)?, &bytes)?;
                    staged.insert(&put.id, bytes);
                }
                Ok((change, facts))
            });
            match outcome {
                Ok((change, facts)) => {
                    fresh.push(Fresh { put, change, facts });
                    done.push((*n, Ok(change)));
                }
                Err(e) => done.push((*n, Err(e))),
            }
        }
        batch.finish()?;
        for one in &fresh {
            other.remove(&one.put.id)?;
        }
        let after = folder.tag();
        self.change(|tx| {
            self.rows(tx, folder, &fresh, now)?;
            if known == before && tx.meta(Meta::Tag(folder.number()))? == before {
                tx.set(Meta::Tag(folder.number()), after)?;
            }
            Ok(())
        })?;
        Ok(done)
    }

    /// Merges, and looks whether that gave what was asked for.
    fn merged(
        &self,
        n: usize,
        put: &Put,
        old: Option<&[u8]>,
        now: u64,
        merge: Merge<'_>,
    ) -> Merged {
        let readable =
            |old: &[u8]| index::unfallen(|| (self.facts)(put.id.protocol(), old, now)).is_ok();
        let (bytes, facts) = match (index::unfallen(|| merge(n, old)), old) {
            (Err(_), Some(old)) if !readable(old) => {
                log::warn!("a damaged certificate file is replaced");
                merge(n, None)?
            }
            (merged, _) => merged?,
        };
        if facts.id != put.id {
            return Err(Error::internal("a certificate has another id; report this"));
        }
        if bytes.len() as u64 > CERT_MAX {
            return Err(Error::limit(
                "cert",
                "the certificate is larger than eight MiB; bring a smaller one",
            ));
        }
        Ok((bytes, facts))
    }

    fn rows(&self, tx: &Tx<'_>, folder: &Folder, fresh: &[Fresh<'_>], now: u64) -> Result<()> {
        let mut shown: Vec<Dated> = Vec::new();
        let mut changed = false;
        for one in fresh {
            let id = &one.put.id;
            // Gone again in this instant: whoever took it away writes its row.
            let Some(stamp) = folder.stamp(id) else {
                continue;
            };
            if tx.is_hidden(id)? {
                shown.push((now, Entry::Show { id: id.clone() }));
            }
            changed |= tx.set_secret(id, secrets::wrap(&self.home, id))?;
            let row = tx.brief(id)?;
            let source = row
                .as_ref()
                .map_or(one.put.source, |row| nearer(row.source, one.put.source));
            let known = row.is_some_and(|row| {
                row.place == folder.place && row.stamp == stamp.number() && row.source == source
            });
            if one.change == Change::Unchanged && known {
                continue;
            }
            // What the person brings counts for all that it names, whoever it was found for before.
            if one.put.source == Source::Imported && tx.is_found(id)? {
                for address in &one.facts.addresses {
                    let (id, address) = (id.clone(), address.clone());
                    shown.push((now, Entry::Found { id, address }));
                }
            }
            tx.upsert(&NewRow {
                facts: &one.facts,
                place: folder.place,
                stamp,
                source,
                now,
            })?;
            changed = true;
        }
        tx.now(now)?;
        index::decide(&self.home, tx, &shown)?;
        if changed {
            tx.bump()?;
        }
        Ok(())
    }
}

/// Of two ways in which one certificate came, the one closer to the person.
pub(super) fn nearer(known: Source, new: Source) -> Source {
    let rank = |source| match source {
        Source::Generated => 4,
        Source::Imported => 3,
        Source::Shared | Source::Gnupg => 2,
        Source::Autocrypt
        | Source::Attached
        | Source::Signature
        | Source::Wkd
        | Source::Keyserver
        | Source::Ldap => 1,
        Source::Gossip => 0,
    };
    if rank(new) > rank(known) { new } else { known }
}

/// A certificate whose file is in place.
struct Fresh<'a> {
    put: &'a Put,
    change: Change,
    facts: CertFacts,
}

/// The folder of harvested certificates, as far as some of them move to the kept ones.
struct Other {
    folder: Folder,
    lock: Option<Lock>,
}

impl Other {
    fn of(store: &Store, folder: &Folder, puts: &[(usize, &Put)]) -> Result<Other> {
        let other = Folder::new(&store.home, folder.protocol, Place::Harvested);
        let moving = folder.place == Place::Kept
            && puts.iter().any(|(_, put)| other.stamp(&put.id).is_some());
        Ok(Other {
            lock: if moving { Some(other.lock()?) } else { None },
            folder: other,
        })
    }

    fn read(&self, id: &KeyId) -> Result<Option<Vec<u8>>> {
        if self.lock.is_none() {
            return Ok(None);
        }
        Ok(self.folder.read(id)?.map(|(bytes, _)| bytes))
    }

    fn remove(&self, id: &KeyId) -> Result<()> {
        if self.lock.is_some() {
            self.folder.remove(id)?;
        }
        Ok(())
    }
}
