//! The only door to the file system: capped reads, writes that are there whole or not at
//! all, locks between processes. No link is followed to a file of ours, and none is read that
//! another user owns.
//!
//! Nothing here knows what a certificate or a key is. Whoever writes the same file as
//! another process takes a [`Lock`] first.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use tempfile::{Builder, NamedTempFile, TempPath};

use crate::base::{Error, Kind, Result};

/// How our temporary files begin. [`clean`] removes no others: a folder may be shared.
const TEMPORARY: &str = ".sealpost-";

/// How far from the present a temporary file is dated whose writer is dead: writing takes
/// seconds. In seconds.
const ABANDONED: u64 = 10 * 60;

/// How long a lock is waited for. An import of ten thousand certificates lets others in
/// between its groups, each far below a second; who holds a lock longer than this hangs.
const LOCK_WAIT: Duration = Duration::from_secs(20);

/// What a file looked like from outside: equal stamps, equal content, as far as the file
/// system's clock can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    hash: i64,
    /// When it was last written, in Unix seconds.
    pub(super) modified: u64,
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
    pub(super) fn number(self) -> i64 {
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
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A file's content and stamp; `None` when it is not there.
///
/// # Errors
/// `store.unavailable` when it can't be read, is a link, or is another user's; `limit.exceeded`
/// above `cap` bytes.
pub(super) fn read(path: &Path, cap: u64) -> Result<Option<(Vec<u8>, Stamp)>> {
    read_all(path, cap, Links::Refused)
}

/// As [`read`], of a file that is not ours: an administrator's, or one that a rule names. It may
/// be a link.
///
/// # Errors
/// `store.unavailable` when it can't be read; `limit.exceeded` above `cap` bytes.
pub(super) fn read_named(path: &Path, cap: u64) -> Result<Option<(Vec<u8>, Stamp)>> {
    read_all(path, cap, Links::Followed)
}

fn read_all(path: &Path, cap: u64, links: Links) -> Result<Option<(Vec<u8>, Stamp)>> {
    let Some((mut file, meta)) = open(path, links)? else {
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
/// `store.unavailable`; so too where something else than a file stands.
pub(super) fn read_from(path: &Path, offset: u64, cap: u64) -> Result<Vec<u8>> {
    let Some((mut file, _)) = open(path, Links::Refused)? else {
        return match is_something(path) {
            true => Err(Error::new(
                Kind::StoreUnavailable,
                format!("{} is no file; move it away", path.display()),
            )),
            false => Ok(Vec::new()),
        };
    };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.take(cap).read_to_end(&mut bytes))
        .map_err(|e| unavailable(path, e))?;
    Ok(bytes)
}

/// What is made of a link where a file is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Followed,
    Refused,
}

fn open(path: &Path, links: Links) -> Result<Option<(File, fs::Metadata)>> {
    let mut options = OpenOptions::new();
    options.read(true);
    let before = match links {
        Links::Followed => fs::metadata(path),
        Links::Refused => {
            no_links(&mut options);
            fs::symlink_metadata(path)
        }
    };
    match before {
        Ok(meta) if meta.is_symlink() => return Err(linked(path)),
        // A pipe would keep who opens it waiting.
        Ok(meta) if !meta.is_file() => return Ok(None),
        _ => {}
    }
    let opened = options.open(path);
    match opened.and_then(|file| file.metadata().map(|meta| (file, meta))) {
        Ok((_, meta)) if !meta.is_file() => Ok(None),
        Ok((_, meta)) if links == Links::Refused && owner(&meta) == Owner::Another => {
            Err(foreign(path))
        }
        Ok(found) => Ok(Some(found)),
        Err(e) if absent(&e) => Ok(None),
        Err(e) => Err(unavailable(path, e)),
    }
}

/// The stamp of a file or folder; `None` when it is not there.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|meta| Stamp::of(&meta))
}

/// Whether anything bears this name, a link to nowhere too.
pub(super) fn is_something(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// A file's length; 0 when it is not there.
pub(super) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// What something is, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    File,
    Folder,
    Link,
    Other,
}

/// Whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Us,
    /// The system's own user.
    System,
    Another,
}

/// What others may do with something, beside its owner and the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Others {
    Nothing,
    Read,
    /// Writing, but in a folder nothing with what is not theirs.
    Add,
    Write,
}

/// A file or folder from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) form: Form,
    pub(super) owner: Owner,
    pub(super) others: Others,
}

impl Look {
    fn of(meta: &fs::Metadata) -> Look {
        let kind = meta.file_type();
        Look {
            form: match (kind.is_file(), kind.is_dir(), kind.is_symlink()) {
                (true, ..) => Form::File,
                (_, true, _) => Form::Folder,
                (.., true) => Form::Link,
                _ => Form::Other,
            },
            owner: owner(meta),
            others: others(meta),
        }
    }
}

/// What bears this name, links by themselves; `None` when nothing does.
pub(super) fn look(path: &Path) -> Option<Look> {
    fs::symlink_metadata(path).ok().map(|meta| Look::of(&meta))
}

/// As [`look`], but of what a link leads to.
pub(super) fn look_through(path: &Path) -> Option<Look> {
    fs::metadata(path).ok().map(|meta| Look::of(&meta))
}

/// A path without links in it, as far as there is such a thing.
pub(super) fn straight(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(unix)]
fn owner(meta: &fs::Metadata) -> Owner {
    match std::os::unix::fs::MetadataExt::uid(meta) {
        user if user == rustix::process::geteuid().as_raw() => Owner::Us,
        0 => Owner::System,
        _ => Owner::Another,
    }
}

#[cfg(not(unix))]
fn owner(_: &fs::Metadata) -> Owner {
    Owner::Us
}

#[cfg(unix)]
fn others(meta: &fs::Metadata) -> Others {
    use std::os::unix::fs::MetadataExt as _;
    let mode = meta.mode();
    // A group that has its user's number is that user's alone, wherever such groups are made.
    let group = if meta.gid() == meta.uid() {
        0
    } else {
        mode >> 3
    };
    let bits = (mode | group) & 0o7;
    match (bits & 0o2 != 0, meta.is_dir() && mode & 0o1000 != 0) {
        (true, true) => Others::Add,
        (true, false) => Others::Write,
        (false, _) if bits != 0 => Others::Read,
        (false, _) => Others::Nothing,
    }
}

#[cfg(not(unix))]
fn others(_: &fs::Metadata) -> Others {
    Others::Nothing
}

#[cfg(unix)]
fn no_links(options: &mut OpenOptions) {
    let flag = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, flag);
}

#[cfg(not(unix))]
fn no_links(_: &mut OpenOptions) {}

/// Refuses a link where a file or folder of ours belongs.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn no_link(path: &Path) -> Result<()> {
    match look(path) {
        Some(Look {
            form: Form::Link, ..
        }) => Err(linked(path)),
        _ => Ok(()),
    }
}

/// The names in a folder that are UTF-8, in no order; none when it is not there.
///
/// # Errors
/// `store.unavailable` when it can't be read.
pub(super) fn list(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if absent(&e) => return Ok(Vec::new()),
        Err(e) => return Err(unavailable(folder, e)),
    };
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with(TEMPORARY))
        .collect())
}

/// Makes a folder and those above it, for this user alone. One that is there is left as it is.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn folder(path: &Path) -> Result<()> {
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
pub(super) fn probe(folder: &Path) -> Result<()> {
    temporary(folder, b"sealpost", Durable::Each).map(drop)
}

/// Makes an empty file for this user alone, if it is not there yet.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn touch(path: &Path) -> Result<()> {
    private(path).map(|_| ())
}

