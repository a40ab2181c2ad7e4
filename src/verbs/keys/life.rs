//! What becomes of own keys: another end, a revocation, another passphrase.

use std::time::Duration;

use super::show::reply;
use super::{KeyReply, OneRequest, RenewReply, RenewRequest, RevokeRequest};
use crate::base::ask::{Action, Answers, Need};
use crate::base::context::{from_unix, parse_rfc3339, rfc3339, unix};
use crate::base::error::Kind;
use crate::base::keys::{Certs, Source, StoredCert, no_such_key};
use crate::base::{Body, Context, Error, KeyId, Result, Secret};
use crate::engine::{Passphrase, Revoking, Word};
use crate::store::{Place, Put, Wrap};
use crate::verbs::World;

/// An end within this many seconds is as good as none: nobody could renew the key meanwhile.
const AT_ONCE: u64 = 24 * 60 * 60;

/// How long a change waits for the second from which on it counts. It is the next one, unless
/// another machine's clock was ahead.
const WAIT_MOST: Duration = Duration::from_secs(1);

/// `keys/renew`: an own key gets another end; of S/MIME comes a request for its authority, with
/// the same key.
///
/// # Errors
/// `key.missing`; `key.locked`; `key.unusable` when it is revoked; `request.invalid`;
/// `consent.denied` for an end that is nearer than the one it has, or than a day.
pub fn renew(world: &World, request: &RenewRequest, cx: &Context) -> Result<RenewReply> {
    let expires = parse_rfc3339(&request.expires)
        .filter(|expires| *expires > unix(cx.now))
        .ok_or_else(|| Error::invalid("/expires", "use an RFC 3339 instant in the future"))?;
    let own = own(world, &request.id)?;
    let engine = world.engine(request.id.protocol())?;
    // What can't be done is told before the person is asked.
    let renewed = engine.renew(&own.cert, expires, cx)?;
    if let Some(cert) = &renewed.cert {
        let now = unix(cx.now);
        let end = engine.facts(&own.cert, now)?.expires;
        let before = end.as_deref().and_then(parse_rfc3339);
        let nearer = before.is_none_or(|before| expires < before);
        if nearer || expires < now.saturating_add(AT_ONCE) {
            let end = end.as_deref().unwrap_or("never");
            let label = world.label(&request.id)?;
            let label = format!("{label}\nends {} (so far: {end})", rfc3339(expires));
            cx.confirm(Action::Shorten, &label)?;
        }
        put(world, &own, cert, &Word::End(expires), cx)?;
    }
    let KeyReply { key, revision } = reply(world, &request.id, cx)?;
    Ok(RenewReply {
        key,
        request: renewed.request.map(Body::from),
        revision,
    })
}

/// `keys/revoke`: an own key says that it counts no more, which can't be taken back. Without a
/// reason, the revocation that was kept when the key was made will do, and nobody is asked for
/// a passphrase that may be lost.
///
/// # Errors
/// `key.missing`; `key.locked`; `consent.denied`; `request.invalid` for S/MIME.
pub fn revoke(world: &World, request: &RevokeRequest, cx: &Context) -> Result<KeyReply> {
    let own = own(world, &request.id)?;
    let engine = world.engine(request.id.protocol())?;
    let kept = match world.store.revocation(&request.id) {
        // The key itself can say so, too.
        Err(error) if error.kind == Kind::StoreDamaged => None,
        kept => kept?,
    };
    // What can't be done is told before the person is asked.
    let revoked = match (request.reason, kept) {
        (Revoking::Unspecified, Some(kept)) => engine.revoke_by(&own.cert, &kept)?,
        (why, _) => engine.revoke(&own.cert, why, cx)?,
    };
    let label = format!("the whole key {}", world.label(&request.id)?);
    cx.confirm(Action::Revoke, &label)?;
    put(world, &own, &revoked, &Word::Over, cx)?;
    reply(world, &request.id, cx)
}

