//! GnuPG's public keyring as it was when it was looked at last: what GnuPG says of it, and the
//! certificates. Copies; the truth is GnuPG's, and a stamp says of when they are.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::{Store, files};
use crate::base::{KeyId, Protocol, Result};

/// The most of either copy that is kept, in bytes: somewhat more than is taken over at once.
const COPY_MAX: u64 = 80 << 20;

/// The most of a file of options that is read: people write a page.
const OPTIONS_MAX: u64 = 1 << 20;

/// What a copy begins with, so that one of another form is none.
const FORM: &str = "sealpost keyring 1";

impl Store {
    /// What a file of GnuPG's options says of one, in its last line about it.
    ///
    /// # Errors
    /// `store.unavailable` when it can't be read.
    pub fn gnupg_option(&self, file: &Path, option: &str) -> Result<Option<String>> {
        Ok(self.gnupg_options(file, option)?.pop())
    }

    /// What a file of GnuPG's options says of one, in each line about it.
    ///
    /// # Errors
    /// `store.unavailable` when it can't be read.
    pub fn gnupg_options(&self, file: &Path, option: &str) -> Result<Vec<String>> {
        let Some((bytes, _)) = files::read_named(file, OPTIONS_MAX)? else {
            return Ok(Vec::new());
        };
        let text = String::from_utf8_lossy(&bytes);
        let said = text.lines().filter_map(|line| {
            let line = line.trim();
            let (name, value) = line.split_once([' ', '\t'])?;
            let value = value.trim().trim_matches('"');
            let named = name.strip_prefix("--").unwrap_or(name) == option;
            (named && !value.is_empty()).then(|| value.to_owned())
        });
        Ok(said.collect())
    }

    /// Descriptions of the store's own certificates that are kept, as text. `None` unless they are of
    /// this stamp.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn descriptions(&self, stamp: &str) -> Result<Option<Bytes>> {
        let kept = files::read(&self.home.descriptions(), COPY_MAX)?;
        Ok(kept.and_then(|(bytes, _)| of_stamp(stamp, &bytes.into())))
    }

    /// Keeps them.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn put_descriptions(&self, stamp: &str, text: &str) -> Result<()> {
        let text = format!("{FORM}\n{stamp}\n{text}");
        files::write(&self.home.descriptions(), text.as_bytes())
    }

    /// What GnuPG said of its certificates. `None` unless it was at this stamp.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn gnupg_listing(&self, of: Protocol, stamp: &str) -> Result<Option<Bytes>> {
        let kept = files::read(&self.home.gnupg_listing(of), COPY_MAX)?;
        Ok(kept.and_then(|(bytes, _)| of_stamp(stamp, &bytes.into())))
    }

    /// Keeps what it says.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn put_gnupg_listing(&self, of: Protocol, stamp: &str, listing: &str) -> Result<()> {
        let text = format!("{FORM}\n{stamp}\n{listing}");
        files::write(&self.home.gnupg_listing(of), text.as_bytes())
    }

    /// GnuPG's certificates. `None` unless they are those at this stamp.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn gnupg_certs(&self, of: Protocol, stamp: &str) -> Result<Option<Vec<(KeyId, Bytes)>>> {
        let kept = files::read(&self.home.gnupg_certs(of), COPY_MAX)?;
        Ok(kept.and_then(|(bytes, _)| certs(&of_stamp(stamp, &bytes.into())?)))
    }

    /// Keeps them: each by its place in the keyring.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn put_gnupg_certs(
        &self,
        of: Protocol,
        stamp: &str,
        keyring: &[u8],
        places: &[(KeyId, Range<usize>)],
    ) -> Result<()> {
        let mut kept = format!("{FORM}\n{stamp}\n{}\n", places.len()).into_bytes();
        for (id, place) in places {
            let line = format!("{id} {} {}\n", place.start, place.end);
            kept.extend_from_slice(line.as_bytes());
        }
        kept.extend_from_slice(keyring);
        files::write(&self.home.gnupg_certs(of), &kept)
    }
}

/// What follows the stamp, if it is this one.
fn of_stamp(stamp: &str, kept: &Bytes) -> Option<Bytes> {
    let head = format!("{FORM}\n{stamp}\n");
    let rest = kept.strip_prefix(head.as_bytes())?;
    Some(kept.slice_ref(rest))
}

fn certs(kept: &Bytes) -> Option<Vec<(KeyId, Bytes)>> {
    let mut rest: &[u8] = kept;
    let mut line = || {
        let end = memchr::memchr(b'\n', rest)?;
        let (line, after) = rest.split_at_checked(end)?;
        rest = after.get(1..)?;
        std::str::from_utf8(line).ok()
    };
    let count: usize = line()?.parse().ok()?;
    let mut places = Vec::new();
    for _ in 0..count {
        let mut words = line()?.split(' ');
        let id = KeyId::parse(words.next()?)?;
        let place: (usize, usize) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        places.push((id, place));
    }
    let cut = |(id, (start, end))| {
        let cert: &[u8] = rest.get(start..end)?;
        Some((id, kept.slice_ref(cert)))
    };
    places.into_iter().map(cut).collect()
}
