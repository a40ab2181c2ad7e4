//! Whole messages out of header fields and what an engine sealed (RFC 3156 4 and 5, RFC 8551 3).

use super::encode;
use super::fields::FieldOut;
use crate::base::error::{Error, Result};
use crate::base::keys::Protocol;

/// An encrypted message: PGP/MIME around armor, which has CRLF for its line ends.
///
/// # Errors
/// `internal` when the system has no randomness.
pub fn encrypted(outer: &[FieldOut], armored: Vec<u8>) -> Result<Vec<u8>> {
    // Armor has neither `=_` nor any line that starts with two dashes and an equals sign.
    let boundary = encode::boundary(b"")?;
    let mut head = begin(outer, 1024);
    head.extend_from_slice(
        format!(
            "Content-Type: multipart/encrypted;\r\n protocol=\"application/pgp-encrypted\";\r\n \
             boundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\n\
             Content-Type: application/pgp-encrypted\r\n\
             Content-Description: PGP/MIME version identification\r\n\r\n\
             Version: 1\r\n\r\n\
             --{boundary}\r\n\
             Content-Type: application/octet-stream; name=\"encrypted.asc\"\r\n\
             Content-Description: OpenPGP encrypted message\r\n\
             Content-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n"
        )
        .as_bytes(),
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    // The armor is moved within its own memory: a second one of that size is what costs.
    let mut out = armored;
    out.reserve(head.len() + tail.len());
    out.splice(..0, head);
    out.extend_from_slice(tail.as_bytes());
    Ok(out)
}

/// A signed message: the entity byte for byte as it was signed, and its signature (armored
/// with CRLF for OpenPGP, DER for CMS).
///
/// # Errors
/// `internal` when the system has no randomness, or when `micalg` is not a word.
pub fn signed(
    outer: &[FieldOut],
    entity: &[u8],
    signature: &[u8],
    micalg: &str,
    protocol: Protocol,
) -> Result<Vec<u8>> {
    if micalg.is_empty()
        || !micalg
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    {
        return Err(Error::internal(
            "the name of the signature's hash can't be written",
        ));
    }
    let boundary = encode::boundary(entity)?;
    let kind = match protocol {
        Protocol::OpenPgp => "application/pgp-signature",
        Protocol::Smime => "application/pkcs7-signature",
    };
    let room = entity.len() + encode::file_room(signature.len()) + 1024;
    let mut out = begin(outer, room);
    out.extend_from_slice(
        format!(
            "Content-Type: multipart/signed; micalg=\"{micalg}\";\r\n protocol=\"{kind}\";\r\n \
             boundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\n"
        )
        .as_bytes(),
    );
    out.extend_from_slice(entity);
    out.extend_from_slice(format!("\r\n--{boundary}\r\nContent-Type: {kind}; ").as_bytes());
    match protocol {
        Protocol::OpenPgp => {
            out.extend_from_slice(
                b"name=\"signature.asc\"\r\n\
                Content-Description: OpenPGP digital signature\r\n\
                Content-Disposition: attachment; filename=\"signature.asc\"\r\n\r\n",
            );
            out.extend_from_slice(signature);
        }
        Protocol::Smime => {
            out.extend_from_slice(
                b"name=\"smime.p7s\"\r\n\
                Content-Disposition: attachment; filename=\"smime.p7s\"\r\n",
            );
            encode::file(signature, &mut out);
        }
    }
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Ok(out)
}

/// The CMS objects that mail carries in one part, by what their part says of them (RFC 8551
/// 3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cms {
    SignedData,
    EnvelopedData,
    AuthEnvelopedData,
}

/// A message, or an entity inside a further layer, that is one CMS object.
pub fn cms(outer: &[FieldOut], der: &[u8], kind: Cms) -> Vec<u8> {
    let name = match kind {
        Cms::SignedData => "signed-data",
        Cms::EnvelopedData => "enveloped-data",
        Cms::AuthEnvelopedData => "authEnveloped-data",
    };
    let mut out = begin(outer, encode::file_room(der.len()) + 512);
    out.extend_from_slice(
        format!(
            "Content-Type: application/pkcs7-mime; smime-type={name};\r\n name=\"smime.p7m\"\r\n\
             Content-Disposition: attachment; filename=\"smime.p7m\"\r\n"
        )
        .as_bytes(),
    );
    encode::file(der, &mut out);
    out.extend_from_slice(b"\r\n");
    out
}

/// A message without any protection.
pub fn plain(outer: &[FieldOut], entity: &[u8]) -> Vec<u8> {
    let mut out = begin(outer, entity.len() + 2);
    out.extend_from_slice(entity);
    out
}

/// The outer header fields, with room for what follows.
fn begin(outer: &[FieldOut], room: usize) -> Vec<u8> {
    let fields: usize = outer.iter().map(|field| field.line.len()).sum();
    let mut out = Vec::with_capacity(fields + 32 + room);
    for field in outer {
        out.extend_from_slice(&field.line);
    }
    // An entity inside a layer has no such field.
    if !outer.is_empty() {
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    out
}
