//! Transfer encodings, charsets and dates, decoded: bytes in, bytes or text out.
//!
//! Lenient where old mail needs it, linear everywhere. What mail-parser does here it does on
//! single values, with panics caught: it has panicked on broken mail before.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use mail_parser::DateTime;
use mail_parser::decoders::charsets::map::charset_decoder;
use memchr::{memchr, memchr2_iter};

use super::media::hex;
use crate::base::body::wiped;

/// How a body is encoded for transfer (RFC 2045 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// 7bit, 8bit, binary: the bytes are the content.
    Identity,
    QuotedPrintable,
    Base64,
    /// Nobody knows it; the bytes are taken as they are.
    Unknown,
}

impl Transfer {
    /// Reads the value of `Content-Transfer-Encoding`.
    pub fn parse(value: &str) -> Transfer {
        let token = value
            .split(|c: char| c.is_whitespace() || matches!(c, ';' | '('))
            .find(|word| !word.is_empty())
            .unwrap_or_default();
        match token.to_ascii_lowercase().as_str() {
            "" | "7bit" | "8bit" | "binary" => Transfer::Identity,
            "quoted-printable" => Transfer::QuotedPrintable,
            "base64" => Transfer::Base64,
            _ => Transfer::Unknown,
        }
    }

    /// The decoded content; the same slice where nothing is encoded.
    pub fn decode(self, body: &Bytes) -> Bytes {
        match self {
            Transfer::Identity | Transfer::Unknown => body.clone(),
            Transfer::QuotedPrintable if bare_armor(body) => body.clone(),
            Transfer::QuotedPrintable => wiped(quoted_printable(body)),
            Transfer::Base64 => wiped(base64(body)),
        }
    }
}

/// Whether armor stands in a quoted-printable body as it is: some clients encrypt inline and
/// forget the encoding. Its checksum gives it away, whose `=` would be `=3D`.
fn bare_armor(body: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(body, b"\n-----END PGP ") else {
        return false;
    };
    let before = body.get(..end).unwrap_or_default();
    let before = before.strip_suffix(b"\r").unwrap_or(before);
    let line = memchr::memrchr(b'\n', before).map_or(before, |at| {
        before.get(at..).unwrap_or_default().trim_ascii_start()
    });
    line.len() == 5 && line.first() == Some(&b'=')
}

/// How much base64 is decoded at once: enough to be quick, little beside the result.
const CHUNK: usize = 48 * 1024;

/// Base64 in lines (RFC 2045 6.8). Damage costs no more than the bytes it hit.
pub fn base64(body: &[u8]) -> Vec<u8> {
    strict(body).unwrap_or_else(|| base64_lenient(body))
}

/// Base64 as it should be: whole groups, padding at the end, line ends anywhere.
fn strict(body: &[u8]) -> Option<Vec<u8>> {
    let body = body.trim_ascii_end();
    let mut out = Vec::with_capacity(body.len() / 4 * 3 + 3);
    let mut held = Vec::with_capacity(2 * CHUNK);
    let mut decode = |held: &mut Vec<u8>, length: usize| {
        let groups = held.get(..length)?;
        base64_simd::STANDARD.decode_append(groups, &mut out).ok()?;
        held.drain(..length);
        Some(())
    };
    let mut start = 0;
    for end in memchr2_iter(b'\r', b'\n', body).chain([body.len()]) {
        for piece in body.get(start..end)?.chunks(CHUNK) {
            held.extend_from_slice(piece);
            if held.len() >= CHUNK {
                let groups = held.len() / 4 * 4;
                decode(&mut held, groups)?;
            }
        }
        start = end + 1;
    }
    let rest = held.len();
    decode(&mut held, rest)?;
    Some(out)
}

/// Base64 of which only the alphabet counts: other characters are skipped, padding ends a
/// group and another may follow.
pub fn base64_lenient(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for b in text {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                (bits, held) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(((bits >> held) & 0xFF) as u8);
        }
    }
    out
}

