//! `keys/import` from GnuPG's keyring: other people's certificates, and on request what GnuPG
//! thinks of them.

use std::collections::{BTreeMap, BTreeSet};

use super::accept::{accept_all, against};
use super::change::{filed, merged};
use super::{Accept, ImportReply, ImportRequest, Skipped};
use crate::base::ask::Action;
use crate::base::context::unix;
use crate::base::gnupg::Whose;
use crate::base::keys::{Acceptance, Certs as _, Protocol, Source, no_such_key};
use crate::base::{Address, Context, Error, KeyId, Result};
use crate::store::{Place, Put};
use crate::verbs::{World, beside, gnupg};

/// Copies all certificates of GnuPG's keyring; with `accept`, those that GnuPG takes for valid
/// are accepted for the addresses that it says so of (or those among them that are named). What
/// a person decided here stays.
///
/// # Errors
/// `policy.refused` when GnuPG is not used here; `store.unavailable` when it can't be;
/// `consent.denied`; `limit.exceeded`.
pub(super) fn import(world: &World, request: &ImportRequest, cx: &Context) -> Result<ImportReply> {
    let Some((gnupg, _)) = world.gnupg() else {
        return Err(Error::refused(
            "gnupg",
            "GnuPG is not used here; allow it in policy.toml, or set GNUPGHOME",
        ));
    };
    let listed = gnupg.list(Whose::All, &cx.job)?;
    let names: Vec<_> = listed.iter().map(|l| l.fingerprint.clone()).collect();
    let (keys, skipped) = match names.is_empty() {
        true => (Vec::new(), Vec::new()),
        false => {
            let exported = gnupg.export(&names, Whose::All, &cx.job)?;
            let incoming = world.engine(Protocol::OpenPgp)?.read_keys(&exported, cx)?;
            (incoming.keys, incoming.skipped)
        }
    };
    let by_id: BTreeMap<KeyId, _> = listed
        .iter()
        .filter_map(|listed| Some((gnupg::id(listed)?, listed)))
        .collect();
    let mut said = Vec::new();
    for key in &keys {
        let named: &[Address] = match &request.accept {
            None | Some(Accept::Own(false)) => break,
            Some(Accept::Own(true)) => &key.facts.addresses,
            Some(Accept::These(addresses)) => addresses,
        };
        let id = &key.facts.id;
        let valid = by_id
            .get(id)
            .map(|listed| gnupg::valid(listed, &key.facts.addresses));
        for address in valid.into_iter().flatten() {
            if named.contains(&address)
                && world.store.acceptance(id, &address)? == Acceptance::Undecided
            {
                said.push((id.clone(), address, Acceptance::Accepted));
            }
        }
    }
    if !said.is_empty() {
        cx.confirm(Action::AcceptByImport, &summary(&told(&said)))?;
        against(world, &said, cx)?;
    }
    cx.job.commit()?;
    let now = unix(cx.now);
    let newcomers = beside::newcomers(world, keys.iter().map(|key| &key.facts), cx)?;
    let puts = keys.iter().map(|key| Put {
        id: key.facts.id.clone(),
        source: Source::Gnupg,
        place: Place::Kept,
    });
    let changes = world
        .store
        .put_many(&puts.collect::<Vec<_>>(), now, &mut |index, old| {
            let key = keys.get(index).ok_or_else(no_such_key)?;
            merged(world, key, old, now)
        })?;
    let mut skipped: Vec<_> = skipped
        .into_iter()
        .map(|reason| Skipped { reason })
        .collect();
    let mut imported = Vec::new();
    for (key, change) in keys.iter().zip(changes) {
        imported.extend(filed(key, change, &mut skipped)?);
    }
    accept_all(world, &said, now)?;
    beside::conflicts(world, &newcomers, &BTreeSet::new(), cx)?;
    Ok(ImportReply {
        imported,
        skipped,
        revocation_lists: 0,
        revision: world.store.revision()?,
    })
}

/// Keys with the addresses that they are to be accepted for.
fn told(said: &[(KeyId, Address, Acceptance)]) -> Vec<(&KeyId, Vec<&Address>)> {
    let mut told: BTreeMap<&KeyId, Vec<&Address>> = BTreeMap::new();
    for (id, address, _) in said {
        told.entry(id).or_default().push(address);
    }
    told.into_iter().collect()
}

/// What the person confirms of their own keyring: the first keys, and how many there are.
fn summary(keys: &[(&KeyId, Vec<&Address>)]) -> String {
    /// More than this nobody reads in a dialog.
    const SHOWN: usize = 3;
    let line = |(id, addresses): &(&KeyId, Vec<&Address>)| {
        let first = addresses.first().map(|address| address.as_str());
        format!("{} for {}", id.fingerprint(), first.unwrap_or_default())
    };
    let mut lines: Vec<String> = keys.iter().take(SHOWN).map(line).collect();
    lines.push(format!("{} keys that GnuPG holds for valid", keys.len()));
    lines.join("\n")
}
