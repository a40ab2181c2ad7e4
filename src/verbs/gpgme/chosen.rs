//! Which certificates the names in a request stand for: those to encrypt to, and one's own to sign
//! with.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::pattern::Pattern;
use super::rings::{self, Known, Theirs, Wanted};
use super::{Code, Fault};
use crate::base::context::unix;
use crate::base::described::Validity;
use crate::base::gnupg::Whose;
use crate::base::keys::{Acceptance, Protocol, Source, StoredCert, Usage};
use crate::base::layer::Trust;
use crate::base::policy::{Done, Sealing, UNDECIDED_RECIPIENTS};
use crate::base::{Address, Context, Error, KeyId, Result};
use crate::verbs::{World, choose};

/// Whether somebody has to stand for a key before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trusting {
    /// The person, an introducer, an authority, or GnuPG.
    Vouched,
    /// Nobody. What somebody said against it counts all the same.
    Always,
}

impl From<bool> for Trusting {
    fn from(always: bool) -> Trusting {
        match always {
            true => Trusting::Always,
            false => Trusting::Vouched,
        }
    }
}

/// What is done with the recipients' keys.
#[derive(Debug, Clone, Copy)]
pub struct Purpose {
    pub protocol: Protocol,
    pub trusting: Trusting,
    pub sign: Done,
}

/// The names that name something.
///
/// # Errors
/// No key where there are none at all; missing key where all are empty; invalid user ID for one of
/// several lines.
pub fn names(names: &[String]) -> Result<Vec<&str>, Fault> {
    let fault = |code| Fault::new(code).doing(GETTING);
    if names.is_empty() {
        return Err(fault(Code::NoKey));
    }
    if names.iter().any(|name| name.contains('\n')) {
        return Err(fault(Code::InvalidUserId));
    }
    let named = names.iter().map(String::as_str);
    Ok(named.filter(|name| !name.trim().is_empty()).collect())
}

/// The first words of the text that tells about names of keys.
pub const GETTING: &str = "Error getting keys";

/// The certificate of each recipient. Of several that have a name, the surest, then the newest.
///
/// # Errors
/// Unusable public key (no public key for CMS) where one of them has none that may be used;
/// missing key where nobody is named; `policy.refused`.
pub fn recipients(
    world: &World,
    named: &[&str],
    purpose: Purpose,
    cx: &Context,
) -> Result<Vec<StoredCert>, Fault> {
    if named.is_empty() {
        return Err(Code::MissingKey.into());
    }
    let wanted = wanted(named, Whose::All);
    let asked = wanted.ok_or_else(|| nobody(purpose.protocol))?;
    let known = rings::known(world, purpose.protocol, &asked, cx)?;
    let theirs = match known.iter().any(|known| known.gnupg != Theirs::Nothing) {
        true => rings::theirs_whole(world, purpose.protocol, cx)?,
        false => HashMap::new(),
    };
    let mut chosen = Vec::with_capacity(named.len());
    for (name, pattern) in named.iter().zip(&asked.patterns) {
        let address = mailbox(name);
        let fits = |known: &&Known| stands_for(address.as_ref(), pattern, known);
        let mut fitting: Vec<&Known> = known.iter().filter(fits).collect();
        if fitting.is_empty() {
            return Err(nobody(purpose.protocol));
        }
        // GnuPG's own order stays among equals.
        fitting.sort_by_key(|known| {
            let sure = sureness(known, address.as_ref());
            std::cmp::Reverse((sure, created(known)))
        });
        let looking = Looking {
            world,
            theirs: &theirs,
            address,
            purpose,
            cx,
        };
        let mut unusable = None;
        let mut found = None;
        for known in fitting {
            match looking.cert(known) {
                Ok(cert) => {
                    found = Some(cert);
                    break;
                }
                Err(fault) => unusable = unusable.or(Some(fault)),
            }
        }
        match (found, unusable) {
            (Some(cert), _) => chosen.push(cert),
            (None, fault) => return Err(fault.unwrap_or(Code::UnusablePublicKey.into())),
        }
    }
    Ok(choose::distinct(chosen))
}