/// Quoted-printable (RFC 2045 6.7). A `=` that escapes nothing stays; white space at the end
/// of a line goes, as transport may have put it there.
pub fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while !rest.is_empty() {
        let (line, after, end) = match memchr(b'\n', rest) {
            Some(at) => {
                let line = rest.get(..at).unwrap_or_default();
                let after = rest.get(at + 1..).unwrap_or_default();
                match line.strip_suffix(b"\r") {
                    Some(line) => (line, after, &b"\r\n"[..]),
                    None => (line, after, &b"\n"[..]),
                }
            }
            None => (rest, &b""[..], &b""[..]),
        };
        let line = trim_end(line);
        let (line, soft) = match line.strip_suffix(b"=") {
            Some(line) => (line, true),
            None => (line, false),
        };
        escapes(line, b'=', &mut out);
        if !soft {
            out.extend_from_slice(end);
        }
        rest = after;
    }
    out
}

/// The "Q" encoding of RFC 2047 4.2.
pub fn q_word(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|b| if *b == b'_' { b' ' } else { *b })
        .collect();
    let mut out = Vec::with_capacity(text.len());
    escapes(&spaced, b'=', &mut out);
    out
}

/// Copies `text`, turning `mark` and two hex digits into a byte.
fn escapes(text: &[u8], mark: u8, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr(mark, rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        let (high, low) = (rest.get(at + 1).copied(), rest.get(at + 2).copied());
        let length = if let (Some(high), Some(low)) = (hex(high), hex(low)) {
            out.push(high << 4 | low);
            3
        } else {
            out.push(mark);
            1
        };
        rest = rest.get(at + length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

fn trim_end(mut line: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', before)) = line.split_last() {
        line = before;
    }
    line
}

/// Text of a charset as UTF-8. Without a charset, or with one that is not true, it is UTF-8
/// where it can be and windows-1252 where it can't.
pub fn charset(name: &str, bytes: &[u8]) -> String {
    if is_utf8(name) {
        return match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) if name.is_empty() => western(bytes),
            Err(_) => String::from_utf8_lossy(bytes).into_owned(),
        };
    }
    catch_unwind(AssertUnwindSafe(|| {
        charset_decoder(name.as_bytes()).map(|decoder| decoder(bytes))
    }))
    .ok()
    .flatten()
    .unwrap_or_else(|| match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => western(bytes),
    })
}

/// Content in a charset as UTF-8 bytes: the same slice where it is that already.
pub fn text(name: &str, content: &Bytes) -> Bytes {
    let plain = is_utf8(name) || name.eq_ignore_ascii_case("us-ascii");
    if plain && std::str::from_utf8(content).is_ok() {
        return content.clone();
    }
    wiped(charset(name, content).into_bytes())
}

/// Content that a layer holds as UTF-8 bytes, where the charset's name stands outside of that
/// layer: whoever passed the message on may have changed it, and must not choose what is read.
///
/// It may say no more than which letters the bytes beyond ASCII are. Japanese in seven bits, which
/// shows by itself, is the one exception. Shift_JIS, Big5, what GBK has beyond GB 2312, and Korean
/// in seven bits are not read by such a label: they take ASCII into their letters, so it could make
/// letters of what was signed vanish.
pub fn sealed_text(name: &str, content: &Bytes) -> Bytes {
    if is_japanese(name, content) {
        return text(name, content);
    }
    if std::str::from_utf8(content).is_ok() {
        return content.clone();
    }
    let read = text(name, content);
    let ascii = |byte: &&u8| byte.is_ascii();
    match read.iter().filter(ascii).eq(content.iter().filter(ascii)) {
        true => read,
        false => wiped(western(content).into_bytes()),
    }
}

/// Whether there is a charset of this name.
pub(super) fn is_charset(name: &str) -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        charset_decoder(name.as_bytes()).is_some()
    }))
    .unwrap_or(false)
}

/// Whether content is what ISO-2022-JP makes of Japanese: ASCII, and the sign that it is not.
pub(super) fn is_japanese(name: &str, content: &[u8]) -> bool {
    const BEGINS: [&[u8]; 2] = [b"\x1B$B", b"\x1B$@"];
    let named = ["iso-2022-jp", "csiso2022jp"];
    content.is_ascii()
        && named.iter().any(|known| name.eq_ignore_ascii_case(known))
        && BEGINS
            .iter()
            .any(|sign| memchr::memmem::find(content, sign).is_some())
}

fn is_utf8(name: &str) -> bool {
    name.is_empty() || name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8")
}

