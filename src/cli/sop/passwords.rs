//! Passwords, out of the files that are named.

use std::ffi::{OsStr, OsString};

use super::fault::{Code, Failure, Result};
use super::files;
use crate::base::Secret;

/// A new password, without the white space behind it.
///
/// # Errors
/// 31 for what nobody could type: no UTF-8, control characters, white space at its start or
/// other than the blank.
pub fn new(name: &OsStr) -> Result<Secret> {
    let given = files::read(name)?;
    let unreadable = || {
        Failure::new(
            Code::PasswordNotHumanReadable,
            "a new password is text that can be typed, with no white space but blanks in it",
        )
    };
    let text = std::str::from_utf8(given.expose()).map_err(|_| unreadable())?;
    let text = text.trim_end();
    let odd = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
    if text.is_empty() || text.starts_with(char::is_whitespace) || text.contains(odd) {
        return Err(unreadable());
    }
    Ok(Secret::new(text.as_bytes().to_vec()))
}

/// As [`new`], of several.
///
/// # Errors
/// As [`new`].
pub fn all_new(names: &[OsString]) -> Result<Vec<Secret>> {
    names.iter().map(|name| new(name)).collect()
}

/// Passwords that are to open something: each without the white space behind it, and as it is.
///
/// # Errors
/// Those of reading them.
pub fn known(names: &[OsString]) -> Result<Vec<Secret>> {
    let mut all = Vec::new();
    for name in names {
        let given = files::read(name)?;
        let trimmed = match std::str::from_utf8(given.expose()) {
            Ok(text) => text.trim_end().as_bytes(),
            Err(_) => given.expose().trim_ascii_end(),
        };
        if trimmed.len() < given.expose().len() {
            all.push(Secret::new(trimmed.to_vec()));
        }
        all.push(given);
    }
    Ok(all)
}