/// The keys that have these names. `None` where one names nothing, or there are none: who names
/// nobody does not mean everybody.
fn wanted(named: &[&str], whose: Whose) -> Option<Wanted> {
    let patterns: Option<Vec<Pattern>> = named.iter().map(|name| Pattern::read(name)).collect();
    Some(Wanted {
        patterns: patterns.filter(|patterns| !patterns.is_empty())?,
        found: BTreeSet::new(),
        whose,
    })
}

/// Whether a key is meant by a name. A whole address stands for the keys that have it, and for none
/// that has it as a part of something else.
fn stands_for(address: Option<&Address>, pattern: &Pattern, known: &Known) -> bool {
    let has = |address| mailboxes(known).contains(address);
    pattern.fits(&known.key) && address.is_none_or(has)
}

fn nobody(protocol: Protocol) -> Fault {
    match protocol {
        Protocol::OpenPgp => Code::UnusablePublicKey.into(),
        Protocol::Smime => Code::NoPublicKey.into(),
    }
}

/// The one address that a name stands for.
pub fn mailbox(name: &str) -> Option<Address> {
    let name = name.trim().trim_start_matches('=');
    let inner = match name.rsplit_once('<') {
        Some((_, rest)) => rest.trim_end_matches('>'),
        None => name,
    };
    Address::parse(inner)
}

/// How sure it is whose key this is: for one address, or for the surest.
pub fn sureness(known: &Known, address: Option<&Address>) -> Validity {
    let names = known.key.userids.iter().filter(|name| !name.revoked);
    let asked = names.filter(|name| match address {
        Some(address) => name.mailbox().as_ref() == Some(address),
        None => true,
    });
    asked.map(|name| name.validity).max().unwrap_or_default()
}

fn mailboxes(known: &Known) -> Vec<Address> {
    let names = known.key.userids.iter();
    names.filter_map(|name| name.mailbox()).collect()
}

/// Whether the person has said no: for the address that is meant, or for any.
fn is_rejected(known: &Known, meant: Option<&Address>) -> bool {
    let said = known.row.iter().flat_map(|row| &row.acceptance);
    said.filter(|(address, _)| meant.is_none_or(|meant| meant == *address))
        .any(|(_, level)| *level == Acceptance::Rejected)
}

fn created(known: &Known) -> u64 {
    let first = known.key.subkeys.first();
    first.map(|key| key.timestamp).unwrap_or_default()
}

/// What one recipient's keys are looked at with.
struct Looking<'a> {
    world: &'a World,
    theirs: &'a HashMap<KeyId, Bytes>,
    /// Where the name is one.
    address: Option<Address>,
    purpose: Purpose,
    cx: &'a Context,
}

