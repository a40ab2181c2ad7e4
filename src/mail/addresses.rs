//! Address lists (RFC 5322 3.4, RFC 6532): who a field names, and how much of it names nobody.
//!
//! A reader of its own: who signed is compared with what it finds, so it has to be one grammar,
//! in linear time, without guesses. What is not an address is counted, never mended.

use super::words;
use crate::base::{Address, Mailbox, address};

/// What an address field says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The valid mailboxes in order, those of groups among them.
    pub mailboxes: Vec<Mailbox>,
    /// How many entries are there that name no valid address.
    pub invalid: usize,
    /// How many groups.
    pub groups: usize,
    /// How many have an address outside quotation marks where the name should stand, which
    /// some readers take for the one that is meant.
    pub ambiguous: usize,
}

/// Reads an unfolded value.
pub fn parse(value: &str) -> Addresses {
    let mut found = Addresses::default();
    let mut entry = Entry::default();
    let mut chars = value.char_indices().peekable();
    let mut in_group = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let mut quoted = String::new();
                while let Some((_, c)) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => quoted.extend(chars.next().map(|(_, c)| c)),
                        c => quoted.push(c),
                    }
                }
                entry.quoted(&quoted);
            }
            '(' => {
                let mut depth = 1usize;
                let mut comment = String::new();
                for (_, c) in chars.by_ref() {
                    match c {
                        '(' => depth += 1,
                        ')' => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                    comment.push(c);
                }
                entry.comment(&comment);
            }
            '<' => {
                let tail = value.get(at + 1..).unwrap_or_default();
                let length = angle(tail);
                entry.angle(tail.get(..length).unwrap_or_default());
                while chars.next_if(|(i, _)| *i <= at + length).is_some() {}
                if chars.next_if(|(_, c)| *c == '>').is_none() {
                    entry.broken = true;
                }
            }
            ',' => entry.finish(&mut found),
            ':' if !in_group && entry.spec.is_none() => {
                entry = Entry::default();
                found.groups += 1;
                in_group = true;
            }
            ';' => {
                entry.finish(&mut found);
                in_group = false;
            }
            c => entry.push(c),
        }
    }
    entry.finish(&mut found);
    found
}

/// The length of what stands in angle brackets, quoted strings skipped.
fn angle(text: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' | '<' | ',' if !quoted => return i,
            _ => {}
        }
    }
    text.len()
}

/// One entry of the list as far as it was read.
#[derive(Default)]
struct Entry {
    /// Words outside angle brackets: a display name, or an address without brackets.
    words: String,
    /// The words hold a quoted string, which alone may hold what an address can't.
    quoted: Option<String>,
    /// They hold one that does not begin them.
    glued: bool,
    comment: Option<String>,
    spec: Option<String>,
    broken: bool,
    any: bool,
    /// An `@` stands in the words, outside quotation marks.
    bare_at: bool,
}

impl Entry {
    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            if !self.words.is_empty() && !self.words.ends_with(' ') {
                self.words.push(' ');
            }
            return;
        }
        self.any = true;
        if self.spec.is_some() {
            // Text behind the brackets: two readers may differ on whom it names.
            self.broken = true;
        }
        self.bare_at |= c == '@';
        self.words.push(c);
    }

    fn quoted(&mut self, text: &str) {
        self.any = true;
        if self.spec.is_some() {
            self.broken = true;
        }
        match self.words.is_empty() && self.quoted.is_none() {
            true => self.quoted = Some(text.to_owned()),
            false => self.glued = true,
        }
        self.words.push_str(text);
    }

    fn comment(&mut self, text: &str) {
        if self.comment.is_none() {
            self.comment = Some(text.to_owned());
        }
    }

    fn angle(&mut self, text: &str) {
        self.any = true;
        if self.spec.is_some() {
            self.broken = true;
        }
        // An obsolete route, `@a,@b:user@c`, is not followed: the entry counts as invalid.
        self.spec = Some(text.trim().to_owned());
    }

    fn finish(&mut self, found: &mut Addresses) {
        let entry = std::mem::take(self);
        if !entry.any {
            return;
        }
        let mailbox = if entry.broken {
            None
        } else if let Some(spec) = &entry.spec {
            Address::parse(spec).map(|address| Mailbox {
                name: name(&entry.words),
                address,
            })
        } else {
            // `"a b"@example.org` keeps its quotes; `a@example.org (A. B.)` has a comment.
            let spec = match &entry.quoted {
                // Quotes within an address, which some readers leave out.
                _ if entry.glued => None,
                Some(local) => entry
                    .words
                    .strip_prefix(local.as_str())
                    .map(|domain| format!("{}{domain}", address::quoted(local))),
                None => Some(entry.words.trim_end().to_owned()),
            };
            spec.and_then(|spec| Address::parse(&spec))
                .map(|address| Mailbox {
                    name: entry.comment.as_deref().and_then(name),
                    address,
                })
        };
        match mailbox {
            Some(mailbox) => {
                let twice = entry.spec.is_some() && entry.bare_at;
                if twice && Address::parse(entry.words.trim()).as_ref() != Some(&mailbox.address) {
                    found.ambiguous += 1;
                }
                found.mailboxes.push(mailbox);
            }
            None => found.invalid += 1,
        }
    }
}

