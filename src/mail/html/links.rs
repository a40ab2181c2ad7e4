//! Where links lead, written in one way: whoever reads it sees the host that will be asked.

use url::Url;

use crate::mail::media::percent;

/// What a link may begin a message with (RFC 6068 4): no files, and nobody who is hidden.
const FIELDS: [&str; 4] = ["to", "cc", "subject", "body"];

/// An address as browsers read it, with its host in A-labels and no user before it (RFC 3986
/// 3.2.1): `https://bank.example@evil.example/` is `https://evil.example/`. `None` where it leads
/// neither to a page nor to somebody's mail.
pub(super) fn target(written: &str) -> Option<String> {
    let mut url = Url::parse(written).ok()?;
    match url.scheme() {
        "http" | "https" => {
            url.set_username("").ok()?;
            url.set_password(None).ok()?;
            Some(url.into())
        }
        "mailto" => mail(&url),
        _ => None,
    }
}

/// A message to somebody, and what it begins with.
fn mail(url: &Url) -> Option<String> {
    let to = url.path();
    if percent(to).iter().any(u8::is_ascii_control) {
        return None;
    }
    let mut fields: Vec<(&str, &str)> = Vec::new();
    for pair in url.query().unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent(name);
        let known = |field: &&&str| field.as_bytes().eq_ignore_ascii_case(&name);
        let Some(field) = FIELDS.iter().find(known) else {
            continue;
        };
        // The text alone has lines.
        let other = |byte: &u8| match byte {
            b'\t' | b'\r' | b'\n' => *field != "body",
            byte => byte.is_ascii_control(),
        };
        let again = ["subject", "body"].contains(field) && fields.iter().any(|f| f.0 == *field);
        if !again && !percent(value).iter().any(other) {
            fields.push((field, value));
        }
    }
    let fields: Vec<String> = fields
        .iter()
        .map(|(field, value)| format!("{field}={}", escaped(value)))
        .collect();
    match (to, fields.as_slice()) {
        ("", []) => None,
        (to, []) => Some(format!("mailto:{}", escaped(to))),
        (to, fields) => Some(format!("mailto:{}?{}", escaped(to), fields.join("&"))),
    }
}

/// Without what no address has in it, and which would end one among words.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => {
                out.push_str(&format!("%{:02X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn addresses_are_written_in_one_way() {
        for (written, read) in [
            (
                "https://bank.example@evil.example/",
                "https://evil.example/",
            ),
            (
                "https://bank.example:443@evil.example",
                "https://evil.example/",
            ),
            (
                "https://bank.example%2f@evil.example",
                "https://evil.example/",
            ),
            (
                "https:\\\\evil.example\\@bank.example",
                "https://evil.example/@bank.example",
            ),
            ("ht\ttps://ev\nil.example/", "https://evil.example/"),
            ("https://EVIL.example.:443/x", "https://evil.example./x"),
            ("https:evil.example", "https://evil.example/"),
            (
                "https://b\u{fc}cher.example/\u{fc}",
                "https://xn--bcher-kva.example/%C3%BC",
            ),
            (
                "https://\u{440}\u{430}ypal.example/",
                "https://xn--ypal-43d9g.example/",
            ),
            (
                "https://ba\u{200b}nk.example/\u{202e}x",
                "https://bank.example/%E2%80%AEx",
            ),
            ("https://bank\u{3002}example/", "https://bank.example/"),
            ("http://0x7f.1/", "http://127.0.0.1/"),
            ("http://x.example/a>b c\"", "http://x.example/a%3Eb%20c%22"),
            ("mailto:b@a.example", "mailto:b@a.example"),
            (
                "MAILTO:b@a.example?Subject=a%20b&attach=/etc/passwd",
                "mailto:b@a.example?subject=a%20b",
            ),
            (
                "mailto:b@a.example?%61ttach=x&bcc=c@a.example&body=a%0D%0Ab",
                "mailto:b@a.example?body=a%0D%0Ab",
            ),
            (
                "mailto:?to=b@a.example&subject=x%0D%0ABcc:c@a.example",
                "mailto:?to=b@a.example",
            ),
            (
                "mailto:b@a.example?subject=a&subject=b&cc=c@a.example",
                "mailto:b@a.example?subject=a&cc=c@a.example",
            ),
            (
                "mailto:x> <https://bank.example",
                "mailto:x%3E%20%3Chttps://bank.example",
            ),
        ] {
            assert_eq!(target(written).as_deref(), Some(read), "{written}");
        }
        for nowhere in [
            "",
            "x",
            "//x.example",
            "javascript:x",
            "data:,x",
            "ftp://x.example",
            "https://",
            "http://[",
            "https://a b.example/",
            "https://x.example:99999/",
            "mailto:",
            "mailto:b%0d%0a@a.example",
            "mailto:?attach=x",
            "file:///x",
            "blob:https://x.example/y",
        ] {
            assert_eq!(target(nowhere), None, "{nowhere}");
        }
    }
}
