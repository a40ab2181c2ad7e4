//! Encoded words (RFC 2047), read.
//!
//! Adjacent words of one charset are joined before the charset is decoded, because senders do
//! split characters between words. Every byte is looked at a bounded number of times.

use memchr::memchr;
use memchr::memmem;

use super::decode;

/// The longest charset name looked at.
const CHARSET_MAX: usize = 64;

/// Decodes the encoded words in an unfolded value; all else stays. Runs of tabs become spaces
/// and control characters are taken out, whether they were encoded or not.
pub fn decode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut pending: Option<(String, Vec<u8>)> = None;
    let mut rest = value;
    while let Some(at) = memmem::find(rest.as_bytes(), b"=?") {
        let Some((before, from)) = rest.split_at_checked(at) else {
            break;
        };
        match word(from) {
            Some((charset, bytes, length)) => {
                let joins = pending.is_some() && before.bytes().all(|b| matches!(b, b' ' | b'\t'));
                if !joins {
                    flush(&mut pending, &mut out);
                    plain(before, &mut out);
                }
                match &mut pending {
                    Some((last, joined)) if last.eq_ignore_ascii_case(charset) => {
                        joined.extend_from_slice(&bytes);
                    }
                    _ => {
                        flush(&mut pending, &mut out);
                        pending = Some((charset.to_owned(), bytes));
                    }
                }
                rest = from.get(length..).unwrap_or_default();
            }
            None => {
                flush(&mut pending, &mut out);
                plain(before, &mut out);
                out.push_str("=?");
                rest = from.get(2..).unwrap_or_default();
            }
        }
    }
    flush(&mut pending, &mut out);
    plain(rest, &mut out);
    out
}

/// Text outside encoded words.
fn plain(text: &str, out: &mut String) {
    out.extend(
        text.chars()
            .map(|c| if c == '\t' { ' ' } else { c })
            .filter(|c| !c.is_control()),
    );
}

/// Decodes what was joined.
fn flush(pending: &mut Option<(String, Vec<u8>)>, out: &mut String) {
    if let Some((charset, bytes)) = pending.take() {
        let text = decode::charset(&charset, &bytes);
        out.extend(text.chars().filter(|c| *c == '\t' || !c.is_control()));
    }
}

/// The encoded word at the start of `text`: its charset, its bytes, its length.
fn word(text: &str) -> Option<(&str, Vec<u8>, usize)> {
    let inner = text.strip_prefix("=?")?;
    let window = inner.as_bytes().get(..CHARSET_MAX.min(inner.len()))?;
    let (charset, rest) = inner.split_at_checked(memchr(b'?', window)?)?;
    let charset = charset
        .split('*')
        .next()
        .filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))?;
    let rest = rest.strip_prefix('?')?;
    let (encoding, rest) = rest.split_at_checked(1)?;
    let rest = rest.strip_prefix('?')?;
    let (encoded, after) = rest.split_at_checked(memchr(b'?', rest.as_bytes())?)?;
    after.strip_prefix("?=")?;
    let bytes = match encoding {
        "q" | "Q" => decode::q_word(encoded.as_bytes()),
        "b" | "B" => decode::base64_lenient(encoded.as_bytes()),
        _ => return None,
    };
    Some((charset, bytes, text.len() - after.len() + 2))
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
            ("=?x-nobody-knows?q?caf=C3=A9?=", "café"),
        ] {
            assert_eq!(decode(value), text, "{value:?}");
        }
    }
}
