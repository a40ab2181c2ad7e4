//! Certificates that come along with messages: what is new, what is known, what contradicts.
//! The only thing that opening a message ever writes.

use crate::base::autocrypt::{Peer, PreferEncrypt};
use crate::base::context::unix;
use crate::base::keys::{Acceptance, CertFacts, Certs, Protocol, Source, StoredCert, Usage};
use crate::base::layer::{SignatureFacts, Trust};
use crate::base::verdict::{FoundChange, FoundKey};
use crate::base::{Address, Context, Error, KeyId, Kind, Result};
use crate::engine::{Offer, Words};
use crate::store::Place;
use crate::verbs::World;

/// Seconds in a day.
const DAY: u64 = 24 * 60 * 60;

/// Fields that are looked at in one message. One is what a sender writes; of several that fit
/// none counts.
const FIELDS_MAX: usize = 8;

/// What the Autocrypt header fields of a message come to, recorded unless the request judges
/// at an instant of its own. `from` is the message's one outer From, `date` its `Date` in Unix
/// seconds. Fields that don't fit are no fields, and of several that do none counts.
///
/// # Errors
/// Those of the store.
pub(super) fn autocrypt(
    world: &World,
    from: &Address,
    date: Option<u64>,
    values: &[String],
    cx: &Context,
) -> Result<Option<FoundKey>> {
    // Where the family is not used, there is nothing to take up.
    let Ok(engine) = world.engine(Protocol::OpenPgp) else {
        return Ok(None);
    };
    let fits = |value: &&String| {
        let offer = engine.offered(value);
        offer.is_some_and(|offer| offer.address == *from)
    };
    let one = match values {
        [only] => Some(only),
        several if several.len() > FIELDS_MAX => None,
        several => {
            let mut fit = several.iter().filter(fits);
            fit.next().filter(|_| fit.next().is_none())
        }
    };
    let found = match one {
        Some(value) => field(world, from, date, value, cx)?,
        None => None,
    };
    if found.is_none()
        && cx.at.is_none()
        && let Some(date) = date.filter(|date| *date <= unix(cx.now))
    {
        let heard = |peer: &mut Peer| peer.heard(date, None);
        world.store.learn(from, unix(cx.now), heard)?;
    }
    Ok(found)
}

/// What one Autocrypt header field comes to. One that does not fit is `None`.
fn field(
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
    let heard = |date: u64, id: &KeyId, prefer: PreferEncrypt| {
        let offer = (id.clone(), prefer);
        world
            .store
            .learn(from, now, |peer| peer.heard(date, Some(offer.clone())))
    };
    if let Some((id, prefer)) = world.harvested.get(&asked)
        && let Some(date) = date.filter(|date| *date <= now)
        && cx.at.is_none()
        && world.store.cert(&id)?.is_some()
    {
        heard(date, &id, prefer)?;
        let (address, source) = (Some(from.clone()), Source::Autocrypt);
        return Ok(Some(FoundKey {
            id,
            address,
            source,
            change: FoundChange::Known,
        }));
    }
    let (Some(offer), Some(date)) = (engine.offered(value), date) else {
        return Ok(None);
    };
    let Offer {
        address,
        cert,
        prefer,
    } = offer;
    if &address != from || date > now {
        return Ok(None);
    }
    // Whose else's name stands in it is not this sender's to say.
    let named = std::slice::from_ref(from);
    let Ok(Some(cert)) = engine.only_for(&cert, named, Words::Owner, cx) else {
        return Ok(None);
    };
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
        merged(world, &cert, &facts, Source::Autocrypt, now)?;
    }
    if change == FoundChange::Conflict {
        in_conflict(world, Protocol::OpenPgp, from, &id, cx)?;
    }
    world.store.seen(from, &id, now)?;
    heard(date, &id, prefer)?;
    world.harvested.keep(asked, (id, prefer));
    Ok(Some(found))
}

/// Puts an OpenPGP certificate among the harvested ones, merged with what is here of it.
pub(super) fn merged(
    world: &World,
    cert: &[u8],
    facts: &CertFacts,
    source: Source,
    now: u64,
) -> Result<()> {
    let engine = world.engine(facts.id.protocol())?;
    let place = Place::Harvested;
    let put = world
        .store
        .put(&facts.id, source, place, now, &mut |old| match old {
            None => Ok((cert.to_vec(), facts.clone())),
            Some(old) => {
                let merged = engine.merge(old, cert)?;
                let facts = engine.facts(&merged, now)?;
                Ok((merged, facts))
            }
        });
    put.map(drop)
}

