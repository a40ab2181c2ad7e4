//! `delete`: takes a key of somebody else out of the store.

use serde::Serialize;

use super::rings::{self, Theirs, Wanted};
use super::{Code, Fault};
use crate::base::{Context, Error, Protocol};
use crate::verbs::keys::{self, DeleteRequest};
use crate::verbs::{Ask, World};

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    pub protocol: Protocol,
    /// A pattern that one key alone fits.
    pub key: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Reply {
    success: bool,
}

/// The shortest name of a key, in bytes, as gpgme has it.
const NAME_LEAST: usize = 8;

/// Deletes a key; the person confirms it.
///
/// # Errors
/// Invalid value for a name that is too short; end of file for a key that is not here; ambiguous
/// name; conflicting use for one whose secret half is here; forbidden for one that lies in GnuPG's
/// keyring, which is GnuPG's to change.
pub fn delete(world: &World, request: &Request, cx: &Context) -> Result<Reply, Fault> {
    const FETCHING: &str = "Error fetching key for delete";
    const DELETING: &str = "Error deleting key";
    if request.key.trim().len() < NAME_LEAST {
        return Err(Fault::new(Code::Invalid).doing(FETCHING));
    }
    let wanted = Wanted::named(std::slice::from_ref(&request.key));
    let found = rings::known(world, request.protocol, &wanted, cx);
    let mut found = found
        .map_err(|error| Fault::from(error).doing(FETCHING))?
        .into_iter();
    let known = match (found.next(), found.next()) {
        (None, _) => return Err(Fault::new(Code::EndOfFile).doing(FETCHING)),
        (Some(known), None) => known,
        (Some(_), Some(_)) => return Err(Fault::new(Code::Ambiguous).doing(FETCHING)),
    };
    if known.key.flags.secret {
        return Err(Fault::new(Code::Conflict).doing(DELETING));
    }
    if known.gnupg != Theirs::Nothing {
        let theirs = Error::refused(
            "gnupg",
            "this key is in GnuPG's keyring; delete it with gpg",
        );
        return Err(Fault::from(theirs).doing(DELETING));
    }
    let request = DeleteRequest {
        id: known.key.id,
        secret: false,
        ask: Ask::Allowed,
    };
    keys::delete(world, &request, cx).map_err(|error| Fault::from(error).doing(DELETING))?;
    Ok(Reply { success: true })
}
