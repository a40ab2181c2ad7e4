//! The ways in which a user names keys to GnuPG (its manual, "How to specify a user ID").

use crate::base::described::Described;

/// What a key has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// A fingerprint or the end of one, upper-case hex: of any of its key pairs.
    Handle(String),
    Keygrip(String),
    /// A whole user id.
    Exact(String),
    /// A whole address.
    Address(String),
    /// A part of an address.
    AddressPart(String),
    /// A part of a user id.
    Part(String),
    /// The beginning of an issuer's serial number, upper-case hex; and the issuer.
    Serial(String, Option<String>),
    Issuer(String),
}

/// The lengths in which handles are written: key ids, and fingerprints.
const HANDLES: [usize; 5] = [8, 16, 32, 40, 64];

impl Pattern {
    /// Reads what a user wrote. `None` for what names nothing.
    pub fn read(text: &str) -> Option<Pattern> {
        let text = text.trim();
        let lower = |text: &str| Some(text.to_lowercase()).filter(|text| !text.is_empty());
        let (first, rest) = text.split_at_checked(1).unwrap_or(("", ""));
        match first {
            "" => None,
            "=" => Some(rest.to_owned())
                .filter(|text| !text.is_empty())
                .map(Pattern::Exact),
            "<" => lower(rest.trim_end_matches('>')).map(Pattern::Address),
            "@" => lower(rest).map(Pattern::AddressPart),
            "*" => lower(rest).map(Pattern::Part),
            "&" => Some(Pattern::Keygrip(rest.to_ascii_uppercase())),
            "#" => match rest.split_once('/') {
                Some(("", issuer)) => lower(issuer).map(Pattern::Issuer),
                Some((serial, issuer)) => {
                    let issuer = lower(issuer);
                    Some(Pattern::Serial(serial.to_ascii_uppercase(), issuer))
                }
                None => Some(Pattern::Serial(rest.to_ascii_uppercase(), None)),
            },
            _ => handle(text)
                .or_else(|| lower(text))
                .map(|found| match handle(text) {
                    Some(handle) => Pattern::Handle(handle),
                    None => Pattern::Part(found),
                }),
        }
    }

    /// Whether a key has it.
    pub fn fits(&self, key: &Described) -> bool {
        let name = |fits: &dyn Fn(&str) -> bool| {
            let mut names = key.userids.iter();
            names.any(|name| fits(&name.uid))
        };
        let address = |fits: &dyn Fn(&str) -> bool| {
            let mut names = key.userids.iter();
            names.any(|name| name.address.as_deref().is_some_and(fits))
        };
        match self {
            Pattern::Handle(handle) => {
                let known = |known: &str| known.ends_with(handle.as_str());
                known(key.id.fingerprint())
                    || key
                        .subkeys
                        .iter()
                        .any(|key| known(&key.fingerprint) || known(&key.keyid))
            }
            Pattern::Keygrip(grip) => {
                let mut keys = key.subkeys.iter();
                keys.any(|key| key.keygrip.as_ref() == Some(grip))
            }
            Pattern::Exact(text) => name(&|uid| uid == text),
            Pattern::Address(text) => address(&|address| address == text),
            Pattern::AddressPart(text) => address(&|address| address.contains(text.as_str())),
            Pattern::Part(text) => name(&|uid| uid.to_lowercase().contains(text.as_str())),
            Pattern::Serial(serial, issuer) => key.issued.as_ref().is_some_and(|issued| {
                issued.serial.trim_start_matches('0') == serial.trim_start_matches('0')
                    && issuer
                        .as_ref()
                        .is_none_or(|name| issued.name.to_lowercase() == *name)
            }),
            Pattern::Issuer(name) => {
                let issued = key.issued.as_ref();
                issued.is_some_and(|issued| issued.name.to_lowercase() == *name)
            }
        }
    }

    /// Whether a key with these handles and addresses may have it, as far as that shows without
    /// its certificate.
    pub fn may_fit(&self, handles: &[String], addresses: &[String]) -> bool {
        match self {
            Pattern::Handle(handle) => handles.iter().any(|known| known.ends_with(handle)),
            Pattern::Address(text) => addresses.contains(text),
            _ => true,
        }
    }
}

/// Hex of a handle's length, with or without `0x`, spaces between its groups or a `!` at its end.
fn handle(text: &str) -> Option<String> {
    let bare = text.strip_suffix('!').unwrap_or(text);
    let bare = bare
        .strip_prefix("0x")
        .or_else(|| bare.strip_prefix("0X"))
        .unwrap_or(bare);
    let digits: String = bare.chars().filter(|c| *c != ' ').collect();
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Eight letters of somebody's name may be hex; four groups of them are not.
    (hex && HANDLES.contains(&digits.len())).then(|| digits.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn keys_are_named_as_gnupg_has_it() {
        let part = |text: &str| Some(Pattern::Part(text.to_owned()));
        let handle = |text: &str| Some(Pattern::Handle(text.to_owned()));
        for (text, pattern) in [
            ("", None),
            ("  ", None),
            ("Alice", part("alice")),
            ("*Alice", part("alice")),
            ("0xdeadbeef", handle("DEADBEEF")),
            ("DEADBEEF!", handle("DEADBEEF")),
            ("deadbee", part("deadbee")),
            (
                "AD20 2BC5 3263 D4EE B510  D4C3 EE29 2A12 F833 E2AC",
                handle("AD202BC53263D4EEB510D4C3EE292A12F833E2AC"),
            ),
            (
                "<A@a.example>",
                Some(Pattern::Address("a@a.example".to_owned())),
            ),
            ("a@a.example", part("a@a.example")),
            (
                "@a.example",
                Some(Pattern::AddressPart("a.example".to_owned())),
            ),
            (
                "=Alice <a@a.example>",
                Some(Pattern::Exact("Alice <a@a.example>".to_owned())),
            ),
            ("#4F03", Some(Pattern::Serial("4F03".to_owned(), None))),
        ] {
            assert_eq!(Pattern::read(text), pattern, "{text}");
        }
    }
}
