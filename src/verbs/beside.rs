//! Certificates that a person, or another program of theirs, brings in: whether one stands beside
//! another for its address. Mail and look-ups ask the same of one certificate at a time, by the same
//! rule ([`harvest::contradicts`]).

use std::collections::{BTreeMap, BTreeSet};

use super::{World, harvest};
use crate::base::context::unix;
use crate::base::keys::{Acceptance, CertFacts, Certs as _, Protocol, StoredCert};
use crate::base::{Address, Context, KeyId, Result};

/// Keys that stand side by side for one address: whoever has to choose compares no more, and a file
/// with thousands for one address costs as little as any.
const RIVALS_MAX: usize = 20;

/// A certificate and an address that it did not name here before.
pub(super) type Newcomer = (KeyId, Address);

/// What would be new here, looked at before it is put. A certificate that others have passed on, or
/// that came for another of its addresses, is new when the person brings it.
///
/// # Errors
/// Those of the store.
pub(super) fn newcomers<'a>(
    world: &World,
    brought: impl Iterator<Item = &'a CertFacts>,
    cx: &Context,
) -> Result<Vec<Newcomer>> {
    let now = unix(cx.now);
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
            let aside = match &cert {
                Some(cert) if named => {
                    harvest::is_gossip(cert, &world.store.peer(address)?)
                        || !harvest::came_for(world, cert, address, now)?
                }
                _ => false,
            };
            if !named || aside {
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
    let mut by_address: BTreeMap<(Protocol, &Address), BTreeSet<&KeyId>> = BTreeMap::new();
    for (id, address) in newcomers {
        let new = by_address.entry((id.protocol(), address)).or_default();
        new.insert(id);
    }
    for ((protocol, address), new) in by_address {
        // Hardly any address has two keys: nothing is read of the others.
        if world.store.is_shared(protocol, address)? {
            conflict(world, (protocol, address), &new, together, cx)?;
        }
    }
    Ok(())
}

fn conflict(
    world: &World,
    (protocol, address): (Protocol, &Address),
    new: &BTreeSet<&KeyId>,
    together: &BTreeSet<KeyId>,
    cx: &Context,
) -> Result<()> {
    let rivals = harvest::rivals(world, protocol, address, cx)?;
    let mut found = false;
    for cert in rivals.iter().filter(|cert| new.contains(&cert.id)) {
        let other = |other: &&StoredCert| {
            let own = cert.own && other.own;
            other.id != cert.id && !own && !together.contains(&other.id)
        };
        if world.store.acceptance(&cert.id, address)? != Acceptance::Undecided
            || !rivals.iter().any(|rival| other(&rival))
        {
            continue;
        }
        let others: Vec<_> = rivals.iter().filter(other).take(RIVALS_MAX).collect();
        found |= others.len() == RIVALS_MAX
            || harvest::contradicts(world, &cert.cert, protocol, address, &others, cx);
        if found {
            break;
        }
    }
    if found {
        // A newcomer is among those that are shown, however many there were.
        let known = rivals.iter().filter(|cert| !new.contains(&cert.id));
        let known = known.take(RIVALS_MAX / 2);
        let all = known.chain(rivals.iter().filter(|cert| new.contains(&cert.id)));
        let ids: Vec<_> = all.take(RIVALS_MAX).map(|cert| cert.id.clone()).collect();
        world.store.conflict(address, &ids, unix(cx.now))?;
    }
    Ok(())
}
