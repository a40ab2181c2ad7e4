//! What becomes of own keys: another end, a revocation, another passphrase; and which of several
//! keys for an address stays.

use super::show::reply;
use super::{KeyReply, OneRequest, RenewReply, RenewRequest, RevokeRequest, SettleRequest};
use crate::base::ask::{Action, Answers, Need};
use crate::base::context::{parse_rfc3339, unix};
use crate::base::error::Kind;
use crate::base::keys::{Acceptance, Certs, Source, StoredCert, no_such_key};
use crate::base::{Body, Context, Error, KeyId, Result, Secret};
use crate::engine::{Passphrase, Revoking};
use crate::store::{Place, Put, Wrap};
use crate::verbs::World;

/// `keys/renew`: an own key gets another end; of S/MIME comes a request for its authority, with
/// the same key.
///
/// # Errors
/// `key.missing`; `key.locked`; `key.unusable` when it is revoked; `request.invalid`.
pub fn renew(world: &World, request: &RenewRequest, cx: &Context) -> Result<RenewReply> {
    let expires = parse_rfc3339(&request.expires)
        .filter(|expires| *expires > unix(cx.now))
        .ok_or_else(|| Error::invalid("/expires", "use an RFC 3339 instant in the future"))?;
    let own = own(world, &request.id)?;
    let engine = world.engine(request.id.protocol())?;
    let renewed = engine.renew(&own.cert, expires, cx)?;
    if let Some(cert) = &renewed.cert {
        put(world, &own, cert, cx)?;
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
    cx.confirm(Action::Revoke, &world.label(&request.id)?)?;
    let kept = match world.store.revocation(&request.id) {
        // The key itself can say so, too.
        Err(error) if error.kind == Kind::StoreDamaged => None,
        kept => kept?,
    };
    let revoked = match (request.reason, kept) {
        (Revoking::Unspecified, Some(kept)) => engine.revoke_by(&own.cert, &kept)?,
        (why, _) => engine.revoke(&own.cert, why, cx)?,
    };
    put(world, &own, &revoked, cx)?;
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

/// `keys/settle`: ends the conflict about an address: one key is accepted, others are rejected.
///
/// # Errors
/// `key.missing`; `request.invalid` when a key is to be kept and rejected.
pub fn settle(world: &World, request: &SettleRequest, cx: &Context) -> Result<KeyReply> {
    if request.reject.contains(&request.keep) {
        return Err(Error::invalid(
            "/reject",
            "a key can be kept or rejected, not both",
        ));
    }
    let kept = (request.keep.clone(), Acceptance::Accepted);
    let rejected = request
        .reject
        .iter()
        .map(|id| (id.clone(), Acceptance::Rejected));
    let said: Vec<_> = std::iter::once(kept).chain(rejected).collect();
    for (id, _) in &said {
        world.store.row(id)?.ok_or_else(no_such_key)?;
    }
    cx.job.commit()?;
    world.store.settle(&request.address, &said, unix(cx.now))?;
    reply(world, &request.keep, cx)
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

/// Files what became of a certificate.
pub(super) fn put(world: &World, own: &StoredCert, cert: &[u8], cx: &Context) -> Result<()> {
    let engine = world.engine(own.id.protocol())?;
    let now = unix(cx.now);
    cx.job.commit()?;
    let put = Put {
        id: own.id.clone(),
        source: Source::Generated,
        place: Place::Kept,
    };
    let changes = world.store.put_many(&[put], now, &mut |_, old| {
        let merged = match old {
            Some(old) => engine.merge(old, cert)?,
            None => cert.to_vec(),
        };
        // What was just signed may be a moment later than the request.
        let facts = engine.facts(&merged, now)?;
        let changed = facts.changed.as_deref().and_then(parse_rfc3339);
        let facts = match changed.filter(|changed| *changed > now) {
            Some(changed) => engine.facts(&merged, changed)?,
            None => facts,
        };
        Ok((merged, facts))
    })?;
    changes.into_iter().try_for_each(|change| change.map(drop))
}
