//! Brings the index in line with what lies on disk: after a start, after another program
//! wrote into a shared folder, after an interrupted write, after the loss of the index.
//!
//! Only what changed is read. A file that is no certificate is skipped, with a word in the
//! log, until it changes.

use std::collections::HashMap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::FactsFn;
use super::access;
use super::certs::{Folder, Place};
use super::db::{Brief, Db, Meta, NewRow, Tx, beside, is_damage};
use super::files::{self, Lock, Stamp};
use super::home::{Home, Ownership};
use super::journal::{self, Dated};
use super::put::nearer;
use super::secrets;
use crate::base::keys::{CertFacts, Source};
use crate::base::{Error, KeyId, Kind, Protocol, Result};

/// Certificates per transaction: others get in between, and an interruption costs little.
const GROUP: usize = 256;

/// Threads that read certificates when there are many: a start with a large folder is rare.
const THREADS: usize = 4;

/// Opens the newest generation of the index, or makes one, in a folder that was entered.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn open(home: &Home) -> Result<Db> {
    if let Some(generation) = newest(home)?
        && let Some(db) = usable(home, generation)?
    {
        return Ok(db);
    }
    let _lock = Lock::take(&home.lock())?;
    let generation = match newest(home)? {
        None => 0,
        Some(generation) => match usable(home, generation)? {
            Some(db) => return Ok(db),
            None => generation.saturating_add(1),
        },
    };
    make(home, generation)?;
    usable(home, generation)?.ok_or_else(|| {
        Error::new(
            Kind::StoreUnavailable,
            "the key index can't be made; check the disk and sealpost's folder",
        )
    })
}

/// Leaves a damaged generation behind, unless another host has done so already.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn replace(home: &Home, damaged: u32) -> Result<()> {
    let _lock = Lock::take(&home.lock())?;
    if newest(home)?.is_none_or(|newest| newest <= damaged) {
        log::error!("the key index is damaged; it is built again from the keys' files");
        make(home, damaged.saturating_add(1))?;
    }
    Ok(())
}

/// The newest generation there is.
pub(super) fn newest(home: &Home) -> Result<Option<u32>> {
    Ok(generations(home)?.into_iter().max())
}

/// The numbers of all generations that are there.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn generations(home: &Home) -> Result<Vec<u32>> {
    let number = |name: String| {
        name.strip_prefix("index-")?
            .strip_suffix(".db")?
            .parse()
            .ok()
    };
    Ok(files::list_named(&home.state)?
        .into_iter()
        .filter_map(number)
        .collect())
}

/// Opens a generation; `None` where it is damaged, or could have been written by others: it says
/// what was decided about keys.
fn usable(home: &Home, generation: u32) -> Result<Option<Db>> {
    for file in beside(&home.index(generation)) {
        if files::ours_alone(&file).is_err() {
            log::error!("others could write the key index; it is built again from the keys' files");
            return Ok(None);
        }
    }
    match Db::open(&home.index(generation), generation) {
        Err(e) if is_damage(&e) => Ok(None),
        other => other,
    }
}

fn make(home: &Home, generation: u32) -> Result<()> {
    // Whoever knows its name could have laid something beside it.
    for file in beside(&home.index(generation)) {
        if files::ours_alone(&file).is_err() {
            files::remove(&file)?;
        }
    }
    Db::create(&home.index(generation), generation)?;
    // The one before stays for whoever wants to look into what happened to it.
    for old in generations(home)? {
        if old.saturating_add(1) < generation {
            for file in beside(&home.index(old)) {
                files::remove(&file)?;
            }
        }
    }
    Ok(())
}

/// Writes decisions: on the disk first, in the index then, in one transaction.
pub(super) fn decide(home: &Home, tx: &Tx<'_>, entries: &[Dated]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let seen = tx.meta(Meta::Journal)?.unsigned_abs();
    let (missed, end) = journal::append(&home.decisions(), seen, entries)?;
    for (at, entry) in missed.iter().chain(entries) {
        tx.apply(*at, entry)?;
        tx.now(*at)?;
    }
    tx.set(Meta::Journal, end.cast_signed())?;
    tx.bump()
}

