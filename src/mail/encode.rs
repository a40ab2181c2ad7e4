//! Bodies made fit for any transport: seven bits, short lines, nothing at line ends that
//! somebody on the way might take off (RFC 3156 3 and 5, RFC 2045 6).

use memchr::{memchr, memchr_iter};

use crate::base::error::{Error, Result};

/// The longest line that is left as it is (RFC 5322 2.1.1).
const LINE_PLAIN: usize = 78;

/// The longest line that any transport carries (RFC 5321 4.5.3.1.6), without its end.
pub const LINE_MAX: usize = 998;

/// The longest encoded line (RFC 2045 6.7, 6.8).
const LINE_ENCODED: usize = 76;

/// How many bytes make one line of base64.
const LINE_BYTES: usize = LINE_ENCODED / 4 * 3;

/// Whether bytes pass every transport unchanged: ASCII without NUL, lines of at most `line`
/// bytes that end in CRLF, no white space before a line end, no line that starts with "From ".
pub fn is_safe(bytes: &[u8], line: usize) -> bool {
    if !bytes.is_ascii() || memchr(0, bytes).is_some() {
        return false;
    }
    let mut start = 0;
    let returns = memchr_iter(b'\r', bytes).count();
    let mut ends = 0;
    for at in memchr_iter(b'\n', bytes) {
        let text = bytes.get(start..at).unwrap_or_default();
        let Some(text) = text.strip_suffix(b"\r") else {
            return false;
        };
        if !line_safe(text, line) {
            return false;
        }
        ends += 1;
        start = at + 1;
    }
    returns == ends && line_safe(bytes.get(start..).unwrap_or_default(), line)
}

fn line_safe(text: &[u8], line: usize) -> bool {
    text.len() <= line && !matches!(text.last(), Some(b' ' | b'\t')) && !text.starts_with(b"From ")
}

/// Text with CRLF for every line end: CRLF, LF and CR alike.
pub fn canonical(text: &[u8]) -> Vec<u8> {
    let ends = memchr::memchr2_iter(b'\r', b'\n', text).count();
    let mut out = Vec::with_capacity(text.len() + ends);
    let mut start = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', text) {
        let after_return = at > 0 && text.get(at - 1) == Some(&b'\r');
        if !(after_return && text.get(at) == Some(&b'\n')) {
            out.extend_from_slice(text.get(start..at).unwrap_or_default());
            out.extend_from_slice(b"\r\n");
        }
        start = at + 1;
    }
    out.extend_from_slice(text.get(start..).unwrap_or_default());
    out
}

