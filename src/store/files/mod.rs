//! The only door to the file system: capped reads, writes that are there whole or not at
//! all, locks between processes. No link is followed to a file of ours, and none is read that
//! another user owns.
//!
//! Nothing here knows what a certificate or a key is. Who writes a file that others do takes a
//! [`Lock`] first. Nothing that is opened keeps anybody waiting.

mod fault;
mod lines;
mod lock;
mod look;
mod public;
mod reading;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tempfile::{Builder, NamedTempFile, TempPath};

use fault::{absent, linked, loose, no_file, too_large};
pub(super) use fault::{busy, foreign, unavailable};
pub use lines::LineFile;
pub(super) use lock::Lock;
pub(super) use look::{
    Form, Glance, Look, Others, Owner, check_private, close, glance, is_something, list,
    list_named, look, look_through, no_link, only_file, ours_alone, private_folder, straight,
    within,
};
use look::{others, owner};
pub(super) use public::{link, publish, resolved};
pub(super) use reading::{read, read_named, read_shared};

use crate::base::{Error, Result};

/// How our temporary files begin. [`clean`] removes no others: a folder may be shared.
const TEMPORARY: &str = ".sealpost-";

/// How far from the present a temporary file is dated whose writer is dead: writing takes
/// seconds. In seconds.
const ABANDONED: u64 = 10 * 60;

/// What a file looked like from outside: equal stamps, equal content, as far as the file
/// system's clock can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Stamp {
    hash: i64,
    /// When it was last written, in Unix seconds.
    pub(in crate::store) modified: u64,
}

impl Stamp {
    fn of(meta: &fs::Metadata) -> Stamp {
        let age = meta
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        let mut text = Vec::with_capacity(32);
        text.extend(age.as_nanos().to_le_bytes());
        // A folder's size says nothing on most file systems and wanders on some.
        text.extend(if meta.is_dir() { 0 } else { meta.len() }.to_le_bytes());
        text.extend(inode(meta).to_le_bytes());
        Stamp {
            hash: checksum(&text).cast_signed(),
            modified: age.as_secs(),
        }
    }

    /// The stamp as one number, for an index row.
    pub(in crate::store) fn number(self) -> i64 {
        self.hash
    }
}

#[cfg(unix)]
fn inode(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(meta)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

/// FNV-1a, 64 bits: finds a torn or rotten line or file. No protection against anybody.
pub(in crate::store) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn read_all(path: &Path, cap: u64, whose: Whose) -> Result<Option<(Vec<u8>, Stamp)>> {
    let Some((mut file, meta)) = open(path, whose)? else {
        return Ok(None);
    };
    if meta.len() > cap {
        return Err(too_large());
    }
    // One byte more than its length: nothing is moved, so no copy of a secret stays behind.
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
    (&mut file)
        .take(cap + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unavailable(path, e))?;
    if bytes.len() as u64 > cap {
        return Err(too_large());
    }
    Ok(Some((bytes, Stamp::of(&meta))))
}

/// What follows `offset` in a file that only grows, at most `cap` bytes of it.
///
/// # Errors
/// `store.unavailable`; so too where something else than a file stands, or others can change it.
pub(in crate::store) fn read_from(path: &Path, offset: u64, cap: u64) -> Result<Vec<u8>> {
    let Some((mut file, _)) = open(path, Whose::Ours)? else {
        return match is_something(path) {
            true => Err(no_file(path)),
            false => Ok(Vec::new()),
        };
    };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.take(cap).read_to_end(&mut bytes))
        .map_err(|e| unavailable(path, e))?;
    Ok(bytes)
}

/// Whose file is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Ours: it is no link, and others can neither have written it nor write it.
    Ours,
    /// The person's, who has other programs that write it: it is no link, and no other user's.
    Shared,
    /// An administrator's, or one that a rule names.
    Anybodys,
}