/// Writes a file so that after any interruption it is there whole, as it was or as it is.
/// On return it is on the disk. A link that stands there gives way.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
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
pub(super) fn write_first(path: &Path, bytes: &[u8]) -> Result<()> {
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
pub(super) fn append(path: &Path, bytes: &[u8]) -> Result<()> {
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
pub(super) fn cut(path: &Path, length: u64) -> Result<()> {
    let file = private(path)?;
    file.set_len(length)
        .and_then(|()| file.sync_data())
        .map_err(|e| unavailable(path, e))
}

/// Removes a file; false when it was not there.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(parent(path)?).map(|()| true),
        Err(e) if absent(&e) => Ok(false),
        Err(e) => Err(unavailable(path, e)),
    }
}

/// Removes what interrupted writers of ours left in a folder. `now` is what the file system
/// dates a file that was written just now (Unix seconds): a writer that is at work has dated its
/// own like that, whatever the clock says.
pub(super) fn clean(folder: &Path, now: u64) {
    for entry in temporaries(folder) {
        let dated = entry.metadata().map(|meta| Stamp::of(&meta).modified);
        if dated.is_ok_and(|dated| dated.abs_diff(now) > ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// How many temporary files lie in a folder.
pub(super) fn leftovers(folder: &Path) -> usize {
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
pub(super) enum Durable {
    /// One by one: what a single write wants.
    Each,
    /// All of them by one order to the file system, where it knows one (Linux): ten thousand
    /// files cost little more than one. Until [`settle`] a power cut may leave a new file
    /// empty; one that was there before is never lost.
    Together,
}

/// Files that are written beside their places and then put there.
pub(super) struct Batch {
    base: PathBuf,
    durable: Durable,
    staged: Vec<(TempPath, PathBuf)>,
}

impl Batch {
    /// `base` takes the temporary files; it exists and is on the same file system.
    pub(super) fn new(base: &Path, durable: Durable) -> Batch {
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
    pub(super) fn stage(&mut self, target: PathBuf, bytes: &[u8]) -> Result<()> {
        let file = temporary(&self.base, bytes, self.durable)?;
        self.staged.push((file, target));
        Ok(())
    }

    /// Puts all of them in their places.
    ///
    /// # Errors
    /// `store.unavailable`; some may be in place then, each of them whole.
    pub(super) fn finish(self) -> Result<()> {
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
pub(super) fn settle(folder: &Path) -> Result<()> {
    sync_all(folder)
}

/// A file that grows by whole lines, for this user alone, and is moved aside when it has
/// grown: for the log, where a lost line matters less than a wait. Several processes may
/// write to the same path.
pub struct LineFile {
    path: PathBuf,
    file: File,
    cap: u64,
    keep: u32,
}

impl LineFile {
    /// Opens it, and the folder it lies in. Above `cap` bytes it is moved to `PATH.1`, and
    /// `keep` old ones are kept.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn open(path: PathBuf, cap: u64, keep: u32) -> Result<LineFile> {
        let beside = parent(&path)?;
        no_link(beside)?;
        // The first thing that is written anywhere: not into a folder that is nobody's, or another's.
        let above = beside.parent().unwrap_or(beside);
        if look_through(above)
            .is_some_and(|look| look.owner == Owner::Another || look.others == Others::Add)
        {
            return Err(foreign(above));
        }
        folder(beside)?;
        let file = LineFile::end_of(&path).map_err(|e| unavailable(&path, e))?;
        let mut lines = LineFile {
            path,
            file,
            cap,
            keep,
        };
        // It can be written to all the same.
        let _ = lines.rotate();
        Ok(lines)
    }

    /// Adds one line, which brings its own end.
    ///
    /// # Errors
    /// What the system says; a part of the line may be there then.
    pub fn add(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)?;
        self.rotate()
    }

    /// Another process may have moved the file just now: then the path names a small one,
    /// and is only opened again.
    fn rotate(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() < self.cap {
            return Ok(());
        }
        if fs::metadata(&self.path).is_ok_and(|meta| meta.len() >= self.cap) {
            let old = |number: u32| {
                let mut name = self.path.clone().into_os_string();
                name.push(format!(".{number}"));
                name
            };
            for number in (1..self.keep).rev() {
                // The first few times there is none.
                let _ = fs::rename(old(number), old(number + 1));
            }
            fs::rename(&self.path, old(1))?;
        }
        self.file = LineFile::end_of(&self.path)?;
        Ok(())
    }

    fn end_of(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        no_links(&mut options);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }
}

/// A lock between processes and threads, held until it is dropped; the system drops it when
/// its holder dies. The same kind (`flock`) that other users of a shared certificate folder take.
pub(super) struct Lock(#[expect(dead_code, reason = "held, never read")] File);

impl Lock {
    /// Waits for the lock on the file `path`, which is made if need be and never removed.
    ///
    /// # Errors
    /// `store.unavailable` when it can't be had, or not within twenty seconds.
    pub(super) fn take(path: &Path) -> Result<Lock> {
        Lock::take_within(path, LOCK_WAIT)
    }

    /// As [`Lock::take`], for those who can't wait as long.
    ///
    /// # Errors
    /// `store.unavailable` when it can't be had, or not in that time.
    pub(super) fn take_within(path: &Path, wait: Duration) -> Result<Lock> {
        let file = private(path)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::Error(e)) => return Err(unavailable(path, e)),
                Err(TryLockError::WouldBlock) if start.elapsed() > wait => {
                    return Err(busy());
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(3)),
            }
        }
    }

    /// The lock, if nobody has it.
    ///
    /// # Errors
    /// `store.unavailable` when it can't be had at all.
    pub(super) fn try_take(path: &Path) -> Result<Option<Lock>> {
        let file = private(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(unavailable(path, e)),
        }
    }
}

/// Takes the right to write in a folder from everybody but its owner, and nothing else.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn close(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_err(|e| unavailable(path, e))?;
        let mode = mode.permissions().mode() & !0o022;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|e| unavailable(path, e))?;
    }
    Ok(())
}

