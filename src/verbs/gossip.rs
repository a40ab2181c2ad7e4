//! Keys that are passed on in encrypted mail to several, so that each can answer all
//! (Autocrypt 1.1, 2.6). They stand inside the encryption, name only those whom To and Cc name
//! anyway, and are used for nobody whose key is known from themselves.

use super::peel::Peeled;
use super::{World, harvest};
use crate::base::autocrypt::{Peer, PreferEncrypt};
use crate::base::context::unix;
use crate::base::keys::{Certs, Protocol, Source, StoredCert};
use crate::base::verdict::{FoundChange, FoundKey};
use crate::base::{Address, Context, Result};
use crate::engine::{Offer, Words};
use crate::mail::{Entity, FieldOut, Head};

/// The name of the field.
const FIELD: &str = "Autocrypt-Gossip";

/// Keys that are passed on in one message: with more recipients it is a mailing list, and the
/// fields would be larger than most messages.
const FIELDS_MAX: usize = 50;

/// The fields for one envelope, whose recipients may know of one another. Nobody is told their
/// own key alone, and `from` offers theirs otherwise.
///
/// # Errors
/// Those of the engine.
pub(super) fn fields(
    world: &World,
    from: &Address,
    to: &[(Address, StoredCert)],
) -> Result<Vec<FieldOut>> {
    let others: Vec<_> = to.iter().filter(|(address, _)| address != from).collect();
    if others.len() < 2 || others.len() > FIELDS_MAX {
        return Ok(Vec::new());
    }
    let mut fields = Vec::new();
    for (address, cert) in others {
        let engine = world.engine(cert.id.protocol())?;
        if let Some(value) = engine.offer(&cert.cert, address, PreferEncrypt::NoPreference) {
            fields.push(FieldOut::breakable(FIELD, &value)?);
        }
    }
    Ok(fields)
}

/// The keys that a message passes on, recorded unless the request judges at an instant of its
/// own. Only what was encrypted counts, and only for those to whom the message went.
///
/// # Errors
/// Those of the store.
pub(super) fn passed_on(
    world: &World,
    root: &Entity,
    peeled: &Peeled,
    cx: &Context,
) -> Result<Vec<FoundKey>> {
    let payload = peeled.payload.as_ref();
    let Some(payload) = payload.filter(|payload| payload.is_sealed()) else {
        return Ok(Vec::new());
    };
    let mut fields = payload.head.all(FIELD).peekable();
    if fields.peek().is_none() {
        return Ok(Vec::new());
    }
    let date = date(&payload.head).or_else(|| date(&root.head));
    let Some(date) = date.filter(|date| *date <= unix(cx.now)) else {
        return Ok(Vec::new());
    };
    let mut named = recipients(&payload.head);
    if named.is_empty() {
        named = recipients(&root.head);
    }
    // Where the family is not used, there is nothing to take up.
    let Ok(engine) = world.engine(Protocol::OpenPgp) else {
        return Ok(Vec::new());
    };
    let mut found: Vec<FoundKey> = Vec::new();
    for field in fields.take(FIELDS_MAX) {
        cx.job.check()?;
        let Some(offer) = engine.offered(&field.unfolded()) else {
            continue;
        };
        let twice = found
            .iter()
            .any(|known| known.address.as_ref() == Some(&offer.address));
        if !twice && named.contains(&offer.address) {
            found.extend(one(world, date, offer, cx)?);
        }
    }
    Ok(found)
}

/// Takes one key in, beside whatever is known of that address.
fn one(world: &World, date: u64, offer: Offer, cx: &Context) -> Result<Option<FoundKey>> {
    let Offer { address, cert, .. } = offer;
    let engine = world.engine(Protocol::OpenPgp)?;
    let now = unix(cx.now);
    let named = std::slice::from_ref(&address);
    let Ok(Some(cert)) = engine.only_for(&cert, named, Words::Owner, cx) else {
        return Ok(None);
    };
    let Ok(facts) = engine.facts(&cert, now) else {
        return Ok(None);
    };
    let id = facts.id.clone();
    let known = world.store.by_address(Protocol::OpenPgp, &address)?;
    // Nobody tells us which key is ours.
    if known.iter().any(|cert| cert.own) || !facts.addresses.contains(&address) {
        return Ok(None);
    }
    let change = match world.store.cert(&id)? {
        Some(known) => harvest::added(world, &known, &cert)?,
        None => harvest::change(world, &cert, Protocol::OpenPgp, &address, cx)?,
    };
    let found = FoundKey {
        id: id.clone(),
        address: Some(address.clone()),
        source: Source::Gossip,
        change,
    };
    if cx.at.is_some() {
        return Ok(Some(found));
    }
    if change != FoundChange::Known {
        if !world.store.harvest_allowed(&address, now)? {
            return Ok(Some(found));
        }
        cx.job.commit()?;
        harvest::merged(world, &cert, &facts, Source::Gossip, now)?;
    }
    let learn = |peer: &mut Peer| peer.gossiped(date, id.clone());
    world.store.learn(&address, now, learn)?;
    Ok(Some(found))
}

fn date(head: &Head) -> Option<u64> {
    head.first("Date").and_then(|date| date.date())
}

/// Those to whom a message went, or answers go.
fn recipients(head: &Head) -> Vec<Address> {
    let named = ["To", "Cc", "Reply-To"];
    let fields = named.iter().flat_map(|name| head.all(name));
    fields
        .flat_map(|field| field.mailboxes())
        .map(|mailbox| mailbox.address)
        .collect()
}
