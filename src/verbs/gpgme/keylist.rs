//! `keylist`: keys, each with all that there is to be said of it.

use serde::Serialize;

use super::Fault;
use super::rings::{self, Known, Wanted};
use crate::base::described::Described;
use crate::base::gnupg::Whose;
use crate::base::{Address, Context, Error, Kind, Protocol};
use crate::verbs::World;
use crate::verbs::keys::{DiscoverRequest, discover};

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    pub protocol: Protocol,
    /// Patterns; all keys without any.
    pub keys: Vec<String>,
    /// Only those with a secret half.
    pub secret_only: bool,
    pub show: Show,
    pub look: Look,
}

/// What is told of each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Show {
    /// Where secret halves are.
    pub secret: bool,
    pub keygrip: bool,
}

/// Where keys are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Here,
    /// In the network too, for addresses that nobody has here.
    Elsewhere,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Reply {
    keys: Vec<Described>,
}

/// Lists keys.
///
/// # Errors
/// Forbidden by policy; general error of the store.
pub fn keylist(world: &World, request: &Request, cx: &Context) -> Result<Reply, Fault> {
    let listing = |error: Error| Fault::from(error).doing("Error listing keys");
    let mut wanted = Wanted::named(&request.keys);
    if request.secret_only {
        wanted.whose = Whose::Own;
    }
    let mut known = rings::known(world, request.protocol, &wanted, cx).map_err(listing)?;
    if request.look == Look::Elsewhere && known.is_empty() {
        for name in &request.keys {
            elsewhere(world, name, &mut wanted, cx)?;
        }
        known = rings::known(world, request.protocol, &wanted, cx).map_err(listing)?;
    }
    let keys = known
        .into_iter()
        .map(|Known { key, .. }| key)
        .filter(|key| !request.secret_only || key.flags.secret)
        .map(|key| shown(key, request.show));
    Ok(Reply {
        keys: keys.collect(),
    })
}

/// Looks for the keys of an address where policy lets it. What is found is undecided.
fn elsewhere(world: &World, name: &str, wanted: &mut Wanted, cx: &Context) -> Result<(), Fault> {
    let bare = name.trim().trim_start_matches('<').trim_end_matches('>');
    let Some(address) = Address::parse(bare) else {
        return Ok(());
    };
    match discover(world, &DiscoverRequest { address, via: None }, cx) {
        Ok(reply) => wanted
            .found
            .extend(reply.found.into_iter().map(|found| found.id)),
        // Where nobody may be asked, nothing is found.
        Err(error) if matches!(error.kind, Kind::PolicyRefused { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// A key without what was not asked for.
fn shown(mut key: Described, show: Show) -> Described {
    // Of S/MIME it is always told, as are keygrips.
    let tells = show.secret || key.protocol == Protocol::Smime;
    if !tells {
        key.flags.secret = false;
    }
    for subkey in &mut key.subkeys {
        if !tells {
            subkey.flags.secret = false;
            subkey.is_cardkey = false;
            subkey.card_number = None;
        }
        if !tells && !show.keygrip {
            subkey.keygrip = None;
        }
    }
    key
}
