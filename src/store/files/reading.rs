//! Whole files: ours, those that are shared with other programs, and those that somebody named.

use std::path::Path;

use super::{Stamp, Whose, read_all};
use crate::base::Result;

/// A file's content and stamp; `None` when it is not there.
///
/// # Errors
/// `store.unavailable` when it can't be read, is a link, is another user's, or can be changed by
/// others; `limit.exceeded` above `cap` bytes.
pub(in crate::store) fn read(path: &Path, cap: u64) -> Result<Option<(Vec<u8>, Stamp)>> {
    read_all(path, cap, Whose::Ours)
}

/// As [`read`], in a folder that the person's other programs write in, too: they have their own
/// idea of who may.
///
/// # Errors
/// `store.unavailable` when it can't be read, is a link, or is another user's; `limit.exceeded`
/// above `cap` bytes.
pub(in crate::store) fn read_shared(path: &Path, cap: u64) -> Result<Option<(Vec<u8>, Stamp)>> {
    read_all(path, cap, Whose::Shared)
}

/// As [`read`], of a file that is not ours: an administrator's, or one that a rule names. It may
/// be a link.
///
/// # Errors
/// `store.unavailable` when it can't be read; `limit.exceeded` above `cap` bytes.
pub(in crate::store) fn read_named(path: &Path, cap: u64) -> Result<Option<(Vec<u8>, Stamp)>> {
    read_all(path, cap, Whose::Anybodys)
}