/// What a good S/MIME signature of `from` brought: its certificate, those above it, and what
/// its owner says of the algorithms they read. Recorded unless the request judges at an
/// instant of its own.
///
/// # Errors
/// Those of the store.
pub(super) fn signature(
    world: &World,
    from: &Address,
    facts: &SignatureFacts,
    cx: &Context,
) -> Result<Option<FoundKey>> {
    let Some((own, above)) = facts.brought.certs.split_first() else {
        return Ok(None);
    };
    let engine = world.engine(Protocol::Smime)?;
    let now = unix(cx.now);
    let own_facts = engine.facts(own, now)?;
    let id = own_facts.id.clone();
    let change = change(world, own, Protocol::Smime, from, cx)?;
    let found = FoundKey {
        id: id.clone(),
        address: Some(from.clone()),
        source: Source::Signature,
        change,
    };
    if cx.at.is_some() {
        return Ok(Some(found));
    }
    if change != FoundChange::Known {
        if !world.store.harvest_allowed(from, now)? {
            return Ok(Some(found));
        }
        cx.job.commit()?;
        record(world, &id, own, &own_facts, now)?;
        if own_facts.addresses.len() > 1 {
            world.store.found(from, &id, now)?;
        }
        for cert in above {
            let Ok(facts) = engine.facts(cert, now) else {
                continue;
            };
            // Other people's certificates are not theirs to bring.
            if facts.usage == [Usage::Certify] && world.store.cert(&facts.id)?.is_none() {
                record(world, &facts.id, cert, &facts, now)?;
            }
        }
        if change == FoundChange::Conflict {
            in_conflict(world, Protocol::Smime, from, &id, cx)?;
        }
    }
    if let (Some(stated), Some(signed_at)) = (&facts.brought.capabilities, facts.signed_at) {
        world.store.put_capabilities(&id, signed_at, stated)?;
    }
    world.store.seen(from, &id, now)?;
    Ok(Some(found))
}

/// Puts one certificate among the harvested ones.
fn record(world: &World, id: &KeyId, cert: &[u8], facts: &CertFacts, now: u64) -> Result<()> {
    let place = Place::Harvested;
    let put = world
        .store
        .put(id, Source::Signature, place, now, &mut |_| {
            Ok((cert.to_vec(), facts.clone()))
        });
    put.map(drop)
}

/// Keeps that a certificate stands beside others for an address.
pub(super) fn in_conflict(
    world: &World,
    protocol: Protocol,
    address: &Address,
    id: &KeyId,
    cx: &Context,
) -> Result<()> {
    let rivals = rivals(world, protocol, address, cx)?;
    let mut ids: Vec<_> = rivals.into_iter().map(|cert| cert.id).collect();
    if !ids.contains(id) {
        ids.push(id.clone());
    }
    world.store.conflict(address, &ids, unix(cx.now))
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
    let now = unix(cx.judged_at());
    let facts = engine.facts(cert, now)?;
    if let Some(known) = world.store.cert(&facts.id)? {
        let peer = world.store.peer(address)?;
        let accepted = world.store.acceptance(&known.id, address)? != Acceptance::Undecided;
        // It may be here for somebody else's address.
        let named = engine.facts(&known.cert, now)?.addresses.contains(address)
            && counts_for(world, &known, address, cx)?;
        // What only others have said of somebody is news when they say it themselves.
        if accepted || named && !is_gossip(&known, &peer) {
            return added(world, &known, cert);
        }
    }
    let rivals = rivals(world, protocol, address, cx)?;
    if rivals.is_empty() {
        return Ok(FoundChange::New);
    }
    let rivals: Vec<_> = rivals.iter().collect();
    Ok(
        match contradicts(world, cert, protocol, address, &rivals, cx) {
            true => FoundChange::Conflict,
            false => FoundChange::Update,
        },
    )
}

/// Whether a certificate contradicts those that could be used for its address: every road by
/// which one comes in is held to this.
///
/// An S/MIME certificate that an authority vouches for, that has the key of one that is here,
/// or that is meant for another use contradicts nobody: renewals and pairs of certificates are
/// everyday life.
pub(super) fn contradicts(
    world: &World,
    cert: &[u8],
    protocol: Protocol,
    address: &Address,
    rivals: &[&StoredCert],
    cx: &Context,
) -> bool {
    let Ok(engine) = world.any_engine(protocol) else {
        return true;
    };
    let now = unix(cx.judged_at());
    let handle = engine.key_handle(cert);
    let same_key =
        |rival: &&StoredCert| handle.is_some() && engine.key_handle(&rival.cert) == handle;
    let for_other_use = !engine
        .unfit(cert, Usage::Encrypt, Some(address), now)
        .is_empty();
    let update = protocol == Protocol::Smime
        && (for_other_use
            || rivals.iter().any(same_key)
            || engine.trust(cert, address, cx) == Trust::Anchored);
    !update
}

