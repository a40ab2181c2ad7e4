//! Which letters the bytes of a page are, where its part doesn't say: the page may say so itself.

use html5ever::tokenizer::{Tag, TagKind, Token};

use super::scan::{attribute, tokens};
use crate::mail::decode;

/// How far into a page browsers look for its charset (HTML 13.2.3.2).
const LOOKED_AT: usize = 1024;

/// The charset of a page's bytes. `named` is what its part says, which counts more than what it
/// says itself; more than either does the mark that UTF-8 may begin with. What can be read as
/// UTF-8 is that, whatever the page says, unless it is Japanese in seven bits.
pub(in crate::mail) fn charset(named: &str, content: &[u8]) -> String {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    if content.starts_with(MARK) {
        return "utf-8".to_owned();
    }
    if !named.trim().is_empty() {
        return named.to_owned();
    }
    let said = declared(content).unwrap_or_default();
    let utf8 = std::str::from_utf8(content).is_ok();
    match utf8 && !decode::is_japanese(&said, content) {
        true => String::new(),
        false => said,
    }
}

/// What the first element says that says anything.
fn declared(content: &[u8]) -> Option<String> {
    let start = content.get(..LOOKED_AT).unwrap_or(content);
    let mut found = None;
    tokens(&String::from_utf8_lossy(start), |token| {
        if let Token::TagToken(tag) = token
            && found.is_none()
            && tag.kind == TagKind::StartTag
            && &*tag.name == "meta"
        {
            found = said(tag).and_then(known);
        }
    });
    found
}

fn said(tag: &Tag) -> Option<&str> {
    if let Some(name) = attribute(tag, "charset") {
        return Some(name);
    }
    let stands_for = attribute(tag, "http-equiv")?;
    let content = attribute(tag, "content")?;
    stands_for
        .eq_ignore_ascii_case("content-type")
        .then(|| parameter(content))?
}

/// The charset in a media type, as browsers find it (HTML 2.5.4).
fn parameter(content: &str) -> Option<&str> {
    const NAME: &str = "charset";
    let lower = content.to_ascii_lowercase();
    let after = lower.match_indices(NAME).map(|(at, name)| at + name.len());
    let mut values = after.filter_map(|at| {
        let value = content.get(at..)?.trim_ascii_start().strip_prefix('=')?;
        Some(value.trim_ascii_start())
    });
    let value = values.next()?;
    match value.chars().next()? {
        quote @ ('"' | '\'') => value.get(1..)?.split_once(quote).map(|(value, _)| value),
        _ => value
            .split(|c: char| c == ';' || c.is_ascii_whitespace())
            .next(),
    }
}

/// A charset that pages may have, as browsers read its name: what could be read as far as the
/// element that says so is no UTF-16. UTF-7 is none of them.
fn known(name: &str) -> Option<String> {
    let name = name.trim_ascii().to_ascii_lowercase();
    let begins = |with: &[&str]| with.iter().any(|with| name.starts_with(with));
    if begins(&["utf-7", "utf7", "csutf7", "unicode-1-1-utf-7"]) {
        return None;
    }
    let wide = [
        "utf-16",
        "utf16",
        "csutf16",
        "ucs-2",
        "iso-10646",
        "csunicode",
        "unicode",
    ];
    if begins(&wide) || ["utf-8", "utf8"].contains(&&*name) {
        return Some("utf-8".to_owned());
    }
    if name == "x-user-defined" {
        return Some("windows-1252".to_owned());
    }
    decode::is_charset(&name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_which_letters_it_has() {
        for (page, name) in [
            ("<meta charset=koi8-r>\u{fffd}", "koi8-r"),
            ("<META CHARSET='Shift_JIS'/>", "shift_jis"),
            (
                "<meta http-equiv=Content-Type content='text/html; charset = \"gb2312\"'>",
                "gb2312",
            ),
            ("<meta charset=utf-16le>", "utf-8"),
            ("<meta charset=nonsense><meta charset=koi8-r>", "koi8-r"),
            ("<meta charset=utf-7>", ""),
            ("<!-- <meta charset=koi8-r> -->", ""),
            ("<title><meta charset=koi8-r></title>", ""),
            ("<meta name=x content='text/html; charset=koi8-r'>", ""),
        ] {
            let bytes = [page.as_bytes(), b"\xFF"].concat();
            assert_eq!(charset("", &bytes), name, "{page}");
            assert_eq!(charset("big5", &bytes), "big5", "{page}");
        }
        let far = format!("{}<meta charset=koi8-r>\u{fffd}", " ".repeat(LOOKED_AT));
        assert_eq!(charset("", &[far.as_bytes(), b"\xFF"].concat()), "");
        assert_eq!(charset("", "<meta charset=koi8-r>é".as_bytes()), "");
        assert_eq!(charset("koi8-r", b"\xEF\xBB\xBFx"), "utf-8");
    }
}
