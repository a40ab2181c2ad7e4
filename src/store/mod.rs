//! What lies on disk: certificates, encrypted secret halves, what people decided, the index
//! over all of it, and the policy file. Bytes are opaque here; what they say comes from an
//! engine as [`CertFacts`].
//!
//! The truth is in files that are written whole or not at all: certificates (`certs`), secret
//! halves (`secrets`), decisions (`journal`). The index (`db`) is made from them and can be
//! made again. Several hosts work on one folder at once: files under file locks, the index
//! through SQLite's own. Nothing is read before the first call that needs it.
//!
//! This floor knows no cryptography, no mail and no clock: `now` is given.

mod access;
mod authorities;
mod backup;
pub mod browsers;
mod certs;
mod db;
mod decisions;
mod files;
mod found;
mod gnupg;
mod halves;
mod health;
mod home;
mod index;
mod introducers;
mod journal;
mod keyring;
mod likeness;
mod lookup;
mod marks;
mod notices;
mod peers;
mod pieces;
mod place;
mod policy;
mod put;
mod query;
mod revocations;
mod secrets;
mod tables;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

pub use authorities::authority_file;
pub use backup::{BACKUP_MAX, Copied, CopiedCert, CopiedSecret};
pub use certs::{CERT_MAX, Place};
pub use decisions::{News, Without};
pub use files::LineFile;
pub use health::{Damage, Health, Reason, Surroundings, program};
pub use home::{Home, Ownership, gnupg_home};
pub use pieces::NO_BACKUP;
pub use place::AgentPlace;
pub use policy::{Edition, Stated, edition, policy};
pub use put::{Change, Merged, Put};
pub use query::{Only, PAGE_MAX, Page, Query, Row};
pub use secrets::{SECRET_MAX, Wrap};

use crate::base::context::parse_rfc3339;
use crate::base::error::{Error, Kind};
use crate::base::keys::{Acceptance, CertFacts, Keychain, Seen, StoredCert, no_such_key};
use crate::base::{Address, KeyId, Protocol, Result};
use access::Before;
use certs::Folder;
use db::{Db, Tx, is_damage};
use files::Lock;
use journal::{Dated, Entry};

/// What an engine says of a certificate's bytes, judged at an instant (Unix seconds). For
/// certificates that somebody else put into a shared folder. An error: it is none.
pub type FactsFn = Arc<dyn Fn(Protocol, &[u8], u64) -> Result<CertFacts> + Send + Sync>;

/// How long the index is taken to be in line with the folders without looking. A key that
/// another program has just added is found at once all the same: a look-up that finds
/// nothing looks again.
const FRESH: Duration = Duration::from_secs(3);

/// Certificates harvested per address and day. An honest sender has one key, perhaps one per
/// device; a second is a conflict that a person looks at, a fifth is noise.
pub const HARVEST_PER_ADDRESS: usize = 4;

/// Certificates harvested per day. Someone who opens a whole archive meets a few hundred
/// people; a flood of made-up senders stops here.
pub const HARVEST_PER_DAY: usize = 500;

/// Certificates harvested in all: the size up to which the index has been measured to be
/// quick, twice.
pub const HARVEST_MAX: usize = 20_000;

/// How long a look at the store waits for a lock: nobody holds it for longer than one write.
const LOOK_WAIT: Duration = Duration::from_secs(2);

const DAY: u64 = 24 * 60 * 60;

/// The store of one person: shared by all threads of a host, and with other hosts by way of
/// the disk.
pub struct Store {
    home: Home,
    facts: FactsFn,
    db: Mutex<Option<Arc<Db>>>,
    /// When the folders were last compared with the index. Held while that is done.
    checked: Mutex<Option<Instant>>,
    /// They were compared at least once.
    warm: AtomicBool,
    /// Whom the person accepted, by what they look like.
    likeness: likeness::Kept,
    /// Others could write in the folder of state when this store came to it.
    was_open: AtomicBool,
    authorities: Mutex<Vec<PathBuf>>,
    keychain: Option<Arc<dyn Keychain>>,
}

