//! `keys/tokens`: which tokens there are, and their certificates taken into the store. The
//! secret halves stay where they are.

use serde::{Deserialize, Serialize};

use super::accept::{accept_all, against, raised};
use super::claim::{self, Claim, What};
use super::{ImportChange, Imported, Skipped};
use crate::base::ask::Action;
use crate::base::body::Bodies;
use crate::base::context::{parse_rfc3339, unix};
use crate::base::keys::{
    Acceptance, CertFacts, Certs, ModuleState, Protocol, Source, TokenState, Usage,
};
use crate::base::{Context, KeyId, Result, Secret};
use crate::store::{Change, Place as Folder, Wrap};
use crate::tokens::{Half, Look, Place, TokenCert, TokenLook};
use crate::verbs::{Ask, Asks, World, beside};

/// `keys/tokens`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TokensRequest {
    /// Accept the certificates that are one's own for the addresses that they name.
    pub accept: bool,
    pub ask: Ask,
}

/// What is plugged in, and what became of its certificates.
#[derive(Debug, Clone, Serialize)]
pub struct TokensReply {
    pub modules: Vec<ListedModule>,
    pub tokens: Vec<ListedToken>,
    pub imported: Vec<Imported>,
    pub skipped: Vec<Skipped>,
    pub revision: u64,
}

/// One PKCS#11 module of those that policy names.
#[derive(Debug, Clone, Serialize)]
pub struct ListedModule {
    /// Its file's name.
    pub module: String,
    pub state: ModuleState,
}

/// One token.
#[derive(Debug, Clone, Serialize)]
pub struct ListedToken {
    pub label: String,
    pub manufacturer: String,
    pub model: String,
    pub serial: String,
    pub state: TokenState,
    /// The certificates whose secret halves lie on it.
    pub keys: Vec<KeyId>,
}

impl Bodies for TokensRequest {}
impl Bodies for TokensReply {}

impl Asks for TokensRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}

/// A certificate that was found on a token.
struct Found {
    facts: CertFacts,
    cert: Vec<u8>,
    /// Where its secret half lies; `None` for an authority's.
    place: Option<Place>,
}

impl Found {
    /// What it says that the person owns, where its secret half lies on the token.
    fn claim(&self) -> Option<Claim<'_>> {
        self.place.as_ref().map(|_| Claim {
            what: What::Known(&self.facts.id, Some(&self.cert)),
            addresses: &self.facts.addresses,
            secret: claim::Half::Protected,
        })
    }
}

/// `keys/tokens`: lists tokens and takes their certificates in; no PIN is asked for. One whose
/// secret half lies in the store stays as it is.
///
/// # Errors
/// `policy.refused` when no module is allowed; `consent.denied` when `accept`, or an address that
/// another key here names, was not confirmed; `store.unavailable`.
pub fn tokens(world: &World, request: &TokensRequest, cx: &Context) -> Result<TokensReply> {
    let looks = world.tokens.look()?;
    let now = unix(cx.now);
    let mut listed = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    let mut skipped = Vec::new();
    for token in looks.iter().flat_map(|look| &look.tokens) {
        // Two modules may reach one token.
        let name = (&token.name, &token.label);
        if listed.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let mut keys = Vec::new();
        for cert in &token.certs {
            match of(world, token, cert, now)? {
                Ok(one) => {
                    keys.extend(one.place.is_some().then(|| one.facts.id.clone()));
                    if !found.iter().any(|known| known.facts.id == one.facts.id) {
                        found.push(one);
                    }
                }
                Err(reason) => skipped.push(Skipped { reason }),
            }
        }
        keys.sort();
        listed.push((name, shown(token, keys)));
    }
    // A token tells in any order; the question must be the same when this runs again.
    found.sort_by(|a, b| a.facts.id.cmp(&b.facts.id));
    let claims: Vec<Claim<'_>> = found.iter().filter_map(Found::claim).collect();
    claim::claim(world, &claims, cx)?;
    if request.accept && found.iter().any(|one| one.place.is_some()) {
        cx.confirm(Action::AcceptByImport, &accept_label(&found))?;
    }
    let mut said = Vec::new();
    for one in &found {
        if request.accept && one.place.is_some() {
            let addresses = one.facts.addresses.iter().cloned();
            said.extend(addresses.map(|a| (one.facts.id.clone(), a, Acceptance::Accepted)));
        }
    }
    let said = raised(world, said)?;
    against(world, &said, cx)?;
    cx.job.commit()?;
    let newcomers = beside::newcomers(world, found.iter().map(|one| &one.facts), cx)?;
    let mut imported = Vec::new();
    for one in &found {
        imported.push(put(world, one, now)?);
    }
    accept_all(world, &said, now)?;
    // A token has several certificates for one person.
    let together = found.iter().map(|one| one.facts.id.clone()).collect();
    beside::conflicts(world, &newcomers, &together, cx)?;
    Ok(TokensReply {
        modules: looks.iter().map(module).collect(),
        tokens: listed.into_iter().map(|(_, token)| token).collect(),
        imported,
        skipped,
        revision: world.store.revision()?,
    })
}

