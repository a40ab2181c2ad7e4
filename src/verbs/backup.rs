//! `backup/write` and `backup/read`: everything in the key store in one file, and such a file
//! taken up again, into an empty store or a used one.
//!
//! The file is an OpenPGP message under a passphrase with a tar in it: any program of the family
//! opens it. Taking it up only adds. Secret halves that are here stay; decisions that are newer
//! here stay; what was rejected here stays rejected. Rules that only forbid come along where there
//! are none; those that allow more (see [`crate::store::Stated`]) do not, whoever says yes: a person who
//! wants their keys back has not thought of modules that are to run, or of questions that are to be
//! asked no more. They stay in the file, for its owner to put in place.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::keys::{DataReply, is_newer, native, new_passphrase};
use super::told::{self, Told};
use super::{Ask, Asks, World, beside};
use crate::base::ask::Action;
use crate::base::body::{Bodies, Body};
use crate::base::context::unix;
use crate::base::job::Stage;
use crate::base::keys::Certs as _;
use crate::base::{Context, Error, KeyId, Kind, Protocol, Result, Secret};
use crate::engine::Passphrase;
use crate::engine::openpgp::{open_file, seal_file};
use crate::engine::smime::{is_genuine_revocation_list, read_revocation_list};
use crate::store::{BACKUP_MAX, Change, Copied, CopiedSecret, NO_BACKUP, Put, Wrap};
use crate::tokens::Place;

/// What the file is called inside.
const NAME: &str = "sealpost-backup.tar";

/// What a person is asked about: when one is made, and when one is read.
const LABEL: &str = "a backup of the whole key store";

/// What a person is asked about first, where it is so.
const DAMAGED: &str = "decisions.journal is damaged here, or its lines are gone: what can't be read of it is \
    laid aside; what a key was accepted or rejected for may be lost with it, unless the backup has it";

/// The longest file that is read, in bytes: the largest backup, armored.
const FILE_MAX: usize = BACKUP_MAX + BACKUP_MAX / 2;

/// `backup/write`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WriteRequest {
    pub ask: Ask,
}

/// `backup/read`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    pub data: Body,
    #[serde(default)]
    pub ask: Ask,
}

/// What was taken up.
#[derive(Debug, Clone, Serialize)]
pub struct ReadReply {
    pub restored: Restored,
    /// Why other things were left out.
    pub skipped: Vec<Skipped>,
    pub revision: u64,
}

/// How many of each are new here, or say something new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    pub certificates: usize,
    pub secret_keys: usize,
    pub decisions: usize,
    pub revocations: usize,
    pub anchors: usize,
    pub revocation_lists: usize,
    /// The person's own rules, which hold from the next request on.
    pub policy: bool,
}

/// Something that was left out.
#[derive(Debug, Clone, Serialize)]
pub struct Skipped {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<KeyId>,
    pub reason: &'static str,
}

impl Bodies for WriteRequest {}
impl Bodies for ReadReply {}
impl Bodies for ReadRequest {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.data.bodies(visit)
    }
}

impl Asks for WriteRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}

impl Asks for ReadRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}

/// `backup/write`: everything, under a passphrase that is asked for.
///
/// # Errors
/// `consent.denied`; `passphrase.*`; `limit.exceeded` when it is too much for one file;
/// `store.unavailable`.
pub fn write(world: &World, _request: &WriteRequest, cx: &Context) -> Result<DataReply> {
    cx.confirm(Action::WriteBackup, LABEL)?;
    let passphrase = new_passphrase(None, LABEL, cx)?;
    cx.job.stage(Stage::Reading);
    let copy = world.store.copy(unix(cx.now))?;
    cx.job.stage_of(Stage::Crypto, copy.expose().len() as u64);
    let sealed = seal_file(NAME, &copy, &passphrase, cx)?;
    Ok(DataReply {
        data: sealed.into(),
    })
}

/// `backup/read`: takes up what is in a backup. Nothing is changed unless all of it was read and
/// the person has said yes; doing it twice changes nothing more.
///
/// # Errors
/// `passphrase.*`; `message.malformed` when it is no backup; `decrypt.failed` when it is damaged;
/// `consent.denied`; `limit.exceeded`; `store.unavailable`.
pub fn read(world: &World, request: &ReadRequest, cx: &Context) -> Result<ReadReply> {
    let sealed = request.data.bytes()?;
    if sealed.len() > FILE_MAX {
        return Err(Error::limit(
            "backup",
            "the file is larger than any backup; choose another one",
        ));
    }
    let opened = open_file(sealed, LABEL, cx).map_err(about_a_backup)?;
    let copied = Copied::read(&opened)?;
    // Before anything that needs the decisions: this is what a backup is for.
    if world.store.are_decisions_damaged()? {
        cx.confirm(Action::RestoreBackup, DAMAGED)?;
        world.store.mend_decisions()?;
    }
    let told = told::told(world, &copied, cx)?;
    cx.confirm(Action::RestoreBackup, &told.label)?;
    cx.job.commit()?;
    Restoring {
        world,
        cx,
        told,
        now: unix(cx.now),
        restored: Restored::default(),
        skipped: Vec::new(),
    }
    .run(&copied)
}

