//! Files and folders from outside: what they are, whose, and who else may reach them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::fault::{absent, foreign, linked, loose, no_file, unavailable};
use super::{Stamp, TEMPORARY, folder};
use crate::base::{Error, Kind, Result};

/// What something is, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Form {
    File,
    Folder,
    Link,
    Other,
}

/// Whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Owner {
    Us,
    /// The system's own user.
    System,
    Another,
}

/// What others may do with something, beside its owner and the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Others {
    Nothing,
    Read,
    /// Writing, but in a folder nothing with what is not theirs.
    Add,
    Write,
}

/// A file or folder from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Look {
    pub(in crate::store) form: Form,
    pub(in crate::store) owner: Owner,
    pub(in crate::store) others: Others,
}

impl Look {
    /// Whether others can put something else in the place of what it is or holds.
    pub(in crate::store) fn is_loose(self) -> bool {
        self.owner == Owner::Another || self.others == Others::Write
    }

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
pub(in crate::store) fn look(path: &Path) -> Option<Look> {
    fs::symlink_metadata(path).ok().map(|meta| Look::of(&meta))
}

/// Whether anything bears this name, a link to nowhere too.
pub(in crate::store) fn is_something(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// As [`look`], but of what a link leads to.
pub(in crate::store) fn look_through(path: &Path) -> Option<Look> {
    fs::metadata(path).ok().map(|meta| Look::of(&meta))
}

/// What a name stands for at one instant: another when anything about it is, rights included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Glance {
    There {
        stamp: Stamp,
        changed: (i64, i64),
    },
    /// Why not, and what bears the name all the same, and its folder's: a link to nowhere, a file.
    Not {
        why: ErrorKind,
        name: Option<Form>,
        folder: Option<Form>,
    },
}

/// Looks at a name, through links.
pub(in crate::store) fn glance(path: &Path) -> Glance {
    let form = |path: &Path| look(path).map(|look| look.form);
    match fs::metadata(path) {
        Ok(meta) => Glance::There {
            stamp: Stamp::of(&meta),
            changed: changed(&meta),
        },
        Err(error) => Glance::Not {
            why: error.kind(),
            name: form(path),
            folder: path.parent().and_then(form),
        },
    }
}

/// When anything about it changed last.
#[cfg(unix)]
fn changed(meta: &fs::Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (meta.ctime(), meta.ctime_nsec())
}

#[cfg(not(unix))]
fn changed(_: &fs::Metadata) -> (i64, i64) {
    (0, 0)
}

/// A path without links in it, as far as there is such a thing.
pub(in crate::store) fn straight(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(unix)]
pub(super) fn owner(meta: &fs::Metadata) -> Owner {
    match std::os::unix::fs::MetadataExt::uid(meta) {
        user if user == rustix::process::geteuid().as_raw() => Owner::Us,
        0 => Owner::System,
        _ => Owner::Another,
    }
}

#[cfg(not(unix))]
pub(super) fn owner(_: &fs::Metadata) -> Owner {
    Owner::Us
}

#[cfg(unix)]
pub(super) fn others(meta: &fs::Metadata) -> Others {
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
pub(super) fn others(_: &fs::Metadata) -> Others {
    Others::Nothing
}

/// The names in a folder of ours that are UTF-8, in no order; none when it is not there.
///
/// # Errors
/// `store.unavailable` when it can't be read, or is a link.
pub(in crate::store) fn list(folder: &Path) -> Result<Vec<String>> {
    no_link(folder)?;
    list_named(folder)
}

/// As [`list`], of a folder that may be a link: that of state, or one that is shared.
///
/// # Errors
/// `store.unavailable` when it can't be read.
pub(in crate::store) fn list_named(folder: &Path) -> Result<Vec<String>> {
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

/// Refuses a link where a file or folder of ours belongs.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn no_link(path: &Path) -> Result<()> {
    match look(path) {
        Some(Look {
            form: Form::Link, ..
        }) => Err(linked(path)),
        _ => Ok(()),
    }
}

/// The path of a file in a folder of ours, which is no link: the way to all of them but those that
/// lie in the folder of state itself, which may be one.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn within(folder: &Path, name: &str) -> Result<PathBuf> {
    no_link(folder)?;
    Ok(folder.join(name))
}

/// Refuses what is no file where a file of ours belongs: a link, a folder, a pipe, a device.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn only_file(path: &Path) -> Result<()> {
    match look(path).map(|look| look.form) {
        None | Some(Form::File) => Ok(()),
        Some(Form::Link) => Err(linked(path)),
        Some(Form::Folder | Form::Other) => Err(no_file(path)),
    }
}

/// Refuses what another user owns, or what others can change. What is not there is nobody's.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn ours_alone(path: &Path) -> Result<()> {
    match look(path) {
        Some(look) if look.owner == Owner::Another => Err(foreign(path)),
        Some(look) if look.form == Form::File && look.others == Others::Write => Err(loose(path)),
        _ => Ok(()),
    }
}

/// Takes the right to write in a folder from everybody but its owner, and nothing else.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn close(path: &Path) -> Result<()> {
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
pub(in crate::store) fn private_folder(path: &Path) -> Result<()> {
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
pub(in crate::store) fn check_private(path: &Path) -> Result<()> {
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
