//! Which signatures count, and the lines that say so.

use serde::Serialize;

use super::bench::Named;
use super::dates::{self, End};
use super::fault::{Code, Failure, Result};
use crate::base::context::rfc3339;
use crate::base::layer::{Fit, SignatureFacts};
use crate::base::verdict::Reason;

/// When signatures that count were made, in Unix seconds; both ends count.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    from: u64,
    to: u64,
}

impl Span {
    /// From the earliest to now, unless something else is said.
    ///
    /// # Errors
    /// 37 for what is no date.
    pub fn read(not_before: Option<&str>, not_after: Option<&str>, now: u64) -> Result<Span> {
        Ok(Span {
            from: dates::read(not_before.unwrap_or("-"), End::Earliest, now)?,
            to: dates::read(not_after.unwrap_or("now"), End::Latest, now)?,
        })
    }

    fn holds(self, at: u64) -> bool {
        (self.from..=self.to).contains(&at)
    }
}

/// What stands behind the fields of a line (rev 14 of the draft).
#[derive(Serialize)]
struct Signers<'a> {
    signers: Vec<&'a str>,
}

/// One line for each signature that counts: it fits, nothing is to be said against its key at
/// that time, its certificate is one of those that were named, and it is in the span.
pub fn lines(found: &[SignatureFacts], certs: &Named, span: Span) -> Vec<String> {
    found
        .iter()
        .filter_map(|facts| line(facts, certs, span))
        .collect()
}

fn line(facts: &SignatureFacts, certs: &Named, span: Span) -> Option<String> {
    // What has ended since was good then.
    let sound = |reason: &Reason| *reason == Reason::ExpiredSince;
    if facts.fit != Fit::Intact || !facts.reasons.iter().all(sound) {
        return None;
    }
    let at = facts.signed_at.filter(|at| span.holds(*at))?;
    let primary = &facts.signer.as_ref()?.id;
    let mut signers: Vec<&str> = Vec::new();
    for (name, cert) in certs {
        if cert.id == *primary && !signers.contains(&name.as_str()) {
            signers.push(name);
        }
    }
    if signers.is_empty() {
        return None;
    }
    let mode = match facts.text {
        true => "text",
        false => "binary",
    };
    let said = serde_json::to_string(&Signers { signers }).ok()?;
    Some(format!(
        "{} {} {} mode:{mode} {said}\n",
        rfc3339(at),
        facts.key.as_deref()?,
        primary.fingerprint()
    ))
}

/// The lines, of which there must be one.
///
/// # Errors
/// 3.
pub fn some(lines: &[String]) -> Result<String> {
    match lines.is_empty() {
        true => Err(Failure::new(
            Code::NoSignature,
            "there is no signature that counts by any of these certificates",
        )),
        false => Ok(lines.concat()),
    }
}
