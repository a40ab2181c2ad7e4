//! Cleartext signature frames (RFC 9580 7): the forms that a mangled one may have had.

use bytes::Bytes;

use super::block;
use super::mark::{Glyph, Mark, glyphs, lines, quotes};
use crate::mail::armor::SegmentKind;

/// The marks of a frame's signature, and how many of `after` the frame uses up. `None` when
/// `first` begins none.
pub(super) fn marks<'a>(first: &Mark, after: &'a [Mark]) -> Option<(&'a Mark, &'a Mark, usize)> {
    for (index, mark) in after.iter().enumerate() {
        let end = after.get(index + 1);
        let end = end.filter(|end| !end.begins && end.kind == SegmentKind::Signature);
        let signature = mark.begins && mark.kind == SegmentKind::Signature;
        match end {
            // What is quoted further is a part of the text.
            _ if mark.depth > first.depth => {}
            Some(end) if signature => return Some((mark, end, index + 2)),
            // So are marks inside a line.
            _ if !mark.leads() => {}
            _ => return None,
        }
    }
    None
}

/// How pages change the characters of a text. Those that write such characters themselves
/// signed them: one of the forms is without any change.
#[derive(Clone, Copy)]
struct Change {
    /// Blanks of all kinds become spaces.
    spaces: bool,
    /// What has no width goes away.
    nothing: bool,
}

const EVERY: Change = Change {
    spaces: true,
    nothing: true,
};

const CHANGES: [Change; 4] = [
    Change {
        spaces: false,
        nothing: false,
    },
    Change {
        spaces: true,
        nothing: false,
    },
    Change {
        spaces: false,
        nothing: true,
    },
    EVERY,
];

/// The most lines of a frame that is repaired: a person wrote it.
const LINES_MAX: usize = 1 << 20;

/// The forms that it may have had, the likeliest first. Nothing of what would be hashed is
/// made up: each line is there, without what quotes it, or there is no form at all.
pub(super) fn forms<'a>(
    text: &'a [u8],
    first: &Mark,
    signature: &Mark,
    end: &Mark,
) -> Option<impl Iterator<Item = Bytes> + use<'a>> {
    let armor = block::armor(
        SegmentKind::Signature,
        super::between(text, signature, end)?,
    )?;
    let body = super::between(text, first, signature)?;
    let body = match signature.leads() {
        true => {
            let body = body.strip_suffix(b"\n").unwrap_or(body);
            body.strip_suffix(b"\r").unwrap_or(body)
        }
        false => body,
    };
    let prefix = Prefix::read(text.get(first.line..first.quoted)?, first.leads());
    let mut split = lines(body);
    // What is left of the first mark's own line.
    let mut unquoted = vec![split.next().unwrap_or_default()];
    unquoted.retain(|behind| !is_empty(behind));
    for line in split {
        if unquoted.len() >= LINES_MAX {
            return None;
        }
        unquoted.push(prefix.strip(line)?);
    }
    let (hashes, content) = headers(&unquoted);
    let content = content.to_vec();
    let has = |wanted: &dyn Fn(Glyph, &[u8]) -> bool| {
        content
            .iter()
            .any(|line| glyphs(line).any(|(glyph, own)| wanted(glyph, own)))
    };
    let spaces = has(&|glyph, own| glyph == Glyph::Blank && own.len() > 1);
    let nothing = has(&|glyph, _| glyph == Glyph::Nothing);
    Some(
        CHANGES
            .into_iter()
            .filter(move |change| (spaces || !change.spaces) && (nothing || !change.nothing))
            .map(move |change| written(&hashes, &content, change, &armor)),
    )
}

/// What stands before each line of a quoted or indented frame.
struct Prefix {
    marks: usize,
    /// Blanks of an indented frame.
    indent: usize,
    /// A blank stands between the marks and the text.
    spaced: bool,
}

impl Prefix {
    /// Of the line of the first mark; where other text stands before the mark too, blanks at the
    /// start of that text say nothing of the lines below.
    fn read(quoted: &[u8], leads: bool) -> Prefix {
        let seen: Vec<Glyph> = glyphs(quoted)
            .map(|(glyph, _)| glyph)
            .filter(|glyph| *glyph != Glyph::Nothing)
            .collect();
        let marks = seen.iter().filter(|glyph| **glyph != Glyph::Blank).count();
        Prefix {
            marks,
            indent: match leads && marks == 0 {
                true => seen.len(),
                false => 0,
            },
            spaced: marks > 0 && seen.last() == Some(&Glyph::Blank),
        }
    }

    /// A line without it; `None` for one that doesn't have it. A line without any text may lack
    /// a part of it.
    fn strip<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let (mut marks, mut indent, mut spaced) = (self.marks, self.indent, self.spaced);
        let mut at = 0;
        for (glyph, own) in glyphs(line) {
            match glyph {
                _ if marks == 0 && indent == 0 && !spaced => break,
                // Those at the start belong to the text, unless marks follow.
                Glyph::Nothing => {}
                Glyph::Byte(byte) if marks > 0 && quotes(byte) => marks -= 1,
                Glyph::Blank if marks > 0 => {}
                Glyph::Blank if indent > 0 => indent -= 1,
                Glyph::Blank => spaced = false,
                Glyph::Byte(_) => break,
            }
            at += own.len();
        }
        match marks == 0 && indent == 0 {
            true => line.get(at..),
            false if is_empty(line) => Some(b""),
            false => None,
        }
    }
}

/// Whether nothing but blanks stands in a line.
fn is_empty(line: &[u8]) -> bool {
    glyphs(line).all(|(glyph, _)| matches!(glyph, Glyph::Blank | Glyph::Nothing))
}

/// What the `Hash` headers say, folded or not, and the lines of the text. The empty line between
/// them may be lost. Any other header is left where it is, and no signature covers that.
fn headers<'a, 'b>(lines: &'b [&'a [u8]]) -> (Vec<Vec<u8>>, &'b [&'a [u8]]) {
    let mut hashes = Vec::new();
    let mut rest = lines;
    while let [line, after @ ..] = rest {
        let line = change(line, EVERY);
        let Some(value) = line.trim_ascii().strip_prefix(b"Hash:") else {
            break;
        };
        let mut value = value.trim_ascii().to_vec();
        rest = after;
        while let [more, after @ ..] = rest
            && (value.is_empty() || value.ends_with(b","))
            && !is_empty(more)
        {
            value.extend_from_slice(change(more, EVERY).trim_ascii());
            rest = after;
        }
        hashes.push(value);
    }
    match rest {
        [line, after @ ..] if is_empty(line) => (hashes, after),
        _ => (hashes, rest),
    }
}

/// The text with its characters changed.
fn change(line: &[u8], change: Change) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for (glyph, own) in glyphs(line) {
        match glyph {
            Glyph::Blank if change.spaces && own.len() > 1 => out.push(b' '),
            Glyph::Nothing if change.nothing => {}
            _ => out.extend_from_slice(own),
        }
    }
    out
}

fn written(hashes: &[Vec<u8>], lines: &[&[u8]], how: Change, armor: &[u8]) -> Bytes {
    let mut out = b"-----BEGIN PGP SIGNED MESSAGE-----\r\n".to_vec();
    for hash in hashes {
        out.extend_from_slice(b"Hash: ");
        out.extend_from_slice(hash);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    for line in lines {
        out.extend_from_slice(&change(line, how));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(armor);
    Bytes::from(out)
}
