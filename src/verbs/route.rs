//! What comes out of sealing, decided before anything is sealed: the envelopes, who signs them and
//! who reads them beside their recipients. The one rule behind `plan` and `seal`.

use super::choose::{self, Want};
use super::recipients::{self, Behind, Found, Party, Recipient};
use super::seal::{Choice, Protect, Purpose};
use super::{World, archive};
use crate::base::error::KeyUse;
use crate::base::keys::{StoredCert, Usage};
use crate::base::verdict::Scheme;
use crate::base::{Address, Context, Error, KeyId, Kind, Protocol, Result};

/// What comes out, before anything is sealed.
pub(super) struct Route {
    pub circles: Vec<Circle>,
    /// One of each family that is needed, at least one: the first is that of the sender's copy.
    pub sides: Vec<Sides>,
}

/// Those who get one envelope.
pub(super) struct Circle {
    /// `None`: it is not encrypted.
    pub protocol: Option<Protocol>,
    pub to: Vec<Address>,
    pub certs: Vec<StoredCert>,
    /// Those who may know of one another, each with their own key.
    pub named: Vec<(Address, StoredCert)>,
}

/// Who stands behind the envelopes of one family.
pub(super) struct Sides {
    /// As in the circles.
    pub protocol: Option<Protocol>,
    /// Signs every copy.
    pub signer: Option<StoredCert>,
    /// Reads every encrypted copy.
    pub own: Option<StoredCert>,
    /// Reads them as well, by policy.
    pub also: Vec<StoredCert>,
}

impl Route {
    /// Those who stand behind the envelopes of a circle.
    pub(super) fn sides(&self, protocol: Option<Protocol>) -> Option<&Sides> {
        self.sides.iter().find(|sides| sides.protocol == protocol)
    }

    /// Which family protects the envelope of a circle.
    pub(super) fn protocol(&self, circle: &Circle) -> Option<Protocol> {
        let signer = self.sides(circle.protocol)?.signer.as_ref();
        circle
            .protocol
            .or_else(|| signer.map(|cert| cert.id.protocol()))
    }

    /// The keys that policy adds, each once.
    pub(super) fn also(&self) -> Vec<KeyId> {
        let mut ids: Vec<KeyId> = Vec::new();
        for cert in self.sides.iter().flat_map(|sides| &sides.also) {
            if !ids.contains(&cert.id) {
                ids.push(cert.id.clone());
            }
        }
        ids
    }
}

/// Decides everything: every key is looked up before anything is sealed, so that every missing
/// one is named.
///
/// # Errors
/// `request.invalid`; `policy.refused`; `key.conflict` and `key.ambiguous` for the first such
/// address; `key.missing` that names every address without a usable key.
pub(super) fn route(
    world: &World,
    party: &Party<'_>,
    found: &Found,
    protect: &Protect,
    purpose: Purpose,
    cx: &Context,
) -> Result<Route> {
    let draft = purpose == Purpose::Draft;
    let encrypt = protect.encrypt || draft;
    let sign = protect.sign && !draft;
    scheme(protect)?;
    let mut circles: Vec<Circle> = Vec::new();
    if !draft {
        recipients::admitted(&found.recipients)?;
        if encrypt {
            recipients::keys(&found.recipients)?;
        }
        by_family(party.visible, found, encrypt, &mut circles);
        // Who is named anyway gets what the others get, once.
        let hidden = party.bcc.iter().filter(|bcc| !party.visible.contains(bcc));
        for bcc in hidden {
            let mut alone = Vec::new();
            by_family(std::slice::from_ref(bcc), found, encrypt, &mut alone);
            for circle in &mut alone {
                circle.named.clear();
            }
            circles.append(&mut alone);
        }
    }
    let family = match encrypt {
        true => found.family,
        false => protect.protocol,
    };
    let mut sides: Vec<Sides> = Vec::new();
    for protocol in circles.iter().map(|circle| circle.protocol).chain([None]) {
        if sides.iter().any(|known| known.protocol == protocol)
            || protocol.is_none() && !sides.is_empty()
        {
            continue;
        }
        let choice = protocol.map_or(family, Choice::from);
        let want = |usage| Want {
            choice,
            ..protect.want(usage)
        };
        sides.push(Sides {
            protocol,
            signer: match sign {
                true => Some(choose::signer(world, from(party)?, &want(Usage::Sign), cx)?),
                false => None,
            },
            own: match encrypt {
                true => Some(own(world, from(party)?, &want(Usage::Encrypt), cx)?),
                false => None,
            },
            also: match protocol {
                Some(protocol) => archive::also(world, protocol, cx)?,
                None => Vec::new(),
            },
        });
    }
    let route = Route { circles, sides };
    if protect.scheme == Some(Scheme::Inline) && route.is_smime() {
        return Err(Error::invalid(
            "/protect/scheme",
            "S/MIME has no inline form; choose mime or opaque",
        ));
    }
    Ok(route)
}

