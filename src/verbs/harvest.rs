//! Certificates that come along with messages: what is new, what is known, what contradicts.
//! The only thing that opening a message ever writes.

use crate::base::context::unix;
use crate::base::keys::{Acceptance, Certs, Protocol, Source};
use crate::base::verdict::{FoundChange, FoundKey};
use crate::base::{Address, Context, Error, Kind, Result};
use crate::store::Place;
use crate::verbs::World;

/// Seconds in a day.
const DAY: u64 = 24 * 60 * 60;

/// What an Autocrypt header field comes to, recorded unless the request judges at an instant
/// of its own. `from` is the message's one outer From, `date` its `Date` in Unix seconds.
///
/// # Errors
/// Those of the store. A field that does not fit is `None`.
pub(super) fn autocrypt(
    world: &World,
    from: &Address,
    date: Option<u64>,
    value: &str,
    cx: &Context,
) -> Result<Option<FoundKey>> {
    let engine = world.engine(Protocol::OpenPgp)?;
    let now = unix(cx.now);
    // The same field stands in every message of a correspondence. Once a day it is looked at.
    let asked = (from.clone(), value.to_owned(), now / DAY);
    if let Some(id) = world.harvested.get(&asked)
        && date.is_some_and(|date| date <= now)
        && cx.at.is_none()
        && world.store.cert(&id)?.is_some()
    {
        let (address, source) = (Some(from.clone()), Source::Autocrypt);
        return Ok(Some(FoundKey {
            id,
            address,
            source,
            change: FoundChange::Known,
        }));
    }
    let (Some((address, cert)), Some(date)) = (engine.offered(value), date) else {
        return Ok(None);
    };
    if &address != from || date > now {
        return Ok(None);
    }
    let Ok(facts) = engine.facts(&cert, now) else {
        return Ok(None);
    };
    let id = facts.id.clone();
    let change = change(world, &cert, Protocol::OpenPgp, from, cx)?;
    let found = FoundKey {
        id: id.clone(),
        address: Some(address),
        source: Source::Autocrypt,
        change,
    };
    if cx.at.is_some() {
        return Ok(Some(found));
    }
    if change != FoundChange::Known && !world.store.harvest_allowed(from, now)? {
        return Ok(Some(found));
    }
    cx.job.commit()?;
    if matches!(
        change,
        FoundChange::New | FoundChange::Update | FoundChange::Conflict
    ) {
        world.store.put(
            &id,
            Source::Autocrypt,
            Place::Harvested,
            now,
            &mut |old| match old {
                None => Ok((cert.clone(), facts.clone())),
                Some(old) => {
                    let merged = engine.merge(old, &cert)?;
                    let facts = engine.facts(&merged, now)?;
                    Ok((merged, facts))
                }
            },
        )?;
    }
    if change == FoundChange::Conflict {
        let mut ids: Vec<_> = rivals(world, Protocol::OpenPgp, from, cx)?
            .into_iter()
            .map(|cert| cert.id)
            .collect();
        if !ids.contains(&id) {
            ids.push(id.clone());
        }
        world.store.conflict(from, &ids, now)?;
    }
    world.store.seen(from, &id, now)?;
    world.harvested.keep(asked, id);
    Ok(Some(found))
}

/// What a certificate would change for an address, without changing anything.
pub(super) fn change(
    world: &World,
    cert: &[u8],
    protocol: Protocol,
    address: &Address,
    cx: &Context,
) -> Result<FoundChange> {
    let engine = world.engine(protocol)?;
    let facts = engine.facts(cert, unix(cx.judged_at()))?;
    if let Some(known) = world.store.cert(&facts.id)? {
        return Ok(match engine.merge(&known.cert, cert) {
            Ok(merged) if merged == known.cert => FoundChange::Known,
            Ok(_) => FoundChange::Update,
            Err(error) if error.kind == Kind::MessageMalformed => FoundChange::Known,
            Err(error) => return Err(error),
        });
    }
    Ok(match rivals(world, protocol, address, cx)?.is_empty() {
        true => FoundChange::New,
        false => FoundChange::Conflict,
    })
}

/// The certificates that could be used for an address today.
fn rivals(
    world: &World,
    protocol: Protocol,
    address: &Address,
    cx: &Context,
) -> Result<Vec<crate::base::keys::StoredCert>> {
    let engine = world.engine(protocol)?;
    let now = unix(cx.judged_at());
    let mut rivals = Vec::new();
    for cert in world.store.by_address(protocol, address)? {
        let unfit = engine.unfit(
            &cert.cert,
            crate::base::keys::Usage::Encrypt,
            Some(address),
            now,
        );
        if unfit.is_empty() && world.store.acceptance(&cert.id, address)? != Acceptance::Rejected {
            rivals.push(cert);
        }
    }
    Ok(rivals)
}

/// Certificates in an attached key block: reported, never recorded.
pub(super) fn attached(world: &World, data: &[u8], cx: &Context) -> Vec<FoundKey> {
    /// A key attachment holds a key or two; a keyring is for `keys/import`.
    const SHOWN: usize = 20;
    let Ok(incoming) = world
        .engine(Protocol::OpenPgp)
        .and_then(|e| e.read_keys(data, cx))
    else {
        return Vec::new();
    };
    let look = |key: crate::engine::IncomingKey| -> Result<FoundKey, Error> {
        let address = key.facts.addresses.first().cloned();
        let change = match &address {
            Some(address) => change(world, &key.cert, Protocol::OpenPgp, address, cx)?,
            None => FoundChange::New,
        };
        Ok(FoundKey {
            id: key.facts.id,
            address,
            source: Source::Attached,
            change,
        })
    };
    incoming
        .keys
        .into_iter()
        .take(SHOWN)
        .filter_map(|key| look(key).ok())
        .collect()
}