/// What went wrong with a file, in words for one that nobody sent.
fn about_a_backup(mut error: Error) -> Error {
    let message = match error.kind {
        Kind::MessageMalformed => NO_BACKUP,
        Kind::DecryptFailed => "the backup is damaged; take another copy of it",
        _ => return error,
    };
    message.clone_into(&mut error.message);
    error
}

/// Why something was left out that the person was not asked about: there was no room for it. When
/// the backup is read once more, there is.
pub const NOT_SHOWN: &str = "not-shown";

/// What became of one secret half.
enum Taken {
    Up,
    /// There is one here.
    Known,
    /// It was left out, and why.
    Not(&'static str),
}

/// One backup on its way into the store.
struct Restoring<'a> {
    world: &'a World,
    cx: &'a Context,
    told: Told,
    now: u64,
    restored: Restored,
    skipped: Vec<Skipped>,
}

impl Restoring<'_> {
    /// Takes up all of it. Secret halves come first and certificates after what was said of
    /// them, as when a key is made: what is cut off is finished by doing it again.
    fn run(mut self, copied: &Copied) -> Result<ReadReply> {
        let store = &self.world.store;
        for _ in 0..copied.damaged {
            self.skip(None, "damaged");
        }
        store.restore_marks(copied)?;
        for secret in &copied.secrets {
            match self.secret(secret, copied)? {
                Taken::Up => self.restored.secret_keys += 1,
                Taken::Known => {}
                Taken::Not(reason) => self.skip(Some(&secret.id), reason),
            }
        }
        for (id, revocation) in &copied.revocations {
            match store.revocation(id) {
                Ok(Some(_)) => continue,
                Err(error) if error.kind != Kind::StoreDamaged => return Err(error),
                _ => {}
            }
            if store.is_revocation(id, revocation) {
                store.put_revocation(id, revocation)?;
                self.restored.revocations += 1;
            } else {
                self.skip(Some(id), "damaged");
            }
        }
        let without = std::mem::take(&mut self.told.without);
        let decisions = copied.decisions.expose();
        self.restored.decisions = store.merge_decisions(decisions, &without, self.now)?;
        let ids = without.said.iter().map(|(id, _)| id);
        for id in ids.chain(&without.introducers) {
            self.skip(Some(id), NOT_SHOWN);
        }
        self.certs(copied)?;
        store.merge_seen(&copied.seen)?;
        self.authorities(copied)?;
        if let Some(policy) = &copied.policy {
            let stated = store.stated(policy);
            self.restored.policy = store.put_policy(policy)?;
            if stated.is_some_and(|stated| !stated.looser.is_empty()) {
                self.skip(None, "rules-allow-more");
            }
        }
        Ok(ReadReply {
            restored: self.restored,
            skipped: self.skipped,
            revision: store.revision()?,
        })
    }

    fn skip(&mut self, id: Option<&KeyId>, reason: &'static str) {
        let id = id.cloned();
        self.skipped.push(Skipped { id, reason });
    }

    /// A secret half, unless one of this key is here: it may lie under a newer passphrase.
    fn secret(&self, secret: &CopiedSecret, copied: &Copied) -> Result<Taken> {
        let store = &self.world.store;
        let id = &secret.id;
        if self.told.secrets.contains(id) {
            return Ok(Taken::Not(NOT_SHOWN));
        }
        let under = match secret.wrap {
            Wrap::Passphrase | Wrap::Token => None,
            Wrap::Keychain => match copied.keychain.get(id) {
                Some(passphrase) => Some(passphrase),
                None => return Ok(Taken::Not("no-keychain")),
            },
            Wrap::GnuPg => return Ok(Taken::Not("in-gnupg")),
            Wrap::Device => match &copied.device {
                None => return Ok(Taken::Not("no-device-key")),
                Some(device) => {
                    // Gone, although keys that are here need it: this is what a backup is for.
                    // Where none does, it is made anew.
                    let gone = |e: &Error| e.kind == Kind::StoreDamaged;
                    if store.device_passphrase().as_ref().err().is_some_and(gone) {
                        store.restore_device_passphrase(device)?;
                    }
                    Some(device)
                }
            },
        };
        match store.sealed_secret(id) {
            Ok(_) => return Ok(Taken::Known),
            // Damaged: this is what a backup is for.
            Err(e) if matches!(e.kind, Kind::KeyMissing { .. } | Kind::StoreDamaged) => {}
            // It lies elsewhere.
            Err(e) if matches!(e.kind, Kind::KeyUnusable { .. }) => return Ok(Taken::Known),
            Err(e) => return Err(e),
        }
        if !self.is_whole(secret) {
            return Ok(Taken::Not("damaged"));
        }
        let known = copied.certs.iter().any(|cert| cert.id == *id);
        if !known && store.cert(id)?.is_none() {
            return Ok(Taken::Not("no-certificate"));
        }
        match under {
            None => store.put_secret(id, &secret.sealed, secret.wrap)?,
            // To the desktop's key store if there is one, and else to our own passphrase.
            Some(passphrase)
                if secret.wrap == Wrap::Keychain
                    && store
                        .put_secret_in_keychain(id, &secret.sealed, passphrase)
                        .is_ok() => {}
            Some(passphrase) => {
                let here = store.device_passphrase()?;
                if here.expose() == passphrase.expose() {
                    store.put_secret(id, &secret.sealed, Wrap::Device)?;
                } else {
                    let old = Secret::new(passphrase.expose().to_vec());
                    let moved = self.world.any_engine(id.protocol())?.rewrap(
                        &secret.sealed,
                        &[],
                        &Passphrase::Random(old.into()),
                        &Passphrase::Random(here),
                        native(id.protocol()),
                    );
                    match moved {
                        Ok(moved) => store.put_secret(id, &Secret::new(moved), Wrap::Device)?,
                        Err(_) => return Ok(Taken::Not("damaged")),
                    }
                }
            }
        }
        Ok(Taken::Up)
    }

    /// Whether it is the secret half of the key that its name says, as far as that shows without
    /// its passphrase, and lies under something, or says on which token it is: nothing else is
    /// written where secret halves lie.
    fn is_whole(&self, secret: &CopiedSecret) -> bool {
        let CopiedSecret { id, sealed, wrap } = secret;
        if *wrap == Wrap::Token {
            let place = Bytes::copy_from_slice(sealed.expose());
            return id.protocol() == Protocol::Smime && Place::from_bytes(&place).is_some();
        }
        let engine = self.world.any_engine(id.protocol());
        engine.is_ok_and(|engine| engine.is_sealed(sealed, id, self.cx))
    }

    /// Certificates, merged with those that are here.
    fn certs(&mut self, copied: &Copied) -> Result<()> {
        let puts: Vec<Put> = copied
            .certs
            .iter()
            .map(|cert| Put {
                id: cert.id.clone(),
                source: cert.source,
                place: cert.place,
            })
            .collect();
        let missing = || Error::internal("a certificate was put twice; report this");
        let mut newcomers = Vec::new();
        let changes = self.world.store.put_many(&puts, self.now, &mut |n, old| {
            let new = copied.certs.get(n).ok_or_else(missing)?;
            let engine = self.world.any_engine(new.id.protocol())?;
            // With itself, where there is none: nothing but a certificate comes of that.
            let cert = engine.merge(old.unwrap_or(&new.cert), &new.cert)?;
            let facts = engine.facts(&cert, self.now)?;
            let known = match old.map(|old| engine.facts(old, self.now)) {
                Some(Ok(known)) => known.addresses,
                _ => Vec::new(),
            };
            let named = facts.addresses.iter().filter(|a| !known.contains(a));
            newcomers.extend(named.map(|address| (new.id.clone(), address.clone())));
            Ok((cert, facts))
        })?;
        // What stood side by side where the backup was made was seen there.
        let together = copied.certs.iter().map(|cert| cert.id.clone()).collect();
        beside::conflicts(self.world, &newcomers, &together, self.cx)?;
        for (change, cert) in changes.into_iter().zip(&copied.certs) {
            match change {
                Ok(Change::Unchanged) => {}
                Ok(Change::New | Change::Updated) => self.restored.certificates += 1,
                Err(e) if e.kind == Kind::StoreUnavailable => return Err(e),
                Err(_) => self.skip(Some(&cert.id), "damaged"),
            }
        }
        Ok(())
    }

    /// What S/MIME needs beside certificates.
    fn authorities(&mut self, copied: &Copied) -> Result<()> {
        let store = &self.world.store;
        let engine = self.world.any_engine(Protocol::Smime)?;
        for (id, anchor) in &copied.anchors {
            let genuine = engine
                .facts(&anchor.cert, self.now)
                .is_ok_and(|facts| facts.id == *id);
            if !genuine {
                self.skip(Some(id), "damaged");
            } else if self.told.anchors.contains(id) {
                self.skip(Some(id), NOT_SHOWN);
            } else if !store.has_anchor(id)? {
                store.put_anchor(id, anchor)?;
                self.restored.anchors += 1;
            }
        }
        for list in &copied.lists {
            let Ok(list) = read_revocation_list(list) else {
                self.skip(None, "damaged");
                continue;
            };
            // Nobody was asked about it: its authority has to be here, and to have signed it.
            let genuine = is_genuine_revocation_list(&list, self.cx)?;
            if genuine != Some(true) {
                self.skip(None, "bad-signature");
            } else if is_newer(self.world, &list, genuine, self.cx)? {
                store.put_revocation_list(&list.issuer, &list.der)?;
                self.restored.revocation_lists += 1;
            }
        }
        for (id, stated_at, stated) in &copied.capabilities {
            store.put_capabilities(id, *stated_at, stated)?;
        }
        Ok(())
    }
}
