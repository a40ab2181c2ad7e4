//! Addresses that somebody has already. A key of one's own for one of them, beside the key that is
//! here, is made or brought only with the person's yes.

use std::collections::BTreeSet;

use crate::base::ask::Action;
use crate::base::context::unix;
use crate::base::keys::{Acceptance, Certs as _, Protocol, StoredCert};
use crate::base::{Address, Context, KeyId, Result};
use crate::engine::{Incoming, Under};
use crate::verbs::World;

/// Other keys that a dialog names for one address: more nobody compares.
const NAMED_MAX: usize = 3;

/// A key that would be the person's own.
pub(in crate::verbs) struct Claim<'a> {
    pub what: What<'a>,
    pub addresses: &'a [Address],
    pub secret: Half,
}

/// Which key it is.
pub(in crate::verbs) enum What<'a> {
    /// One that is yet to be made, of this family.
    Made(Protocol),
    /// One that is here, or was brought: with its certificate where there is one.
    Known(&'a KeyId, Option<&'a [u8]>),
}

impl What<'_> {
    fn id(&self) -> Option<&KeyId> {
        match self {
            What::Made(_) => None,
            What::Known(id, _) => Some(id),
        }
    }
}

/// How the secret half of a claim comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verbs) enum Half {
    Protected,
    /// Under no passphrase: whoever brings it knows it.
    Bare,
}

/// Passes when no other key names the addresses, or when the person
/// has confirmed it. A bare secret half asks for an own key that is this very one, too; a new key
/// beside an own one of the other family asks nothing: whoever begins has both made.
///
/// # Errors
/// `consent.denied`; those of the store.
pub(super) fn claim(world: &World, claims: &[Claim<'_>], cx: &Context) -> Result<()> {
    let mut lines = Vec::new();
    for claim in claims {
        let mut known = Vec::new();
        for address in claim.addresses {
            let others = match (is_had(world, claim, address, cx)?, claim.secret) {
                (false, _) => contested(world, claim, address)?,
                (true, Half::Bare) => own(world, address)?,
                (true, Half::Protected) => Vec::new(),
            };
            if !others.is_empty() {
                known.push(format!(
                    "{address}, beside {}",
                    named(world, address, &others)?
                ));
            }
        }
        if !known.is_empty() {
            let name = claim.what.id().map_or("a new key", KeyId::fingerprint);
            lines.push(format!("{name} for {}", known.join("; ")));
        }
    }
    match lines.is_empty() {
        true => Ok(()),
        false => cx.confirm(Action::ClaimAddress, &lines.join("\n")),
    }
}

/// What would become keys of one's own, of what is brought in, and own ones that may get more
/// addresses.
///
/// # Errors
/// Those of the store.
pub(super) fn brought<'a>(world: &World, incoming: &'a Incoming) -> Result<Vec<Claim<'a>>> {
    let mut own = BTreeSet::new();
    for protocol in Protocol::ALL {
        own.extend(world.store.own(protocol)?.into_iter().map(|cert| cert.id));
    }
    let mut claims = Vec::new();
    for key in &incoming.keys {
        let under = key.secret.as_ref().map(|secret| &secret.under);
        if under.is_none() && !own.contains(&key.facts.id) {
            continue;
        }
        claims.push(Claim {
            what: What::Known(&key.facts.id, Some(&key.cert)),
            addresses: &key.facts.addresses,
            secret: match under {
                Some(Under::Nothing) => Half::Bare,
                Some(Under::Passphrase | Under::As(_)) | None => Half::Protected,
            },
        });
    }
    Ok(claims)
}

/// The other keys that name an address, rejected ones too: a program may reject whom nobody has
/// verified. Without those of the same pair, of which an authority may have made several
/// certificates.
///
/// # Errors
/// Those of the store.
pub(in crate::verbs) fn others(
    world: &World,
    claim: &Claim<'_>,
    address: &Address,
) -> Result<Vec<StoredCert>> {
    let pair = match claim.what {
        What::Known(id, cert) => Some(Pair::of(world, id, cert)?),
        What::Made(_) => None,
    };
    let same = |cert: &StoredCert| {
        pair.as_ref()
            .map_or(Ok(false), |pair| pair.has(world, cert))
    };
    let mut others = Vec::new();
    for protocol in Protocol::ALL {
        for cert in world.store.by_address(protocol, address)? {
            if claim.what.id() != Some(&cert.id) && !same(&cert)? {
                others.push(cert);
            }
        }
    }
    Ok(others)
}

