//! Finding other people's keys: what the network has for an address, filtered, and filed beside
//! what messages brought. Nobody is accepted for it, and no known key gives way.

use bytes::Bytes;

use super::{DiscoverReply, DiscoverRequest, Discovered, Outcome, Tried, Via};
use crate::base::context::unix;
use crate::base::error::Kind;
use crate::base::keys::{CertFacts, Certs as _, Protocol, Source, Usage};
use crate::base::network::Directory;
use crate::base::policy::{DISCOVERY, Discovery};
use crate::base::verdict::FoundChange;
use crate::base::{Address, Context, Error, Result};
use crate::engine::Words;
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
    let mut met: Vec<Met> = Vec::new();
    let mut found = Vec::new();
    let mut tried = Vec::new();
    for via in WAYS {
        if request.via.is_some_and(|wanted| wanted != via) {
            continue;
        }
        let known = met.iter().any(|met| met.via == Via::Wkd);
        let outcome = match via {
            Via::Autocrypt => known_already(world, &request.address, &mut found)?,
            Via::Keyserver if known => Outcome::Skipped,
            Via::Wkd | Via::Keyserver | Via::Ldap => {
                way(world, via, &request.address, &mut met, cx)?
            }
        };
        tried.push(Tried { via, outcome });
    }
    // Nothing is written while somebody may still be waited for, and the request taken back.
    for one in &met {
        found.extend(take_up(world, one, &request.address, cx)?);
    }
    Ok(DiscoverReply {
        found,
        tried,
        revision: world.store.revision()?,
    })
}

/// A certificate that names the address, as it came.
struct Met {
    via: Via,
    cert: Vec<u8>,
    facts: CertFacts,
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

/// Goes one way and looks through what is found there.
fn way(
    world: &World,
    via: Via,
    address: &Address,
    met: &mut Vec<Met>,
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
        let new = world
            .network
            .find(directory, address, &cx.job)
            .and_then(|answers| look(world, via, &answers, address, cx));
        match new {
            Ok(some) if some.is_empty() => {}
            Ok(some) => {
                outcome = Outcome::Found;
                for one in some {
                    // The same certificate from two servers is one.
                    let known = |known: &Met| known.facts.id == one.facts.id && known.via == via;
                    if !met.iter().any(known) {
                        met.push(one);
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

/// The certificates that name the address, each without its other names.
fn look(
    world: &World,
    via: Via,
    answers: &[Bytes],
    address: &Address,
    cx: &Context,
) -> Result<Vec<Met>> {
    let mut met = Vec::new();
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
            if met.len() < CERTS_MAX {
                met.extend(look_at(world, via, &cert, address, cx)?);
            }
        }
    }
    Ok(met)
}

fn look_at(
    world: &World,
    via: Via,
    cert: &[u8],
    address: &Address,
    cx: &Context,
) -> Result<Option<Met>> {
    let engine = world.engine(kind(via).0)?;
    let now = unix(cx.now);
    let named = std::slice::from_ref(address);
    let only = engine.only_for(cert, named, Words::Introducers, cx);
    let Ok(Some(cert)) = only else {
        return Ok(None);
    };
    let Ok(facts) = engine.facts(&cert, now) else {
        return Ok(None);
    };
    if !facts.addresses.contains(address) {
        return Ok(None);
    }
    // What nobody can be written to with is news only of a key that is here.
    let unfit = engine.unfit(&cert, Usage::Encrypt, Some(address), now);
    if !unfit.is_empty() && world.store.cert(&facts.id)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Met { via, cert, facts }))
}

/// What comes by a way, and how it is filed.
fn kind(via: Via) -> (Protocol, Source) {
    match via {
        Via::Autocrypt => (Protocol::OpenPgp, Source::Autocrypt),
        Via::Wkd => (Protocol::OpenPgp, Source::Wkd),
        Via::Keyserver => (Protocol::OpenPgp, Source::Keyserver),
        Via::Ldap => (Protocol::Smime, Source::Ldap),
    }
}

/// Files a certificate among the harvested ones, within their caps.
fn take_up(
    world: &World,
    met: &Met,
    address: &Address,
    cx: &Context,
) -> Result<Option<Discovered>> {
    let Met { via, cert, facts } = met;
    let (protocol, source) = kind(*via);
    let engine = world.engine(protocol)?;
    let now = unix(cx.now);
    let id = &facts.id;
    let change = harvest::change(world, cert, protocol, address, cx)?;
    let found = Discovered {
        id: id.clone(),
        via: *via,
        change,
    };
    if change == FoundChange::Known {
        return Ok(Some(found));
    }
    // One that is not kept is not found: a client could do nothing with its id.
    if world.store.cert(id)?.is_none() && !world.store.harvest_allowed(address, now)? {
        return Ok(None);
    }
    cx.job.commit()?;
    let put = world
        .store
        .put(id, source, Place::Harvested, now, &mut |old| match old {
            None => Ok((cert.clone(), facts.clone())),
            Some(old) => {
                let merged = engine.merge(old, cert)?;
                let facts = engine.facts(&merged, now)?;
                Ok((merged, facts))
            }
        });
    match put {
        // It would grow beyond what is kept: what is here stays as it is.
        Err(error) if matches!(error.kind, Kind::LimitExceeded { .. }) => return Ok(None),
        put => put?,
    };
    // Nothing can be taken out of an S/MIME certificate.
    if facts.addresses.len() > 1 {
        world.store.found(address, id, now)?;
    }
    if change == FoundChange::Conflict {
        harvest::in_conflict(world, protocol, address, id, cx)?;
    }
    Ok(Some(found))
}