/// Makes a folder that only this user may enter, whatever it was before.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn private_folder(path: &Path) -> Result<()> {
    folder(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(|e| unavailable(path, e))?;
    }
    Ok(())
}

/// Whether a folder, if it is there, is this user's, and nobody else may enter it.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn check_private(path: &Path) -> Result<()> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(unavailable(path, e)),
    };
    if !meta.is_dir() {
        return Err(unavailable(path, ErrorKind::NotADirectory.into()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let fault =
            |what: &str| Error::new(Kind::StoreUnavailable, format!("{} {what}", path.display()));
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(fault("belongs to another user; move it away"));
        }
        if meta.mode() & 0o077 != 0 {
            return Err(fault(
                "can be entered by others; make it this user's alone (chmod 700)",
            ));
        }
    }
    Ok(())
}

/// The error when another program holds the store.
pub(super) fn busy() -> Error {
    Error::new(
        Kind::StoreUnavailable,
        "another program has been using the key store for too long; close it and try again",
    )
}

/// The error for what belongs to somebody else.
pub(super) fn foreign(path: &Path) -> Error {
    Error::new(
        Kind::StoreUnavailable,
        format!(
            "{} belongs to another user; use a folder of your own, or work as its owner",
            path.display()
        ),
    )
}

fn linked(path: &Path) -> Error {
    Error::new(
        Kind::StoreUnavailable,
        format!(
            "{} is a link; put the file or folder itself in its place",
            path.display()
        ),
    )
}

/// What opening a link gives where links are not followed.
#[cfg(unix)]
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_link(_: &io::Error) -> bool {
    false
}

/// Translates a fault of the file system.
pub(super) fn unavailable(path: &Path, error: io::Error) -> Error {
    if is_link(&error) {
        return linked(path).because(error);
    }
    let path = path.display();
    let message = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!("the disk is full, {path} can't be written; free some space and try again")
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!("{path} is on a file system that can't be written; mount it for writing")
        }
        ErrorKind::PermissionDenied => {
            format!("no permission for {path}; make it readable and writable for this user")
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            format!("a file stands where {path} needs a folder; move it away")
        }
        _ => format!("{path} can't be read or written; check the disk and the folder"),
    };
    Error::new(Kind::StoreUnavailable, message).because(error)
}

