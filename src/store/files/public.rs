//! Files outside our own folders that other programs read: manifests, and links to the program.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{TEMPORARY, parent, sync_folder, unavailable};
use crate::base::Result;

/// Writes a file for all to read, whole or not at all, and the folders above it. A link that
/// stands there gives way.
///
/// # Errors
/// `store.unavailable`.
pub(in crate::store) fn publish(path: &Path, bytes: &[u8]) -> Result<()> {
    let base = parent(path)?;
    folders(base)?;
    let make = || -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        if let Some(permissions) = readable() {
            builder.permissions(permissions);
        }
        let mut file = builder.prefix(TEMPORARY).tempfile_in(base)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    make().map_err(|e| unavailable(path, e))?;
    sync_folder(base)
}

/// Makes a link to a program, in place of another link that is there.
///
/// # Errors
/// `store.unavailable`; so too where something stands that is no link.
pub(in crate::store) fn link(path: &Path, program: &Path) -> Result<()> {
    let base = parent(path)?;
    folders(base)?;
    match fs::symlink_metadata(path) {
        Ok(meta) if !is_ours(&meta) => return Err(super::no_file(path)),
        _ => {}
    }
    // Never gone in between: a browser may be about to start it.
    let made = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .make_in(base, |at| symlink(program, at))
        .map_err(|e| unavailable(path, e))?;
    made.into_temp_path()
        .persist(path)
        .map_err(|e| unavailable(path, e.error))?;
    sync_folder(base)
}

/// Where a path leads to at last.
pub(in crate::store) fn resolved(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

/// Makes folders for all to read; those that are there stay as they are.
fn folders(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    builder.create(path).map_err(|e| unavailable(path, e))
}

#[cfg(unix)]
fn readable() -> Option<Permissions> {
    Some(std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable() -> Option<Permissions> {
    None
}

#[cfg(unix)]
fn symlink(program: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(program, at)
}

/// A link there needs a privilege; a second name for the same file needs none.
#[cfg(not(unix))]
fn symlink(program: &Path, at: &Path) -> io::Result<()> {
    fs::hard_link(program, at)
}

#[cfg(unix)]
fn is_ours(meta: &fs::Metadata) -> bool {
    meta.is_symlink()
}

#[cfg(not(unix))]
fn is_ours(meta: &fs::Metadata) -> bool {
    meta.is_file()
}