/// A certificate of a token, or why it is left out.
fn of(
    world: &World,
    token: &TokenLook,
    found: &TokenCert,
    now: u64,
) -> Result<std::result::Result<Found, &'static str>> {
    let engine = world.engine(Protocol::Smime)?;
    let TokenCert { cert, key, half } = found;
    let Ok(facts) = engine.facts(cert, now) else {
        return Ok(Err("malformed"));
    };
    // As it was on its first day: one that has expired is an authority's all the same.
    let issued = facts.created.as_deref().and_then(parse_rfc3339);
    let authority = engine
        .unfit(cert, Usage::Certify, None, issued.unwrap_or(now))
        .is_empty();
    if !authority && (key.is_empty() || *half == Half::Missing) {
        return Ok(Err("no-key-id"));
    }
    let row = world.store.row(&facts.id)?;
    if row.is_some_and(|row| row.own) && !world.tokens.knows(&facts.id) {
        return Ok(Err("secret-here"));
    }
    let place = (!authority).then(|| Place {
        token: token.name.clone(),
        key: key.clone(),
        owner: owner(&facts),
    });
    Ok(Ok(Found {
        facts,
        cert: cert.clone(),
        place,
    }))
}

/// Files where the secret half lies, then the certificate.
fn put(world: &World, one: &Found, now: u64) -> Result<Imported> {
    let id = &one.facts.id;
    if let Some(place) = &one.place {
        let place = place.to_bytes();
        let known = world.store.token(id)?;
        if known.is_none_or(|known| known != place) {
            let place = Secret::new(place);
            world.store.put_secret(id, &place, Wrap::Token)?;
        }
    }
    let take = &mut |_: Option<&[u8]>| Ok((one.cert.clone(), one.facts.clone()));
    let change = world
        .store
        .put(id, Source::Imported, Folder::Kept, now, take)?;
    Ok(Imported {
        id: id.clone(),
        change: match change {
            Change::New => ImportChange::New,
            Change::Updated => ImportChange::Updated,
            Change::Unchanged => ImportChange::Unchanged,
        },
        secret: one.place.is_some(),
    })
}

/// Whose key it is, for dialogs.
fn owner(facts: &CertFacts) -> String {
    match (&facts.name, facts.addresses.first()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (Some(name), None) => name.clone(),
        (None, Some(address)) => address.to_string(),
        (None, None) => facts.id.fingerprint().to_owned(),
    }
}

/// What the person confirms: fingerprints and the addresses they are accepted for, all of them.
fn accept_label(found: &[Found]) -> String {
    let own = found.iter().filter(|one| one.place.is_some());
    own.map(|one| line(&one.facts))
        .collect::<Vec<_>>()
        .join("\n")
}

fn line(facts: &CertFacts) -> String {
    let addresses: Vec<_> = facts.addresses.iter().map(ToString::to_string).collect();
    format!("{} for {}", facts.id.fingerprint(), addresses.join(", "))
}

fn module(look: &Look) -> ListedModule {
    ListedModule {
        module: look.module.clone(),
        state: look.state,
    }
}

fn shown(token: &TokenLook, keys: Vec<KeyId>) -> ListedToken {
    ListedToken {
        label: token.label.clone(),
        manufacturer: token.name.manufacturer.clone(),
        model: token.name.model.clone(),
        serial: token.name.serial.clone(),
        state: token.state,
        keys,
    }
}
