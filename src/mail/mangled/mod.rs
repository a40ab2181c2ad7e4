//! Armor as pages give it: quoted, indented, glued to other text, wrapped again, with blanks
//! and line ends that are no longer those which were written.
//!
//! For what came without its message alone. In a message such armor is plain text
//! ([`super::armor`]): nothing that is quoted there is ever opened.
//!
//! What is found here is written anew as its writer would have: base64 without anything else in
//! it, and signed texts in every form that they may have had. Which of those it was, only a
//! signature can say, so a signed text is repaired where the caller says that one verifies.

mod block;
mod frame;
mod mark;

use std::ops::Range;

use bytes::Bytes;

use super::armor::SegmentKind;
use crate::base::Result;
use mark::{Mark, marks};

pub use mark::is_blank;

/// A block that was found and repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// `Message`, `PublicKey` or `Cleartext`.
    pub kind: SegmentKind,
    /// Where it stands: from its first dash, or from the start of its line where only marks of
    /// quotation and blanks stand before, to its last dash.
    pub range: Range<usize>,
    /// As it was written, with CRLF line ends.
    pub data: Bytes,
}

/// The largest text that is repaired, in bytes: what a page holds. Mail in files is not mangled.
pub const REPAIRED_MAX: usize = 16 << 20;

/// How much signed text is written anew for one text, as a multiple of its length: one frame
/// has a few forms, and frames in frames have to end.
const WORK: usize = 12;

/// The blocks of a text that can be repaired, in order; `verifies` says whether a cleartext
/// signature frame does. What can't be repaired is left out.
///
/// # Errors
/// Those of `verifies`.
pub fn repaired(
    text: &[u8],
    verifies: &mut dyn FnMut(&Bytes) -> Result<bool>,
) -> Result<Vec<Repaired>> {
    let mut found = Vec::new();
    if text.len() > REPAIRED_MAX {
        return Ok(found);
    }
    let marks = marks(text);
    let mut work = text.len().saturating_mul(WORK);
    let mut rest = marks.as_slice();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let block = match (first.begins, first.kind) {
            (false, _) => None,
            (true, SegmentKind::Cleartext) => signed(text, first, after, &mut work, verifies)?,
            (true, _) => armored(text, first, after),
        };
        if let Some((block, used)) = block {
            found.extend(block);
            rest = after.get(used..).unwrap_or_default();
        }
    }
    Ok(found)
}

/// The frame that `first` begins, in the form that verifies, and how many of the marks after it
/// that uses up.
fn signed(
    text: &[u8],
    first: &Mark,
    after: &[Mark],
    work: &mut usize,
    verifies: &mut dyn FnMut(&Bytes) -> Result<bool>,
) -> Result<Option<(Option<Repaired>, usize)>> {
    let Some((signature, end, used)) = frame::marks(first, after) else {
        return Ok(None);
    };
    let range = first.start()..end.range.end;
    let mut costs = |length: usize| {
        let left = work.checked_sub(length);
        *work = left.unwrap_or_default();
        left.is_some()
    };
    if !costs(range.len()) {
        return Ok(None);
    }
    let Some(forms) = frame::forms(text, first, signature, end) else {
        return Ok(None);
    };
    for data in forms {
        if !costs(data.len()) {
            break;
        }
        if verifies(&data)? {
            let kind = first.kind;
            return Ok(Some((Some(Repaired { kind, range, data }), used)));
        }
    }
    Ok(None)
}

/// The block that `first` begins, when its end comes right after it.
fn armored(text: &[u8], first: &Mark, after: &[Mark]) -> Option<(Option<Repaired>, usize)> {
    let end = after.first()?;
    let kind = first.kind;
    if end.begins || end.kind != kind {
        return None;
    }
    // Others are shown as they are.
    if !matches!(kind, SegmentKind::Message | SegmentKind::PublicKey) {
        return Some((None, 1));
    }
    let data = block::armor(kind, between(text, first, end)?)?;
    let range = first.start()..end.range.end;
    let data = Bytes::from(data);
    Some((Some(Repaired { kind, range, data }), 1))
}

/// What stands between two marks, without what quotes the second one.
fn between<'a>(text: &'a [u8], first: &Mark, second: &Mark) -> Option<&'a [u8]> {
    text.get(first.range.end..second.start())
}

#[cfg(test)]
mod tests;
