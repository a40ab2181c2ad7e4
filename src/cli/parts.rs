//! `sealpost keys address` and `keys subkey`: what one's own keys consist of.

use super::args::{Keys, SubkeyUse};
use super::keys::{address_of, done};
use super::session::Session;
use super::which::own_of;
use crate::base::keys::Usage;
use crate::base::{Error, Mailbox, Protocol, Result};
use crate::verbs::keys::{self, AddressRequest, SubkeyRequest};

/// # Errors
/// As the verb of that name.
pub(super) fn address(command: &Keys, session: &Session) -> Result<()> {
    let Keys::Address {
        key,
        add,
        retire,
        common,
    } = command
    else {
        return Ok(());
    };
    let added = match add.as_deref().map(Mailbox::parse) {
        None => None,
        Some(Some(mailbox)) => Some(mailbox),
        Some(None) => {
            return Err(Error::invalid(
                "/add",
                "use an address, or \"Name <address>\"",
            ));
        }
    };
    let request = AddressRequest {
        id: own_of(Protocol::OpenPgp, session, &key.key)?,
        name: added.as_ref().and_then(|mailbox| mailbox.name.clone()),
        add: added.map(|mailbox| mailbox.address),
        retire: retire.as_deref().map(address_of).transpose()?,
        ask: session.ask(),
    };
    let reply = session.run(|world, cx| keys::address(world, &request, cx))?;
    let told = match add {
        Some(_) => "has one address more",
        None => "has one address less",
    };
    done(
        &reply,
        common.json,
        &format!("{} {told}; give it to those who have it", request.id),
    )
}

/// # Errors
/// As the verb of that name.
pub(super) fn subkey(command: &Keys, session: &Session) -> Result<()> {
    let Keys::Subkey {
        key,
        add,
        retire,
        common,
    } = command
    else {
        return Ok(());
    };
    let request = SubkeyRequest {
        id: own_of(Protocol::OpenPgp, session, &key.key)?,
        add: add.map(|usage| match usage {
            SubkeyUse::Sign => Usage::Sign,
            SubkeyUse::Encrypt => Usage::Encrypt,
        }),
        retire: retire.clone(),
        ask: session.ask(),
    };
    let reply = session.run(|world, cx| keys::subkey(world, &request, cx))?;
    let told = match add {
        Some(_) => "has one subkey more",
        None => "has one subkey less",
    };
    done(
        &reply,
        common.json,
        &format!("{} {told}; give it to those who have it", request.id),
    )
}
