//! Bringing, giving and removing keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::accept::{accept_all, accept_label, against, raised};
use super::claim;
use super::revocation_list;
use super::secrets::{Brought, Wrapped, brought};
use super::{
    Accept, DataReply, DeleteRequest, ExportRequest, ImportChange, ImportFrom, ImportReply,
    ImportRequest, Imported, RevisionReply, Skipped,
};
use crate::base::ask::{Action, Answers, Need};
use crate::base::context::unix;
use crate::base::error::Kind;
use crate::base::keys::{Acceptance, Certs, Opener, Source, no_such_key};
use crate::base::{Address, Body, Context, Error, KeyId, Protocol, Result, Secret};
use crate::engine::smime::read_revocation_list;
use crate::engine::{Format, IncomingKey, Passphrase};
use crate::store::{Change, Place, Put, Wrap};
use crate::verbs::{World, beside, setup};

/// The largest thing that can be imported at once: twenty thousand certificates of the usual
/// size.
const IMPORT_MAX: usize = 64 << 20;

/// What a secret half lies under now, and which attempt at it this is.
pub(in crate::verbs) fn old_passphrase(
    id: &KeyId,
    device: Option<Opener>,
    label: &str,
    cx: &Context,
) -> Result<(Passphrase, u32)> {
    Ok(match device {
        Some(device) => (Passphrase::Random(device.passphrase()?), 0),
        None => {
            let (secret, attempt) = cx.answers.passphrase(Need::Unwrap, Some(id), label)?;
            (Passphrase::Human(secret), attempt)
        }
    })
}

/// A new passphrase, not empty.
pub(in crate::verbs) fn new_passphrase(
    id: Option<&KeyId>,
    label: &str,
    cx: &Context,
) -> Result<Arc<Secret>> {
    let (secret, attempt) = cx.answers.passphrase(Need::Wrap, id, label)?;
    if secret.is_empty() {
        let mut error = Answers::wrong(Need::Wrap, id, label, attempt);
        "the new passphrase is empty; choose one that is not".clone_into(&mut error.message);
        return Err(error);
    }
    Ok(secret)
}

