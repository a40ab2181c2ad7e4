//! Inline text cut into what is armored and what is not.
//!
//! Nothing is lost: the segments, one after another, are the text. What stands beside a block
//! is plain text that nothing protects. A block is one whose first and last line stand at the
//! start of a line, alone, with the same label; anything less is plain text. Quoted blocks
//! ("> -----BEGIN ...") are somebody else's words and stay plain text too.

use std::ops::Range;

use memchr::{memchr, memmem};

/// What a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentKind {
    Plain,
    /// `-----BEGIN PGP MESSAGE-----` to its end line.
    Message,
    /// A cleartext signature frame (RFC 9580 7), from its first dash to its last.
    Cleartext,
    PublicKey,
    PrivateKey,
    Signature,
}

/// One piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub kind: SegmentKind,
    /// Its bytes. A block goes from its first dash to its last; the line end after it belongs
    /// to the plain text that follows.
    pub range: Range<usize>,
    /// Plain text that holds quoted armor: something was said in confidence before.
    pub quotes_armor: bool,
}

/// The most lines that begin or end a block which are looked at in one text; what follows
/// them stays plain.
pub const MARKS_MAX: usize = 1_000;

/// Cuts a text into its segments, in order and without gaps.
pub fn segments(text: &[u8]) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut plain = 0;
    let marks = marks(text);
    let mut rest = marks.as_slice();
    while let Some((kind, range, used)) = block(rest) {
        if let Some(range) = range {
            push_plain(&mut segments, text, plain..range.start);
            plain = range.end;
            segments.push(Segment {
                kind,
                range,
                quotes_armor: false,
            });
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    push_plain(&mut segments, text, plain..text.len());
    segments
}

fn push_plain(segments: &mut Vec<Segment>, text: &[u8], range: Range<usize>) {
    if range.is_empty() {
        return;
    }
    let quotes_armor = text.get(range.clone()).is_some_and(quotes_armor);
    segments.push(Segment {
        kind: SegmentKind::Plain,
        range,
        quotes_armor,
    });
}

/// Whether a line of it is a quoted BEGIN line.
fn quotes_armor(text: &[u8]) -> bool {
    memmem::find_iter(text, b"-----BEGIN PGP ").any(|at| {
        let before = text.get(..at).unwrap_or_default();
        let line = before.iter().rev().take_while(|b| **b != b'\n');
        let mut marks = line.take(64).peekable();
        marks.peek().is_some() && marks.all(|b| matches!(b, b'>' | b'|' | b' ' | b'\t'))
    })
}

/// A line that begins or ends a block.
struct Mark<'a> {
    begins: bool,
    label: &'a [u8],
    range: Range<usize>,
}

/// All of them, in order.
fn marks(text: &[u8]) -> Vec<Mark<'_>> {
    let mut marks = Vec::new();
    for at in memmem::find_iter(text, b"-----") {
        if marks.len() >= MARKS_MAX {
            break;
        }
        if at > 0 && text.get(at - 1) != Some(&b'\n') {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        // No label is longer; a line of dashes may be.
        let rest = rest.get(..rest.len().min(256)).unwrap_or_default();
        let line = rest
            .get(..memchr(b'\n', rest).unwrap_or(rest.len()))
            .unwrap_or_default();
        let line = line.trim_ascii_end();
        let Some(inner) = line.strip_suffix(b"-----") else {
            continue;
        };
        let (begins, label) = match (
            inner.strip_prefix(b"-----BEGIN PGP "),
            inner.strip_prefix(b"-----END PGP "),
        ) {
            (Some(label), _) => (true, label),
            (_, Some(label)) => (false, label),
            _ => continue,
        };
        marks.push(Mark {
            begins,
            label,
            range: at..at + line.len(),
        });
    }
    marks
}

