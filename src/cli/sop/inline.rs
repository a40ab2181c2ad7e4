//! Messages that hold their signatures, and what they are wrapped in.

use bytes::Bytes;

use super::args::{InlineAs, InlineDetach, InlineSign, InlineVerify};
use super::bench::{Bench, content, output, text, tidy, with_lf};
use super::fault::{Code, Failure, Result};
use super::files::{self, Output};
use super::messages::{self, inside};
use super::verifications::{self, Span};
use crate::base::extra::{Covers, Extra, Means, Placing};
use crate::base::layer::Form;
use crate::base::verdict::Scheme;
use crate::cli::print;
use crate::engine::openpgp::{arm, disarm, is_cleartext, split};

/// `armor`.
pub fn armor() -> Result<()> {
    let armored = arm(&files::stdin()?)?;
    Ok(print::bytes(&with_lf(armored))?)
}

/// `dearmor`.
pub fn dearmor() -> Result<()> {
    let binary = disarm(&files::stdin()?)?;
    Ok(print::bytes(&binary)?)
}

/// `inline-sign`.
pub fn sign(args: &InlineSign) -> Result<()> {
    let clear = args.r#as == InlineAs::Clearsigned;
    if clear && args.armored.no_armor {
        return Err(Failure::new(
            Code::IncompatibleOptions,
            "a text with its signature behind it is never binary; leave --no-armor away",
        ));
    }
    let mut bench = Bench::new();
    let keys = bench.keys(&args.keys, &args.passwords.with_key_password)?;
    let data = bench.stdin()?;
    if args.r#as != InlineAs::Binary {
        text(&data)?;
    }
    let output = output(args.armored.no_armor);
    let extra = Extra {
        covers: match args.r#as {
            InlineAs::Binary => Covers::Bytes,
            InlineAs::Text | InlineAs::Clearsigned => Covers::Text,
        },
        placing: match clear {
            true => Placing::Scheme,
            false => Placing::Inside,
        },
        output,
        ..Extra::default()
    };
    let sealed = messages::signed(&bench, &data, &keys, Scheme::Inline, extra)?;
    Ok(print::bytes(&tidy(inside(sealed), output))?)
}

/// Whether a text came with CRLF for line ends: then it goes with them too.
fn has_crlf(data: &[u8]) -> bool {
    let end = memchr::memchr(b'\n', data).unwrap_or_default();
    data.get(..end).is_some_and(|line| line.ends_with(b"\r"))
}

/// The text of a cleartext frame, with the line ends that it came with.
fn clear(data: &Bytes, content: &Bytes) -> Vec<u8> {
    match has_crlf(data) {
        true => content.to_vec(),
        false => with_lf(content.to_vec()),
    }
}

/// `inline-verify`.
pub fn verify(args: &InlineVerify) -> Result<()> {
    let mut bench = Bench::new();
    let out = Output::maybe(args.verifications_out.as_ref())?;
    let certs = bench.certs(&args.certs)?;
    let data = bench.stdin()?;
    let (before, after) = (&args.range.not_before, &args.range.not_after);
    let span = Span::read(before.as_deref(), after.as_deref(), bench.now())?;
    let form = match is_cleartext(&data) {
        true => Form::Cleartext { data: data.clone() },
        false => Form::SignedInside { data: data.clone() },
    };
    let opened = bench.open(form, Scheme::Inline, &Means::default())?;
    let lines = verifications::lines(&opened.signatures, &certs, span);
    let lines = verifications::some(&lines)?;
    if let Some(out) = out {
        out.write(lines.as_bytes())?;
    }
    if !is_cleartext(&data) {
        return Ok(print::bytes(&content(opened))?);
    }
    let mut text = clear(&data, &opened.content);
    // The last line's end stands before the signature and is no part of what is signed (RFC 9580
    // 7.2). Without it the text would not be what was given to be signed.
    if !text.is_empty() {
        let end: &[u8] = if has_crlf(&data) { b"\r\n" } else { b"\n" };
        text.extend_from_slice(end);
    }
    Ok(print::bytes(&text)?)
}

/// `inline-detach`.
pub fn detach(args: &InlineDetach) -> Result<()> {
    let bench = Bench::new();
    let out = Output::to(&args.signatures_out)?;
    let data = files::stdin()?;
    let output = output(args.armored.no_armor);
    let taken = split(&data, output, &bench.cx)?;
    out.write(&tidy(taken.signatures, output))?;
    match is_cleartext(&data) {
        true => Ok(print::bytes(&clear(&data, &taken.content))?),
        false => Ok(print::bytes(&taken.content)?),
    }
}