/// `keys/import`: brings certificates and secret keys in. A secret key keeps the passphrase it
/// came with; one that came without any is put under the store's own.
///
/// # Errors
/// `message.malformed` when there is no key in it; `consent.denied` when `accept` was not
/// confirmed; `limit.exceeded`; `store.unavailable`.
pub fn import(world: &World, request: &ImportRequest, cx: &Context) -> Result<ImportReply> {
    let data = match (&request.data, request.from) {
        (Some(data), None) => data.bytes()?,
        (None, Some(ImportFrom::Gnupg)) => return super::gnupg::import(world, request, cx),
        _ => return Err(Error::invalid("/data", "say what to import, and once only")),
    };
    if data.len() > IMPORT_MAX {
        return Err(Error::limit(
            "import",
            "this is too much to import at once; split it",
        ));
    }
    // Keys of one's own, from another device.
    let setup = setup::opened(data, cx)?;
    let data: &[u8] = setup.as_ref().map_or(data, |setup| &setup.keys);
    let mut incoming = match read(world, data, cx) {
        Ok(incoming) => incoming,
        Err(error) if error.kind == Kind::MessageMalformed => {
            let list = read_revocation_list(data).map_err(|_| error)?;
            return revocation_list::take_up(world, &list, cx);
        }
        Err(error) => return Err(error),
    };
    let accept = match &request.accept {
        None | Some(Accept::Own(false)) => None,
        Some(Accept::Own(true)) => Some(None),
        Some(Accept::These(addresses)) => Some(Some(addresses)),
    };
    claim::claim(world, &claim::brought(world, &incoming)?, cx)?;
    if accept.is_some() {
        let told: Vec<_> = incoming
            .keys
            .iter()
            .map(|key| {
                let addresses = match &request.accept {
                    Some(Accept::These(addresses)) => addresses,
                    _ => &key.facts.addresses,
                };
                (&key.facts.id, addresses.iter().collect())
            })
            .collect();
        cx.confirm(Action::AcceptByImport, &accept_label(&told))?;
    }
    let mut said = Vec::new();
    for key in &incoming.keys {
        if let Some(named) = accept {
            let addresses = accepted_for(&key.facts.addresses, named.map(Vec::as_slice));
            let level = Acceptance::Accepted;
            said.extend(
                addresses
                    .into_iter()
                    .map(|a| (key.facts.id.clone(), a, level)),
            );
        }
    }
    let said = raised(world, said)?;
    // A key of one's own was asked about above.
    let others = incoming.keys.iter().filter(|key| key.secret.is_none());
    let others: BTreeSet<_> = others.map(|key| key.facts.id.clone()).collect();
    let theirs = said.iter().filter(|(id, ..)| others.contains(id));
    against(world, &theirs.cloned().collect::<Vec<_>>(), cx)?;
    let mut secrets = BTreeSet::new();
    let mut wrapped = Vec::new();
    for key in &mut incoming.keys {
        let Some(secret) = key.secret.take() else {
            continue;
        };
        match brought(world, &key.facts, secret, cx)? {
            Brought::New(secret) => wrapped.push((key.facts.id.clone(), secret)),
            Brought::Known => {}
            Brought::Refused(reason) => incoming.skipped.push(reason),
        }
    }
    cx.job.commit()?;
    // Secrets first: a certificate without its secret half is an inconvenience, a secret half
    // that was never written is a loss.
    for (id, secret) in wrapped {
        match secret {
            Wrapped::Sealed(sealed, wrap) => world.store.put_secret(&id, &sealed, wrap)?,
            Wrapped::As(other) => world.store.put_secret_as(&id, &other)?,
        }
        // What was unlocked may have been another state of it.
        world.forget(&id);
        secrets.insert(id);
    }
    let now = unix(cx.now);
    let theirs = incoming.keys.iter().map(|key| &key.facts);
    let theirs = theirs.filter(|facts| !secrets.contains(&facts.id));
    let newcomers = beside::newcomers(world, theirs, cx)?;
    let puts = incoming.keys.iter().map(|key| Put {
        id: key.facts.id.clone(),
        source: Source::Imported,
        place: Place::Kept,
    });
    let changes = world
        .store
        .put_many(&puts.collect::<Vec<_>>(), now, &mut |index, old| {
            let key = incoming.keys.get(index).ok_or_else(no_such_key)?;
            merged(world, key, old, now)
        })?;
    let mut imported = Vec::new();
    let mut skipped: Vec<_> = incoming
        .skipped
        .iter()
        .map(|reason| Skipped { reason })
        .collect();
    for (key, change) in incoming.keys.iter().zip(changes) {
        let Some(mut filed) = filed(key, change, &mut skipped)? else {
            continue;
        };
        filed.secret = secrets.contains(&key.facts.id);
        imported.push(filed);
    }
    let here: BTreeSet<_> = imported.iter().map(|filed| &filed.id).collect();
    let said = said.into_iter().filter(|(id, ..)| here.contains(id));
    accept_all(world, &said.collect::<Vec<_>>(), now)?;
    beside::conflicts(world, &newcomers, &BTreeSet::new(), cx)?;
    for id in &secrets {
        super::life::keep_revocation(world, id, cx)?;
    }
    if let Some(setup) = setup {
        let own = incoming.keys.iter();
        let own = own.filter(|key| secrets.contains(&key.facts.id));
        for address in own.flat_map(|key| &key.facts.addresses) {
            world.store.prefer(address, setup.prefer, now)?;
        }
    }
    Ok(ImportReply {
        imported,
        skipped,
        revocation_lists: 0,
        revision: world.store.revision()?,
    })
}

