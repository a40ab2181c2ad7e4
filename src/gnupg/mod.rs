//! GnuPG in place: its keyring through `gpg`, which knows all the forms in which it lies, and
//! its secret keys through its agent. Nothing secret is exported, nothing is written there.

#[cfg(unix)]
mod assuan;
mod colons;
#[cfg(unix)]
mod installed;
pub mod lines;
mod list;
#[cfg(unix)]
mod program;
#[cfg(unix)]
mod socket;

pub use colons::{described, written};
#[cfg(unix)]
pub use installed::gnupg;
