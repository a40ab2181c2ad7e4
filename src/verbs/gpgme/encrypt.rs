//! `encrypt`: one message for the keys that are named, signed by others where that is wanted.

use bytes::Bytes;

use super::chosen::{self, Purpose, Trusting, of_signer};
use super::data::{Data, Form, unix_lines};
use super::{Code, Fault, pem};
use crate::base::extra::{Content, Extra, Naming, Output};
use crate::base::keys::{Protocol, StoredCert};
use crate::base::layer::{Cipher, Seal, SealedOut};
use crate::base::policy::Done;
use crate::base::verdict::Scheme;
use crate::base::{Context, Error};
use crate::verbs::{World, archive, choose};

/// What is to be encrypted, and how.
pub struct Request {
    pub protocol: Protocol,
    pub keys: Vec<String>,
    /// `None`: it is not signed.
    pub signing_keys: Option<Vec<String>>,
    pub data: Bytes,
    pub form: Form,
    pub trusting: Trusting,
    pub naming: Naming,
    pub content: Content,
    pub own: Own,
    pub addressing: Addressing,
    pub file_name: Option<String>,
    pub sender: Option<String>,
}

/// Whether a message is for the keys too that `gpg.conf` names for every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    Included,
    Left,
}

/// How recipients may be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    Anyhow,
    ByAddress,
}

/// The longest name of a file that a message can have (RFC 9580 5.9), in bytes.
const FILE_NAME_MAX: usize = 255;

/// What GnuPG calls the keys that every message is for.
const ENCRYPT_TO: &str = "encrypt-to";

/// The first words when it comes to nothing.
const FAILED: &str = "Encryption failed";

/// Encrypts.
///
/// # Errors
/// Unusable public key, and the others of [`chosen::recipients`] and [`chosen::signers`]; invalid
/// user ID for a recipient without an address, where one is wanted; not implemented for CMS that
/// is signed too.
pub fn encrypt(world: &World, request: &Request, cx: &Context) -> Result<Data, Fault> {
    let keys = chosen::names(&request.keys)?;
    let signing = match &request.signing_keys {
        Some(names) => Some(chosen::names(names)?),
        None => None,
    };
    sealed(world, request, &keys, signing.as_deref(), cx).map_err(|fault| fault.doing(FAILED))
}

fn sealed(
    world: &World,
    request: &Request,
    keys: &[&str],
    signing: Option<&[&str]>,
    cx: &Context,
) -> Result<Data, Fault> {
    let protocol = request.protocol;
    if signing.is_some() && protocol == Protocol::Smime {
        return Err(Code::NotImplemented.into());
    }
    if signing.is_some() && request.content == Content::Message {
        return Err(Code::Conflict.into());
    }
    let by_address = request.addressing == Addressing::ByAddress && protocol == Protocol::OpenPgp;
    if by_address && keys.iter().any(|name| chosen::mailbox(name).is_none()) {
        return Err(Code::InvalidUserId.into());
    }
    if request
        .file_name
        .as_ref()
        .is_some_and(|name| name.len() > FILE_NAME_MAX)
    {
        return Err(Code::TooLarge.into());
    }
    let readers = readers(world, request, keys, signing.is_some().into(), cx)?;
    let signers = match signing {
        Some(names) => chosen::signers(world, names, protocol, cx)?,
        None => Vec::new(),
    };
    let (signer, others) = match signers.split_first() {
        Some((first, others)) => (Some(first), others),
        None => (None, [].as_slice()),
    };
    let output = match (protocol, request.form) {
        (Protocol::OpenPgp, Form::Armored) => Output::Armored,
        _ => Output::Binary,
    };
    let openpgp = protocol == Protocol::OpenPgp;
    let how = Seal {
        recipients: &readers,
        signer,
        scheme: Scheme::Mime,
        cipher: Cipher::Auto,
        // A signature would name whom the message hides.
        intended: request.naming == Naming::Named,
        extra: Extra {
            signers: others,
            output,
            naming: request.naming,
            file_name: request.file_name.as_deref().filter(|_| openpgp),
            content: request.content,
            sender: chosen::sender(request.sender.as_deref(), &signers, world),
            ..Extra::default()
        },
    };
    let sealed = world
        .engine(protocol)?
        .seal(&request.data, &how, cx)
        .map_err(|error| match signer.is_some() {
            true => of_signer(error),
            false => error.into(),
        })?;
    let bytes = match sealed {
        SealedOut::Encrypted(bytes) if output == Output::Armored => unix_lines(&bytes),
        SealedOut::Encrypted(bytes) => bytes,
        SealedOut::Enveloped { der, .. } => pem::written(der, "ENCRYPTED MESSAGE", request.form),
        SealedOut::Detached { .. } | SealedOut::Inside(_) => {
            return Err(Error::internal("what was to be encrypted is not").into());
        }
    };
    Ok(Data::sealed("ciphertext", bytes, request.form))
}

/// All for whom it is: those who are named, those of `gpg.conf`, policy's.
fn readers(
    world: &World,
    request: &Request,
    keys: &[&str],
    sign: Done,
    cx: &Context,
) -> Result<Vec<StoredCert>, Fault> {
    let purpose = Purpose {
        protocol: request.protocol,
        trusting: request.trusting,
        sign,
    };
    let mut readers = chosen::recipients(world, keys, purpose, cx)?;
    let own = match request.own {
        Own::Included if request.protocol == Protocol::OpenPgp => own(world)?,
        _ => Vec::new(),
    };
    if !own.is_empty() {
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let purpose = Purpose {
            trusting: Trusting::Always,
            ..purpose
        };
        readers.extend(chosen::recipients(world, &own, purpose, cx)?);
    }
    // A rule, so nobody's flag changes anything about it.
    readers.extend(archive::also(world, request.protocol, cx)?);
    Ok(choose::distinct(readers))
}

/// The keys that GnuPG encrypts every message to.
fn own(world: &World) -> Result<Vec<String>, Fault> {
    Ok(match world.gnupg() {
        Some((gnupg, _)) => world
            .store
            .gnupg_options(&gnupg.options_file(), ENCRYPT_TO)?,
        None => Vec::new(),
    })
}