/// How sure a look must be to see what others have just written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Usual,
    Fresh,
}

impl Store {
    /// A store that touches no disk until it is used.
    pub fn new(home: Home, facts: FactsFn) -> Store {
        Store {
            home,
            facts,
            db: Mutex::default(),
            checked: Mutex::default(),
            warm: AtomicBool::new(false),
            likeness: likeness::Kept::default(),
            was_open: AtomicBool::new(false),
            authorities: Mutex::default(),
            keychain: None,
        }
    }

    /// With the desktop's key store.
    pub fn with_keychain(mut self, keychain: Arc<dyn Keychain>) -> Store {
        self.keychain = Some(keychain);
        self
    }

    /// From now on with these files of authorities in place of those that come with the program.
    pub fn rely_on(&self, files: &[PathBuf]) {
        *self.authorities() = files.to_vec();
    }

    fn authorities(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.authorities
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Whether the folder of state and the index can be written, and locked: tries it.
    ///
    /// # Errors
    /// `store.unavailable`; `store.damaged`.
    pub fn check(&self) -> Result<()> {
        self.enter()?;
        files::probe(&self.home.state)?;
        drop(Lock::take_within(&self.home.lock(), LOOK_WAIT)?);
        self.change(|_| Ok(()))
    }

    /// Comes into the folder of state.
    fn enter(&self) -> Result<()> {
        if access::enter(&self.home)? == Before::Open {
            self.was_open.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Grows with every change that a view may show, by any host.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn revision(&self) -> Result<u64> {
        self.look(Sight::Usual, Db::revision)
    }

    /// One certificate; `None` when it is not here.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn cert(&self, id: &KeyId) -> Result<Option<StoredCert>> {
        lookup::cert(self, id)
    }

    /// What the index knows of one certificate; `None` when it is not here.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn row(&self, id: &KeyId) -> Result<Option<Row>> {
        match self.look(Sight::Usual, |db| db.row(id))? {
            Some(row) => Ok(Some(row)),
            None => self.look(Sight::Fresh, |db| db.row(id)),
        }
    }

    /// One page of the list. No certificate is read.
    ///
    /// # Errors
    /// `request.invalid` for a cursor that is not ours; `store.unavailable`.
    pub fn list(&self, query: &Query) -> Result<Page> {
        self.look(Sight::Usual, |db| db.list(query))
    }

    /// Removes a certificate and what was accepted of it; what was rejected stays so. One in
    /// a folder shared with other programs is only hidden, here, until it is put again.
    ///
    /// # Errors
    /// `key.missing` when it is not here; `request.invalid` while its secret half is;
    /// `store.unavailable`.
    pub fn delete(&self, id: &KeyId, now: u64) -> Result<()> {
        if self.cert(id)?.is_none() {
            return Err(no_such_key());
        }
        if secrets::wrap(&self.home, id).is_some() {
            return Err(Error::invalid(
                "/secret",
                "the key's secret half is here; delete both by saying secret: true",
            ));
        }
        let kept = Folder::new(&self.home, id.protocol(), Place::Kept);
        let harvested = Folder::new(&self.home, id.protocol(), Place::Harvested);
        let shared = self.home.ownership == Ownership::Shared && id.protocol() == Protocol::OpenPgp;
        let mut entries = vec![(now, Entry::Forget { id: id.clone() })];
        if kept.stamp(id).is_some() {
            if shared {
                entries.push((now, Entry::Hide { id: id.clone() }));
            } else {
                let _lock = kept.lock()?;
                kept.remove(id)?;
            }
        }
        if harvested.stamp(id).is_some() {
            let _lock = harvested.lock()?;
            harvested.remove(id)?;
        }
        self.change(|tx| {
            index::decide(&self.home, tx, &entries)?;
            if !tx.is_hidden(id)? {
                tx.remove(id)?;
            }
            Ok(())
        })
    }

    /// Keeps what a person said of a key for an address; on return it is on the disk. A
    /// harvested certificate that is accepted moves to the kept ones.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn accept(&self, id: &KeyId, address: &Address, level: Acceptance, now: u64) -> Result<()> {
        self.accept_many(&[(id.clone(), address.clone(), level)], now)
    }

