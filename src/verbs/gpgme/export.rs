//! `export`: certificates, without anything secret.

use bytes::Bytes;

use super::rings::{self, Known, Theirs, Wanted};
use super::{Code, Fault};
use crate::base::{Context, Error, Protocol};
use crate::engine::Format;
use crate::engine::openpgp::{armored, minimal};
use crate::verbs::World;

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    pub protocol: Protocol,
    /// Patterns; all keys without any.
    pub keys: Vec<String>,
    pub shape: Shape,
    pub content: Content,
}

/// In which form keys leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Armored,
    Binary,
}

/// How much of them leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    All,
    /// Without what others say of them.
    Minimal,
}

/// What leaves.
pub struct Exported {
    pub data: Vec<u8>,
    /// The fingerprints of those whose secret half is here.
    pub own: Vec<String>,
}

/// Exports keys. None is no error.
///
/// # Errors
/// Forbidden by policy; general error of the store.
pub fn export(world: &World, request: &Request, cx: &Context) -> Result<Exported, Fault> {
    let exporting = |error: Error| Fault::from(error).doing("Error exporting keys");
    let wanted = Wanted::named(&request.keys);
    let known = rings::known(world, request.protocol, &wanted, cx).map_err(exporting)?;
    let theirs = match known.iter().any(|known| known.gnupg != Theirs::Nothing) {
        true => rings::theirs_whole(world, request.protocol, cx).map_err(exporting)?,
        false => Default::default(),
    };
    let mut certs = Vec::with_capacity(known.len());
    for Known { key, gnupg, .. } in &known {
        cx.job.check()?;
        let cert = match theirs.get(&key.id) {
            Some(cert) if *gnupg == Theirs::All => Ok(cert.clone()),
            _ => rings::whole(world, &key.id, &theirs),
        };
        let minimal = |cert: Bytes| match request.content {
            Content::Minimal if request.protocol == Protocol::OpenPgp => {
                minimal(&cert).map(Bytes::from)
            }
            Content::All | Content::Minimal => Ok(cert),
        };
        // One that has just gone, or can't be read, holds up no other.
        match cert.and_then(minimal) {
            Ok(cert) => certs.push(cert),
            Err(error) => log::warn!("a key is not exported: {}", error.kind.name()),
        }
    }
    let own = known.into_iter().filter(|known| known.key.flags.secret);
    Ok(Exported {
        data: written(world, request, &certs).map_err(exporting)?,
        own: own.map(|known| known.key.fingerprint).collect(),
    })
}

fn written(world: &World, request: &Request, certs: &[Bytes]) -> Result<Vec<u8>, Error> {
    if certs.is_empty() {
        return Ok(Vec::new());
    }
    match (request.protocol, request.shape) {
        (Protocol::OpenPgp, Shape::Armored) => Ok(armored(&certs.concat())),
        (Protocol::OpenPgp, Shape::Binary) | (Protocol::Smime, Shape::Binary) => Ok(certs.concat()),
        (Protocol::Smime, Shape::Armored) => {
            world.engine(request.protocol)?.export(certs, Format::Pem)
        }
    }
}

/// The answer to who wants secret keys: nobody gets them this way.
pub fn no_secrets() -> Fault {
    Fault::new(Code::Forbidden)
}