/// Reads what has changed on disk since the index was last in line with it.
///
/// # Errors
/// `store.damaged` when the index is, or the journal; `store.unavailable`.
pub(super) fn refresh(home: &Home, facts: &FactsFn, db: &Db) -> Result<()> {
    access::unlinked(home)?;
    decisions(home, db)?;
    let stamp = secrets::stamp(home);
    if db.meta(Meta::Secrets)? != stamp {
        db.write(|tx| {
            // Read inside the transaction: whoever writes a secret half writes its row after it.
            if tx.set_secrets(&secrets::all(home)?)? {
                tx.bump()?;
            }
            tx.set(Meta::Secrets, stamp)
        })?;
    }
    let mut orphans = Vec::new();
    for folder in Folder::all(home) {
        let number = folder.number();
        let tag = folder.tag();
        if tag == db.meta(Meta::Tag(number))? && orphans.is_empty() {
            continue;
        }
        let sections = folder.sections()?;
        let (mut work, gone) = compare(&folder, db, &sections)?;
        work.append(&mut orphans);
        take_in(home, facts, db, &folder, &work)?;
        if !gone.is_empty() {
            orphans = remove(home, db, &folder, &gone)?;
        }
        db.write(|tx| {
            tx.set_sections(number, &sections)?;
            tx.set(Meta::Tag(number), tag)
        })?;
    }
    Ok(())
}

/// Brings the journal's lines into the index that it does not know yet.
fn decisions(home: &Home, db: &Db) -> Result<()> {
    let path = home.decisions();
    let seen = db.meta(Meta::Journal)?.unsigned_abs();
    if files::length(&path) == seen && !journal::is_emptied(&path) {
        return Ok(());
    }
    if journal::since(&path, seen)?.1 == seen {
        return Ok(());
    }
    db.write(|tx| {
        let seen = tx.meta(Meta::Journal)?.unsigned_abs();
        let (entries, end) = journal::since(&path, seen)?;
        for (at, entry) in &entries {
            tx.apply(*at, entry)?;
        }
        if !entries.is_empty() {
            tx.bump()?;
        }
        tx.set(Meta::Journal, end.cast_signed())
    })
}

/// What is new or changed in the folder, and what is no longer there.
fn compare(
    folder: &Folder,
    db: &Db,
    sections: &[(String, Stamp)],
) -> Result<(Vec<KeyId>, Vec<KeyId>)> {
    let mut known: HashMap<String, i64> = db.sections(folder.number())?.into_iter().collect();
    let (mut work, mut gone) = (Vec::new(), Vec::new());
    for (name, stamp) in sections {
        if known.remove(name) == Some(stamp.number()) {
            continue;
        }
        let rows = db.in_section(folder.protocol, folder.place, name)?;
        let mut rows: HashMap<KeyId, i64> = rows.into_iter().map(|r| (r.id, r.stamp)).collect();
        for (id, stamp) in folder.in_section(name)? {
            match rows.remove(&id) {
                Some(row) if row == stamp.number() => {}
                None if db.skipped(folder.number(), &id, stamp)? => {}
                _ => work.push(id),
            }
        }
        gone.extend(rows.into_keys());
    }
    for name in known.into_keys() {
        let rows = db.in_section(folder.protocol, folder.place, &name)?;
        gone.extend(rows.into_iter().map(|row| row.id));
    }
    Ok((work, gone))
}

/// Takes rows out whose files are gone; gives those that lie among the harvested ones too.
fn remove(home: &Home, db: &Db, folder: &Folder, gone: &[KeyId]) -> Result<Vec<KeyId>> {
    db.write(|tx| {
        for id in gone {
            let here = tx.brief(id)?.is_some_and(|row| row.place == folder.place);
            if here && folder.stamp(id).is_none() {
                tx.remove(id)?;
            }
        }
        tx.bump()
    })?;
    if folder.place == Place::Harvested {
        return Ok(Vec::new());
    }
    let other = Folder::new(home, folder.protocol, Place::Harvested);
    Ok(gone
        .iter()
        .filter(|id| other.stamp(id).is_some())
        .cloned()
        .collect())
}