impl Looking<'_> {
    /// The certificate of a key, where it may be used.
    fn cert(&self, known: &Known) -> Result<StoredCert, Fault> {
        let unusable = || Err(Code::UnusablePublicKey.into());
        let id = &known.key.id;
        let cert = rings::whole(self.world, id, self.theirs)?;
        let engine = self.world.engine(id.protocol())?;
        let now = unix(self.cx.now);
        let flags = known.key.flags;
        let own = known.row.as_ref().is_some_and(|row| row.own);
        let address = self.address.as_ref();
        let addresses = match address {
            Some(address) => vec![address.clone()],
            None => mailboxes(known),
        };
        let sure = sureness(known, address);
        if flags.disabled
            || flags.revoked
            || sure == Validity::Never
            || !engine.unfit(&cert, Usage::Encrypt, address, now).is_empty()
            || is_rejected(known, address)
            // Nobody else reads what is encrypted to oneself.
            || !own && self.is_in_conflict(id, &addresses, address)?
        {
            return unusable();
        }
        if self.world.is_short(id.protocol(), &cert, now) {
            return Err(choose::refused(crate::base::policy::MINIMUM_RSA_BITS).into());
        }
        let anchored = || {
            let mut all = addresses.iter();
            all.any(|address| engine.trust(&cert, address, self.cx) == Trust::Anchored)
        };
        if !own && sure < Validity::Marginal && !anchored() {
            if self.purpose.trusting == Trusting::Vouched {
                return unusable();
            }
            if !self.cx.policy.undecided_recipients {
                return Err(choose::refused(UNDECIDED_RECIPIENTS).into());
            }
        }
        self.admitted(&addresses)?;
        Ok(StoredCert {
            id: id.clone(),
            cert,
            source: known.row.as_ref().map_or(Source::Gnupg, |row| row.source),
            own,
        })
    }

    /// Whether two keys claim one of the addresses, and the person has not decided.
    fn is_in_conflict(
        &self,
        id: &KeyId,
        addresses: &[Address],
        meant: Option<&Address>,
    ) -> Result<bool> {
        for address in addresses {
            let ids = self.world.store.conflicts(address)?;
            if !ids.is_empty() && (meant.is_some() || ids.contains(id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// # Errors
    /// `policy.refused`.
    fn admitted(&self, addresses: &[Address]) -> Result<()> {
        let sealing = Sealing {
            sign: self.purpose.sign,
            encrypt: Done::Yes,
        };
        let rules = addresses
            .iter()
            .flat_map(|address| self.cx.policy.broken_by(Some(address), sealing));
        match rules.into_iter().next() {
            Some(rule) => Err(choose::refused(rule)),
            None => Ok(()),
        }
    }
}

/// All keys of one's own that have one of these names, as gpgme takes them, and can sign.
///
/// # Errors
/// No key where a name has none; unusable secret key where none of those can sign;
/// `policy.refused`.
pub fn signers(
    world: &World,
    named: &[&str],
    protocol: Protocol,
    cx: &Context,
) -> Result<Vec<StoredCert>, Fault> {
    let nobody = || Fault::new(Code::NoKey).doing(GETTING);
    let asked = wanted(named, Whose::Own).ok_or_else(nobody)?;
    let known = rings::known(world, protocol, &asked, cx)?;
    let now = unix(cx.now);
    let engine = world.engine(protocol)?;
    let mut chosen = Vec::new();
    for (name, pattern) in named.iter().zip(&asked.patterns) {
        let address = mailbox(name);
        let fits = |known: &&Known| stands_for(address.as_ref(), pattern, known);
        let fitting = known.iter().filter(fits);
        let (mut any, before) = (false, chosen.len());
        let mut short = false;
        for known in fitting {
            let Some(cert) = world.store.cert(&known.key.id)?.filter(|cert| cert.own) else {
                continue;
            };
            any = true;
            if !engine.unfit(&cert.cert, Usage::Sign, None, now).is_empty() {
                continue;
            }
            match world.is_short(protocol, &cert.cert, now) {
                true => short = true,
                false => chosen.push(cert),
            }
        }
        if chosen.len() == before {
            return Err(match any {
                false => nobody(),
                true if short => choose::refused(crate::base::policy::MINIMUM_RSA_BITS).into(),
                true => Code::UnusableSecretKey.into(),
            });
        }
    }
    Ok(choose::distinct(chosen))
}

/// The address that signers say they are, where all of them have it.
pub fn sender<'a>(
    sender: Option<&'a str>,
    signers: &[StoredCert],
    world: &World,
) -> Option<&'a str> {
    let sender = sender?;
    let address = mailbox(sender)?;
    let names = |cert: &StoredCert| {
        let row = world.store.row(&cert.id).ok().flatten();
        row.is_some_and(|row| row.facts.addresses.contains(&address))
    };
    signers
        .iter()
        .all(names)
        .then(|| match sender.rsplit_once('<') {
            Some((_, rest)) => rest.trim_end_matches('>'),
            None => sender.trim(),
        })
}

/// The error of a private half, told as one of secret keys.
pub fn of_signer(error: Error) -> Fault {
    Fault::from(error)
        .but(Code::NoKey, Code::NoSecretKey)
        .but(Code::UnusablePublicKey, Code::UnusableSecretKey)
}