/// What the first of `marks` begins: a block, when its end comes right after it, or nothing;
/// and how many marks that used up. `None` when there are no more.
fn block(marks: &[Mark<'_>]) -> Option<(SegmentKind, Option<Range<usize>>, usize)> {
    let (first, rest) = marks.split_first()?;
    let nothing = Some((SegmentKind::Plain, None, 1));
    if !first.begins {
        return nothing;
    }
    let kind = match first.label {
        b"MESSAGE" => SegmentKind::Message,
        b"PUBLIC KEY BLOCK" => SegmentKind::PublicKey,
        b"PRIVATE KEY BLOCK" => SegmentKind::PrivateKey,
        b"SIGNATURE" => SegmentKind::Signature,
        b"SIGNED MESSAGE" => SegmentKind::Cleartext,
        _ => return nothing,
    };
    match (kind, rest) {
        // Inside the frame every line that starts with a dash is escaped, so the next mark is
        // the signature's own.
        (SegmentKind::Cleartext, [begin, end, ..])
            if begin.begins
                && begin.label == b"SIGNATURE"
                && !end.begins
                && end.label == b"SIGNATURE" =>
        {
            Some((kind, Some(first.range.start..end.range.end), 3))
        }
        (SegmentKind::Cleartext, _) => nothing,
        (_, [end, ..]) if !end.begins && end.label == first.label => {
            Some((kind, Some(first.range.start..end.range.end), 2))
        }
        _ => nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SegmentKind::*;

    fn kinds(text: &str) -> Vec<(SegmentKind, &str)> {
        let found = segments(text.as_bytes());
        let mut at = 0;
        for segment in &found {
            assert_eq!(segment.range.start, at, "a gap in {text:?}");
            at = segment.range.end;
        }
        assert_eq!(at, text.len());
        found
            .iter()
            .map(|s| (s.kind, text.get(s.range.clone()).unwrap()))
            .collect()
    }

    const M: &str = "-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----";
    const C: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nhi\n- -----BEGIN PGP MESSAGE-----\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----";

    #[test]
    fn blocks_and_what_is_beside_them() {
        assert_eq!(kinds(""), []);
        assert_eq!(kinds("hello"), [(Plain, "hello")]);
        assert_eq!(kinds(M), [(Message, M)]);
        let text = format!("a\n{M}\nb\n{C}\n");
        assert_eq!(
            kinds(&text),
            [
                (Plain, "a\n"),
                (Message, M),
                (Plain, "\nb\n"),
                (Cleartext, C),
                (Plain, "\n")
            ]
        );
        let crlf = M.replace('\n', "\r\n");
        assert_eq!(kinds(&crlf), [(Message, crlf.as_str())]);
        let padded = M.replace("-----\n", "-----  \n");
        assert_eq!(kinds(&padded), [(Message, padded.as_str())]);
    }

    #[test]
    fn what_is_not_quite_a_block_is_plain() {
        for text in [
            M.replace('\n', "\n> ").replacen("-----B", "> -----B", 1),
            format!(" {M}"),
            format!("x {M}"),
            M.replace("END PGP MESSAGE", "END PGP SIGNATURE"),
            M.replace("MESSAGE", "MESSAGE, PART 1/2"),
            M.replace("MESSAGE", "RIDDLE"),
            "-----BEGIN PGP MESSAGE-----\n\nx".to_owned(),
            C.replace("-----BEGIN PGP SIGNATURE-----", ""),
        ] {
            assert_eq!(kinds(&text), [(Plain, text.as_str())]);
        }
    }

    #[test]
    fn a_block_that_was_cut_off_does_not_swallow_the_next() {
        let text = format!("-----BEGIN PGP MESSAGE-----\n\ncut\n{M}");
        assert_eq!(
            kinds(&text),
            [
                (Plain, "-----BEGIN PGP MESSAGE-----\n\ncut\n"),
                (Message, M)
            ]
        );
    }

    #[test]
    fn quoted_armor_is_noticed() {
        let quoted = format!("> {}\nyes", M.replace('\n', "\n> "));
        assert!(segments(quoted.as_bytes())[0].quotes_armor);
        assert!(!segments(b"a -----BEGIN PGP MESSAGE-----")[0].quotes_armor);
    }

    #[test]
    fn many_open_blocks_are_looked_at_once() {
        let text = "-----BEGIN PGP MESSAGE-----\n".repeat(20_000);
        assert_eq!(segments(text.as_bytes()).len(), 1);
        assert_eq!(marks(text.as_bytes()).len(), MARKS_MAX);
        let text = "-----BEGIN PGP MESSAGE-----\n".repeat(100) + "-----END PGP MESSAGE-----";
        assert_eq!(segments(text.as_bytes()).len(), 2);
    }
}
