//! `keys/accept` and `keys/settle`, and how acceptance is put to the person.

use serde::Deserialize;

use super::claim::{self, Claim, Half, Pair, What, named, word};
use super::show::reply;
use super::{AcceptRequest, KeyReply};
use crate::base::ask::Action;
use crate::base::body::Bodies;
use crate::base::context::unix;
use crate::base::keys::{Acceptance, Certs as _, Protocol, StoredCert, no_such_key};
use crate::base::{Address, Context, Error, KeyId, Result};
use crate::verbs::{Ask, Asks, World};

/// `keys/settle`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettleRequest {
    pub address: Address,
    pub keep: KeyId,
    #[serde(default)]
    pub reject: Vec<KeyId>,
    #[serde(default)]
    pub ask: Ask,
}

impl Bodies for SettleRequest {}

impl Asks for SettleRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}

/// One word about a key for an address.
pub(in crate::verbs) type Said = (KeyId, Address, Acceptance);

/// `keys/accept`: what the person thinks of a key for one address. Accepting one of the keys
/// in a conflict, or rejecting all but one, ends it.
///
/// # Errors
/// `key.missing`; `consent.denied` at `verified`, and for what goes against a key that is verified
/// or one's own.
pub fn accept(world: &World, request: &AcceptRequest, cx: &Context) -> Result<KeyReply> {
    let AcceptRequest {
        id, address, level, ..
    } = request;
    world.store.row(id)?.ok_or_else(no_such_key)?;
    let said = [(id.clone(), address.clone(), *level)];
    if *level == Acceptance::Verified {
        let mut lines = vec![format!("{} for {address}", id.fingerprint())];
        lines.extend(counter(world, &said)?);
        cx.confirm(Action::AcceptVerified, &lines.join("\n"))?;
    } else {
        against(world, &said, cx)?;
    }
    let rivals = world.store.conflicts(address)?;
    let mut open = 0;
    for rival in rivals.iter().filter(|rival| *rival != id) {
        open += usize::from(world.store.acceptance(rival, address)? != Acceptance::Rejected);
    }
    let decided = match level {
        Acceptance::Accepted | Acceptance::Verified => true,
        Acceptance::Rejected => open < 2,
        Acceptance::Undecided => false,
    };
    cx.job.commit()?;
    if rivals.contains(id) && decided {
        world
            .store
            .settle(address, &[(id.clone(), *level)], unix(cx.now))?;
    } else {
        world.store.accept(id, address, *level, unix(cx.now))?;
    }
    reply(world, id, cx)
}

/// `keys/settle`: ends the conflict about an address: one key is accepted (one that is verified
/// stays so), others are rejected.
///
/// # Errors
/// `key.missing`; `request.invalid` when a key is to be kept and rejected; `consent.denied` for
/// what goes against a key that is verified or one's own.
pub fn settle(world: &World, request: &SettleRequest, cx: &Context) -> Result<KeyReply> {
    let SettleRequest {
        address,
        keep,
        reject,
        ..
    } = request;
    if reject.contains(keep) {
        return Err(Error::invalid(
            "/reject",
            "a key can be kept or rejected, not both",
        ));
    }
    let level = world.store.acceptance(keep, address)?;
    let level = level.max(Acceptance::Accepted);
    let kept = (keep.clone(), level);
    let rejected = reject.iter().map(|id| (id.clone(), Acceptance::Rejected));
    let settled: Vec<_> = std::iter::once(kept).chain(rejected).collect();
    for (id, _) in &settled {
        world.store.row(id)?.ok_or_else(no_such_key)?;
    }
    let said = settled.iter();
    let said = said.map(|(id, level)| (id.clone(), address.clone(), *level));
    against(world, &said.collect::<Vec<_>>(), cx)?;
    cx.job.commit()?;
    world.store.settle(address, &settled, unix(cx.now))?;
    reply(world, keep, cx)
}

/// Passes when nothing of what is about to be said goes against a key that the person has
/// verified, or against an own one, or when they have confirmed it. An own key that is to count
/// for an address that it does not name claims that address.
///
/// # Errors
/// `consent.denied`; those of the store.
pub(super) fn against(world: &World, said: &[Said], cx: &Context) -> Result<()> {
    let lines = counter(world, said)?;
    if !lines.is_empty() {
        cx.confirm(Action::LeaveVerified, &lines.join("\n"))?;
    }
    let mut claims = Vec::new();
    for one in said {
        claims.extend(claimed(world, one)?);
    }
    claim::claim(world, &claims, cx)
}

/// Whether a key that did not count for the address so far does so then.
fn comes_to_count(world: &World, (id, address, level): &Said) -> Result<bool> {
    let counts = |level: Acceptance| level >= Acceptance::Accepted;
    Ok(counts(*level) && !counts(world.store.acceptance(id, address)?))
}

