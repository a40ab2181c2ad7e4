//! Addresses that can't be wrong once built, and how two of them compare.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

/// The longest addr-spec accepted, in bytes: RFC 5321's 254 with room for UTF-8 (RFC 6532).
pub const ADDRESS_MAX: usize = 512;

/// An addr-spec (RFC 5322 3.4.1, RFC 6532): one local part, one domain, nothing around them.
///
/// Keeps the spelling it came with, but for quoting that isn't needed, which is no part of an
/// address (RFC 5322 3.4.1, RFC 5321 4.1.2). Compares and hashes by [`Address::key`]: the domain
/// as lower-case A-labels, the local part ASCII case-insensitively (RFC 9788 4.4.5).
#[derive(Clone)]
pub struct Address {
    spelled: String,
    key: String,
}

impl Address {
    /// Reads an addr-spec. `None` when there is anything else: a display name, white space,
    /// control or bidirectional characters, two addresses, no domain.
    pub fn parse(text: &str) -> Option<Address> {
        if text.len() > ADDRESS_MAX {
            return None;
        }
        let (local, spelled_domain) = text.rsplit_once('@')?;
        let local = local_part(local)?;
        let domain = spelled_domain;
        let domain = if domain.starts_with('[') {
            let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
            let literal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-');
            if inner.is_empty() || !inner.chars().all(literal) {
                return None;
            }
            domain.to_ascii_lowercase()
        } else {
            let ascii = idna::domain_to_ascii(domain.strip_suffix('.').unwrap_or(domain)).ok()?;
            let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if ascii.is_empty() || ascii.ends_with('.') || !ascii.chars().all(host) {
                return None;
            }
            ascii
        };
        Some(Address {
            spelled: format!("{local}@{spelled_domain}"),
            key: format!("{}@{}", local.to_ascii_lowercase(), domain),
        })
    }

    /// As it was written, without quoting that isn't needed.
    pub fn as_str(&self) -> &str {
        &self.spelled
    }

    /// The form in which equal addresses are equal strings; what the store's index holds.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What stands before the domain, as [`Address::as_str`] has it.
    pub fn local(&self) -> &str {
        self.spelled.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// What stands before the domain, without the quoting that it needs.
    pub fn unquoted_local(&self) -> Cow<'_, str> {
        let local = self.local();
        match inside(local) {
            Some(inside) => unescaped(inside).map_or(Cow::Borrowed(local), Cow::Owned),
            None => Cow::Borrowed(local),
        }
    }

    /// The domain in the letters that it was written in, capitals too; without what shows nothing.
    pub fn written_domain(&self) -> String {
        let (_, domain) = self.spelled.rsplit_once('@').unwrap_or_default();
        let letter = |c: char| match c {
            // For IDNA these are dots (UTS 46, 4).
            '\u{3002}' | '\u{FF0E}' | '\u{FF61}' => '.',
            c => c,
        };
        let seen = domain.chars().filter(|c| !hidden(*c)).map(letter);
        seen.collect::<String>().trim_end_matches('.').to_owned()
    }

    /// The domain as people read it, in U-labels.
    pub fn shown_domain(&self) -> String {
        idna::domain_to_unicode(self.domain()).0
    }

    /// The domain as lower-case A-labels.
    pub fn domain(&self) -> &str {
        self.key.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// A dot-atom, or a quoted string where its content can't do without the quotes, with as few
/// escapes as can be. With UTF-8, without anything that hides or reorders text. `None`: it is
/// neither, like the words with dots between them that RFC 5322 calls obsolete.
fn local_part(local: &str) -> Option<Cow<'_, str>> {
    let Some(inside) = inside(local) else {
        return is_bare(local).then_some(Cow::Borrowed(local));
    };
    let content = unescaped(inside)?;
    if is_bare(&content) {
        return Some(Cow::Owned(content));
    }
    let shown = |c: char| c == ' ' || is_shown(c);
    let quotable = !content.is_empty() && content.chars().all(shown);
    quotable.then(|| Cow::Owned(quoted(&content)))
}

/// What stands between quotation marks.
fn inside(local: &str) -> Option<&str> {
    local.strip_prefix('"')?.strip_suffix('"')
}

/// What a quoted string means (RFC 5322 3.2.4). `None` when it ends before its end.
fn unescaped(inside: &str) -> Option<String> {
    let mut content = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        content.push(match c {
            '"' => return None,
            '\\' => chars.next()?,
            c => c,
        });
    }
    Some(content)
}

