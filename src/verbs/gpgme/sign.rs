//! `sign`: signatures of several keys, apart from what they cover, around it, or in a text.

use bytes::Bytes;

use super::chosen::{self, of_signer};
use super::data::{Data, Form, unix_lines};
use super::{Code, Fault, pem};
use crate::base::extra::{Extra, Output, Placing};
use crate::base::keys::Protocol;
use crate::base::layer::{Cipher, Seal, SealedOut};
use crate::base::policy::{Done, Sealing};
use crate::base::verdict::Scheme;
use crate::base::{Context, Error};
use crate::verbs::{World, choose};

/// What is to be signed, and how.
pub struct Request {
    pub protocol: Protocol,
    pub keys: Vec<String>,
    pub data: Bytes,
    pub mode: Mode,
    pub form: Form,
    pub sender: Option<String>,
}

/// Where signatures stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Detached,
    Opaque,
    Clearsign,
}

/// The first words when it comes to nothing.
const FAILED: &str = "Signing failed";

/// Signs.
///
/// # Errors
/// As [`chosen::signers`].
pub fn sign(world: &World, request: &Request, cx: &Context) -> Result<Data, Fault> {
    let names = chosen::names(&request.keys)?;
    signed(world, request, &names, cx).map_err(|fault| fault.doing(FAILED))
}

fn signed(world: &World, request: &Request, names: &[&str], cx: &Context) -> Result<Data, Fault> {
    let sealing = Sealing {
        sign: Done::Yes,
        encrypt: Done::No,
    };
    // It may go to anybody.
    if let Some(rule) = cx.policy.broken_by(None, sealing).first() {
        return Err(choose::refused(rule).into());
    }
    let protocol = request.protocol;
    let signers = chosen::signers(world, names, protocol, cx)?;
    let (signer, others) = signers.split_first().ok_or(Code::NoSecretKey)?;
    let output = match (protocol, request.form) {
        (Protocol::OpenPgp, Form::Armored) => Output::Armored,
        _ => Output::Binary,
    };
    let (scheme, placing) = match (protocol, request.mode) {
        (_, Mode::Detached) => (Scheme::Mime, Placing::Scheme),
        (Protocol::OpenPgp, Mode::Opaque) => (Scheme::Mime, Placing::Inside),
        (Protocol::OpenPgp, Mode::Clearsign) => (Scheme::Inline, Placing::Scheme),
        // CMS has no signed texts, and gpgsm takes the one word for the other.
        (Protocol::Smime, _) => (Scheme::Opaque, Placing::Scheme),
    };
    let how = Seal {
        recipients: &[],
        signer: Some(signer),
        scheme,
        cipher: Cipher::Auto,
        intended: false,
        extra: Extra {
            signers: others,
            placing,
            output,
            sender: chosen::sender(request.sender.as_deref(), &signers, world),
            ..Extra::default()
        },
    };
    let sealed = world.engine(protocol)?.seal(&request.data, &how, cx);
    let bytes = match sealed.map_err(of_signer)? {
        SealedOut::Detached { signature, .. } => signature,
        SealedOut::Inside(bytes) => bytes,
        SealedOut::Encrypted(_) | SealedOut::Enveloped { .. } => {
            return Err(Error::internal("what was to be signed is encrypted").into());
        }
    };
    let text = output == Output::Armored || scheme == Scheme::Inline;
    let bytes = match protocol {
        Protocol::OpenPgp if text => unix_lines(&bytes),
        Protocol::OpenPgp => bytes,
        Protocol::Smime => pem::written(bytes, "SIGNED MESSAGE", request.form),
    };
    Ok(Data::sealed("signature", bytes, request.form))
}
