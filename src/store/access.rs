//! Who may reach the folder of state. It is ours and nobody else may enter it, nothing in it is a
//! link, and what lies above it is not for everybody to move: `SEALPOST_HOME` itself may be a
//! link, for people do that.
//!
//! From a folder of our own, others lose the right to write when it is first used; nothing else is
//! changed, for somebody may have named a folder that is more than ours. One for everybody and one
//! of another user are never used: whoever owns a folder can open it again.

use std::path::{Path, PathBuf};

use super::files::{self, Look, Others, Owner};
use super::home::Home;
use crate::base::{Error, Kind, Result};

/// What others could do in the folder of state when it was first used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing that changes anything.
    Closed,
    /// Put something in, or change it.
    Open,
}

/// Makes the folder of state, or looks at the one that is there.
///
/// # Errors
/// `store.unavailable` when it is another user's, for everybody, or no folder, or when there is a
/// link in it where something of ours belongs.
pub(super) fn find(home: &Home) -> Result<()> {
    files::folder(&home.state)?;
    owned(home)?;
    unlinked(home)
}

/// As [`find`], and takes the right to write in it from others. The store alone does this, which
/// remembers what it was like before.
///
/// # Errors
/// As [`find`]; so too when others can write in it and that can't be taken from them.
pub(super) fn enter(home: &Home) -> Result<Before> {
    find(home)?;
    match files::look_through(&home.state).map(|look| look.others) {
        Some(Others::Write) => {
            files::close(&home.state)?;
            log::warn!("others could write in the folder of state, and can't any more");
            Ok(Before::Open)
        }
        // Every file in it is its owner's alone.
        _ => Ok(Before::Closed),
    }
}

/// Refuses a folder of state that is another user's, or for everybody. One that is not there is
/// nobody's.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn owned(home: &Home) -> Result<()> {
    match files::look_through(&home.state) {
        Some(look) if look.owner != Owner::Us => Err(files::foreign(&home.state)),
        // `/tmp`, say: whoever made it so meant it, and it is nobody's to close.
        Some(look) if look.others == Others::Add => Err(Error::new(
            Kind::StoreUnavailable,
            format!(
                "{} is a folder for everybody; name one of your own in SEALPOST_HOME",
                home.state.display()
            ),
        )),
        _ => Ok(()),
    }
}

/// Refuses links in the places of our folders, before any of them is used; the way to a file in
/// one of them ([`files::within`]) refuses them again, and opening a file refuses those to it.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn unlinked(home: &Home) -> Result<()> {
    for folder in home.folders() {
        files::no_link(&folder)?;
    }
    Ok(())
}

/// The folders above the folder of state that others may rename it in.
pub(super) fn loose_above(home: &Home) -> Vec<PathBuf> {
    let straight = files::straight(&home.state);
    let is_loose = |path: &&Path| files::look(path).is_some_and(Look::is_loose);
    let above = straight.ancestors().skip(1);
    above.filter(is_loose).map(Path::to_owned).collect()
}
