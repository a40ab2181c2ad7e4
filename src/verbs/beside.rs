//! Certificates that a person, or another program of theirs, brings in: whether one stands beside
//! another for its address. Mail and look-ups ask the same of one certificate at a time, by the same
//! rule ([`harvest::contradicts`]).

use std::collections::BTreeSet;

use super::{World, harvest};
use crate::base::context::unix;
use crate::base::keys::{Acceptance, CertFacts, Certs as _, StoredCert, Usage};
use crate::base::{Address, Context, KeyId, Result};

/// A certificate and an address that it did not name here before.
pub(super) type Newcomer = (KeyId, Address);

/// What would be new here, looked at before it is put. A certificate that others have passed on is
/// new when the person brings it.
///
/// # Errors
/// Those of the store.
pub(super) fn newcomers<'a>(
    world: &World,
    brought: impl Iterator<Item = &'a CertFacts>,
) -> Result<Vec<Newcomer>> {
    let mut new = Vec::new();
    for facts in brought {
        let known = world.store.row(&facts.id)?;
        let cert = match &known {
            Some(_) => world.store.cert(&facts.id)?,
            None => None,
        };
        for address in &facts.addresses {
            let named = known
                .as_ref()
                .is_some_and(|row| row.facts.addresses.contains(address));
            let gossip = match &cert {
                Some(cert) if named => harvest::is_gossip(cert, &world.store.peer(address)?),
                _ => false,
            };
            if !named || gossip {
                new.push((facts.id.clone(), address.clone()));
            }
        }
    }
    Ok(new)
}

/// Keeps the conflicts that newcomers make, once they are here. What was decided about one is no
/// question any more; own keys are none to one another, nor are those in `together` to anybody;
/// and one that can't be used today displaces nobody: keyrings are full of old keys.
///
/// # Errors
/// Those of the store.
pub(super) fn conflicts(
    world: &World,
    newcomers: &[Newcomer],
    together: &BTreeSet<KeyId>,
    cx: &Context,
) -> Result<()> {
    for (id, address) in newcomers {
        let protocol = id.protocol();
        // Hardly any address has two keys: nothing more is read of the others.
        let all = world.store.by_address(protocol, address)?;
        let Some(cert) = all.iter().find(|cert| cert.id == *id) else {
            continue;
        };
        let other = |other: &StoredCert| {
            let own = cert.own && other.own;
            other.id != *id && !own && !together.contains(&other.id)
        };
        if !all.iter().any(other) || world.store.acceptance(id, address)? != Acceptance::Undecided {
            continue;
        }
        let engine = world.any_engine(protocol)?;
        let now = unix(cx.now);
        let unfit = engine.unfit(&cert.cert, Usage::Encrypt, Some(address), now);
        let mut rivals = harvest::rivals(world, protocol, address, cx)?;
        rivals.retain(other);
        if unfit.is_empty()
            && !rivals.is_empty()
            && harvest::contradicts(world, &cert.cert, protocol, address, &rivals, cx)
        {
            harvest::in_conflict(world, protocol, address, id, cx)?;
        }
    }
    Ok(())
}
