//! The keys that GnuPG has: taken up in place, so that a person who has used it for years can
//! read their mail here without bringing anything along.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::keys::{Claim, Half, What, others};
use super::{World, beside};
use crate::base::context::unix;
use crate::base::gnupg::{GnuPg, Listed, Whose};
use crate::base::job::Job;
use crate::base::keys::{Acceptance, Certs as _, Protocol, Source, no_such_key};
use crate::base::{Address, Context, KeyId, Mailbox, Result};
use crate::store::{Place, Put};

/// How often who waits for another request's look asks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// As of when GnuPG's keys were looked at last. One looks, and the others wait for it.
#[derive(Default)]
pub(super) struct Looks {
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Default)]
struct State {
    busy: bool,
    seen: String,
}

/// Somebody's look, until it is over.
struct Look<'a> {
    looks: &'a Looks,
    stamp: String,
}

impl Looks {
    /// Begins to look, unless there is nothing new or the request is taken back.
    fn begin(&self, stamp: impl Fn() -> String, job: &Job) -> Option<Look<'_>> {
        let mut state = self.lock();
        while state.busy {
            job.check().ok()?;
            let waited = self.over.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let stamp = stamp();
        if state.seen == stamp {
            return None;
        }
        state.busy = true;
        Some(Look { looks: self, stamp })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Look<'_> {
    /// Nobody looks again before something changes.
    fn done(self) {
        self.looks.lock().seen.clone_from(&self.stamp);
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.looks.lock().busy = false;
        self.looks.over.notify_all();
    }
}

/// Takes up what GnuPG's agent has, when that has changed since it was last looked at: public
/// halves, what the agent calls the secret ones, and that a person's own keys are accepted for
/// their own addresses, unless another key has those. Where GnuPG can't be used, everything stays as it was.
pub(super) fn take_up(world: &World, cx: &Context) {
    let Some((gnupg, looks)) = &world.gnupg else {
        return;
    };
    if world.engine(Protocol::OpenPgp).is_err() {
        return;
    }
    let stamp = || world.store.stamp_of(&gnupg.files());
    let Some(look) = looks.begin(stamp, &cx.job) else {
        return;
    };
    let known = world.store.gnupg_stamp().ok().flatten();
    if known.as_ref() != Some(&look.stamp) {
        if let Err(error) = own(world, gnupg.as_ref(), cx) {
            log::warn!("gnupg: {}", error.kind.name());
            if cx.job.check().is_err() {
                return;
            }
        } else if let Err(error) = world.store.put_gnupg_stamp(&look.stamp) {
            log::warn!("gnupg: {}", error.kind.name());
        }
    }
    look.done();
}

fn own(world: &World, gnupg: &dyn GnuPg, cx: &Context) -> Result<()> {
    let listed = gnupg.list(Whose::Own, &cx.job)?;
    let theirs: BTreeMap<KeyId, &Listed> = listed
        .iter()
        .filter(|listed| !listed.secrets.is_empty())
        .filter_map(|listed| Some((id(listed)?, listed)))
        .collect();
    // One that GnuPG has no more is no more ours.
    for gone in world.store.in_gnupg()? {
        if !theirs.contains_key(&gone) {
            world.store.delete_secret(&gone)?;
        }
    }
    if theirs.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = theirs
        .keys()
        .map(|id| id.fingerprint().to_owned())
        .collect();
    let exported = gnupg.export(&names, &cx.job)?;
    let engine = world.engine(Protocol::OpenPgp)?;
    let keys = engine.read_keys(&exported, cx)?.keys;
    let now = unix(cx.now);
    let newcomers = beside::newcomers(world, keys.iter().map(|key| &key.facts), cx)?;
    let puts = keys.iter().map(|key| Put {
        id: key.facts.id.clone(),
        source: Source::Gnupg,
        place: Place::Harvested,
    });
    // Certificates first: what the agent has is of no use without them.
    let changes = world
        .store
        .put_many(&puts.collect::<Vec<_>>(), now, &mut |index, old| {
            let key = keys.get(index).ok_or_else(no_such_key)?;
            super::keys::merged(world, key, old, now)
        })?;
    let mut accepted = Vec::new();
    for (key, change) in keys.iter().zip(changes) {
        change?;
        let id = &key.facts.id;
        let Some(listed) = theirs.get(id) else {
            continue;
        };
        if !world.store.put_grips(id, &listed.secrets)? {
            continue;
        }
        let claim = Claim {
            what: What::Known(id, Some(&key.cert)),
            addresses: &key.facts.addresses,
            secret: Half::Protected,
        };
        for address in valid(listed, &key.facts.addresses) {
            // Nobody can be asked here: where another key has the address, the person decides.
            let others = others(world, &claim, &address)?;
            let claimed = others.iter().any(|other| !theirs.contains_key(&other.id));
            if !claimed && world.store.acceptance(id, &address)? == Acceptance::Undecided {
                accepted.push((id.clone(), address, Acceptance::Accepted));
            }
        }
    }
    world.store.accept_many(&accepted, now)?;
    beside::conflicts(world, &newcomers, &theirs.into_keys().collect(), cx)?;
    log::info!("gnupg: {} keys in place", names.len());
    Ok(())
}

/// The addresses of a certificate for which GnuPG takes it for valid.
pub(super) fn valid(listed: &Listed, named: &[Address]) -> Vec<Address> {
    let valid: Vec<Address> = listed
        .valid
        .iter()
        .filter_map(|user_id| Mailbox::parse(user_id))
        .map(|mailbox| mailbox.address)
        .collect();
    named
        .iter()
        .filter(|address| valid.contains(address))
        .cloned()
        .collect()
}

/// What a listed certificate is called here.
pub(super) fn id(listed: &Listed) -> Option<KeyId> {
    KeyId::from_hex(Protocol::OpenPgp, &listed.fingerprint)
}
