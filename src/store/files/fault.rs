//! What the file system says, in words for people.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::base::{Error, Kind};

/// The error when another program holds the store.
pub(in crate::store) fn busy() -> Error {
    Error::new(
        Kind::StoreUnavailable,
        "another program has been using the key store for too long; close it and try again",
    )
}

/// The error for what belongs to somebody else.
pub(in crate::store) fn foreign(path: &Path) -> Error {
    Error::new(
        Kind::StoreUnavailable,
        format!(
            "{} belongs to another user; use a folder of your own, or work as its owner",
            path.display()
        ),
    )
}

pub(super) fn linked(path: &Path) -> Error {
    Error::new(
        Kind::StoreUnavailable,
        format!(
            "{} is a link; put the file or folder itself in its place",
            path.display()
        ),
    )
}

pub(super) fn no_file(path: &Path) -> Error {
    Error::new(
        Kind::StoreUnavailable,
        format!("{} is no file; move it away", path.display()),
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
pub(in crate::store) fn unavailable(path: &Path, error: io::Error) -> Error {
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

pub(super) fn too_large() -> Error {
    Error::limit(
        "storedFile",
        "a file in the key store is larger than any key; move it away",
    )
}

pub(super) fn absent(error: &io::Error) -> bool {
    // A file where a folder is looked for holds no certificate either.
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
    )
}