/// A text as a quoted string.
pub fn quoted(content: &str) -> String {
    let mut quoted = String::with_capacity(content.len() + 2);
    quoted.push('"');
    for c in content.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// What needs no quotes.
fn is_bare(local: &str) -> bool {
    let special = |c: char| {
        matches!(
            c,
            '<' | '>' | '(' | ')' | ',' | ';' | ':' | '"' | '[' | ']' | '\\' | '@'
        )
    };
    !local.is_empty() && local.chars().all(|c| is_shown(c) && !special(c))
}

/// What people see, and see as what it is.
fn is_shown(c: char) -> bool {
    !c.is_control()
        && !hidden(c)
        && !c.is_whitespace()
        // What was no UTF-8, and what some readers take for the sign before the domain.
        && !matches!(c, '\u{FFFD}' | '\u{FF20}' | '\u{FE6B}')
}

/// Characters that show nothing or turn the direction of what follows.
pub fn hidden(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

impl PartialEq for Address {
    fn eq(&self, other: &Address) -> bool {
        self.key == other.key
    }
}

impl Eq for Address {}

impl std::hash::Hash for Address {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Address) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Address) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.spelled)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        let text = String::deserialize(deserializer)?;
        Address::parse(&text).ok_or_else(|| de::Error::custom("an e-mail address expected"))
    }
}

/// One person in an address header field: perhaps a display name, always an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mailbox {
    pub name: Option<String>,
    pub address: Address,
}

impl Mailbox {
    /// Reads `address` or `Name <address>`, as a person or a page writes it. Not a parser of
    /// header fields: no comments, no groups, no encoded words.
    pub fn parse(text: &str) -> Option<Mailbox> {
        let text = text.trim();
        let Some(inner) = text.strip_suffix('>') else {
            return Some(Mailbox {
                name: None,
                address: Address::parse(text)?,
            });
        };
        let (name, address) = inner.rsplit_once('<')?;
        let name = name.trim().trim_matches('"').trim();
        if name.chars().any(char::is_control) {
            return None;
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        Some(Mailbox {
            name,
            address: Address::parse(address)?,
        })
    }
}

impl<'de> Deserialize<'de> for Mailbox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mailbox, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Plain(String),
            Named(Named),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Named {
            #[serde(default)]
            name: Option<String>,
            address: Address,
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Plain(text) => Mailbox::parse(&text)
                .ok_or_else(|| de::Error::custom("an e-mail address expected"))?,
            Form::Named(Named { name, address }) => Mailbox { name, address },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn spelling_does_not_divide_one_address() {
        let one = Address::parse("Alice@Bücher.example").expect("an address");
        let two = Address::parse("alice@xn--bcher-kva.EXAMPLE").expect("an address");
        assert_eq!(one, two);
        assert_eq!(one.as_str(), "Alice@Bücher.example");
        assert_eq!(one.domain(), "xn--bcher-kva.example");
    }

    #[test]
    fn quoting_that_is_not_needed_is_no_part_of_an_address() {
        let bob = Address::parse("bob@x.example").expect("an address");
        for text in [
            "\"bob\"@x.example",
            "\"\\b\\o\\b\"@X.example",
            "\"BOB\"@x.example",
        ] {
            let quoted = Address::parse(text).expect(text);
            assert_eq!((&quoted, quoted.key()), (&bob, "bob@x.example"), "{text}");
            assert_eq!(quoted.local().to_lowercase(), "bob");
        }
        for (text, spelled, local) in [
            ("\"a b\"@x.example", "\"a b\"@x.example", "a b"),
            ("\"a\\ b\"@x.example", "\"a b\"@x.example", "a b"),
            ("\"a\\\"b\"@x.example", "\"a\\\"b\"@x.example", "a\"b"),
            ("\"a\\\\\"@x.example", "\"a\\\\\"@x.example", "a\\"),
            ("\"a@b\"@x.example", "\"a@b\"@x.example", "a@b"),
            ("\"ü.ü\"@x.example", "ü.ü@x.example", "ü.ü"),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.as_str(), spelled);
            assert_eq!(address.unquoted_local(), local);
            assert_eq!(Address::parse(spelled), Some(address));
        }
        let other = Address::parse("\"bob \"@x.example").expect("an address");
        assert_ne!(other, bob);
    }

    #[test]
    fn what_is_not_one_address_is_none() {
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c.example",
            "<a@b.example>",
            "a@b.example,c@d.example",
            "a@b.example\r\nBcc: c@d.example",
            "a\u{202E}@b.example",
            "a\u{200B}@b.example",
            "a@b@c.example",
            "a\u{FF20}b.example@c.example",
            "a\u{FFFD}@b.example",
            "a\0@b.example",
            "a@b.example..",
            "A <a@b.example>",
            "a@b .example",
            "\"@x.example",
            "\"\"@x.example",
            "\"a\"b\"@x.example",
            "\"a\".\"b\"@x.example",
            "a.\"b\"@x.example",
            "\"a\\\"@x.example",
            "\"a\tb\"@x.example",
            "\"a\\\rb\"@x.example",
            "\"a\u{200B}b\"@x.example",
            "\"a\\\u{FF20}b\"@x.example",
            "a@[]",
            "a@[1 2]",
        ] {
            assert!(Address::parse(text).is_none(), "{text:?}");
        }
    }
}
