//! Which certificate stands for an address: the one rule behind `plan` and `seal`.

use std::collections::BTreeMap;

use super::plan::{Candidate, State};
use super::seal::{Choice, Protect};
use super::{World, harvest};
use crate::base::context::unix;
use crate::base::error::KeyUse;
use crate::base::keys::{Acceptance, Certs, KeyStatus, Protocol, StoredCert, Usage};
use crate::base::layer::Trust;
use crate::base::policy::{
    MINIMUM_RSA_BITS, PROTOCOLS, REQUIRE_ENCRYPTION, REQUIRE_SIGNING, UNDECIDED_RECIPIENTS,
};
use crate::base::{Address, Context, Error, KeyId, Kind, Result};

/// What there is for one address.
pub(super) struct Options {
    pub state: State,
    /// The certificate that would be used, when `state` is `ready`.
    pub chosen: Option<StoredCert>,
    /// Every certificate that names the address; the chosen one first.
    pub candidates: Vec<Candidate>,
    /// Several stand side by side and nothing prefers one of them.
    pub ambiguous: bool,
    /// The rules without which one of them could be used, when `state` is `refused`.
    pub rules: Vec<&'static str>,
}

/// What somebody wants of the certificates.
pub(super) struct Want<'a> {
    pub usage: Usage,
    pub choice: Choice,
    /// Certificates named in the request.
    pub keys: &'a BTreeMap<Address, Vec<KeyId>>,
}

impl<'a> Want<'a> {
    /// The same of one family alone.
    pub(super) fn of(&self, protocol: Protocol) -> Want<'a> {
        Want {
            choice: protocol.into(),
            ..*self
        }
    }
}

struct Found {
    cert: StoredCert,
    acceptance: Acceptance,
    /// The person, or an authority, stands for this certificate and the address.
    vouched: bool,
    /// The introducer who does, and those whom they trust between.
    introducers: Vec<KeyId>,
    status: KeyStatus,
    created: Option<String>,
    reasons: Vec<&'static str>,
    /// The rule that alone stands against it.
    rule: Option<&'static str>,
}

/// Looks at every certificate for `address`. A signer's must be our own.
///
/// A usable certificate is valid, fit for the usage, names the address and is not rejected.
/// Verified comes before accepted before undecided; among those that the person has accepted,
/// or that an authority vouches for, the newest is used. Among others nothing is guessed.
pub(super) fn options(
    world: &World,
    address: &Address,
    want: &Want<'_>,
    cx: &Context,
) -> Result<Options> {
    let named = want.keys.get(address);
    let mut found = match named {
        Some(ids) => named_certs(world, ids, address, want, cx)?,
        None => known_certs(world, address, want, cx)?,
    };
    if named.is_none() {
        set_gossip_aside(world, address, &mut found)?;
    }
    found.sort_by(|a, b| {
        let rank = |f: &Found| (f.reasons.is_empty(), f.acceptance.max(level(f)));
        (rank(a), &a.created)
            .cmp(&(rank(b), &b.created))
            .reverse()
            .then_with(|| a.cert.id.cmp(&b.cert.id))
    });
    let usable = found
        .iter()
        .take_while(|found| found.reasons.is_empty())
        .count();
    let best = found.first();
    let undecided = best.is_some_and(|best| !best.vouched);
    // Certificates of two families don't contradict one another.
    let rivals = found
        .iter()
        .take(usable)
        .filter(|f| best.is_some_and(|best| f.cert.id.protocol() == best.cert.id.protocol()))
        .count();
    let conflict = named.is_none()
        && want.usage == Usage::Encrypt
        && !world.store.conflicts(address)?.is_empty();
    let ambiguous = named.is_none() && rivals > 1 && undecided;
    let mut rules: Vec<_> = found.iter().filter_map(|f| f.rule).collect();
    rules.dedup();
    let state = match usable {
        _ if conflict && usable > 0 => State::Conflict,
        0 if !rules.is_empty() => State::Refused,
        0 => State::NoKey,
        _ if ambiguous => State::Conflict,
        _ => State::Ready,
    };
    let chosen = found
        .first()
        .filter(|_| state == State::Ready)
        .map(|found| found.cert.clone());
    let candidates = found
        .into_iter()
        .map(|mut found| {
            if found.acceptance == Acceptance::Undecided && !found.vouched {
                found.reasons.push("undecided");
            }
            Candidate {
                id: found.cert.id,
                status: found.status,
                acceptance: found.acceptance,
                reasons: found.reasons,
                vouched_by: found.introducers,
            }
        })
        .collect();
    Ok(Options {
        state,
        chosen,
        candidates,
        ambiguous,
        rules: match state {
            State::Refused => rules,
            _ => Vec::new(),
        },
    })
}

