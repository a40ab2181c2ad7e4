//! From rows of the store to keys as a client sees them.

use std::collections::BTreeMap;

use super::{KeyReply, ListReply, ListRequest, OneRequest};
use crate::base::context::{parse_rfc3339, unix};
use crate::base::keys::{
    Acceptance, Attention, Certs as _, Key, KeyStatus, Protocol, SecretState, no_such_key,
};
use crate::base::rules::RSA_BITS_LEAST;
use crate::base::{Address, Context, KeyId, Result};
use crate::store::{Only, Query, Row};
use crate::verbs::World;

/// Keys on one page: what a list shows without scrolling far, below 200 KB of JSON.
const PAGE: usize = 100;

/// How long before its end a key begins to ask for attention, in seconds.
const EXPIRES_SOON: u64 = 30 * 24 * 60 * 60;

/// `keys/list`: one page, in a stable order.
///
/// # Errors
/// `request.invalid` for a cursor that no page gave; `store.unavailable`.
pub fn list(world: &World, request: &ListRequest, cx: &Context) -> Result<ListReply> {
    let page = world.store.list(&Query {
        text: request.query.clone(),
        protocol: request.protocol,
        secret: request.secret,
        only: if request.conflicts {
            Only::Conflicts
        } else {
            Only::All
        },
        after: request.cursor.clone(),
        limit: PAGE,
    })?;
    Ok(ListReply {
        keys: page
            .rows
            .into_iter()
            .map(|row| {
                cx.job.check()?;
                Ok(key(world, row, cx))
            })
            .collect::<Result<_>>()?,
        cursor: page.next,
        gnupg: crate::verbs::gnupg::trouble(world),
        revision: page.revision,
    })
}

/// `keys/show`: one key.
///
/// # Errors
/// `key.missing`; `store.unavailable`.
pub fn show(world: &World, request: &OneRequest, cx: &Context) -> Result<KeyReply> {
    reply(world, &request.id, cx)
}

/// A key and the store's revision, after whatever was done to it.
pub(super) fn reply(world: &World, id: &KeyId, cx: &Context) -> Result<KeyReply> {
    let row = world.store.row(id)?.ok_or_else(no_such_key)?;
    let key = key(world, row, cx);
    cx.job.check()?;
    Ok(KeyReply {
        key,
        revision: world.store.revision()?,
    })
}

/// The other certificates of the same key pair.
fn same_key(world: &World, id: &KeyId) -> Result<Vec<KeyId>> {
    if id.protocol() != Protocol::Smime {
        return Ok(Vec::new());
    }
    let cert = world.store.cert(id)?.ok_or_else(no_such_key)?;
    let Some(handle) = world.any_engine(id.protocol())?.key_handle(&cert.cert) else {
        return Ok(Vec::new());
    };
    let all = world.store.by_handle(id.protocol(), &handle)?;
    let ids = all.into_iter().map(|cert| cert.id);
    Ok(ids.filter(|other| other != id).collect())
}

/// Whether policy wants longer keys. Only then is the certificate read.
fn is_short(world: &World, id: &KeyId, now: u64) -> bool {
    world.policy.minimum_rsa_bits > RSA_BITS_LEAST
        && world.store.cert(id).is_ok_and(|cert| {
            cert.is_some_and(|cert| world.is_short(id.protocol(), &cert.cert, now))
        })
}

/// Who vouches for a certificate and each address about which nothing was said.
fn vouched_by(
    world: &World,
    id: &KeyId,
    acceptance: &BTreeMap<Address, Acceptance>,
    cx: &Context,
) -> Result<BTreeMap<Address, Vec<KeyId>>> {
    // Rows alone tell a list; certificates are read only where somebody may vouch for them.
    if id.protocol() != Protocol::OpenPgp || world.store.introducers()?.is_empty() {
        return Ok(BTreeMap::new());
    }
    let cert = world.store.cert(id)?.ok_or_else(no_such_key)?;
    let engine = world.engine(id.protocol())?;
    let open = acceptance
        .iter()
        .filter(|(_, level)| **level == Acceptance::Undecided);
    let vouched = open.filter_map(|(address, _)| {
        let by = engine.introducers(&cert.cert, address, cx);
        (!by.is_empty()).then(|| (address.clone(), by))
    });
    Ok(vouched.collect())
}

/// A row as a client sees it now: time has passed since the row was written.
fn key(world: &World, row: Row, cx: &Context) -> Key {
    let facts = row.facts;
    let now = unix(cx.now);
    let expires = facts.expires.as_deref().and_then(parse_rfc3339);
    let mut status = facts.status;
    let mut attention = facts.attention;
    if status == KeyStatus::Valid {
        match expires {
            Some(end) if end <= now => {
                status = KeyStatus::Expired;
                attention.push(Attention::Expired);
            }
            Some(end) if end.saturating_sub(now) < EXPIRES_SOON => {
                attention.push(Attention::ExpiresSoon);
            }
            _ => {}
        }
    }
    let mut usage = facts.usage;
    if status == KeyStatus::Valid && is_short(world, &facts.id, now) {
        status = KeyStatus::Weak;
        attention.push(Attention::Weak);
        usage.clear();
    }
    attention.dedup();
    let mut acceptance: BTreeMap<_, _> = facts
        .addresses
        .iter()
        .map(|address| (address.clone(), Acceptance::Undecided))
        .collect();
    acceptance.extend(row.acceptance);
    let secret = if row.own {
        cx.private.state(&facts.id)
    } else {
        SecretState::None
    };
    let same_key = same_key(world, &facts.id).unwrap_or_default();
    let vouched_by = vouched_by(world, &facts.id, &acceptance, cx).unwrap_or_default();
    Key {
        same_key,
        vouched_by,
        protocol: facts.id.protocol(),
        fingerprint: facts.id.fingerprint().to_owned(),
        id: facts.id,
        key_ids: facts.key_ids,
        addresses: facts.addresses,
        name: facts.name,
        algorithm: facts.algorithm,
        created: facts.created,
        changed: facts.changed,
        expires: facts.expires,
        status,
        usage,
        secret,
        acceptance,
        conflicts: row.conflicts,
        seen: row.seen,
        introduces: row.introduces,
        source: row.source,
        issuer: facts.issuer,
        attention,
    }
}
