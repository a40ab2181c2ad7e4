//! The keys that GnuPG has: taken up in place, so that a person who has used it for years can
//! read their mail here without bringing anything along.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::keys::{Claim, Half, What, others};
use super::{World, beside};
use crate::base::context::unix;
use crate::base::gnupg::{GnuPg, GnuPgState, Listed, Whose};
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
    found: GnuPgState,
    /// When, in Unix seconds.
    at: u64,
}

/// How long nobody waits again for a GnuPG that did not answer, in seconds, other hosts included.
const REST: u64 = 5 * 60;

/// What follows the stamp of a look to which GnuPG gave no answer; the Unix second follows.
const SILENT: &str = " silent ";

/// Somebody's look, until it is over.
struct Look<'a> {
    looks: &'a Looks,
    stamp: String,
}

impl Looks {
    /// Begins to look, unless there is nothing new or the request is taken back.
    fn begin(&self, stamp: impl Fn() -> String, now: u64, job: &Job) -> Option<Look<'_>> {
        let mut state = self.lock();
        while state.busy {
            job.check().ok()?;
            let waited = self.over.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let stamp = stamp();
        let rests = now < state.at.saturating_add(REST);
        if state.seen == stamp && (state.found == GnuPgState::Ready || rests) {
            return None;
        }
        state.busy = true;
        Some(Look { looks: self, stamp })
    }

    /// How it went when GnuPG was looked at last.
    pub(super) fn found(&self) -> GnuPgState {
        self.lock().found
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Look<'_> {
    /// Nobody looks again before something changes, or before a while is over.
    fn done(self, found: GnuPgState, now: u64) {
        let mut state = self.looks.lock();
        state.seen.clone_from(&self.stamp);
        state.found = found;
        state.at = now;
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
    let Some((gnupg, looks)) = world.gnupg() else {
        return;
    };
    if world.engine(Protocol::OpenPgp).is_err() {
        return;
    }
    let stamp = || world.store.stamp_of(&gnupg.files());
    let now = unix(cx.now);
    let Some(look) = looks.begin(stamp, now, &cx.job) else {
        return;
    };
    let known = world.store.gnupg_stamp().ok().flatten().unwrap_or_default();
    if known == look.stamp {
        return look.done(GnuPgState::Ready, now);
    }
    // Another host has waited in vain.
    let silent = known.strip_prefix(&look.stamp).and_then(since);
    if let Some(at) = silent.filter(|at| *at <= now && now < at.saturating_add(REST)) {
        return look.done(GnuPgState::Silent, at);
    }
    let (found, stamp) = match own(world, gnupg.as_ref(), cx) {
        Ok(()) => (GnuPgState::Ready, Some(look.stamp.clone())),
        Err(error) => {
            log::warn!("gnupg: {}", error.kind.name());
            if cx.job.check().is_err() {
                return;
            }
            let found = GnuPgState::of(&error);
            let silent = found == GnuPgState::Silent;
            (
                found,
                silent.then(|| format!("{}{SILENT}{now}", look.stamp)),
            )
        }
    };
    if let Some(Err(error)) = stamp.map(|stamp| world.store.put_gnupg_stamp(&stamp)) {
        log::warn!("gnupg: {}", error.kind.name());
    }
    look.done(found, now);
}

fn since(rest: &str) -> Option<u64> {
    rest.strip_prefix(SILENT)?.parse().ok()
}

/// Why GnuPG's keys may not be those that are listed; `None` when they are, or are not wanted.
pub(super) fn trouble(world: &World) -> Option<GnuPgState> {
    let (_, looks) = world.gnupg()?;
    let found = looks.lock().found;
    (!is_well(world, found)).then_some(found)
}

/// Whether all is as it should be. Who has never had a key in GnuPG need not have GnuPG.
pub(super) fn is_well(world: &World, found: GnuPgState) -> bool {
    match found {
        GnuPgState::Ready => true,
        GnuPgState::Missing => world.store.in_gnupg().is_ok_and(|keys| keys.is_empty()),
        GnuPgState::Silent | GnuPgState::Broken => false,
    }
}

/// How it stands with GnuPG, by a look of its own unless this very request has waited for one.
/// Where it answers again, its keys are taken up with the next request.
pub(super) fn standing(world: &World, cx: &Context) -> Option<GnuPgState> {
    let (gnupg, looks) = world.gnupg()?;
    world.engine(Protocol::OpenPgp).ok()?;
    let (found, at) = {
        let state = looks.lock();
        (state.found, state.at)
    };
    if found == GnuPgState::Silent && at == unix(cx.now) {
        return Some(found);
    }
    let now = match gnupg.list(Whose::Own, &cx.job) {
        Ok(_) => GnuPgState::Ready,
        Err(error) => GnuPgState::of(&error),
    };
    if found != now && now == GnuPgState::Ready {
        looks.lock().seen.clear();
        if let Err(error) = world.store.put_gnupg_stamp("") {
            log::warn!("gnupg: {}", error.kind.name());
        }
    }
    Some(now)
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
    let exported = gnupg.export(&names, Whose::Own, &cx.job)?;
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
