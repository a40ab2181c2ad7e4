//! Unlocking and locking secret keys.

use super::{LockReply, LockRequest, OneRequest, UnlockReply};
use crate::base::ask::locked;
use crate::base::context::{rfc3339, unix};
use crate::base::error::Kind;
use crate::base::keys::{Certs, SecretState};
use crate::base::{Context, Error, KeyId, Protocol, Result};
use crate::store::Query;
use crate::verbs::World;

/// `keys/unlock`: asks for the passphrase (of a token, the PIN), unless the key is open already.
///
/// # Errors
/// `key.missing`; `key.locked` with its question; `key.unusable` when the token is not here.
pub fn unlock(world: &World, request: &OneRequest, cx: &Context) -> Result<UnlockReply> {
    if cx.private.state(&request.id) == SecretState::Token {
        return match cx.private.until(&request.id) {
            Some(until) => Ok(UnlockReply {
                until: rfc3339(until),
            }),
            None => Err(world.tokens.locked(&request.id)?),
        };
    }
    let sealed = world.store.sealed_secret(&request.id)?;
    if sealed.device.is_some() {
        // Nobody is ever asked for this one; it is as good as open for the usual time.
        let until = unix(cx.now).saturating_add(cx.policy.unlock_seconds);
        return Ok(UnlockReply {
            until: rfc3339(until),
        });
    }
    match (cx.private.state(&request.id), cx.private.until(&request.id)) {
        (SecretState::Unlocked, Some(until)) => Ok(UnlockReply {
            until: rfc3339(until),
        }),
        (SecretState::Agent, _) => Err(Error::new(
            Kind::KeyUnusable {
                id: request.id.clone(),
                reasons: vec!["not-here"],
            },
            "this key is kept elsewhere and asks by itself",
        )),
        _ => Err(locked(&request.id, &world.label(&request.id)?)),
    }
}

/// `keys/lock`: wipes one unlocked key, or all of them, for every host. One that no passphrase
/// protects opens by itself and stays `unlocked`; one elsewhere stays there.
///
/// # Errors
/// `store.unavailable` when other hosts can't be told.
pub fn lock(world: &World, request: &LockRequest, cx: &Context) -> Result<LockReply> {
    cx.private.lock(request.id.as_ref())?;
    // A token is logged out of as a whole, in hosts too that know it by another of its keys.
    if let Some(id) = request.id.as_ref().filter(|id| world.tokens.knows(id)) {
        for other in own(world)? {
            if other != *id && world.tokens.share(id, &other) {
                cx.private.lock(Some(&other))?;
            }
        }
    }
    Ok(LockReply {
        secret: match &request.id {
            Some(id) => cx.private.state(id),
            None => SecretState::Locked,
        },
    })
}

/// All S/MIME keys with a secret half here or on a token.
fn own(world: &World) -> Result<Vec<KeyId>> {
    let mut query = Query {
        protocol: Some(Protocol::Smime),
        secret: Some(true),
        ..Query::default()
    };
    let mut ids = Vec::new();
    loop {
        let page = world.store.list(&query)?;
        ids.extend(page.rows.into_iter().map(|row| row.facts.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(ids),
        }
    }
}
