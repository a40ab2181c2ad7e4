//! Finding other people's keys: what the network has for an address, filtered, and filed beside
//! what messages brought. Nobody is accepted for it, and no known key gives way.

use bytes::Bytes;

use super::{DiscoverReply, DiscoverRequest, Discovered, Outcome, Tried, Via};
use crate::base::context::unix;
use crate::base::error::Kind;
use crate::base::keys::{Certs as _, Protocol, Source, Usage};
use crate::base::network::Directory;
use crate::base::policy::{DISCOVERY, Discovery};
use crate::base::verdict::FoundChange;
use crate::base::{Address, Context, Error, Result};
use crate::store::Place;
use crate::verbs::World;
use crate::verbs::harvest;

/// Servers of one kind that are asked: each gets to know who is looked for, and may keep us
/// waiting.
const SERVERS_MAX: usize = 3;

/// Certificates that are taken out of one answer: one key, one that it is replaced by, a few
/// old ones.
const CERTS_MAX: usize = 5;

/// The ways in the order in which they are gone.
const WAYS: [Via; 4] = [Via::Autocrypt, Via::Wkd, Via::Keyserver, Via::Ldap];

/// `keys/discover`: looks for the keys of an address. Without `via` servers of keys are asked
/// only where the address's own domain has none. What is found is undecided.
///
/// # Errors
/// `policy.refused`; `cancelled`; those of the store. A way that leads nowhere is told in
/// `tried`, and nothing found is no error.
pub fn discover(world: &World, request: &DiscoverRequest, cx: &Context) -> Result<DiscoverReply> {
    if cx.policy.discovery == Discovery::Never && request.via != Some(Via::Autocrypt) {
        return Err(refused());
    }
    let mut found: Vec<Discovered> = Vec::new();
    let mut tried = Vec::new();
    for via in WAYS {
        if request.via.is_some_and(|wanted| wanted != via) {
            continue;
        }
        let known = found.iter().any(|found| found.via == Via::Wkd);
        let outcome = match via {
            Via::Autocrypt => known_already(world, &request.address, &mut found)?,
            Via::Keyserver if known => Outcome::Skipped,
            Via::Wkd | Via::Keyserver | Via::Ldap => {
                way(world, via, &request.address, &mut found, cx)?
            }
        };
        tried.push(Tried { via, outcome });
    }
    Ok(DiscoverReply {
        found,
        tried,
        revision: world.store.revision()?,
    })
}

/// The error where nobody may be asked.
pub(super) fn refused() -> Error {
    Error::refused(
        DISCOVERY,
        "looking up and publishing keys is switched off; see discovery in policy.toml",
    )
}

/// What messages brought along.
fn known_already(world: &World, address: &Address, found: &mut Vec<Discovered>) -> Result<Outcome> {
    let before = found.len();
    let certs = world.store.by_address(Protocol::OpenPgp, address)?;
    let brought = certs
        .into_iter()
        .filter(|cert| cert.source == Source::Autocrypt);
    found.extend(brought.map(|cert| Discovered {
        id: cert.id,
        via: Via::Autocrypt,
        change: FoundChange::Known,
    }));
    Ok(match found.len() > before {
        true => Outcome::Found,
        false => Outcome::Nothing,
    })
}