fn too_large() -> Error {
    Error::limit(
        "storedFile",
        "a file in the key store is larger than any key; move it away",
    )
}

fn absent(error: &io::Error) -> bool {
    // A file where a folder is looked for holds no certificate either.
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
    )
}

fn parent(path: &Path) -> Result<&Path> {
    path.parent()
        .ok_or_else(|| Error::internal("a file of the key store has no folder; report this"))
}

fn private(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    no_links(&mut options);
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
mod tests {
    use super::*;

    #[test]
    fn a_write_is_private_and_leaves_nothing_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/c");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap().0, b"two");
        assert_eq!(list(&home.path().join("a/b")).unwrap(), ["c"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(&home.path().join("a")), 0o700);
            assert_eq!(mode(&home.path().join("a/b")), 0o700);
        }
    }

    #[test]
    fn the_first_of_two_writers_wins() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("once");
        write_first(&path, b"first").unwrap();
        write_first(&path, b"second").unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap().0, b"first");
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        append(&path, b"one\n").unwrap();
        fs::write(&path, b"one\ntwo-is-torn").unwrap();
        append(&path, b"three\n").unwrap();
        assert_eq!(
            read_from(&path, 4, 100).unwrap(),
            b"two-is-torn\nthree\n".to_vec()
        );
    }

    #[test]
    fn a_file_of_lines_is_moved_aside() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log").join("sealpost.log");
        let mut one = LineFile::open(path.clone(), 1000, 2).unwrap();
        let mut other = LineFile::open(path.clone(), 1000, 2).unwrap();
        let line = [vec![b'x'; 99], b"\n".to_vec()].concat();
        for _ in 0..35 {
            one.add(&line).unwrap();
            other.add(&line).unwrap();
        }
        let mut names = list(path.parent().unwrap()).unwrap();
        names.sort();
        assert_eq!(names, ["sealpost.log", "sealpost.log.1", "sealpost.log.2"]);
        for name in names {
            let path = path.with_file_name(name);
            assert!(length(&path) <= 1300 && length(&path).is_multiple_of(100));
            #[cfg(unix)]
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(
                    &fs::metadata(&path).unwrap().permissions()
                ) & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn leftovers_are_not_listed_and_only_ours_are_removed() {
        let home = tempfile::tempdir().unwrap();
        for name in [".sealpost-abc", ".tmpXYZ", "kept"] {
            fs::write(home.path().join(name), b"x").unwrap();
        }
        assert!(
            !list(home.path())
                .unwrap()
                .iter()
                .any(|n| n.starts_with(".sealpost"))
        );
        assert_eq!(leftovers(home.path()), 1);
        let now = modified(&home.path().join("kept"));
        // Its writer may be at work.
        clean(home.path(), now);
        clean(home.path(), now + ABANDONED);
        assert!(home.path().join(".sealpost-abc").exists());
        clean(home.path(), now + ABANDONED + 60);
        assert!(!home.path().join(".sealpost-abc").exists());
        // One from a time when the clock was wrong.
        fs::write(home.path().join(".sealpost-abc"), b"x").unwrap();
        clean(home.path(), 5);
        assert_eq!(leftovers(home.path()), 0);
        assert!(home.path().join(".tmpXYZ").exists());
        assert!(home.path().join("kept").exists());
    }

    #[test]
    fn what_is_too_large_or_no_file_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("large");
        fs::write(&path, [0; 11]).unwrap();
        let error = read(&path, 10).unwrap_err();
        assert_eq!(error.kind.name(), "limit.exceeded");
        assert!(read(home.path(), 10).unwrap().is_none());
        assert!(read(&path.join("below"), 10).unwrap().is_none());
    }

    #[test]
    fn a_lock_is_held_against_other_threads_until_dropped() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        let counter = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _lock = Lock::take(&path).unwrap();
                        let seen = counter.load(std::sync::atomic::Ordering::SeqCst);
                        std::thread::yield_now();
                        counter.store(seen + 1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(counter.into_inner(), 80);
    }
}