fn open(path: &Path, whose: Whose) -> Result<Option<(File, fs::Metadata)>> {
    let mut options = OpenOptions::new();
    options.read(true);
    careful(&mut options, whose);
    let before = match whose {
        Whose::Anybodys => fs::metadata(path),
        Whose::Ours | Whose::Shared => fs::symlink_metadata(path),
    };
    match before {
        Ok(meta) if meta.is_symlink() => return Err(linked(path)),
        // Opening it may do something already.
        Ok(meta) if !meta.is_file() => return Ok(None),
        _ => {}
    }
    match options
        .open(path)
        .and_then(|file| file.metadata().map(|meta| (file, meta)))
    {
        Ok((_, meta)) if !meta.is_file() => Ok(None),
        Ok((_, meta)) if whose != Whose::Anybodys && owner(&meta) == Owner::Another => {
            Err(foreign(path))
        }
        Ok((_, meta)) if whose == Whose::Ours && others(&meta) == Others::Write => Err(loose(path)),
        Ok(found) => Ok(Some(found)),
        Err(e) if absent(&e) => Ok(None),
        Err(e) => Err(unavailable(path, e)),
    }
}

/// The stamp of a file or folder; `None` when it is not there.
pub(in crate::store) fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|meta| Stamp::of(&meta))
}

/// A file's length; 0 when it is not there.
pub(in crate::store) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// No link at the end of the path is followed, where they are refused, and no pipe keeps who
/// opens it waiting.
#[cfg(unix)]
fn careful(options: &mut OpenOptions, whose: Whose) {
    use rustix::fs::OFlags;
    let flags = match whose {
        Whose::Anybodys => OFlags::NONBLOCK,
        Whose::Ours | Whose::Shared => OFlags::NONBLOCK | OFlags::NOFOLLOW,
    };
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
}

#[cfg(not(unix))]
fn careful(_: &mut OpenOptions, _: Whose) {}

/// Makes a folder and those above it, for this user alone. One that is there is left as it is.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| unavailable(path, e))
}

/// Writes a file of no name into a folder, and takes it away again.
///
/// # Errors
/// `store.unavailable` when nothing can be written there.
pub(in crate::store) fn probe(folder: &Path) -> Result<()> {
    temporary(folder, b"sealpost", Durable::Each).map(drop)
}

/// Makes an empty file for this user alone, if it is not there yet.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn touch(path: &Path) -> Result<()> {
    private(path).map(|_| ())
}

/// Writes a file so that after any interruption it is there whole, as it was or as it is.
/// On return it is on the disk. A link that stands there gives way.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let base = parent(path)?;
    folder(base)?;
    let mut batch = Batch::new(base, Durable::Each);
    batch.stage(path.to_owned(), bytes)?;
    batch.finish()
}

/// As [`write()`], but a file that is there already stays: the first of several writers wins.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn write_first(path: &Path, bytes: &[u8]) -> Result<()> {
    let base = parent(path)?;
    folder(base)?;
    let file = temporary(base, bytes, Durable::Each)?;
    clean(base, modified(&file));
    match file.persist_noclobber(path) {
        Ok(()) => sync_folder(base),
        Err(e) if e.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(unavailable(path, e.error)),
    }
}

/// Adds to the end of a file that only grows; whoever does that holds its [`Lock`]. On return
/// it is on the disk; on an error nothing of it stays, as far as the disk still lets us.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = private(path)?;
    let before = file.metadata().map_err(|e| unavailable(path, e))?.len();
    let mut all = || -> io::Result<()> {
        let torn = before > 0 && {
            let mut last = [0];
            file.seek(SeekFrom::Start(before - 1))?;
            file.read_exact(&mut last)?;
            last != *b"\n"
        };
        file.seek(SeekFrom::Start(before))?;
        if torn {
            file.write_all(b"\n")?;
        }
        file.write_all(bytes)?;
        file.sync_data()
    };
    let done = all();
    if done.is_err() {
        let _ = file.set_len(before);
    }
    done.map_err(|e| unavailable(path, e))?;
    if before == 0 {
        sync_folder(parent(path)?)?;
    }
    Ok(())
}

/// Cuts a file that only grows down to its first `length` bytes; whoever does that holds its
/// [`Lock`].
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn cut(path: &Path, length: u64) -> Result<()> {
    let file = private(path)?;
    file.set_len(length)
        .and_then(|()| file.sync_data())
        .map_err(|e| unavailable(path, e))
}

/// Removes a file; false when it was not there.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(parent(path)?).map(|()| true),
        Err(e) if absent(&e) => Ok(false),
        Err(e) => Err(unavailable(path, e)),
    }
}