impl Route {
    fn is_smime(&self) -> bool {
        let certs = self
            .sides
            .iter()
            .flat_map(|s| s.signer.iter().chain(&s.own));
        certs
            .map(|cert| cert.id.protocol())
            .any(|p| p == Protocol::Smime)
    }
}

fn from<'a>(party: &Party<'a>) -> Result<&'a Address> {
    party
        .from
        .ok_or_else(|| Error::invalid("/from", "say whom the message is from"))
}

/// # Errors
/// `request.invalid` for a form that the family does not have.
pub(super) fn scheme(protect: &Protect) -> Result<()> {
    match protect.scheme == Some(Scheme::Opaque) && protect.protocol != Choice::Smime {
        true => Err(Error::invalid(
            "/protect/scheme",
            "opaque is for S/MIME; leave it out",
        )),
        false => Ok(()),
    }
}

/// Recipients who may know of one another, those of each family together.
fn by_family(to: &[Address], found: &Found, encrypt: bool, circles: &mut Vec<Circle>) {
    for address in to {
        let recipient = found.recipients.iter().find(|one| one.address == *address);
        let certs: Vec<&StoredCert> = match encrypt {
            true => recipient.into_iter().flat_map(Recipient::certs).collect(),
            false => Vec::new(),
        };
        let protocol = certs.first().map(|cert| cert.id.protocol());
        let at = circles.iter().position(|known| known.protocol == protocol);
        let at = at.unwrap_or_else(|| {
            circles.push(Circle {
                protocol,
                to: Vec::new(),
                certs: Vec::new(),
                named: Vec::new(),
            });
            circles.len() - 1
        });
        let Some(circle) = circles.get_mut(at) else {
            continue;
        };
        circle.to.push(address.clone());
        if let (Some(Behind::Itself(_)), Some(cert)) =
            (recipient.map(|one| &one.behind), certs.first())
        {
            circle.named.push((address.clone(), (*cert).clone()));
        }
        for cert in certs {
            if !circle.certs.iter().any(|known| known.id == cert.id) {
                circle.certs.push(cert.clone());
            }
        }
    }
}

/// Our own certificate for reading what we have sent.
///
/// # Errors
/// `key.missing` (recipient); `policy.refused`.
pub(super) fn own(
    world: &World,
    from: &Address,
    want: &Want<'_>,
    cx: &Context,
) -> Result<StoredCert> {
    let options = choose::options(world, from, want, cx)?;
    if let Some(cert) = options.chosen.filter(|cert| cert.own) {
        return Ok(cert);
    }
    Err(match options.rules.first() {
        Some(rule) => choose::refused(rule),
        None => Error::new(
            Kind::KeyMissing {
                r#for: KeyUse::Recipient,
                addresses: vec![from.to_string()],
                key_ids: Vec::new(),
            },
            "there is no key of your own for this address, so you could not read what you send; make or import one",
        ),
    })
}
