//! `keys/accept`, and how acceptance is put to the person.

use super::show::reply;
use super::{AcceptRequest, KeyReply};
use crate::base::ask::Action;
use crate::base::context::unix;
use crate::base::keys::{Acceptance, Certs as _, no_such_key};
use crate::base::{Address, Context, KeyId, Result};
use crate::verbs::World;

/// `keys/accept`: what the person thinks of a key for one address. Accepting one of the keys
/// in a conflict, or rejecting all but one, ends it.
///
/// # Errors
/// `key.missing`; `consent.denied` at `verified`.
pub fn accept(world: &World, request: &AcceptRequest, cx: &Context) -> Result<KeyReply> {
    let AcceptRequest {
        id, address, level, ..
    } = request;
    world.store.row(id)?.ok_or_else(no_such_key)?;
    if *level == Acceptance::Verified {
        cx.confirm(
            Action::AcceptVerified,
            &format!("{} for {address}", id.fingerprint()),
        )?;
    }
    let rivals = world.store.conflicts(address)?;
    let mut open = 0;
    for rival in rivals.iter().filter(|rival| *rival != id) {
        open += usize::from(world.store.acceptance(rival, address)? != Acceptance::Rejected);
    }
    let decided = match level {
        Acceptance::Accepted | Acceptance::Verified => true,
        Acceptance::Rejected => open < 2,
        Acceptance::Undecided => false,
    };
    cx.job.commit()?;
    if rivals.contains(id) && decided {
        world
            .store
            .settle(address, &[(id.clone(), *level)], unix(cx.now))?;
    } else {
        world.store.accept(id, address, *level, unix(cx.now))?;
    }
    reply(world, id, cx)
}

/// What the person confirms: fingerprints and the addresses they are accepted for, all of them.
pub(super) fn accept_label(keys: &[(&KeyId, Vec<&Address>)]) -> String {
    let line = |(id, addresses): &(&KeyId, Vec<&Address>)| {
        let addresses: Vec<_> = addresses.iter().map(|address| address.as_str()).collect();
        format!("{} for {}", id.fingerprint(), addresses.join(", "))
    };
    keys.iter().map(line).collect::<Vec<_>>().join("\n")
}
