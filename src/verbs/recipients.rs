//! Those to whom a message goes, and the keys behind each: a recipient's own, or those of whom the
//! address stands for.

use super::World;
use super::choose::{self, Options, Want};
use super::plan::State;
use super::seal::{Choice, Protect};
use crate::base::error::KeyUse;
use crate::base::keys::{StoredCert, Usage};
use crate::base::policy::{REQUIRE_ENCRYPTION, REQUIRE_SIGNING, Sealing};
use crate::base::{Address, Context, Error, Kind, Protocol, Result};

/// Why no family serves all members of a group.
const MIXED: &str = "mixed-protocols";

/// Those to whom a message goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Party<'a> {
    pub from: Option<&'a Address>,
    /// Those who may know of one another.
    pub visible: &'a [Address],
    pub bcc: &'a [Address],
}

/// One recipient, and what there is for them.
pub(super) struct Recipient {
    pub address: Address,
    pub state: State,
    /// Rules that refuse, and what else stands in the way of all.
    pub reasons: Vec<&'static str>,
    pub behind: Behind,
}

/// Whose keys are used for an address.
pub(super) enum Behind {
    Itself(Options),
    /// Those for whom it stands, by policy.
    Others(Vec<(Address, Options)>),
}

impl Recipient {
    /// The certificates that are used for it.
    pub(super) fn certs(&self) -> impl Iterator<Item = &StoredCert> {
        self.each()
            .filter_map(|(_, options)| options.chosen.as_ref())
    }

    fn each(&self) -> impl Iterator<Item = (&Address, &Options)> {
        let (own, others) = match &self.behind {
            Behind::Itself(options) => (Some((&self.address, options)), [].iter()),
            Behind::Others(others) => (None, others.iter()),
        };
        own.into_iter()
            .chain(others.map(|(address, options)| (address, options)))
    }

    fn families(&self) -> Vec<Protocol> {
        let mut families: Vec<_> = self.certs().map(|cert| cert.id.protocol()).collect();
        families.sort_unstable();
        families.dedup();
        families
    }
}

/// All recipients, each once, the visible ones first.
pub(super) struct Found {
    /// The family that was left to choose from.
    pub family: Choice,
    pub recipients: Vec<Recipient>,
}

/// Looks at every recipient. Where any family may be used, one that serves them all is
/// preferred: one message instead of two.
pub(super) fn find(
    world: &World,
    party: &Party<'_>,
    protect: &Protect,
    cx: &Context,
) -> Result<Found> {
    let family = choose::family(world, party.from, protect, cx)?;
    let want = Want {
        choice: family,
        ..protect.want(Usage::Encrypt)
    };
    let mut addresses: Vec<&Address> = Vec::new();
    for address in party.visible.iter().chain(party.bcc) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let look = |want: &Want<'_>| -> Result<Vec<Recipient>> {
        let one = |address: &&Address| look(world, address, want, protect, cx);
        addresses.iter().map(one).collect()
    };
    let ready = |all: &[Recipient]| all.iter().all(|one| one.state == State::Ready);
    let mut recipients = look(&want)?;
    let mut families: Vec<_> = recipients.iter().flat_map(Recipient::families).collect();
    families.sort_unstable();
    families.dedup();
    if families.len() > 1 {
        for protocol in world.protocols() {
            let all = look(&want.of(protocol))?;
            if ready(&all) {
                return Ok(Found {
                    family,
                    recipients: all,
                });
            }
        }
        // A group has one address, so it gets one message.
        for recipient in &mut recipients {
            if recipient.families().len() > 1 {
                *recipient = of_one_family(world, recipient, &want, protect, cx)?;
            }
        }
    }
    Ok(Found { family, recipients })
}

/// A group by the first family that serves all of its members.
fn of_one_family(
    world: &World,
    mixed: &Recipient,
    want: &Want<'_>,
    protect: &Protect,
    cx: &Context,
) -> Result<Recipient> {
    for protocol in world.protocols() {
        let one = look(world, &mixed.address, &want.of(protocol), protect, cx)?;
        if one.state == State::Ready {
            return Ok(one);
        }
    }
    let mut none = look(world, &mixed.address, want, protect, cx)?;
    if none.state == State::Ready {
        none.state = State::NoKey;
        none.reasons.push(MIXED);
    }
    Ok(none)
}

