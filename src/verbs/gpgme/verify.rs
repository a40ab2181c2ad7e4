//! `verify`: who signed something. Nothing is decrypted, so nobody is asked for anything.

use bytes::Bytes;
use serde::Serialize;

use super::data::{Data, unix_lines};
use super::decrypt::{shown, taken};
use super::identify::is_signed_cms;
use super::signatures::{self, Info};
use super::{Code, Fault, opening, pem};
use crate::base::keys::Protocol;
use crate::base::layer::{Form, Sealed};
use crate::base::verdict::Scheme;
use crate::base::{Context, body};
use crate::verbs::World;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Reply {
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Info>,
    /// What was verified, where it does not stand apart.
    #[serde(flatten)]
    data: Option<Data>,
}

/// Verifies data with a signature in it, or one apart.
///
/// # Errors
/// No data (no CMS object) for what is not signed, or is encrypted.
pub fn verify(
    world: &World,
    protocol: Protocol,
    data: &Bytes,
    signature: Option<&Bytes>,
    cx: &Context,
) -> Result<Reply, Fault> {
    verified(world, protocol, data, signature, cx).map_err(|fault| fault.doing("Verify failed"))
}

fn verified(
    world: &World,
    protocol: Protocol,
    data: &Bytes,
    signature: Option<&Bytes>,
    cx: &Context,
) -> Result<Reply, Fault> {
    let form = match signature {
        Some(signature) => Form::Detached {
            content: data.clone(),
            signature: taken(protocol, signature)?,
        },
        None => form(protocol, taken(protocol, data)?)?,
    };
    let apart = signature.is_some();
    let cleartext = matches!(form, Form::Cleartext { .. });
    let layer = Sealed {
        protocol,
        scheme: match cleartext {
            true => Scheme::Inline,
            false => Scheme::Mime,
        },
        form,
    };
    let (opened, signers) = opening::open(world, &layer, cx).map_err(|error| {
        let fault = Fault::from(error);
        match protocol {
            Protocol::OpenPgp => fault,
            Protocol::Smime => fault.but(Code::NoData, Code::NoCms),
        }
    })?;
    if opened.encryption.is_some() || opened.signatures.is_empty() {
        return Err(Code::NoData.into());
    }
    let content = match cleartext {
        // As gpg gives it: what the last line ends with is a part of the frame.
        true => {
            let mut lines = unix_lines(&opened.content);
            lines.push(b'\n');
            body::wiped(lines)
        }
        false => shown(&opened),
    };
    Ok(Reply {
        info: signatures::info(world, &opened, &signers, cx),
        data: (!apart).then(|| Data::plain(content)),
    })
}

/// What the data itself is.
///
/// # Errors
/// No CMS object for what is no signed one.
fn form(protocol: Protocol, data: Bytes) -> Result<Form, Fault> {
    if protocol == Protocol::Smime {
        return match is_signed_cms(&data) {
            true => Ok(Form::SignedInside { data }),
            false => Err(Code::NoCms.into()),
        };
    }
    Ok(match pem::block(&data) {
        Some((label, data)) if label == "PGP SIGNED MESSAGE" => {
            // The frame ends with its last line's end.
            let mut frame = data.to_vec();
            frame.push(b'\n');
            Form::Cleartext { data: frame.into() }
        }
        _ => Form::SignedInside { data },
    })
}
