//! Making keys.

use std::sync::Arc;

use super::change::new_passphrase;
use super::claim::{self, Claim, Half, What};
use super::show::reply;
use super::{GenerateReply, GenerateRequest, KeyReply, NewPassphrase};
use crate::base::context::{parse_rfc3339, unix};
use crate::base::keys::{Acceptance, Source};
use crate::base::{Address, Body, Context, Error, Result, Secret};
use crate::engine::{KeySpec, NewKey, Passphrase};
use crate::store::{Place, Wrap};
use crate::verbs::World;

/// What the desktop's key store keeps for a key.
const KEYCHAIN_BYTES: usize = 32;

/// The longest name in a new key, in bytes.
const NAME_MAX: usize = 256;

/// `keys/generate`: makes a key and accepts it for its own address.
///
/// # Errors
/// `passphrase.unavailable` when a passphrase is wanted and nobody can be asked;
/// `request.invalid`; `consent.denied` where another key has the address; `store.unavailable`.
pub fn generate(world: &World, request: &GenerateRequest, cx: &Context) -> Result<GenerateReply> {
    let engine = world.engine(request.protocol)?;
    let name = name(request.name.as_deref())?;
    let expires = match &request.expires {
        None => None,
        Some(text) => Some(
            parse_rfc3339(text)
                .filter(|expires| *expires > unix(cx.now))
                .ok_or_else(|| {
                    Error::invalid("/expires", "use an RFC 3339 instant in the future")
                })?,
        ),
    };
    let label = match name {
        Some(name) => format!("{name} <{}>", request.address),
        None => request.address.to_string(),
    };
    let claim = Claim {
        what: What::Made(request.protocol),
        addresses: std::slice::from_ref(&request.address),
        secret: Half::Protected,
    };
    claim::claim(world, &[claim], cx)?;
    let (passphrase, wrap) = match request.passphrase {
        NewPassphrase::Ask => (
            Passphrase::Human(new_passphrase(None, &label, cx)?),
            Wrap::Passphrase,
        ),
        NewPassphrase::None => (
            Passphrase::Random(world.store.device_passphrase()?),
            Wrap::Device,
        ),
        NewPassphrase::Keychain => (
            Passphrase::Random(Arc::new(Secret::random(KEYCHAIN_BYTES)?)),
            Wrap::Keychain,
        ),
    };
    let spec = KeySpec {
        name: name.map(str::to_owned),
        address: request.address.clone(),
        profile: request.profile,
        expires,
    };
    let mut new = engine.generate(&spec, &passphrase, cx)?;
    let to_authority = new.request.take().map(Body::from);
    if !new.facts.addresses.contains(&request.address) {
        return Err(Error::invalid(
            "/address",
            "a key has no place for this address; use another one, or another name",
        ));
    }
    let id = new.facts.id.clone();
    cx.job.commit()?;
    let kept = keep_new(
        world,
        &new,
        &passphrase,
        wrap,
        &request.address,
        unix(cx.now),
    );
    if let Err(error) = kept {
        // On a full disk, say: what was begun is nobody's.
        let _ = world.store.delete_secret(&id);
        let _ = world.store.delete(&id, unix(cx.now));
        return Err(error);
    }
    let KeyReply { key, revision } = reply(world, &id, cx)?;
    Ok(GenerateReply {
        key,
        request: to_authority,
        revision,
    })
}

/// Writes a key that was just made. The certificate last: what is cut off before it was never a
/// key, and what has one is whole.
fn keep_new(
    world: &World,
    new: &NewKey,
    passphrase: &Passphrase,
    wrap: Wrap,
    address: &Address,
    now: u64,
) -> Result<()> {
    let (store, id) = (&world.store, &new.facts.id);
    match (passphrase, wrap) {
        (Passphrase::Random(passphrase), Wrap::Keychain) => {
            store.put_secret_in_keychain(id, &new.sealed, passphrase)?;
        }
        _ => store.put_secret(id, &new.sealed, wrap)?,
    }
    if let Some(revocation) = &new.revocation {
        store.put_revocation(id, revocation)?;
    }
    store.accept(id, address, Acceptance::Accepted, now)?;
    let put = store.put(id, Source::Generated, Place::Kept, now, &mut |_| {
        Ok((new.cert.clone(), new.facts.clone()))
    });
    put.map(drop)
}

/// A name that a key can have; `None` for an empty one.
///
/// # Errors
/// `request.invalid`.
pub(super) fn name(name: Option<&str>) -> Result<Option<&str>> {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    match name.is_some_and(|name| name.len() > NAME_MAX || !plain(name)) {
        true => Err(Error::invalid(
            "/name",
            "use a name without line ends, < or >, of at most 256 bytes",
        )),
        false => Ok(name),
    }
}

/// A name that can stand in a user id: no control characters, nothing that ends it early.
fn plain(name: &str) -> bool {
    name.chars()
        .all(|c| !c.is_control() && !matches!(c, '<' | '>') && !crate::base::address::hidden(c))
}