/// Where somebody's key is known from themselves, what others pass on of them is not used;
/// where it is not, the newest that was passed on.
fn set_gossip_aside(world: &World, address: &Address, found: &mut [Found]) -> Result<()> {
    let usable = |found: &&mut Found| found.reasons.is_empty();
    if found.iter_mut().filter(usable).count() < 2 {
        return Ok(());
    }
    let peer = world.store.peer(address)?;
    let gossip = |found: &Found| !found.vouched && harvest::is_gossip(&found.cert, &peer);
    let direct = found
        .iter()
        .any(|found| found.reasons.is_empty() && !gossip(found));
    let newest = peer.gossiped.as_ref().filter(|_| !direct);
    // Nothing tells one from the other: the person has to.
    if !direct && newest.is_none() {
        return Ok(());
    }
    for found in found.iter_mut().filter(usable) {
        if gossip(found) && newest.is_none_or(|newest| newest.key != found.cert.id) {
            found.reasons.push("gossip");
        }
    }
    Ok(())
}

/// What an authority's word is worth beside the person's.
fn level(found: &Found) -> Acceptance {
    match found.vouched {
        true => Acceptance::Accepted,
        false => Acceptance::Rejected,
    }
}

fn known_certs(
    world: &World,
    address: &Address,
    want: &Want<'_>,
    cx: &Context,
) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for protocol in [Protocol::OpenPgp, Protocol::Smime] {
        for cert in world.store.by_address(protocol, address)? {
            if want.usage == Usage::Encrypt || cert.own {
                found.push(look(world, cert, address, Some(address), want, cx)?);
            }
        }
    }
    Ok(found)
}

fn named_certs(
    world: &World,
    ids: &[KeyId],
    address: &Address,
    want: &Want<'_>,
    cx: &Context,
) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for id in ids {
        if let Some(cert) = world.store.cert(id)?
            && (want.usage == Usage::Encrypt || cert.own)
        {
            // The person has named this very key for this address; it need not say so itself.
            found.push(look(world, cert, address, None, want, cx)?);
        }
    }
    Ok(found)
}