/// Reads keys with the first engine that knows them.
fn read(world: &World, data: &[u8], cx: &Context) -> Result<crate::engine::Incoming> {
    let mut failed = None;
    for protocol in [Protocol::OpenPgp, Protocol::Smime] {
        match world.any_engine(protocol)?.read_keys(data, cx) {
            // Refused where the family is not used, in its own words.
            Ok(incoming) => return world.engine(protocol).map(|_| incoming),
            Err(error) if error.kind == Kind::MessageMalformed => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(failed.unwrap_or_else(|| Error::malformed("there is no key in this; import a key file")))
}

/// What became of one certificate; `None` when it was left out.
pub(super) fn filed(
    key: &IncomingKey,
    change: Result<Change>,
    skipped: &mut Vec<Skipped>,
) -> Result<Option<Imported>> {
    let change = match change {
        Ok(Change::New) => ImportChange::New,
        Ok(Change::Updated) => ImportChange::Updated,
        Ok(Change::Unchanged) => ImportChange::Unchanged,
        Err(error) if matches!(error.kind, Kind::LimitExceeded { .. }) => {
            skipped.push(Skipped {
                reason: "too-large",
            });
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(Some(Imported {
        id: key.facts.id.clone(),
        change,
        secret: false,
    }))
}

/// What is here already and what came, in one.
pub(in crate::verbs) fn merged(
    world: &World,
    key: &IncomingKey,
    old: Option<&[u8]>,
    now: u64,
) -> Result<(Vec<u8>, crate::base::keys::CertFacts)> {
    match old {
        None => Ok((key.cert.clone(), key.facts.clone())),
        Some(old) => {
            let engine = world.engine(key.facts.id.protocol())?;
            let cert = engine.merge(old, &key.cert)?;
            let facts = engine.facts(&cert, now)?;
            Ok((cert, facts))
        }
    }
}

/// The form in which secret halves lie on disk.
pub(in crate::verbs) fn native(protocol: Protocol) -> Format {
    match protocol {
        Protocol::OpenPgp => Format::Binary,
        Protocol::Smime => Format::Der,
    }
}

/// The addresses an import accepts a key for.
fn accepted_for(own: &[Address], named: Option<&[Address]>) -> Vec<Address> {
    match named {
        None => own.to_vec(),
        Some(named) => named.to_vec(),
    }
}

/// `keys/export`: certificates, or one secret key under a passphrase that is asked for.
///
/// # Errors
/// `key.missing`; `request.invalid`; with `secret`, `key.locked`, `passphrase.*` and
/// `consent.denied`.
pub fn export(world: &World, request: &ExportRequest, cx: &Context) -> Result<DataReply> {
    let Some(first) = request.ids.first() else {
        return Err(Error::invalid("/ids", "name the keys to export"));
    };
    let protocol = first.protocol();
    if request.ids.iter().any(|id| id.protocol() != protocol) {
        return Err(Error::invalid(
            "/ids",
            "export keys of one protocol at a time",
        ));
    }
    let engine = world.engine(protocol)?;
    let format = request.format.unwrap_or(match (protocol, request.secret) {
        (Protocol::OpenPgp, _) => Format::Armored,
        (Protocol::Smime, false) => Format::Pem,
        (Protocol::Smime, true) => Format::Pkcs12,
    });
    if !request.secret {
        let mut certs = Vec::new();
        for id in &request.ids {
            certs.push(world.store.cert(id)?.ok_or_else(no_such_key)?.cert);
        }
        return Ok(DataReply {
            data: engine.export(&certs, format)?.into(),
        });
    }
    if request.ids.len() != 1 {
        return Err(Error::invalid("/ids", "export secret keys one at a time"));
    }
    let label = world.label(first)?;
    let sealed = world.store.sealed_secret(first)?;
    if !holds_secrets(protocol, format) {
        return Err(Error::invalid(
            "/format",
            "secret keys have no such format; choose armored or binary for OpenPGP, pkcs12, pem or der for S/MIME",
        ));
    }
    cx.confirm(Action::ExportSecret, &label)?;
    let (old, attempt) = old_passphrase(first, sealed.device, &label, cx)?;
    let new = Passphrase::Human(new_passphrase(Some(first), &label, cx)?);
    let own = world.store.cert(first)?.ok_or_else(no_such_key)?;
    let chain = engine.with_issuers(&own.cert, cx)?;
    let data = engine
        .rewrap(&sealed.sealed, &chain, &old, &new, format)
        .map_err(|error| match error.kind {
            Kind::PassphraseWrong => Answers::wrong(Need::Unwrap, Some(first), &label, attempt),
            _ => error,
        })?;
    Ok(DataReply {
        data: Body::from(data),
    })
}

/// Whether there is such a format of secret keys.
fn holds_secrets(protocol: Protocol, format: Format) -> bool {
    match protocol {
        Protocol::OpenPgp => matches!(format, Format::Armored | Format::Binary),
        Protocol::Smime => matches!(format, Format::Pkcs12 | Format::Pem | Format::Der),
    }
}

/// `keys/delete`: a certificate, and with `secret` the secret half that goes with it.
///
/// # Errors
/// `key.missing`; `request.invalid` when it has a secret half and `secret` does not say so;
/// `consent.denied`.
pub fn delete(world: &World, request: &DeleteRequest, cx: &Context) -> Result<RevisionReply> {
    let row = world.store.row(&request.id)?.ok_or_else(no_such_key)?;
    if row.own && !request.secret {
        return Err(Error::invalid(
            "/secret",
            "this key has a secret half, without which its messages can't be read any more; give secret (--secret at a terminal) if both shall go",
        ));
    }
    if world.store.is_in_gnupg(&request.id) {
        return Err(Error::new(
            Kind::KeyUnusable {
                id: request.id.clone(),
                reasons: vec!["in-gnupg"],
            },
            "this key is GnuPG's, and only used from there; delete it with gpg",
        ));
    }
    let label = world.label(&request.id)?;
    match (row.own, row.wrap) {
        // Nothing is lost.
        (true, Some(Wrap::Token)) => {
            let label = format!("{label}\nIts secret half stays on the token.");
            cx.confirm(Action::DeleteKey, &label)?;
        }
        (true, _) => cx.confirm(Action::DeleteSecret, &label)?,
        (false, _) => cx.confirm(Action::DeleteKey, &label)?,
    }
    cx.job.commit()?;
    if row.own {
        world.forget(&request.id);
        world.store.delete_secret(&request.id)?;
    }
    world.store.delete(&request.id, unix(cx.now))?;
    Ok(RevisionReply {
        revision: world.store.revision()?,
    })
}