/// Writes `Content-Transfer-Encoding`, an empty line and the body of a canonical text, in
/// whichever encoding reads best.
pub fn text(text: &[u8], out: &mut Vec<u8>) {
    if is_safe(text, LINE_PLAIN) {
        out.extend_from_slice(b"Content-Transfer-Encoding: 7bit\r\n\r\n");
        out.extend_from_slice(text);
        return;
    }
    let escaped = text
        .iter()
        .filter(|b| !(matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n')) || **b == b'=')
        .count();
    // Three bytes for each escaped one, against four for three of all.
    if escaped.saturating_mul(6) <= text.len() {
        out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        quoted_printable(text, out);
    } else {
        file(text, out);
    }
}

/// Writes `Content-Transfer-Encoding`, an empty line and a body of which every byte counts.
pub fn file(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
    base64(data, out);
}

/// How many bytes [`file`] writes at most for a body of this length.
pub fn file_room(length: usize) -> usize {
    length
        .div_ceil(LINE_BYTES)
        .saturating_mul(LINE_ENCODED + 2)
        .saturating_add(64)
}

/// Base64 in lines of 76, without an end after the last.
pub fn base64(data: &[u8], out: &mut Vec<u8>) {
    let mut first = true;
    for line in data.chunks(LINE_BYTES) {
        if !first {
            out.extend_from_slice(b"\r\n");
        }
        first = false;
        base64_simd::STANDARD.encode_append(line, out);
    }
}

/// Quoted-printable of a canonical text.
fn quoted_printable(text: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    for at in memchr_iter(b'\n', text) {
        let line = text.get(start..at).unwrap_or_default();
        quoted_line(line.strip_suffix(b"\r").unwrap_or(line), out);
        out.extend_from_slice(b"\r\n");
        start = at + 1;
    }
    quoted_line(text.get(start..).unwrap_or_default(), out);
}

fn quoted_line(line: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    let last = line.len().saturating_sub(1);
    for (i, b) in line.iter().enumerate() {
        let plain = match b {
            b' ' | b'\t' => i != last,
            b'=' => false,
            _ => b.is_ascii_graphic(),
        };
        let width = if plain { 1 } else { 3 };
        // Room for the soft break, except where the line ends.
        let limit = if i == last {
            LINE_ENCODED
        } else {
            LINE_ENCODED - 1
        };
        if column + width > limit {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        // What starts a line with "From " is changed by mailboxes, a dot by SMTP.
        let marked = column == 0
            && (*b == b'.' || *b == b'F' && line.get(i..).is_some_and(|l| l.starts_with(b"From ")));
        if plain && !marked {
            out.push(*b);
            column += 1;
        } else {
            hex(b'=', *b, out);
            column += 3;
        }
    }
}

/// `=XX` or `%XX`.
pub fn hex(mark: u8, byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push(mark);
    for nibble in [byte >> 4, byte & 15] {
        out.extend(DIGITS.get(usize::from(nibble)));
    }
}

/// Random bytes as hex.
///
/// # Errors
/// `internal` when the system has no randomness.
pub fn random_hex<const N: usize>() -> Result<String> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::internal("the system gives no random numbers").because(e.to_string())
    })?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// A boundary that is nowhere in `content`. It can't be in anything that is quoted-printable
/// or base64, because neither has `=_`.
///
/// # Errors
/// `internal` when the system has no randomness.
pub fn boundary(content: &[u8]) -> Result<String> {
    loop {
        let boundary = format!("=_{}", random_hex::<12>()?);
        if memchr::memmem::find(content, boundary.as_bytes()).is_none() {
            return Ok(boundary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::decode;

    #[test]
    fn line_ends_become_crlf() {
        assert_eq!(
            canonical(b"a\nb\rc\r\nd\n\re\r\r\n"),
            b"a\r\nb\r\nc\r\nd\r\n\r\ne\r\n\r\n"
        );
        assert_eq!(canonical(b""), b"");
    }

    #[test]
    fn what_needs_no_encoding() {
        assert!(is_safe(b"", 78) && is_safe(b"a\r\nb", 78));
        for text in [
            &b"a\n"[..],
            b"a\r",
            b"a \r\n",
            b"a\t",
            b"From x",
            b"\xC3\xA9",
            b"a\0",
        ] {
            assert!(!is_safe(text, 78), "{text:?}");
        }
        assert!(!is_safe(&[b'a'; 79], 78));
    }

    #[test]
    fn every_text_comes_back_and_is_safe() {
        for sample in [
            "",
            "plain",
            "-- \r\nsig",
            "From here\r\nFrom there",
            ".\r\n..\r\n",
            "caf\u{e9} \u{20ac}",
            "\u{65e5}\u{672c}\u{8a9e}",
            "tab\t\r\n\0",
            "a=b",
            &"x".repeat(200),
            &"xF.".repeat(100),
            &"x ".repeat(100),
            &format!("{} ", "x".repeat(75)),
            &format!("{}=", "x".repeat(75)),
        ] {
            let mut part = Vec::new();
            text(sample.as_bytes(), &mut part);
            let at = memchr::memmem::find(&part, b"\r\n\r\n").unwrap();
            let (head, body) = (&part[..at], &part[at + 4..]);
            assert!(is_safe(body, 78), "{sample:?}");
            let back = match &head[27..] {
                b"7bit" => body.to_vec(),
                b"base64" => decode::base64(body),
                _ => decode::quoted_printable(body),
            };
            assert_eq!(back, sample.as_bytes(), "{sample:?}");
            if head[27..] != b"7bit"[..] {
                assert!(is_safe(body, 76));
            }
        }
    }
}
