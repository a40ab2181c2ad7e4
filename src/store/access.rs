//! Who may reach the folder of state. It is ours and nobody else may enter it, nothing in it is a
//! link, and what lies above it is not for everybody to move: `SEALPOST_HOME` itself may be a
//! link, for people do that.
//!
//! A folder of our own that is open to others is closed when it is first used. One of another
//! user is never used, whatever its mode says: whoever owns it could open it again.

use std::path::{Path, PathBuf};

use super::files::{self, Others, Owner};
use super::home::Home;
use crate::base::Result;

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
/// `store.unavailable` when it is another user's or no folder, or when there is a link in it
/// where something of ours belongs.
pub(super) fn find(home: &Home) -> Result<()> {
    files::folder(&home.state)?;
    owned(home)?;
    unlinked(home)
}

/// As [`find`], and closes it to others. The store alone does this, which remembers what it was
/// like before.
///
/// # Errors
/// As [`find`]; so too when others can write in it and it can't be closed.
pub(super) fn enter(home: &Home) -> Result<Before> {
    find(home)?;
    let others = files::look_through(&home.state).map_or(Others::Nothing, |look| look.others);
    if others > Others::Nothing {
        match files::private_folder(&home.state) {
            Ok(()) => log::warn!("the folder of state was open to others; it is closed now"),
            // What can only be read by others is still better read than lost.
            Err(_) if others == Others::Read => {
                log::warn!("the folder of state is open to others, and can't be closed");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(match others {
        Others::Nothing | Others::Read => Before::Closed,
        Others::Add | Others::Write => Before::Open,
    })
}

/// Refuses a folder of state that is another user's. One that is not there is nobody's.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn owned(home: &Home) -> Result<()> {
    match files::look_through(&home.state) {
        Some(look) if look.owner != Owner::Us => Err(files::foreign(&home.state)),
        _ => Ok(()),
    }
}

/// Refuses links in the places of our folders; for files, opening them does.
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
    let is_loose = |path: &&Path| {
        files::look(path)
            .is_some_and(|look| look.others == Others::Write || look.owner == Owner::Another)
    };
    let above = straight.ancestors().skip(1);
    above.filter(is_loose).map(Path::to_owned).collect()
}
