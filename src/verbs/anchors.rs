//! `anchors/*`: the authorities that may vouch for S/MIME certificates.

use serde::{Deserialize, Serialize};

use super::{Ask, Asks, World};
use crate::base::ask::Action;
use crate::base::body::{Bodies, Body};
use crate::base::context::unix;
use crate::base::keys::{Anchor, CertFacts, Certs, Protocol, Usage, no_such_key};
use crate::base::{Address, Context, Error, KeyId, Result};

/// The longest list of domains for one anchor.
const DOMAINS_MAX: usize = 100;

/// `anchors/list`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListRequest {}

/// All of them, the person's own first.
#[derive(Debug, Clone, Serialize)]
pub struct ListReply {
    pub anchors: Vec<Listed>,
    pub revision: u64,
}

/// One authority.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    pub id: KeyId,
    pub name: Option<String>,
    /// RFC 3339.
    pub expires: Option<String>,
    pub source: AnchorSource,
    /// The domains whose addresses it may vouch for; empty: all.
    pub domains: Vec<String>,
}

/// Where an anchor comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnchorSource {
    /// The person added it.
    Own,
    /// It comes with the program.
    Bundled,
    /// It stands in the files that policy names (`anchors-files`).
    Policy,
}

/// `anchors/add`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddRequest {
    /// Certificates of authorities: PEM, DER or P7B.
    pub data: Body,
    #[serde(default)]
    pub domains: Vec<String>,
    #[serde(default)]
    pub ask: Ask,
}

/// `anchors/remove`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveRequest {
    pub id: KeyId,
    #[serde(default)]
    pub ask: Ask,
}

impl Bodies for ListRequest {}
impl Bodies for ListReply {}
impl Bodies for RemoveRequest {}

impl Bodies for AddRequest {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.data.bodies(visit)
    }
}

impl Asks for ListRequest {}

impl Asks for AddRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}

impl Asks for RemoveRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}

/// `anchors/list`.
///
/// # Errors
/// `store.unavailable`; `policy.refused`.
pub fn list(world: &World, _request: &ListRequest, cx: &Context) -> Result<ListReply> {
    let engine = world.engine(Protocol::Smime)?;
    let now = unix(cx.now);
    let mut anchors = Vec::new();
    for own in world.store.anchors()? {
        if let Ok(facts) = engine.facts(&own.cert, now) {
            anchors.push(listed(facts, AnchorSource::Own, own.domains));
        }
    }
    let given = match world.policy.anchors_files.is_empty() {
        true => AnchorSource::Bundled,
        false => AnchorSource::Policy,
    };
    for facts in engine.authorities(cx)? {
        anchors.push(listed(facts, given, Vec::new()));
    }
    Ok(ListReply {
        anchors,
        revision: world.store.revision()?,
    })
}

fn listed(facts: CertFacts, source: AnchorSource, domains: Vec<String>) -> Listed {
    Listed {
        id: facts.id,
        name: facts.name.or(facts.issuer),
        expires: facts.expires,
        source,
        domains,
    }
}

/// `anchors/add`: from now on these may vouch for the addresses of `domains`, or of all.
///
/// # Errors
/// `message.malformed`; `request.invalid` for a certificate that is no authority's, or a
/// domain that is none; `consent.denied`; `store.unavailable`.
pub fn add(world: &World, request: &AddRequest, cx: &Context) -> Result<ListReply> {
    let engine = world.engine(Protocol::Smime)?;
    let incoming = engine.read_keys(request.data.bytes()?, cx)?;
    let domains = domains(&request.domains)?;
    let mut label = String::new();
    for key in &incoming.keys {
        if !key.facts.usage.contains(&Usage::Certify) {
            return Err(Error::invalid(
                "/data",
                "this is no authority's certificate; accept it with keys/accept instead",
            ));
        }
        let name = plain(key.facts.name.as_deref().unwrap_or_default());
        label.push_str(&format!("add {name} {}\n", key.facts.id.fingerprint()));
    }
    match domains.as_slice() {
        [] => label.push_str("for every address"),
        some => label.push_str(&format!("for addresses at {}", some.join(", "))),
    }
    cx.confirm(Action::ChangeAnchors, &label)?;
    cx.job.commit()?;
    for key in incoming.keys {
        let anchor = Anchor {
            cert: key.cert.into(),
            domains: domains.clone(),
        };
        world.store.put_anchor(&key.facts.id, &anchor)?;
    }
    list(world, &ListRequest {}, cx)
}

/// A name without what moves a line.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

/// Domains as A-labels, lower case.
///
/// # Errors
/// `request.invalid`.
pub(super) fn domains(given: &[String]) -> Result<Vec<String>> {
    let wrong = || {
        Error::invalid(
            "/domains",
            "use domains like example.org, at most a hundred",
        )
    };
    if given.len() > DOMAINS_MAX {
        return Err(wrong());
    }
    let read = given.iter().map(|domain| {
        let address = Address::parse(&format!("a@{domain}")).ok_or_else(wrong)?;
        let (_, domain) = address.key().rsplit_once('@').ok_or_else(wrong)?;
        Ok(domain.to_owned())
    });
    read.collect()
}

/// `anchors/remove`: one that the person added.
///
/// # Errors
/// `key.missing`; `consent.denied`; `store.unavailable`.
pub fn remove(world: &World, request: &RemoveRequest, cx: &Context) -> Result<ListReply> {
    let engine = world.engine(Protocol::Smime)?;
    let now = unix(cx.now);
    let own = world.store.anchors()?;
    let mut own = own
        .iter()
        .filter_map(|own| engine.facts(&own.cert, now).ok());
    let facts = own.find(|facts| facts.id == request.id);
    // One whose certificate can't be read any more can be removed all the same.
    if facts.is_none() && !world.store.has_anchor(&request.id)? {
        return Err(no_such_key());
    }
    let name = facts.and_then(|facts| facts.name).unwrap_or_default();
    let name = plain(&name);
    cx.confirm(
        Action::ChangeAnchors,
        &format!("remove {name} {}", request.id.fingerprint()),
    )?;
    cx.job.commit()?;
    if !world.store.remove_anchor(&request.id)? {
        return Err(no_such_key());
    }
    list(world, &ListRequest {}, cx)
}