/// An address that an own key is to count for and does not name.
///
/// # Errors
/// Those of the store.
pub(in crate::verbs) fn claimed<'a>(world: &World, said: &'a Said) -> Result<Option<Claim<'a>>> {
    let (id, address, _) = said;
    if !comes_to_count(world, said)? {
        return Ok(None);
    }
    let own = world.store.row(id)?.filter(|row| row.own);
    let names = own.map(|row| row.facts.addresses.contains(address));
    Ok((names == Some(false)).then(|| Claim {
        what: What::Known(id, None),
        addresses: std::slice::from_ref(address),
        secret: Half::Protected,
    }))
}

/// Keeps what was said; a key that is accepted while it stands in conflict ends that.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn accept_all(world: &World, said: &[Said], now: u64) -> Result<()> {
    world.store.accept_many(said, now)?;
    for (id, address, level) in said {
        if *level >= Acceptance::Accepted && world.store.conflicts(address)?.contains(id) {
            let settled = [(id.clone(), *level)];
            world.store.settle(address, &settled, now)?;
        }
    }
    Ok(())
}

/// What the person is told of that: less is said of a key that is verified or own, or another
/// comes to count for its address.
fn counter(world: &World, said: &[Said]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for one in said {
        lines.extend(lowered(world, one)?);
        // What becomes of it is told by itself.
        let known = |rival: &StoredCert| said.iter().any(|(known, _, _)| *known == rival.id);
        let cert = world.store.cert(&one.0)?;
        let cert = cert.as_ref().map(|cert| cert.cert.as_ref());
        lines.extend(raised_beside(world, one, cert, &known)?);
    }
    Ok(lines)
}

/// A line for one who says less of a key that is verified or own than what stands.
///
/// # Errors
/// Those of the store.
pub(in crate::verbs) fn lowered(
    world: &World,
    (id, address, level): &Said,
) -> Result<Option<String>> {
    let before = world.store.acceptance(id, address)?;
    if *level >= before {
        return Ok(None);
    }
    let own = world.store.row(id)?.is_some_and(|row| row.own);
    if !own && before != Acceptance::Verified {
        return Ok(None);
    }
    let whose = if own { "your own key" } else { "the key" };
    let (was, becomes) = (word(before), word(*level));
    Ok(Some(format!(
        "{whose} {} for {address}: {was} so far, {becomes} then",
        id.fingerprint()
    )))
}

/// A line where a key (with its certificate, where there is one) would come to count for an
/// address beside others that are verified or own. Those that `known` knows are no others.
///
/// # Errors
/// Those of the store.
pub(in crate::verbs) fn raised_beside(
    world: &World,
    said: &Said,
    cert: Option<&[u8]>,
    known: &dyn Fn(&StoredCert) -> bool,
) -> Result<Option<String>> {
    let (id, address, _) = said;
    if !comes_to_count(world, said)? {
        return Ok(None);
    }
    let mut rivals = above(world, id, address, cert)?;
    rivals.retain(|rival| !known(rival));
    Ok(match rivals.is_empty() {
        true => None,
        false => Some(format!(
            "the key {} for {address}, beside {}",
            id.fingerprint(),
            named(world, address, &rivals)?
        )),
    })
}

/// The other keys for an address that the person has verified, or that are own and count for it;
/// the verified ones first. An S/MIME certificate of the same key pair is no other.
fn above(
    world: &World,
    id: &KeyId,
    address: &Address,
    cert: Option<&[u8]>,
) -> Result<Vec<StoredCert>> {
    let mut above = Vec::new();
    for protocol in Protocol::ALL {
        for rival in world.store.naming(protocol, address)? {
            let level = world.store.acceptance(&rival.id, address)?;
            let counts = level == Acceptance::Verified || rival.own && level > Acceptance::Rejected;
            if rival.id != *id && counts {
                above.push((level, rival));
            }
        }
    }
    if above.is_empty() {
        return Ok(Vec::new());
    }
    above.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    let pair = Pair::of(world, id, cert)?;
    let mut others = Vec::new();
    for (_, rival) in above {
        if !pair.has(world, &rival)? {
            others.push(rival);
        }
    }
    Ok(others)
}

/// What of it says more than what stands: nothing that was verified is accepted only, for having
/// come once more.
pub(super) fn raised(world: &World, said: Vec<Said>) -> Result<Vec<Said>> {
    let mut raised = Vec::with_capacity(said.len());
    for one in said {
        let (id, address, level) = &one;
        if world.store.acceptance(id, address)? < *level {
            raised.push(one);
        }
    }
    Ok(raised)
}

/// What the person confirms: fingerprints and the addresses they are accepted for, all of them.
pub(super) fn accept_label(keys: &[(&KeyId, Vec<&Address>)]) -> String {
    let line = |(id, addresses): &(&KeyId, Vec<&Address>)| {
        let addresses: Vec<_> = addresses.iter().map(|address| address.as_str()).collect();
        format!("{} for {}", id.fingerprint(), addresses.join(", "))
    };
    keys.iter().map(line).collect::<Vec<_>>().join("\n")
}