    /// As [`Store::accept`], for many at the cost of one.
    ///
    /// # Errors
    /// `store.unavailable`; then nothing was accepted.
    pub fn accept_many(&self, said: &[(KeyId, Address, Acceptance)], now: u64) -> Result<()> {
        for (id, _, level) in said {
            if *level >= Acceptance::Accepted {
                self.keep(id, now);
            }
        }
        self.change(|tx| {
            let mut entries: Vec<Dated> = Vec::new();
            for (id, address, level) in said {
                if tx.acceptance(id, address)? != *level {
                    entries.push((now, accepted(id, address, *level)));
                }
            }
            index::decide(&self.home, tx, &entries)
        })
    }

    /// Moves a harvested certificate to the kept ones.
    fn keep(&self, id: &KeyId, now: u64) {
        let Ok(Some(row)) = self.look(Sight::Usual, |db| db.brief(id)) else {
            return;
        };
        if row.place == Place::Kept {
            return;
        }
        let moved = self.put(id, row.source, Place::Kept, now, &mut |old| {
            let old = old.ok_or_else(no_such_key)?;
            Ok((old.to_vec(), (self.facts)(id.protocol(), old, now)?))
        });
        // What the person said counts wherever the file lies.
        if moved.is_err() {
            log::warn!("an accepted certificate stays among the harvested ones");
        }
    }

