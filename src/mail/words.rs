//! Encoded words (RFC 2047), read.
//!
//! Adjacent words of one charset are joined before the charset is decoded, because senders do
//! split characters between words. Every byte is looked at a bounded number of times.

use std::borrow::Cow;

use memchr::memchr;
use memchr::memmem;

use super::decode;

/// The longest charset name looked at.
const CHARSET_MAX: usize = 64;

/// Decodes the encoded words in an unfolded value; all else stays, bytes that are not UTF-8
/// as windows-1252. Tabs become spaces and control characters are taken out, but for tabs that
/// were encoded.
pub fn decode(value: impl AsRef<[u8]>) -> String {
    let mut rest = value.as_ref();
    let mut out = String::with_capacity(rest.len());
    let mut pending: Option<(String, Vec<u8>)> = None;
    // Where the next plain text begins is not where the next word is looked for.
    let mut from = 0;
    while let Some(at) = rest.get(from..).and_then(|r| memmem::find(r, b"=?")) {
        let Some((before, word_on)) = rest.split_at_checked(from + at) else {
            break;
        };
        let Some((charset, bytes, length)) = word(word_on) else {
            from += at + 2;
            continue;
        };
        let adjacent = pending.is_some() && before.iter().all(|b| matches!(b, b' ' | b'\t'));
        if !adjacent {
            flush(&mut pending, &mut out);
            plain(before, &mut out);
        }
        match &mut pending {
            Some((last, joined)) if joins(last, charset) => joined.extend_from_slice(&bytes),
            _ => {
                flush(&mut pending, &mut out);
                pending = Some((charset.to_owned(), bytes));
            }
        }
        rest = word_on.get(length..).unwrap_or_default();
        from = 0;
    }
    flush(&mut pending, &mut out);
    plain(rest, &mut out);
    out
}

/// Whether words of these charsets are one run of bytes. Charsets with shift states start
/// afresh in every word (RFC 2047 3).
fn joins(last: &str, charset: &str) -> bool {
    let shifts = charset
        .get(..8)
        .is_some_and(|c| c.eq_ignore_ascii_case("iso-2022"));
    last.eq_ignore_ascii_case(charset) && !shifts
}

/// Text outside encoded words.
fn plain(text: &[u8], out: &mut String) {
    let text = match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(decode::western(text)),
    };
    let flat = text.chars().map(|c| if c == '\t' { ' ' } else { c });
    out.extend(flat.filter(|c| !c.is_control()));
}

/// Decodes what was joined.
fn flush(pending: &mut Option<(String, Vec<u8>)>, out: &mut String) {
    if let Some((charset, bytes)) = pending.take() {
        let text = decode::charset(&charset, &bytes);
        out.extend(text.chars().filter(|c| *c == '\t' || !c.is_control()));
    }
}

/// The encoded word at the start of `text`: its charset, its bytes, its length.
fn word(text: &[u8]) -> Option<(&str, Vec<u8>, usize)> {
    let inner = text.strip_prefix(b"=?")?;
    let window = inner.get(..CHARSET_MAX.min(inner.len()))?;
    let (charset, rest) = inner.split_at_checked(memchr(b'?', window)?)?;
    let charset = std::str::from_utf8(charset).ok()?.split('*').next()?;
    if charset.is_empty() || !charset.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let [b'?', encoding, b'?', rest @ ..] = rest else {
        return None;
    };
    let (encoded, after) = rest.split_at_checked(memchr(b'?', rest)?)?;
    let after = after.strip_prefix(b"?=")?;
    let bytes = match encoding {
        b'q' | b'Q' => decode::q_word(encoded),
        b'b' | b'B' => decode::base64_lenient(encoded),
        _ => return None,
    };
    Some((charset, bytes, text.len() - after.len()))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn words_decode_and_join() {
        for (value, text) in [
            ("plain", "plain"),
            ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?utf-8?Q?=E2=82?=  =?utf-8?Q?=AC?=", "€"),
            ("=?utf-8?B?4oI=?= =?utf-8?B?rA==?=", "€"),
            ("=?utf-8*de?q?x_y?= z", "x y z"),
            ("a =?utf-8?q?b?= c", "a b c"),
            ("=?utf-8?x?b?=", "=?utf-8?x?b?="),
            ("=?utf-8?q?open", "=?utf-8?q?open"),
            ("=?=?=?", "=?=?=?"),
            ("a\tb\u{7}", "a b"),
            ("=?utf-8?q?a=0D=0ABcc:_x?=", "aBcc: x"),
            ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
            ("=?iso-2022-jp?B?GyRCJU8bKEI=?=", "ハ"),
            (
                "=?iso-2022-jp?B?GyRCJU8bKEI=?= =?iso-2022-jp?B?GyRCJU8bKEI=?=",
                "ハハ",
            ),
            ("=?x-nobody-knows?q?caf=C3=A9?=", "café"),
        ] {
            assert_eq!(decode(value), text, "{value:?}");
        }
        assert_eq!(decode(b"=?iso-8859-1?Q?Fr\xF6sche?= \xF6"), "Frösche ö");
    }
}