/// Makes and keeps the revocation of a key that came without one, where its secret half can be
/// used without asking.
pub(in crate::verbs) fn keep_revocation(world: &World, id: &KeyId, cx: &Context) -> Result<()> {
    let Some(own) = world.store.cert(id)? else {
        return Ok(());
    };
    match world.store.revocation(id) {
        Ok(None) => {}
        Err(error) if error.kind == Kind::StoreDamaged => {}
        kept => return kept.map(drop),
    }
    let engine = world.engine(id.protocol())?;
    // One that is locked, or whose family has no such thing, goes without.
    match engine.revoke(&own.cert, Revoking::Unspecified, cx) {
        Ok(revocation) => world.store.put_revocation(id, &revocation),
        Err(_) => Ok(()),
    }
}

/// `keys/passphrase`: an own key lies under another passphrase from now on.
///
/// # Errors
/// `key.missing`; `passphrase.*`.
pub fn passphrase(world: &World, request: &OneRequest, cx: &Context) -> Result<KeyReply> {
    let id = &request.id;
    let label = world.label(id)?;
    let sealed = world.store.sealed_secret(id)?;
    let (old, attempt) = super::change::old_passphrase(id, sealed.device, &label, cx)?;
    let engine = world.engine(id.protocol())?;
    let form = super::change::native(id.protocol());
    let under = |new: &Passphrase| {
        let changed = engine.rewrap(&sealed.sealed, &[], &old, new, form);
        changed.map_err(|error| match error.kind {
            Kind::PassphraseWrong => Answers::wrong(Need::Unwrap, Some(id), &label, attempt),
            _ => error,
        })
    };
    // Nobody thinks of a new one before the old one was right.
    under(&Passphrase::Random(world.store.device_passphrase()?))?;
    let new = super::change::new_passphrase(Some(id), &label, cx)?;
    let changed = under(&Passphrase::Human(new))?;
    cx.job.commit()?;
    world
        .store
        .put_secret(id, &Secret::new(changed), Wrap::Passphrase)?;
    world.forget(id);
    reply(world, id, cx)
}

/// A certificate whose secret half is here.
pub(super) fn own(world: &World, id: &KeyId) -> Result<StoredCert> {
    let cert = world.store.cert(id)?.ok_or_else(no_such_key)?;
    match cert.own {
        true => Ok(cert),
        // Says what is missing, and for what.
        false => world.store.sealed_secret(id).map(|_| cert),
    }
}

/// Files what became of a certificate, which says `word` then, and counts on return.
///
/// # Errors
/// `store.unavailable`, also when something else that was said of it meanwhile counts more.
pub(super) fn put(
    world: &World,
    own: &StoredCert,
    cert: &[u8],
    word: &Word<'_>,
    cx: &Context,
) -> Result<()> {
    let engine = world.engine(own.id.protocol())?;
    let now = unix(cx.now);
    cx.job.commit()?;
    let put = Put {
        id: own.id.clone(),
        source: Source::Generated,
        place: Place::Kept,
    };
    let mut said = now;
    let changes = world.store.put_many(&[put], now, &mut |_, old| {
        let merged = match old {
            Some(old) => engine.merge(old, cert)?,
            None => cert.to_vec(),
        };
        if !engine.says(&merged, word, now) {
            return Err(Error::new(
                Kind::StoreUnavailable,
                "another program changed this key just now, and that counts more; try again",
            ));
        }
        // What was just signed may be a moment later than the request.
        let facts = engine.facts(&merged, now)?;
        let changed = facts.changed.as_deref().and_then(parse_rfc3339);
        let facts = match changed.filter(|changed| *changed > now) {
            Some(changed) => {
                said = changed;
                engine.facts(&merged, changed)?
            }
            None => facts,
        };
        Ok((merged, facts))
    })?;
    changes
        .into_iter()
        .try_for_each(|change| change.map(drop))?;
    // What is done next counts on it.
    let wait = from_unix(said).duration_since(cx.now).unwrap_or_default();
    std::thread::sleep(wait.min(WAIT_MOST));
    Ok(())
}