/// Removes what interrupted writers of ours left in a folder. `now` is what the file system
/// dates a file that was written just now (Unix seconds): a writer that is at work has dated its
/// own like that, whatever the clock says.
pub(in crate::store) fn clean(folder: &Path, now: u64) {
    for entry in temporaries(folder) {
        let dated = entry.metadata().map(|meta| Stamp::of(&meta).modified);
        if dated.is_ok_and(|dated| dated.abs_diff(now) > ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// How many temporary files lie in a folder.
pub(in crate::store) fn leftovers(folder: &Path) -> usize {
    temporaries(folder).count()
}

fn temporaries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY))
}

/// When a file was last written, in Unix seconds.
fn modified(path: &Path) -> u64 {
    stamp(path).map_or(0, |stamp| stamp.modified)
}

/// When staged files must be safe from a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Durable {
    /// One by one: what a single write wants.
    Each,
    /// All of them by one order to the file system, where it knows one (Linux): ten thousand
    /// files cost little more than one. Until [`settle`] a power cut may leave a new file
    /// empty; one that was there before is never lost.
    Together,
}

/// Files that are written beside their places and then put there.
pub(in crate::store) struct Batch {
    base: PathBuf,
    durable: Durable,
    staged: Vec<(TempPath, PathBuf)>,
}

impl Batch {
    /// `base` takes the temporary files; it exists and is on the same file system.
    pub(in crate::store) fn new(base: &Path, durable: Durable) -> Batch {
        let together = cfg!(any(target_os = "linux", target_os = "android"));
        Batch {
            base: base.to_owned(),
            durable: if together { durable } else { Durable::Each },
            staged: Vec::new(),
        }
    }

    /// Writes one file beside its place.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub(in crate::store) fn stage(&mut self, target: PathBuf, bytes: &[u8]) -> Result<()> {
        let file = temporary(&self.base, bytes, self.durable)?;
        self.staged.push((file, target));
        Ok(())
    }

    /// Puts all of them in their places.
    ///
    /// # Errors
    /// `store.unavailable`; some may be in place then, each of them whole.
    pub(in crate::store) fn finish(self) -> Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let replaces = |(_, target): &(TempPath, PathBuf)| target.exists();
        if self.durable == Durable::Together && self.staged.iter().any(replaces) {
            sync_all(&self.base)?;
        }
        let mut folders = Vec::new();
        if let Some((file, _)) = self.staged.last() {
            clean(&self.base, modified(file));
        }
        for (file, target) in self.staged {
            let above = parent(&target)?.to_owned();
            if !folders.contains(&above) {
                folder(&above)?;
                folders.push(above);
            }
            file.persist(&target)
                .map_err(|e| unavailable(&target, e.error))?;
        }
        match self.durable {
            Durable::Together => Ok(()),
            Durable::Each => {
                for folder in &folders {
                    sync_folder(folder)?;
                }
                sync_folder(&self.base)
            }
        }
    }
}

/// Waits until everything that was written under the folder is on the disk.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn settle(folder: &Path) -> Result<()> {
    sync_all(folder)
}

fn parent(path: &Path) -> Result<&Path> {
    path.parent()
        .ok_or_else(|| Error::internal("a file of the key store has no folder; report this"))
}

fn private(path: &Path) -> Result<File> {
    only_file(path)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    careful(&mut options, Whose::Shared);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| unavailable(path, e))
}

/// A temporary file with this content: O_EXCL, an unguessable name, 0600.
fn temporary(base: &Path, bytes: &[u8], durable: Durable) -> Result<TempPath> {
    let make = || -> io::Result<NamedTempFile> {
        let mut file = Builder::new().prefix(TEMPORARY).tempfile_in(base)?;
        file.write_all(bytes)?;
        if durable == Durable::Each {
            file.as_file().sync_all()?;
        }
        Ok(file)
    };
    Ok(make().map_err(|e| unavailable(base, e))?.into_temp_path())
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| unavailable(path, e))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn sync_all(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|folder| Ok(rustix::fs::syncfs(folder)?))
        .map_err(|e| unavailable(path, e))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn sync_all(path: &Path) -> Result<()> {
    sync_folder(path)
}

#[cfg(test)]
mod tests;