/// Whether a copy of a certificate that is here says more than that.
pub(super) fn added(world: &World, known: &StoredCert, cert: &[u8]) -> Result<FoundChange> {
    let engine = world.engine(known.id.protocol())?;
    match engine.merge(&known.cert, cert) {
        Ok(merged) if merged == known.cert => Ok(FoundChange::Known),
        Ok(_) => Ok(FoundChange::Update),
        Err(error) if error.kind == Kind::MessageMalformed => Ok(FoundChange::Known),
        Err(error) => Err(error),
    }
}

/// Whether a certificate came for an address by other people's word alone.
pub(super) fn is_gossip(cert: &StoredCert, peer: &Peer) -> bool {
    let offered = peer.offered.as_ref().is_some_and(|o| o.key == cert.id);
    let gossiped = peer.gossiped.as_ref().is_some_and(|g| g.key == cert.id);
    let by_mail = matches!(cert.source, Source::Autocrypt | Source::Gossip);
    !offered && by_mail && !cert.own && (gossiped || cert.source == Source::Gossip)
}

/// Whether a certificate came for an address. One that names several, and that somebody's mail or a
/// directory brought, came for those alone that wrote it or were looked for: nothing can be
/// taken out of an S/MIME certificate.
pub(super) fn came_for(
    world: &World,
    cert: &StoredCert,
    address: &Address,
    now: u64,
) -> Result<bool> {
    let by_others = matches!(
        cert.source,
        Source::Signature | Source::Ldap | Source::Autocrypt | Source::Attached
    );
    if cert.own || !by_others || cert.id.protocol() != Protocol::Smime {
        return Ok(true);
    }
    let engine = world.any_engine(Protocol::Smime)?;
    let named = engine.facts(&cert.cert, now)?.addresses;
    Ok(named.len() < 2 || world.store.came_for(&cert.id, address)?)
}

/// As [`came_for`]; an authority's word for the address will do as well.
pub(super) fn counts_for(
    world: &World,
    cert: &StoredCert,
    address: &Address,
    cx: &Context,
) -> Result<bool> {
    if came_for(world, cert, address, unix(cx.judged_at()))? {
        return Ok(true);
    }
    let engine = world.any_engine(cert.id.protocol())?;
    Ok(engine.trust(&cert.cert, address, cx) == Trust::Anchored)
}

/// The certificates that could be used for an address today, those aside that only others have
/// passed on, or that came for another of their addresses.
pub(super) fn rivals(
    world: &World,
    protocol: Protocol,
    address: &Address,
    cx: &Context,
) -> Result<Vec<StoredCert>> {
    let engine = world.engine(protocol)?;
    let now = unix(cx.judged_at());
    let mut rivals = Vec::new();
    let peer = world.store.peer(address)?;
    for cert in world.store.by_address(protocol, address)? {
        let acceptance = world.store.acceptance(&cert.id, address)?;
        if acceptance < Acceptance::Accepted
            && (is_gossip(&cert, &peer) || !counts_for(world, &cert, address, cx)?)
        {
            continue;
        }
        let unfit = engine.unfit(&cert.cert, Usage::Encrypt, Some(address), now);
        if unfit.is_empty() && acceptance != Acceptance::Rejected {
            rivals.push(cert);
        }
    }
    Ok(rivals)
}

/// OpenPGP certificates in an attached key block: reported, never recorded. Nothing else is
/// looked for: a PKCS#12 file would have to be opened, at the price that its maker set.
pub(super) fn attached(world: &World, data: &[u8], cx: &Context) -> Vec<FoundKey> {
    /// A key attachment holds a key or two; a keyring is for `keys/import`.
    const SHOWN: usize = 20;
    let engine = world.engine(Protocol::OpenPgp).ok();
    let Some(incoming) = engine.and_then(|engine| engine.read_keys(data, cx).ok()) else {
        return Vec::new();
    };
    let look = |key: crate::engine::IncomingKey| -> Result<FoundKey, Error> {
        let address = key.facts.addresses.first().cloned();
        let protocol = key.facts.id.protocol();
        let change = match &address {
            Some(address) => change(world, &key.cert, protocol, address, cx)?,
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