/// Those of [`others`] that the person is asked about.
fn contested(world: &World, claim: &Claim<'_>, address: &Address) -> Result<Vec<StoredCert>> {
    let others = others(world, claim, address)?;
    let What::Made(protocol) = claim.what else {
        return Ok(others);
    };
    let mut contested = Vec::new();
    for other in others {
        let level = world.store.acceptance(&other.id, address)?;
        let other_family = other.id.protocol() != protocol;
        if !(other.own && other_family && level >= Acceptance::Accepted) {
            contested.push(other);
        }
    }
    Ok(contested)
}

/// Whether an own key is about to get an address that it has already.
fn is_had(world: &World, claim: &Claim<'_>, address: &Address, cx: &Context) -> Result<bool> {
    let known = claim.what.id().map(|id| world.store.cert(id)).transpose()?;
    let Some(known) = known.flatten().filter(|known| known.own) else {
        return Ok(false);
    };
    let engine = world.any_engine(known.id.protocol())?;
    let facts = engine.facts(&known.cert, unix(cx.now))?;
    Ok(facts.addresses.contains(address))
}

/// The own keys for an address.
fn own(world: &World, address: &Address) -> Result<Vec<StoredCert>> {
    let mut own = Vec::new();
    for protocol in Protocol::ALL {
        own.extend(world.store.by_address(protocol, address)?);
    }
    own.retain(|cert| cert.own);
    Ok(own)
}

/// The key pair of a certificate, where an authority may have made several for one.
pub(super) struct Pair {
    protocol: Protocol,
    handle: Option<String>,
}

impl Pair {
    /// Of the certificate that these bytes are, if they are it; without them, of none.
    pub(super) fn of(world: &World, id: &KeyId, cert: Option<&[u8]>) -> Result<Pair> {
        let protocol = id.protocol();
        let engine = world.any_engine(protocol)?;
        // Somebody else's certificate under this name would make a pair of two keys.
        let is_its = |cert: &&[u8]| engine.facts(cert, 0).is_ok_and(|facts| facts.id == *id);
        let handle = cert.filter(is_its).and_then(|cert| engine.key_handle(cert));
        Ok(Pair { protocol, handle })
    }

    /// Whether a certificate is of this pair: an authority has renewed it.
    pub(super) fn has(&self, world: &World, cert: &StoredCert) -> Result<bool> {
        if self.handle.is_none() || self.protocol != cert.id.protocol() {
            return Ok(false);
        }
        let engine = world.any_engine(self.protocol)?;
        Ok(engine.key_handle(&cert.cert) == self.handle)
    }
}

/// Keys as a dialog names them, with what they are for the address.
pub(super) fn named(world: &World, address: &Address, certs: &[StoredCert]) -> Result<String> {
    let mut names = Vec::new();
    for cert in certs.iter().take(NAMED_MAX) {
        let level = standing(world, cert, address)?;
        names.push(format!("{} ({level})", cert.id.fingerprint()));
    }
    let more = certs.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    Ok(names.join(", "))
}

/// What a key is for an address, in a word.
pub(super) fn standing(
    world: &World,
    cert: &StoredCert,
    address: &Address,
) -> Result<&'static str> {
    let level = world.store.acceptance(&cert.id, address)?;
    Ok(match (cert.own, level) {
        (true, _) => "your own",
        (false, level) => word(level),
    })
}

/// A decision, in a word.
pub(super) fn word(level: Acceptance) -> &'static str {
    match level {
        Acceptance::Rejected => "rejected",
        Acceptance::Undecided => "not decided about",
        Acceptance::Accepted => "accepted",
        Acceptance::Verified => "verified",
    }
}