/// Goes one way and takes up what is found there.
fn way(
    world: &World,
    via: Via,
    address: &Address,
    found: &mut Vec<Discovered>,
    cx: &Context,
) -> Result<Outcome> {
    let directories: Vec<Directory<'_>> = match via {
        Via::Autocrypt => Vec::new(),
        Via::Wkd => vec![Directory::Wkd],
        Via::Keyserver => servers(&cx.policy.keyservers, Directory::Keyserver),
        Via::Ldap => servers(&cx.policy.directories, Directory::Ldap),
    };
    if directories.is_empty() {
        return Ok(Outcome::Skipped);
    }
    let mut outcome = Outcome::Nothing;
    for directory in directories {
        let taken = world
            .network
            .find(directory, address, &cx.job)
            .and_then(|answers| take(world, via, &answers, address, cx));
        match taken {
            Ok(some) if some.is_empty() => {}
            Ok(some) => {
                outcome = Outcome::Found;
                for one in some {
                    // The same certificate from two servers is one.
                    let known = |known: &Discovered| known.id == one.id && known.via == via;
                    if !found.iter().any(known) {
                        found.push(one);
                    }
                }
            }
            Err(error) if matches!(error.kind, Kind::NetworkFailed | Kind::MessageMalformed) => {
                if outcome == Outcome::Nothing {
                    outcome = Outcome::Failed;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(outcome)
}

fn servers<'a>(named: &'a [String], kind: fn(&'a str) -> Directory<'a>) -> Vec<Directory<'a>> {
    named
        .iter()
        .take(SERVERS_MAX)
        .map(|server| kind(server))
        .collect()
}

/// Takes up the certificates that name the address, each without its other names.
fn take(
    world: &World,
    via: Via,
    answers: &[Bytes],
    address: &Address,
    cx: &Context,
) -> Result<Vec<Discovered>> {
    let mut taken = Vec::new();
    for answer in answers {
        let certs: Vec<Vec<u8>> = match via {
            // One certificate each; a file of secrets would have us ask for its passphrase.
            Via::Ldap => vec![answer.to_vec()],
            Via::Autocrypt | Via::Wkd | Via::Keyserver => {
                let incoming = world
                    .engine(Protocol::OpenPgp)?
                    .read_keys(answer, cx)
                    .map_err(|error| match error.kind {
                        Kind::LimitExceeded { .. } => Error::malformed(error.message),
                        _ => error,
                    })?;
                incoming.keys.into_iter().map(|key| key.cert).collect()
            }
        };
        for cert in certs {
            cx.job.check()?;
            if taken.len() < CERTS_MAX
                && let Some(one) = take_one(world, via, &cert, address, cx)?
            {
                taken.push(one);
            }
        }
    }
    Ok(taken)
}

fn take_one(
    world: &World,
    via: Via,
    cert: &[u8],
    address: &Address,
    cx: &Context,
) -> Result<Option<Discovered>> {
    let (protocol, source) = match via {
        Via::Autocrypt => (Protocol::OpenPgp, Source::Autocrypt),
        Via::Wkd => (Protocol::OpenPgp, Source::Wkd),
        Via::Keyserver => (Protocol::OpenPgp, Source::Keyserver),
        Via::Ldap => (Protocol::Smime, Source::Ldap),
    };
    let engine = world.engine(protocol)?;
    let now = unix(cx.now);
    let only = engine.only_for(cert, std::slice::from_ref(address));
    let Ok(Some(cert)) = only else {
        return Ok(None);
    };
    let Ok(facts) = engine.facts(&cert, now) else {
        return Ok(None);
    };
    if !facts.addresses.contains(address) {
        return Ok(None);
    }
    let id = facts.id.clone();
    let here = world.store.cert(&id)?.is_some();
    // What nobody can be written to with is news only of a key that is here.
    let unfit = engine.unfit(&cert, Usage::Encrypt, Some(address), now);
    if !here && !unfit.is_empty() {
        return Ok(None);
    }
    let change = harvest::change(world, &cert, protocol, address, cx)?;
    let found = Discovered {
        id: id.clone(),
        via,
        change,
    };
    if change == FoundChange::Known {
        return Ok(Some(found));
    }
    if !here && !world.store.harvest_allowed(address, now)? {
        return Ok(Some(found));
    }
    cx.job.commit()?;
    let put = world
        .store
        .put(&id, source, Place::Harvested, now, &mut |old| match old {
            None => Ok((cert.clone(), facts.clone())),
            Some(old) => {
                let merged = engine.merge(old, &cert)?;
                let facts = engine.facts(&merged, now)?;
                Ok((merged, facts))
            }
        });
    match put {
        // It has grown beyond what is kept: what is here stays as it is.
        Err(error) if matches!(error.kind, Kind::LimitExceeded { .. }) => return Ok(None),
        put => put?,
    };
    if change == FoundChange::Conflict {
        harvest::in_conflict(world, protocol, address, &id, cx)?;
    }
    Ok(Some(found))
}