fn look(
    world: &World,
    address: &Address,
    want: &Want<'_>,
    protect: &Protect,
    cx: &Context,
) -> Result<Recipient> {
    let sealing = Sealing {
        sign: protect.sign.into(),
        encrypt: protect.encrypt.into(),
    };
    let mut reasons = cx.policy.broken_by(Some(address), sealing);
    // A key that the request names is used whatever the address stands for.
    let others = match want.keys.contains_key(address) {
        true => None,
        false => cx.policy.groups.members(address),
    };
    let behind = match others {
        None => Behind::Itself(choose::options(world, address, want, cx)?),
        Some(others) => {
            let mut behind = Vec::with_capacity(others.len());
            for other in others {
                for rule in cx.policy.broken_by(Some(&other), sealing) {
                    if !reasons.contains(&rule) {
                        reasons.push(rule);
                    }
                }
                let options = choose::options(world, &other, want, cx)?;
                behind.push((other, options));
            }
            Behind::Others(behind)
        }
    };
    let mut recipient = Recipient {
        address: address.clone(),
        state: State::Refused,
        reasons,
        behind,
    };
    if recipient.reasons.is_empty() {
        recipient.state = together(recipient.each().map(|(_, options)| options.state));
        let mut rules: Vec<_> = recipient
            .each()
            .flat_map(|(_, options)| options.rules.iter().copied())
            .collect();
        rules.sort_unstable();
        rules.dedup();
        recipient.reasons = rules;
    }
    Ok(recipient)
}

/// The state of all of them: what stands in the way of one stands in the way.
fn together(states: impl Iterator<Item = State>) -> State {
    let rank = |state: &State| match state {
        State::Ready => 0,
        State::Incomplete | State::NoKey => 1,
        State::Conflict => 2,
        State::Refused => 3,
    };
    states.max_by_key(rank).unwrap_or(State::NoKey)
}

/// Nothing goes out that a rule wants otherwise.
///
/// # Errors
/// `policy.refused`.
pub(super) fn admitted(recipients: &[Recipient]) -> Result<()> {
    let rules = recipients.iter().flat_map(|one| &one.reasons);
    let mut rules = rules.filter(|rule| [REQUIRE_ENCRYPTION, REQUIRE_SIGNING].contains(rule));
    match rules.next() {
        Some(rule) => Err(choose::refused(rule)),
        None => Ok(()),
    }
}

/// Everybody has a key that can be used.
///
/// # Errors
/// `key.conflict` and `key.ambiguous` for the first such address; `policy.refused`;
/// `key.missing` that names every address without a usable key.
pub(super) fn keys(recipients: &[Recipient]) -> Result<()> {
    let mut missing = Vec::new();
    for recipient in recipients {
        if recipient.state == State::Ready {
            continue;
        }
        let before = missing.len();
        for (address, options) in recipient.each() {
            match options.state {
                State::Ready => {}
                State::Conflict => return Err(undecided(address, options)),
                State::Refused => {
                    let rule = options.rules.first().copied().unwrap_or_default();
                    return Err(choose::refused(rule));
                }
                State::NoKey | State::Incomplete => missing.push(address.to_string()),
            }
        }
        if missing.len() == before {
            missing.push(recipient.address.to_string());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Kind::KeyMissing {
            r#for: KeyUse::Recipient,
            addresses: missing,
            key_ids: Vec::new(),
        },
        "there is no usable key for a recipient; ask for one and import it",
    ))
}

/// The error for an address with keys of which nobody has said which one counts.
fn undecided(address: &Address, options: &Options) -> Error {
    let address = address.to_string();
    let ids = options
        .candidates
        .iter()
        .map(|one| one.id.clone())
        .collect();
    match options.ambiguous {
        true => Error::new(
            Kind::KeyAmbiguous { address, ids },
            "there are several keys for a recipient; accept one of them or name it",
        ),
        false => Error::new(
            Kind::KeyConflict { address, ids },
            "a recipient has a new key; compare fingerprints, then accept one of the two",
        ),
    }
}