fn look(
    world: &World,
    cert: StoredCert,
    address: &Address,
    names: Option<&Address>,
    want: &Want<'_>,
    cx: &Context,
) -> Result<Found> {
    let now = unix(cx.now);
    let protocol = cert.id.protocol();
    let engine = world.any_engine(protocol)?;
    let mut reasons = engine.unfit(&cert.cert, want.usage, names, now);
    let mut against = Vec::new();
    if !cx.policy.protocols.allows(&protocol) {
        against.push(("refused", PROTOCOLS));
    } else if !want.choice.allows(protocol) {
        reasons.push("other-protocol");
    }
    let acceptance = world.store.acceptance(&cert.id, address)?;
    if acceptance == Acceptance::Rejected {
        reasons.push("rejected");
    }
    let open = acceptance == Acceptance::Undecided && reasons.is_empty();
    let introducers = match open {
        true => engine.introducers(&cert.cert, address, cx),
        false => Vec::new(),
    };
    let vouched = acceptance >= Acceptance::Accepted
        || !introducers.is_empty()
        || open && engine.trust(&cert.cert, address, cx) == Trust::Anchored;
    if world.is_short(protocol, &cert.cert, now) {
        against.push(("weak", MINIMUM_RSA_BITS));
    }
    if acceptance == Acceptance::Undecided
        && !vouched
        && want.usage == Usage::Encrypt
        && !cert.own
        && !cx.policy.undecided_recipients
    {
        against.push(("refused", UNDECIDED_RECIPIENTS));
    }
    let rule = match (against.as_slice(), reasons.is_empty()) {
        ([(_, rule), ..], true) => Some(*rule),
        _ => None,
    };
    for (reason, _) in against {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let row = world.store.row(&cert.id)?;
    let status = match reasons.iter().find_map(|reason| status_of(reason)) {
        Some(status) => status,
        None => KeyStatus::Valid,
    };
    let created = row.and_then(|row| row.facts.created);
    Ok(Found {
        cert,
        acceptance,
        vouched,
        introducers,
        status,
        created,
        reasons,
        rule,
    })
}

/// The error for a key, or a message, that a rule does not let through.
pub(super) fn refused(rule: &'static str) -> Error {
    let message = match rule {
        UNDECIDED_RECIPIENTS => {
            "policy allows accepted keys only; accept the recipient's key first"
        }
        PROTOCOLS => "policy.toml switches this protocol off; use a key of another one",
        MINIMUM_RSA_BITS => "policy wants longer RSA keys; use, or ask for, another key",
        REQUIRE_ENCRYPTION => "policy wants mail to this recipient encrypted; encrypt it",
        REQUIRE_SIGNING => "policy wants mail to this recipient signed; sign it",
        _ => "policy.toml does not allow this; see policy/show",
    };
    Error::refused(rule, message)
}

fn status_of(reason: &str) -> Option<KeyStatus> {
    Some(match reason {
        "expired" => KeyStatus::Expired,
        "revoked" => KeyStatus::Revoked,
        "not-yet-valid" => KeyStatus::NotYetValid,
        "weak" => KeyStatus::Weak,
        _ => return None,
    })
}

/// The family that encryption is left with: where any may be used, the one in which the sender
/// has a key of their own, if there is just one such.
pub(super) fn family(
    world: &World,
    from: Option<&Address>,
    protect: &Protect,
    cx: &Context,
) -> Result<Choice> {
    let (Choice::Auto, Some(from)) = (protect.protocol, from) else {
        return Ok(protect.protocol);
    };
    let want = protect.want(Usage::Encrypt);
    let mut able = Vec::new();
    for protocol in world.protocols() {
        let own = options(world, from, &want.of(protocol), cx)?.chosen;
        if own.is_some_and(|cert| cert.own) {
            able.push(protocol);
        }
    }
    Ok(match able.as_slice() {
        [only] => (*only).into(),
        _ => Choice::Auto,
    })
}

/// Each certificate once.
pub(super) fn distinct(certs: Vec<StoredCert>) -> Vec<StoredCert> {
    let mut once: Vec<StoredCert> = Vec::with_capacity(certs.len());
    for cert in certs {
        if !once.iter().any(|other| other.id == cert.id) {
            once.push(cert);
        }
    }
    once
}

/// The certificate to sign with.
///
/// # Errors
/// `key.missing` (sign); `policy.refused`.
pub(super) fn signer(
    world: &World,
    from: &Address,
    want: &Want<'_>,
    cx: &Context,
) -> Result<StoredCert> {
    let options = options(world, from, want, cx)?;
    if let Some(cert) = options.chosen {
        return Ok(cert);
    }
    Err(match options.rules.first() {
        Some(rule) => refused(rule),
        None => Error::new(
            Kind::KeyMissing {
                r#for: KeyUse::Sign,
                addresses: vec![from.to_string()],
                key_ids: Vec::new(),
            },
            "there is no key of your own that can sign for this address; make or import one",
        ),
    })
}

/// The one key of our own that can sign, for those who have just one.
///
/// # Errors
/// `key.missing` (sign); `key.ambiguous` when there are several.
pub(super) fn only_signer(world: &World, want: &Want<'_>, cx: &Context) -> Result<StoredCert> {
    let mut fit = Vec::new();
    for protocol in world.protocols() {
        if want.choice.allows(protocol) {
            for cert in world.store.own(protocol)? {
                let engine = world.engine(protocol)?;
                let now = unix(cx.now);
                let unfit = engine.unfit(&cert.cert, Usage::Sign, None, now);
                if unfit.is_empty() && !world.is_short(protocol, &cert.cert, now) {
                    fit.push(cert);
                }
            }
        }
    }
    match (fit.pop(), fit.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => Err(Error::new(
            Kind::KeyAmbiguous {
                address: String::new(),
                ids: fit.into_iter().chain([last]).map(|cert| cert.id).collect(),
            },
            "there are several keys of your own; say which address signs",
        )),
        (None, _) => Err(Error::new(
            Kind::KeyMissing {
                r#for: KeyUse::Sign,
                addresses: Vec::new(),
                key_ids: Vec::new(),
            },
            "there is no key of your own that can sign; make or import one",
        )),
    }
}