    /// Keeps that a message used the key for the address.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn seen(&self, address: &Address, id: &KeyId, now: u64) -> Result<()> {
        self.change(|tx| tx.seen(id, address, now, now))
    }

    /// Takes up when mail used keys, as another store saw it.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn merge_seen(&self, all: &[(KeyId, Seen)]) -> Result<()> {
        self.change(|tx| {
            for (id, seen) in all {
                let (first, last) = (parse_rfc3339(&seen.first), parse_rfc3339(&seen.last));
                if let (Some(first), Some(last)) = (first, last) {
                    tx.seen(id, &seen.address, first, last)?;
                }
            }
            Ok(())
        })
    }

    /// Keeps that these keys stand side by side for the address until somebody decides.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn conflict(&self, address: &Address, ids: &[KeyId], now: u64) -> Result<()> {
        self.change(|tx| {
            if ids.len() < 2 || tx.in_conflict(address, ids)? {
                return Ok(());
            }
            let entry = Entry::Conflict {
                address: address.clone(),
                ids: ids.to_vec(),
            };
            index::decide(&self.home, tx, &[(now, entry)])
        })
    }

    /// Ends the conflict about an address, with what is said of its keys, in one transaction.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn settle(&self, address: &Address, said: &[(KeyId, Acceptance)], now: u64) -> Result<()> {
        for (id, level) in said {
            if *level >= Acceptance::Accepted {
                self.keep(id, now);
            }
        }
        self.change(|tx| {
            let entry = |(id, level): &(KeyId, Acceptance)| (now, accepted(id, address, *level));
            let mut entries: Vec<Dated> = said.iter().map(entry).collect();
            let address = address.clone();
            entries.push((now, Entry::Settle { address }));
            index::decide(&self.home, tx, &entries)
        })
    }

    /// The keys that stand in conflict for an address; none when there is no conflict.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn conflicts(&self, address: &Address) -> Result<Vec<KeyId>> {
        let found = self.look(Sight::Usual, |db| db.conflicts(address))?;
        Ok(match found.len() {
            0 | 1 => Vec::new(),
            _ => found.into_iter().map(|(id, _)| id).collect(),
        })
    }

    /// Whether one more new certificate may be harvested for the address today. The caps are
    /// [`HARVEST_PER_ADDRESS`], [`HARVEST_PER_DAY`] and [`HARVEST_MAX`]; hosts that ask at the
    /// same instant may pass them by one each.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn harvest_allowed(&self, address: &Address, now: u64) -> Result<bool> {
        let midnight = now - now % DAY;
        let (here, today, all) = self.look(Sight::Usual, |db| db.harvested(address, midnight))?;
        Ok(here < HARVEST_PER_ADDRESS && today < HARVEST_PER_DAY && all < HARVEST_MAX)
    }

    /// Runs a look at an index that is in line with the folders, and once more after it was
    /// found damaged and built again.
    fn look<T>(&self, sight: Sight, look: impl Fn(&Db) -> Result<T>) -> Result<T> {
        let db = self.index(sight)?;
        self.mended(&db, look)
    }

    /// Runs one write transaction on the index.
    fn change<T>(&self, act: impl Fn(&Tx<'_>) -> Result<T>) -> Result<T> {
        let db = self.index(Sight::Usual)?;
        self.mended(&db, |db| db.write(&act))
    }

    fn mended<T>(&self, db: &Arc<Db>, run: impl Fn(&Db) -> Result<T>) -> Result<T> {
        match run(db) {
            Err(e) if is_damage(&e) => {
                self.replace(db)?;
                run(&*self.index(Sight::Fresh)?)
            }
            done => done,
        }
    }

    /// The index, in line with the folders.
    fn index(&self, sight: Sight) -> Result<Arc<Db>> {
        let mut db = self.open()?;
        let mut checked = match self.checked.try_lock() {
            Ok(checked) => checked,
            Err(TryLockError::Poisoned(checked)) => checked.into_inner(),
            // Another thread is comparing: what was there before will do for most.
            Err(TryLockError::WouldBlock)
                if sight == Sight::Usual && self.warm.load(Ordering::Acquire) =>
            {
                return Ok(db);
            }
            Err(TryLockError::WouldBlock) => lock(&self.checked),
        };
        if sight == Sight::Usual && checked.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(db);
        }
        if index::newest(&self.home)?.is_some_and(|newest| newest > db.generation) {
            self.close(&db);
            db = self.open()?;
        }
        match index::refresh(&self.home, &self.facts, &db) {
            Err(e) if is_damage(&e) => {
                self.replace(&db)?;
                db = self.open()?;
                index::refresh(&self.home, &self.facts, &db)?;
            }
            // A full disk must not keep anybody from reading: what the index knows will do, and
            // who wants to write is told by the write.
            Err(e) if e.kind == Kind::StoreUnavailable => {
                log::warn!("the key index can't be brought up to date");
            }
            done => done?,
        }
        *checked = Some(Instant::now());
        self.warm.store(true, Ordering::Release);
        Ok(db)
    }

    fn open(&self) -> Result<Arc<Db>> {
        let mut open = lock(&self.db);
        if let Some(db) = &*open {
            return Ok(Arc::clone(db));
        }
        self.enter()?;
        let db = Arc::new(index::open(&self.home)?);
        *open = Some(Arc::clone(&db));
        Ok(db)
    }

    fn close(&self, db: &Arc<Db>) {
        let mut open = lock(&self.db);
        if open.as_ref().is_some_and(|one| Arc::ptr_eq(one, db)) {
            *open = None;
        }
    }

    fn replace(&self, damaged: &Arc<Db>) -> Result<()> {
        index::replace(&self.home, damaged.generation)?;
        self.close(damaged);
        Ok(())
    }
}

fn accepted(id: &KeyId, address: &Address, level: Acceptance) -> Entry {
    Entry::Accept {
        id: id.clone(),
        address: address.clone(),
        level,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
