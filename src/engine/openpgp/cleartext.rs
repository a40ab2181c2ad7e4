//! The cleartext signature framework (RFC 9580 7): text that everybody can read, signed.
//!
//! What is returned is what was hashed: dash-escapes undone, white space at line ends gone,
//! CRLF between lines, no line end at the very end. Nothing outside the frame is looked at.

use bytes::Bytes;
use sequoia_openpgp::types::HashAlgorithm;

use super::armor::{self, Kind};
use super::verify::{self, Keyring, MaybeSignature};
use crate::base::Context;
use crate::base::error::{Error, Result};
use crate::base::job::Stage;
use crate::base::layer::{Fit, Opened};
use crate::base::verdict::Reason;

pub(super) const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";

/// Verifies one frame, from its first dash to its last.
///
/// # Errors
/// `message.malformed` for armor headers other than `Hash`, dashes that are not escaped, and
/// everything behind the signature; `limit.exceeded`; `cancelled`.
pub(super) fn open(data: &Bytes, cx: &Context) -> Result<Opened> {
    cx.job.stage_of(Stage::Crypto, data.len() as u64);
    let frame = Frame::read(data)?;
    let packets = armor::one(&data.slice_ref(frame.signature), &[Kind::Signature])?;
    let mut keyring = Keyring::new(cx);
    let mut signatures = Vec::new();
    for signature in verify::signatures(&packets)? {
        cx.job.check()?;
        let digest = match &signature {
            Ok(signature) => verify::digest(signature, &frame.text),
            Err(_) => None,
        };
        let mut facts = keyring.judge(&signature, digest.as_deref())?;
        if let Ok(signature) = &signature
            && !frame.hashes.is_empty()
            && !frame.hashes.contains(&signature.hash_algo())
        {
            facts.fit = Fit::Malformed;
            facts.reasons = vec![Reason::Malformed];
        }
        signatures.push(facts);
    }
    Ok(Opened::signed(Bytes::from(frame.text), signatures))
}

/// The text of a frame as it is hashed, and its signatures as they came.
///
/// # Errors
/// As [`open`].
pub(super) fn unverified(data: &Bytes) -> Result<(Vec<u8>, Vec<MaybeSignature>)> {
    let frame = Frame::read(data)?;
    let packets = armor::one(&data.slice_ref(frame.signature), &[Kind::Signature])?;
    Ok((frame.text, verify::signatures(&packets)?))
}

/// A frame taken apart.
struct Frame<'a> {
    /// What the `Hash` header lists; empty when there is none.
    hashes: Vec<HashAlgorithm>,
    text: Vec<u8>,
    signature: &'a [u8],
}

impl Frame<'_> {
    fn read(data: &[u8]) -> Result<Frame<'_>> {
        let broken =
            || Error::malformed("the signed text's frame is damaged; get the message again");
        let (line, mut rest) = text_line(data).ok_or_else(broken)?;
        if line != BEGIN {
            return Err(broken());
        }
        let mut hashes = Vec::new();
        loop {
            let (line, after) = text_line(rest).ok_or_else(broken)?;
            rest = after;
            if line.is_empty() {
                break;
            }
            let names = line.strip_prefix(b"Hash:").ok_or_else(broken)?;
            let names = std::str::from_utf8(names).map_err(|e| broken().because(e))?;
            for name in names.split(',') {
                hashes.push(hash(name.trim_matches([' ', '\t'])).ok_or_else(broken)?);
            }
        }
        let mut text = Vec::with_capacity(rest.len());
        let mut first = true;
        let signature = loop {
            let (line, after) = text_line(rest).ok_or_else(broken)?;
            if line == SIGNATURE {
                break rest;
            }
            let line = match line.strip_prefix(b"- ") {
                Some(escaped) => escaped,
                None if line.first() == Some(&b'-') => return Err(broken()),
                None => line,
            };
            if !first {
                text.extend_from_slice(b"\r\n");
            }
            first = false;
            text.extend_from_slice(line);
            rest = after;
        };
        Ok(Frame {
            hashes,
            text,
            signature,
        })
    }
}

/// A line of the text without its end and without the white space that is not hashed: spaces
/// and tabs, nothing else. A form feed or a NUL is a part of the text.
fn text_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', text)?;
    let (line, rest) = text.split_at_checked(end + 1)?;
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Some((trim_line(line), rest))
}

fn trim_line(line: &[u8]) -> &[u8] {
    let length = line
        .iter()
        .rposition(|byte| !matches!(byte, b' ' | b'\t'))
        .map_or(0, |last| last + 1);
    line.get(..length).unwrap_or(line)
}

/// The names that RFC 9580 9.5 gives the hashes.
fn hash(name: &str) -> Option<HashAlgorithm> {
    Some(match name {
        "MD5" => HashAlgorithm::MD5,
        "SHA1" => HashAlgorithm::SHA1,
        "RIPEMD160" => HashAlgorithm::RipeMD,
        "SHA256" => HashAlgorithm::SHA256,
        "SHA384" => HashAlgorithm::SHA384,
        "SHA512" => HashAlgorithm::SHA512,
        "SHA224" => HashAlgorithm::SHA224,
        "SHA3-256" => HashAlgorithm::SHA3_256,
        "SHA3-512" => HashAlgorithm::SHA3_512,
        _ => return None,
    })
}

/// The lines of a text as the framework hashes them, CRLF between them.
pub(super) fn canonical(text: &[u8]) -> Vec<u8> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() + 64);
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\r\n");
        }
        // Carriage returns too: at a line's end they would be taken for a part of it.
        let end = line
            .iter()
            .rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r'))
            .map_or(0, |last| last + 1);
        out.extend_from_slice(line.get(..end).unwrap_or(line));
    }
    out
}

/// A frame around canonical text and the binary signature packets over it. The `Hash` header
/// is for those who need it: version 6 signatures don't (RFC 9580 7.1).
pub(super) fn frame(text: &[u8], signature: &[u8], hashes: &[HashAlgorithm]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32 + 1024);
    out.extend_from_slice(BEGIN);
    out.extend_from_slice(b"\r\n");
    if !hashes.is_empty() {
        let names: Vec<String> = hashes.iter().map(|hash| verify::hash_name(*hash)).collect();
        out.extend_from_slice(b"Hash: ");
        out.extend_from_slice(names.join(",").as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // Mail stores escape a "From " of their own accord, which would change the text.
        if line.first() == Some(&b'-') || line.starts_with(b"From ") {
            out.extend_from_slice(b"- ");
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(&armor::armored(Kind::Signature, signature));
    out
}