/// Reads these certificates and writes their rows.
///
/// # Errors
/// `store.damaged` when the index is; `store.unavailable`.
pub(super) fn take_in(
    home: &Home,
    facts: &FactsFn,
    db: &Db,
    folder: &Folder,
    ids: &[KeyId],
) -> Result<()> {
    let now = db.meta(Meta::Now)?.unsigned_abs();
    for group in ids.chunks(GROUP) {
        let looks = look_at(folder, facts, group, now);
        db.write(|tx| {
            let mut changed = false;
            for (id, look) in group.iter().zip(&looks) {
                changed |= record(home, tx, folder, id, look, now)?;
            }
            if changed {
                tx.bump()?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// One file, as it was found.
enum Look {
    Gone,
    Skipped(Stamp),
    Cert(Box<CertFacts>, Stamp),
}

fn look_at(folder: &Folder, facts: &FactsFn, ids: &[KeyId], now: u64) -> Vec<Look> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = ids.len().div_ceil(threads.min(THREADS)).max(16);
    let one = |id: &KeyId| look(folder, facts, id, now);
    if ids.len() <= share {
        return ids.iter().map(one).collect();
    }
    std::thread::scope(|scope| {
        let parts: Vec<_> = ids
            .chunks(share)
            .map(|part| {
                (
                    part,
                    scope.spawn(move || part.iter().map(one).collect::<Vec<_>>()),
                )
            })
            .collect();
        parts
            .into_iter()
            .flat_map(|(part, thread)| {
                thread
                    .join()
                    .unwrap_or_else(|_| part.iter().map(|id| broken(folder, id)).collect())
            })
            .collect()
    })
}

fn look(folder: &Folder, facts: &FactsFn, id: &KeyId, now: u64) -> Look {
    match folder.read(id) {
        Ok(Some((bytes, stamp))) => {
            let at = now.max(stamp.modified);
            match unfallen(|| facts(folder.protocol, &bytes, at)) {
                Ok(facts) if facts.id == *id => Look::Cert(Box::new(facts), stamp),
                _ => broken(folder, id),
            }
        }
        // A pipe, a device: there is something.
        Ok(None) if folder.stamp(id).is_some() => broken(folder, id),
        Ok(None) => Look::Gone,
        Err(_) => broken(folder, id),
    }
}

/// What an engine says of bytes out of a folder. Whoever may write into a shared folder must
/// not be able to stop us: a file over which an engine falls is no certificate.
pub(super) fn unfallen<T>(judge: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|_| {
        Err(Error::internal(
            "an engine fell over a certificate; report this",
        ))
    })
}

fn broken(folder: &Folder, id: &KeyId) -> Look {
    log::warn!("a certificate file can't be read and is skipped");
    folder.stamp(id).map_or(Look::Gone, Look::Skipped)
}

/// Writes what was seen of one file, unless it has changed since, or a kept one of the same
/// name comes first. True when that changed the index.
fn record(
    home: &Home,
    tx: &Tx<'_>,
    folder: &Folder,
    id: &KeyId,
    look: &Look,
    now: u64,
) -> Result<bool> {
    let row = tx.brief(id)?;
    let kept = |row: &Brief| row.place == Place::Kept && folder.place == Place::Harvested;
    match look {
        Look::Gone => Ok(false),
        Look::Skipped(stamp) => {
            tx.skip(folder.number(), id, *stamp)?;
            match row {
                Some(row) if row.place == folder.place => tx.remove(id),
                _ => Ok(false),
            }
        }
        Look::Cert(_, stamp) if folder.stamp(id) != Some(*stamp) => Ok(false),
        Look::Cert(facts, stamp) => {
            if row.as_ref().is_some_and(|row| {
                kept(row) || row.place == folder.place && row.stamp == stamp.number()
            }) {
                return Ok(false);
            }
            let source = match tx.is_found(id)? {
                true => Source::Signature,
                false => source(home, folder, tx.is_offered(id)?),
            };
            tx.upsert(&NewRow {
                facts,
                place: folder.place,
                stamp: *stamp,
                source: row.map_or(source, |row| nearer(row.source, source)),
                now: now.max(stamp.modified),
            })?;
            Ok(true)
        }
    }
}

/// How a certificate came that nobody has told us of. Of those that mail brought, the ones that
/// their owners do not offer now count as what others say.
fn source(home: &Home, folder: &Folder, offered: bool) -> Source {
    match (folder.place, folder.protocol, home.ownership) {
        (Place::Harvested, Protocol::OpenPgp, _) if !offered => Source::Gossip,
        (Place::Harvested, ..) => Source::Autocrypt,
        (Place::Kept, Protocol::OpenPgp, Ownership::Shared) => Source::Shared,
        (Place::Kept, ..) => Source::Imported,
    }
}
