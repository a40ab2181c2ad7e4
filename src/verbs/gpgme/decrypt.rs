//! `decrypt`: one encrypted message, and who signed it.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;

use super::data::{Data, unix_lines};
use super::pattern::Pattern;
use super::rings::{self, Wanted};
use super::signatures::{self, Info, algorithm, key_id};
use super::{Code, Fault, opening, pem};
use crate::base::body::wiped;
use crate::base::gnupg::Whose;
use crate::base::keys::Protocol;
use crate::base::layer::{ContentFormat, Encryption, Form, Opened, Sealed};
use crate::base::verdict::{Integrity, Recipient, Scheme};
use crate::base::{Context, Error, Kind};
use crate::verbs::World;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Reply {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime: Option<bool>,
    dec_info: Decrypted,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Info>,
    #[serde(flatten)]
    data: Data,
}

#[derive(Debug, Serialize)]
struct Decrypted {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_name: Option<String>,
    symkey_algo: String,
    wrong_key_usage: bool,
    is_de_vs: bool,
    is_mime: bool,
    /// Nothing protects the content against change.
    legacy_cipher_nomdc: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<Reader>,
}

/// One of those for whom it is.
#[derive(Debug, Serialize)]
struct Reader {
    keyid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pubkey_algo_name: Option<&'static str>,
    status_string: &'static str,
    status_code: u32,
}

/// What stands for the key id of a recipient who is not named.
const HIDDEN: &str = "0000000000000000";

/// An algorithm that OpenSSL has not, in the words of our recipients.
const ELGAMAL: &str = "Elgamal";

/// Decrypts.
///
/// # Errors
/// No secret key; bad passphrase; decryption failed for every fault inside the ciphertext; no data
/// (no CMS object) for what is not encrypted at all; unsupported algorithm for a key whose
/// algorithm is not here.
pub fn decrypt(
    world: &World,
    protocol: Protocol,
    data: &Bytes,
    cx: &Context,
) -> Result<Reply, Fault> {
    opened(world, protocol, data, cx).map_err(|fault| fault.doing("Decryption failed"))
}

fn opened(world: &World, protocol: Protocol, data: &Bytes, cx: &Context) -> Result<Reply, Fault> {
    let data = taken(protocol, data)?;
    let layer = Sealed {
        protocol,
        scheme: Scheme::Mime,
        form: Form::Encrypted { data: data.clone() },
    };
    let (opened, signers) = opening::open(world, &layer, cx)
        .map_err(|error| fault(world, protocol, &data, error, cx))?;
    let Some(encryption) = &opened.encryption else {
        return Err(Code::NoData.into());
    };
    Ok(Reply {
        mime: is_mime(&opened).then_some(true),
        dec_info: decrypted(world, protocol, &opened, encryption, cx)?,
        info: signatures::info(world, &opened, &signers, cx),
        data: Data::plain(shown(&opened)),
    })
}

/// What there is to open, without the text around it.
///
/// # Errors
/// No data, or end of file for CMS, where there is nothing.
pub fn taken(protocol: Protocol, data: &Bytes) -> Result<Bytes, Fault> {
    let nothing = data.trim_ascii().is_empty();
    match protocol {
        Protocol::OpenPgp if nothing => Err(Code::NoData.into()),
        Protocol::OpenPgp => Ok(match pem::block(data) {
            Some((label, block)) if label.starts_with("PGP ") => block,
            _ => data.clone(),
        }),
        Protocol::Smime if nothing => Err(Code::EndOfFile.into()),
        Protocol::Smime => Ok(pem::cms(data)),
    }
}

/// The content as gpg gives it out: lines that were signed as lines, or not at all, end with LF.
pub fn shown(opened: &Opened) -> Bytes {
    let lines = opened.format == ContentFormat::Text;
    match lines && opened.signatures.iter().all(|signature| signature.text) {
        true => wiped(unix_lines(&opened.content)),
        false => opened.content.clone(),
    }
}

fn is_mime(opened: &Opened) -> bool {
    opened.format == ContentFormat::Mime
}

/// An error of opening in gpgme's words.
fn fault(world: &World, protocol: Protocol, data: &[u8], error: Error, cx: &Context) -> Fault {
    let malformed = error.kind == Kind::MessageMalformed;
    let closed = matches!(error.kind, Kind::DecryptFailed | Kind::KeyMissing { .. });
    let fault = Fault::from(error).but(Code::NoKey, Code::NoSecretKey);
    if protocol == Protocol::Smime && malformed {
        return fault.but(Code::NoData, Code::NoCms);
    }
    if closed && protocol == Protocol::OpenPgp && is_elgamal(world, data, cx) {
        return Code::UnsupportedAlgorithm.into();
    }
    fault
}

/// Whether all that is for us in a message is for keys of an algorithm that is not here. What a
/// message says of that is open to anybody.
fn is_elgamal(world: &World, data: &[u8], cx: &Context) -> bool {
    let Ok(engine) = world.engine(Protocol::OpenPgp) else {
        return false;
    };
    let recipients = engine.recipients(data, cx);
    let mut own = recipients.iter().filter(|reader| reader.own).peekable();
    own.peek().is_some() && own.all(|reader| reader.algorithm.as_deref() == Some(ELGAMAL))
}

fn decrypted(
    world: &World,
    protocol: Protocol,
    opened: &Opened,
    encryption: &Encryption,
    cx: &Context,
) -> Result<Decrypted, Fault> {
    // gpgme has an older name for the shortest of them.
    let cipher = match encryption.cipher.as_str() {
        "AES128" => "AES",
        cipher => cipher,
    };
    let named = encryption.recipients.iter().any(|reader| reader.own);
    let by_key = encryption.key.is_some();
    let mut recipients = Vec::with_capacity(encryption.recipients.len());
    for reader in &encryption.recipients {
        let ours = reader.own || reader.key_id.is_none() && by_key && !named;
        let status = match ours {
            true => Code::None,
            false => Code::NoSecretKey,
        };
        recipients.push(Reader {
            keyid: key(world, protocol, reader, cx)?,
            pubkey_algo_name: match protocol {
                Protocol::OpenPgp => reader.algorithm.as_deref().and_then(algorithm),
                Protocol::Smime => None,
            },
            status_string: status.text(),
            status_code: status.number(),
        });
    }
    Ok(Decrypted {
        file_name: opened.file_name.clone(),
        symkey_algo: format!("{cipher}.{}", encryption.mode),
        wrong_key_usage: false,
        is_de_vs: false,
        is_mime: is_mime(opened),
        legacy_cipher_nomdc: encryption.integrity == Integrity::None,
        recipients,
    })
}

/// The key id of a recipient. CMS names them by serial numbers, which gpgme does not know.
fn key(
    world: &World,
    protocol: Protocol,
    reader: &Recipient,
    cx: &Context,
) -> Result<String, Fault> {
    let Some(name) = &reader.key_id else {
        return Ok(HIDDEN.to_owned());
    };
    if protocol == Protocol::OpenPgp {
        return Ok(key_id(name));
    }
    let wanted = Wanted {
        patterns: vec![Pattern::Serial(name.clone(), None)],
        found: BTreeSet::new(),
        whose: Whose::All,
    };
    let known = rings::known(world, protocol, &wanted, cx)?;
    let key = known.first().map(|known| key_id(&known.key.fingerprint));
    Ok(key.unwrap_or_else(|| HIDDEN.to_owned()))
}
