//! `import`: brings certificates and secret keys into the store, and counts as GnuPG counts.

use bytes::Bytes;
use serde::Serialize;

use super::rings;
use super::{Code, Fault};
use crate::base::{Body, Context, Error, KeyId, Kind, Protocol, Result};
use crate::engine::openpgp::{News, news};
use crate::engine::{Incoming, IncomingKey};
use crate::verbs::keys::{self, ImportReply, ImportRequest};
use crate::verbs::{Ask, World};

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    pub protocol: Protocol,
    pub data: Bytes,
}

/// The answer.
#[derive(Debug, Default, Serialize)]
pub struct Reply {
    result: Counted,
}

#[derive(Debug, Default, Serialize)]
struct Counted {
    considered: usize,
    no_user_id: usize,
    imported: usize,
    imported_rsa: usize,
    unchanged: usize,
    new_user_ids: usize,
    new_sub_keys: usize,
    new_signatures: usize,
    new_revocations: usize,
    secret_read: usize,
    secret_imported: usize,
    secret_unchanged: usize,
    skipped_new_keys: usize,
    not_imported: usize,
    skipped_v3_keys: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    imports: Vec<Import>,
}

#[derive(Debug, Serialize)]
struct Import {
    fingerprint: String,
    error_string: &'static str,
    status: u32,
}

/// What an import brought of one key, as gpgme has it.
const NEW: u32 = 1;
const USER_ID: u32 = 2;
const SIGNATURE: u32 = 4;
const SUBKEY: u32 = 8;
const SECRET: u32 = 16;

/// Imports keys. Nobody is accepted for it.
///
/// # Errors
/// End of file where there is no S/MIME certificate in it (no OpenPGP key is none); no pinentry,
/// operation cancelled, bad passphrase where the person is asked about a secret key.
pub fn import(world: &World, request: &Request, cx: &Context) -> Result<Reply, Fault> {
    let importing = |error: Error| Fault::from(error).doing("Import failed");
    let engine = world.engine(request.protocol)?;
    let incoming = match engine.read_keys(&request.data, cx) {
        Ok(incoming) => incoming,
        Err(error) if error.kind == Kind::MessageMalformed => {
            return match request.protocol {
                Protocol::OpenPgp => Ok(Reply::default()),
                Protocol::Smime => Err(Fault::new(Code::EndOfFile).doing("Import failed")),
            };
        }
        Err(error) => return Err(importing(error)),
    };
    // What is here is looked at before anything changes.
    let before = before(world, &incoming, cx).map_err(importing)?;
    let wanted = ImportRequest {
        data: Some(Body::from(request.data.clone())),
        from: None,
        accept: None,
        ask: Ask::Allowed,
    };
    let done = keys::import(world, &wanted, cx).map_err(importing)?;
    let mut counted = Counted {
        not_imported: done.skipped.len(),
        ..Counted::default()
    };
    for (key, before) in incoming.keys.iter().zip(&before) {
        counted.count(world, key, before, &done)?;
    }
    Ok(Reply { result: counted })
}

/// What is here of each key that comes.
fn before(world: &World, incoming: &Incoming, cx: &Context) -> Result<Vec<Before>> {
    let family = incoming.keys.first().map(|key| key.facts.id.protocol());
    let theirs = match family {
        Some(family) => rings::theirs_whole(world, family, cx)?,
        None => Default::default(),
    };
    let keys = incoming.keys.iter();
    keys.map(|key| {
        let cert = match rings::whole(world, &key.facts.id, &theirs) {
            Ok(cert) => Some(cert),
            Err(error) if matches!(error.kind, Kind::KeyMissing { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Before {
            cert,
            secret: world.store.has_secret(&key.facts.id),
        })
    })
    .collect()
}

/// What was here of a key.
struct Before {
    cert: Option<Bytes>,
    secret: bool,
}

impl Counted {
    fn count(
        &mut self,
        world: &World,
        key: &IncomingKey,
        before: &Before,
        done: &ImportReply,
    ) -> Result<(), Fault> {
        let id = &key.facts.id;
        let Some(imported) = done.imported.iter().find(|imported| imported.id == *id) else {
            return Ok(());
        };
        self.considered += 1;
        let engine = world.engine(id.protocol())?;
        let news = match &before.cert {
            Some(old) if id.protocol() == Protocol::OpenPgp => {
                let both = engine.merge(old, &key.cert)?;
                Some(news(old, &both)?)
            }
            Some(_) => Some(News::default()),
            None => None,
        };
        let status = match news {
            None => {
                self.imported += 1;
                NEW
            }
            Some(news) if news == News::default() => {
                self.unchanged += 1;
                0
            }
            Some(news) => {
                self.new_user_ids += news.user_ids;
                self.new_sub_keys += news.subkeys;
                self.new_signatures += news.signatures;
                self.new_revocations += news.revocations;
                let flag = |count: usize, flag| if count > 0 { flag } else { 0 };
                flag(news.user_ids, USER_ID)
                    | flag(news.subkeys, SUBKEY)
                    | flag(news.signatures + news.revocations, SIGNATURE)
            }
        };
        let fingerprint = fingerprint(world, id, &key.cert)?;
        self.imports.push(Import {
            fingerprint: fingerprint.clone(),
            error_string: Code::None.text(),
            status,
        });
        if key.secret.is_some() {
            self.secret_read += 1;
            let new = imported.secret && !before.secret;
            match new {
                true => self.secret_imported += 1,
                false => self.secret_unchanged += 1,
            }
            self.imports.push(Import {
                fingerprint,
                error_string: Code::None.text(),
                status: SECRET | if new { NEW } else { 0 },
            });
        }
        Ok(())
    }
}

/// What gpgme calls a certificate.
fn fingerprint(world: &World, id: &KeyId, cert: &[u8]) -> Result<String> {
    match id.protocol() {
        Protocol::OpenPgp => Ok(id.fingerprint().to_owned()),
        Protocol::Smime => Ok(world.engine(id.protocol())?.describe(cert, 0)?.fingerprint),
    }
}
