//! Addresses and subkeys of own keys: more of them, and fewer.

use serde::Deserialize;

use super::KeyReply;
use super::accept::raised;
use super::claim::{self, Claim, Half, What};
use super::life::{own, put};
use super::show::reply;
use crate::base::ask::{Action, Answers, Need};
use crate::base::body::Bodies;
use crate::base::context::unix;
use crate::base::error::Kind;
use crate::base::keys::{Acceptance, Certs as _, Usage};
use crate::base::{Address, Context, Error, KeyId, Result};
use crate::engine::{Part, Passphrase, Word};
use crate::verbs::{Ask, Asks, World};

/// `keys/address`: one address more, or one less.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressRequest {
    pub id: KeyId,
    #[serde(default)]
    pub add: Option<Address>,
    /// The name beside the new address; the one that the key has already when absent.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub retire: Option<Address>,
    #[serde(default)]
    pub ask: Ask,
}

/// `keys/subkey`: one subkey more, or one less.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubkeyRequest {
    pub id: KeyId,
    #[serde(default)]
    pub add: Option<Usage>,
    /// Its key id or fingerprint.
    #[serde(default)]
    pub retire: Option<String>,
    #[serde(default)]
    pub ask: Ask,
}

impl Bodies for AddressRequest {}
impl Bodies for SubkeyRequest {}

impl Asks for AddressRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}

impl Asks for SubkeyRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}

/// `keys/address`: an own OpenPGP key gets another address, for which it is accepted, or says
/// that one is not its owner's any more, which can't be taken back.
///
/// # Errors
/// `key.missing`; `key.locked`; `key.unusable`; `request.invalid`; `consent.denied`.
pub fn address(world: &World, request: &AddressRequest, cx: &Context) -> Result<KeyReply> {
    let part = match (&request.add, &request.retire) {
        (Some(address), None) => Part::Address {
            name: super::generate::name(request.name.as_deref())?,
            address,
        },
        (None, Some(address)) => Part::NoAddress(address),
        _ => {
            return Err(Error::invalid(
                "/add",
                "say which address to add, or which one to retire",
            ));
        }
    };
    let own = own(world, &request.id)?;
    let engine = world.engine(request.id.protocol())?;
    // What can't be done is told before the person is asked.
    let changed = engine.change(&own.cert, &part, cx)?;
    if let Some(address) = &request.retire {
        let label = format!("the address {address} of {}", world.label(&request.id)?);
        cx.confirm(Action::Revoke, &label)?;
    }
    if let Some(address) = &request.add {
        let claim = Claim {
            what: What::Known(&request.id, Some(&own.cert)),
            addresses: std::slice::from_ref(address),
            secret: Half::Protected,
        };
        claim::claim(world, &[claim], cx)?;
    }
    put(world, &own, &changed, &Word::Part(part), cx)?;
    if let Some(address) = &request.add {
        let said = vec![(request.id.clone(), address.clone(), Acceptance::Accepted)];
        let said = raised(world, said)?;
        world.store.accept_many(&said, unix(cx.now))?;
    }
    reply(world, &request.id, cx)
}

/// `keys/subkey`: an own OpenPGP key gets another subkey, for which its passphrase is asked, or
/// lets one go, which can't be taken back.
///
/// # Errors
/// `key.missing`; `key.locked`; `key.unusable`; `passphrase.*`; `request.invalid`;
/// `consent.denied`.
pub fn subkey(world: &World, request: &SubkeyRequest, cx: &Context) -> Result<KeyReply> {
    let id = &request.id;
    let own = own(world, id)?;
    let engine = world.engine(id.protocol())?;
    let label = world.label(id)?;
    match (request.add, &request.retire) {
        (Some(usage), None) => {
            let sealed = world.store.sealed_secret(id)?;
            let (old, attempt) = super::change::old_passphrase(id, sealed.device, &label, cx)?;
            let (cert, secret) = engine
                .add_subkey(&own.cert, &sealed.sealed, usage, &old, cx)
                .map_err(|error| match (error.kind, &old) {
                    (Kind::PassphraseWrong, Passphrase::Human(_)) => {
                        Answers::wrong(Need::Unwrap, Some(id), &label, attempt)
                    }
                    (kind, _) => Error { kind, ..error },
                })?;
            cx.job.commit()?;
            // Secret first, and under what it lies under already.
            world.store.replace_secret(id, &secret)?;
            world.forget(id);
            put(world, &own, &cert, &Word::Fit(usage), cx)?;
        }
        (None, Some(handle)) => {
            let handle = handle.to_ascii_uppercase();
            let part = Part::NoSubkey(&handle);
            let changed = engine.change(&own.cert, &part, cx)?;
            let label = format!("the subkey {handle} of {label}");
            cx.confirm(Action::Revoke, &label)?;
            put(world, &own, &changed, &Word::Part(part), cx)?;
        }
        _ => {
            return Err(Error::invalid(
                "/add",
                "say what the new subkey is for, or which one to retire",
            ));
        }
    }
    reply(world, id, cx)
}