/// A display name for people; `None` when nothing of it is left.
fn name(words: &str) -> Option<String> {
    let text = words::decode(words.trim());
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn one(value: &str) -> (Option<String>, String) {
        let found = parse(value);
        assert_eq!((found.mailboxes.len(), found.invalid), (1, 0), "{value:?}");
        let mailbox = found.mailboxes.into_iter().next().unwrap();
        (mailbox.name, mailbox.address.as_str().to_owned())
    }

    #[test]
    fn forms_of_one_mailbox() {
        for (value, name, address) in [
            ("a@b.example", None, "a@b.example"),
            ("<a@b.example>", None, "a@b.example"),
            ("A B <a@b.example>", Some("A B"), "a@b.example"),
            ("\"B, A\" <a@b.example>", Some("B, A"), "a@b.example"),
            ("\"a\\\"b\" <a@b.example>", Some("a\"b"), "a@b.example"),
            ("a@b.example (A B)", Some("A B"), "a@b.example"),
            ("(hi) a@b.example", Some("hi"), "a@b.example"),
            (
                "=?utf-8?q?J=C3=BCrgen?= <j@b.example>",
                Some("Jürgen"),
                "j@b.example",
            ),
            ("\"x y\"@b.example", None, "\"x y\"@b.example"),
            ("\"x\"@b.example", None, "x@b.example"),
            ("X <\"\\x\"@b.example>", Some("X"), "x@b.example"),
            ("\"x\\\"y\"@b.example", None, "\"x\\\"y\"@b.example"),
            (
                "\"e@evil.example\" <a@b.example>",
                Some("e@evil.example"),
                "a@b.example",
            ),
            ("jürgen@bücher.example", None, "jürgen@bücher.example"),
        ] {
            assert_eq!(one(value), (name.map(str::to_owned), address.to_owned()));
        }
    }

    #[test]
    fn what_names_nobody_is_counted() {
        for (value, valid, invalid, groups) in [
            ("", 0, 0, 0),
            (" , ,", 0, 0, 0),
            ("nobody", 0, 1, 0),
            ("<a@b.example> c@d.example", 0, 1, 0),
            ("<a@b.example> <c@d.example>", 0, 1, 0),
            ("a@b.example <c@d.example>", 1, 0, 0),
            ("a@b.example c@d.example", 0, 1, 0),
            ("<a@b.example", 0, 1, 0),
            ("a@b.example, c@d.example", 2, 0, 0),
            ("undisclosed-recipients:;", 0, 0, 1),
            ("g: a@b.example, X <c@d.example>; e@f.example", 3, 0, 1),
            ("g: a@b.example; h: c@d.example;", 2, 0, 2),
            ("\"open", 0, 1, 0),
            ("x\"y\"@b.example", 0, 1, 0),
            ("x@\"b.example\"", 0, 1, 0),
            ("\"x\"\"y\"@b.example", 0, 1, 0),
            ("<@r.example:a@b.example>", 0, 1, 0),
        ] {
            let found = parse(value);
            assert_eq!(
                (found.mailboxes.len(), found.invalid, found.groups),
                (valid, invalid, groups),
                "{value:?}"
            );
        }
    }

    #[test]
    fn two_addresses_for_one_are_counted() {
        for (value, ambiguous) in [
            ("a@b.example <c@d.example>", 1),
            ("A (a@b.example) <c@d.example>", 0),
            ("\"a@b.example\" <c@d.example>", 0),
            ("C@d.example <c@d.example>", 0),
            ("Alice a@b.example <c@d.example>", 1),
            ("c@d.example", 0),
        ] {
            assert_eq!(parse(value).ambiguous, ambiguous, "{value:?}");
        }
    }

    #[test]
    fn hundred_thousand_nested_comments_are_one_comment() {
        let value = format!("{}{} a@b.example", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(parse(&value).mailboxes.len(), 1);
    }
}