/// Bytes of nobody knows what, as windows-1252.
pub fn western(bytes: &[u8]) -> String {
    catch_unwind(AssertUnwindSafe(|| {
        charset_decoder(b"windows-1252").map(|decoder| decoder(bytes))
    }))
    .ok()
    .flatten()
    .unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned())
}

/// A date (RFC 5322 3.3, and what else is called one) in seconds since the Unix epoch.
pub fn date(value: &str) -> Option<u64> {
    if let Ok(date) = chrono::DateTime::parse_from_rfc2822(value.trim()) {
        return u64::try_from(date.timestamp()).ok();
    }
    let date = catch_unwind(AssertUnwindSafe(|| DateTime::parse_rfc822(value))).ok()??;
    // A leap second is a valid date, though not to every library.
    let leap = DateTime {
        second: date.second.min(59),
        ..date
    };
    leap.is_valid()
        .then(|| u64::try_from(leap.to_timestamp()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armor_that_was_never_quoted_printable() {
        let bare = Bytes::from_static(
            b"-----BEGIN PGP MESSAGE-----\r\n\r\nAAAA=\r\n=Fijx\r\n-----END PGP MESSAGE-----\r\n",
        );
        assert_eq!(Transfer::QuotedPrintable.decode(&bare), bare);
        let quoted = Bytes::from_static(
            b"-----BEGIN PGP MESSAGE-----\r\n\r\nAAAA=3D\r\n=3DFijx\r\n-----END PGP MESSAGE-----\r\n",
        );
        assert_eq!(Transfer::QuotedPrintable.decode(&quoted), bare);
    }

    #[test]
    fn base64_strict_and_damaged_agree() {
        for (text, data) in [
            ("", &b""[..]),
            ("aGVsbG8=", b"hello"),
            ("aGVs\r\nbG8=\r\n", b"hello"),
            ("aGVs bG8=", b"hello"),
            ("aGVsbG8", b"hello"),
            ("aGVs!bG8=", b"hello"),
            ("aGVsbG8=aGVsbG8=", b"hellohello"),
            ("====", b""),
            ("=aGVs", b"hel"),
        ] {
            assert_eq!(base64(text.as_bytes()), data, "{text:?}");
        }
    }

    #[test]
    fn base64_of_any_length_in_lines_of_any_length() {
        let data: Vec<u8> = (0..200_001u32).map(|i| (i % 251) as u8).collect();
        let text = base64_simd::STANDARD.encode_to_string(&data);
        for line in [1_000_000, 65_536, 77, 76, 3] {
            let lines: Vec<u8> = text
                .as_bytes()
                .chunks(line)
                .collect::<Vec<_>>()
                .join(&b"\r\n"[..]);
            assert_eq!(base64(&lines), data, "{line}");
            assert_eq!(strict(&lines).as_deref(), Some(data.as_slice()), "{line}");
        }
    }

    #[test]
    fn quoted_printable_lines() {
        for (text, data) in [
            ("a=3Db", "a=b"),
            ("a=\r\nb", "ab"),
            ("a=  \r\nb", "ab"),
            ("a  \r\nb\t", "a\r\nb"),
            ("a=zz=", "a=zz"),
            ("=e2=82=AC\n", "€\n"),
        ] {
            assert_eq!(
                quoted_printable(text.as_bytes()),
                data.as_bytes(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn charsets_and_their_lack() {
        assert_eq!(charset("iso-8859-1", b"caf\xE9"), "café");
        assert_eq!(charset("", b"caf\xE9"), "café");
        assert!(!charset("us-ascii", "café".as_bytes()).is_empty());
        assert_eq!(charset("nonsense", "café".as_bytes()), "café");
        assert_eq!(charset("utf-8", b"a\xFFb"), "a\u{FFFD}b");
        assert_eq!(charset(&"x".repeat(300), b"a"), "a");
    }

    #[test]
    fn dates() {
        assert_eq!(date("Thu, 1 Jan 1970 00:01:00 +0000"), Some(60));
        assert_eq!(date("Sat, 20 Feb 2021 10:09:02 -0500"), Some(1_613_833_742));
        assert_eq!(date("20 Feb 21 10:09 GMT"), Some(1_613_815_740));
        for nonsense in [
            "",
            "yesterday",
            "99 Foo 2021",
            "Thu, 1 Jan 1950 00:00:00 +0000",
        ] {
            assert_eq!(date(nonsense), None, "{nonsense}");
        }
    }
}
