//! Lines that begin or end a block, wherever in a line they stand and whatever was put into
//! them; and what counts as blank, as nothing, and as a mark of quotation.

use std::ops::Range;

use memchr::memchr3_iter;

use crate::mail::armor::{MARKS_MAX, SegmentKind};

/// One character, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glyph {
    /// A space, a tab, or one of the spaces that pages put in their place.
    Blank,
    /// Has no width: pages allow line breaks with it.
    Nothing,
    Byte(u8),
}

/// The first character of a text, and its length in bytes.
pub(super) fn glyph(text: &[u8]) -> Option<(Glyph, usize)> {
    Some(match text {
        [] => return None,
        [b' ' | b'\t', ..] => (Glyph::Blank, 1),
        // U+00A0, U+00AD
        [0xc2, 0xa0, ..] => (Glyph::Blank, 2),
        [0xc2, 0xad, ..] => (Glyph::Nothing, 2),
        // U+2000 to U+200A, U+202F, U+205F, U+3000
        [0xe2, 0x80, 0x80..=0x8a | 0xaf, ..] | [0xe2, 0x81, 0x9f, ..] | [0xe3, 0x80, 0x80, ..] => {
            (Glyph::Blank, 3)
        }
        // U+200B to U+200F, U+2060 to U+2064, U+FEFF
        [0xe2, 0x80, 0x8b..=0x8f, ..] | [0xe2, 0x81, 0xa0..=0xa4, ..] | [0xef, 0xbb, 0xbf, ..] => {
            (Glyph::Nothing, 3)
        }
        [byte, ..] => (Glyph::Byte(*byte), 1),
    })
}

/// The characters of a text, each with its own bytes.
pub(super) fn glyphs(text: &[u8]) -> impl Iterator<Item = (Glyph, &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (glyph, length) = glyph(rest)?;
        let (own, after) = rest.split_at_checked(length)?;
        rest = after;
        Some((glyph, own))
    })
}

/// Whether mail programs quote with it.
pub(super) fn quotes(byte: u8) -> bool {
    matches!(byte, b'>' | b'|')
}

/// Whether nothing is to be read in a text: white space, marks of quotation.
pub fn is_blank(text: &[u8]) -> bool {
    glyphs(text).all(|(glyph, _)| match glyph {
        Glyph::Blank | Glyph::Nothing => true,
        Glyph::Byte(byte) => byte.is_ascii_whitespace() || quotes(byte),
    })
}

/// The lines of a text, whatever ends them: CRLF, LF or CR.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = memchr::memchr2(b'\r', b'\n', text) else {
            rest = None;
            return Some(text);
        };
        let (line, after) = text.split_at_checked(end)?;
        rest = match after {
            [b'\r', b'\n', after @ ..] | [_, after @ ..] => Some(after),
            [] => None,
        };
        Some(line)
    })
}

/// A line that begins or ends a block.
#[derive(Debug)]
pub(super) struct Mark {
    pub begins: bool,
    pub kind: SegmentKind,
    /// From its first dash to its last.
    pub range: Range<usize>,
    /// Where its line starts.
    pub line: usize,
    /// Where what quotes or indents its line ends.
    pub quoted: usize,
    /// How many marks of quotation that is.
    pub depth: usize,
}

impl Mark {
    /// Whether nothing but marks of quotation and blanks stands before it in its line.
    pub(super) fn leads(&self) -> bool {
        self.quoted == self.range.start
    }

    /// Where it starts, with what quotes it.
    pub(super) fn start(&self) -> usize {
        match self.leads() {
            true => self.line,
            false => self.range.start,
        }
    }
}

/// What quotes or indents a line is no longer than this, in bytes.
const QUOTED_MAX: usize = 256;

/// No mark is longer, in bytes, with what may be in it.
const MARK_MAX: usize = 256;

/// All of them, in order; as many as are looked at in a message.
pub(super) fn marks(text: &[u8]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let (mut line, mut beyond) = (0, 0);
    for at in memchr3_iter(b'-', b'\n', b'\r', text) {
        if text.get(at) != Some(&b'-') {
            line = at + 1;
            continue;
        }
        // Dashes that end a mark begin none.
        if at < beyond {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let rest = rest.get(..MARK_MAX).unwrap_or(rest);
        let Some((begins, kind, length)) = mark(rest) else {
            continue;
        };
        let (length_quoted, depth) = quoted(text.get(line..at).unwrap_or_default());
        let quoted = line + length_quoted;
        // Escaped (RFC 9580 7.1): words of a signed text.
        if text.get(quoted..at) == Some(b"- ") {
            continue;
        }
        beyond = at + length;
        marks.push(Mark {
            begins,
            kind,
            range: at..beyond,
            line,
            quoted,
            depth,
        });
        if marks.len() >= MARKS_MAX {
            break;
        }
    }
    marks
}

/// How long what quotes or indents a line is, and how many marks of quotation there are.
fn quoted(line: &[u8]) -> (usize, usize) {
    let head = line.get(..QUOTED_MAX).unwrap_or(line);
    let (mut length, mut depth) = (0, 0);
    for (glyph, own) in glyphs(head) {
        match glyph {
            Glyph::Blank | Glyph::Nothing => {}
            Glyph::Byte(byte) if quotes(byte) => depth += 1,
            Glyph::Byte(_) => break,
        }
        length += own.len();
    }
    (length, depth)
}

const KINDS: [(&[u8], SegmentKind); 5] = [
    (b"MESSAGE-----", SegmentKind::Message),
    (b"SIGNED MESSAGE-----", SegmentKind::Cleartext),
    (b"SIGNATURE-----", SegmentKind::Signature),
    (b"PUBLIC KEY BLOCK-----", SegmentKind::PublicKey),
    (b"PRIVATE KEY BLOCK-----", SegmentKind::PrivateKey),
];

/// The mark that starts a text, and its length.
fn mark(text: &[u8]) -> Option<(bool, SegmentKind, usize)> {
    let after = eat(text, b"-----")?;
    let (begins, after) = match (eat(after, b"BEGIN PGP "), eat(after, b"END PGP ")) {
        (Some(after), _) => (true, after),
        (None, Some(after)) => (false, after),
        (None, None) => return None,
    };
    KINDS.iter().find_map(|(label, kind)| {
        let after = eat(after, label)?;
        Some((begins, *kind, text.len() - after.len()))
    })
}

/// What follows `words` in a text that starts with them; blanks may be several and of any kind.
fn eat<'a>(text: &'a [u8], words: &[u8]) -> Option<&'a [u8]> {
    let mut rest = text;
    for word in words {
        let mut blanks = 0;
        loop {
            let (glyph, length) = glyph(rest)?;
            match glyph {
                Glyph::Nothing => {}
                Glyph::Blank if *word == b' ' => blanks += 1,
                _ if *word == b' ' && blanks > 0 => break,
                Glyph::Byte(byte) if byte == *word => {
                    rest = rest.get(length..)?;
                    break;
                }
                _ => return None,
            }
            rest = rest.get(length..)?;
        }
    }
    Some(rest)
}
