//! What `gpg --with-colons` says of a keyring (GnuPG's doc/DETAILS).

use crate::base::gnupg::{Grip, Listed};

/// The most certificates: ten times what a large keyring has.
const CERTS_MAX: usize = 100_000;

/// The most user ids and key pairs of one certificate. Nobody has as many.
const EACH_MAX: usize = 1000;

/// Reads a listing. What can't be read is left out.
#[cfg_attr(not(unix), allow(dead_code))]
pub(super) fn read(text: &str) -> Vec<Listed> {
    let mut all: Vec<Listed> = Vec::new();
    let mut part = Part::Other;
    let mut handle = String::new();
    // Whether the lines are about the last one of all.
    let mut open = false;
    for line in text.lines() {
        let field = |n: usize| line.split(':').nth(n).unwrap_or_default();
        match field(0) {
            kind @ ("pub" | "sec" | "sub" | "ssb") => {
                let primary = matches!(kind, "pub" | "sec");
                // "+": the agent has it; a serial number: a card; "#": nobody here has it.
                let there = matches!(kind, "sec" | "ssb") && !matches!(field(14), "#" | "");
                part = match (primary, usable(field(1))) {
                    (true, true) => Part::Primary { there },
                    (true, false) => Part::Unusable,
                    (false, _) if part == Part::Unusable => Part::Unusable,
                    (false, usable) => Part::Subkey {
                        there: there && usable,
                    },
                };
                open &= !primary;
                handle.clear();
            }
            // Without one, what belongs to it belongs to nobody.
            "fpr" if part != Part::Unusable && is_hex(field(9), &[40, 64]) => {
                field(9).clone_into(&mut handle);
                if let Part::Primary { .. } = part
                    && !open
                    && all.len() < CERTS_MAX
                {
                    open = true;
                    all.push(Listed {
                        fingerprint: handle.clone(),
                        valid: Vec::new(),
                        secrets: Vec::new(),
                    });
                }
            }
            "grp" if open && is_hex(field(9), &[40]) => {
                let (Part::Primary { there } | Part::Subkey { there }) = part else {
                    continue;
                };
                if let (true, Some(last)) = (there && !handle.is_empty(), all.last_mut())
                    && last.secrets.len() < EACH_MAX
                    && last.secrets.iter().all(|grip| grip.subkey != handle)
                {
                    last.secrets.push(Grip {
                        subkey: handle.clone(),
                        keygrip: field(9).to_owned(),
                    });
                }
            }
            "uid" if open && part != Part::Unusable => {
                if let (true, Some(last)) = (matches!(field(1), "f" | "u"), all.last_mut())
                    && last.valid.len() < EACH_MAX
                {
                    last.valid.push(unescape(field(9)));
                }
            }
            _ => {}
        }
    }
    all
}

/// Whether this is upper-case hex of one of these lengths.
pub(super) fn is_hex(text: &str, lengths: &[usize]) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    lengths.contains(&text.len()) && text.bytes().all(digit)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Primary {
        there: bool,
    },
    Subkey {
        there: bool,
    },
    /// Of a certificate that is of no use.
    Unusable,
    Other,
}

/// By GnuPG's word for a key's validity: not one that it calls invalid. Expired and revoked
/// ones still decrypt.
fn usable(validity: &str) -> bool {
    !validity.starts_with('i')
}

/// Undoes `\x3a` and the like.
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        let (before, after) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.get(2..4).unwrap_or_default();
        match u8::from_str_radix(digits, 16) {
            Ok(byte) => {
                bytes.push(byte);
                rest = after.get(4..).unwrap_or_default();
            }
            Err(_) => {
                bytes.extend_from_slice(b"\\x");
                rest = after.get(2..).unwrap_or_default();
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "\
sec:u:255:22:1A0A1CF9CC2A7B28:1795571979:::u:::scESC:::+::ed25519:::0:
fpr:::::::::6297400FE02BFB16A4324EF11A0A1CF9CC2A7B28:
grp:::::::::83B9757A404B94F725B1547890DDED29916894EB:
uid:u::::1795571979::0D88::A\\x3a B <a@x.example>::::::::::0:
uid:r::::1795571979::0D88::Old <old@x.example>::::::::::0:
ssb:u:255:18:B10E90B8AF2E1289:1795571979::::::e:::D2760001240100000006::cv25519::
fpr:::::::::721A67C93131374E18B944F3B10E90B8AF2E1289:
grp:::::::::80CB781E4B7E3A684A0E9A26E29A8CB2428634B5:
ssb:u:255:22:B10E90B8AF2E1280:1795571979::::::s:::#::ed25519::
fpr:::::::::721A67C93131374E18B944F3B10E90B8AF2E1280:
grp:::::::::80CB781E4B7E3A684A0E9A26E29A8CB2428634B0:
sec:i:255:22:1A0A1CF9CC2A7B29:1795571979:::u:::scESC:::+::ed25519:::0:
fpr:::::::::6297400FE02BFB16A4324EF11A0A1CF9CC2A7B29:
grp:::::::::83B9757A404B94F725B1547890DDED29916894E0:
";

    #[test]
    fn own_keys_have_the_grips_that_the_agent_has() {
        let all = read(OWN);
        assert_eq!(all.len(), 1);
        assert_eq!(
            all[0].fingerprint,
            "6297400FE02BFB16A4324EF11A0A1CF9CC2A7B28"
        );
        assert_eq!(all[0].valid, ["A: B <a@x.example>"]);
        let grips: Vec<_> = all[0].secrets.iter().map(|g| g.keygrip.as_str()).collect();
        assert_eq!(
            grips,
            [
                "83B9757A404B94F725B1547890DDED29916894EB",
                "80CB781E4B7E3A684A0E9A26E29A8CB2428634B5",
            ]
        );
    }

    #[test]
    fn anything_can_be_read() {
        assert!(read("").is_empty());
        assert!(read("pub:::\nfpr\nuid:f\ngrp").is_empty());
        // What has no name of its own is not the one's before it.
        let others = "sec:u::::::::::::+:\nfpr:::::::::--delete:\ngrp:::::::::83B9757A404B94F725B1547890DDED29916894EA:\nuid:u::::::::x:\n";
        let all = read(&format!("{OWN}{others}"));
        assert_eq!(all, read(OWN));
        let grip = "sec:u::::::::::::+:\nfpr:::::::::6297400FE02BFB16A4324EF11A0A1CF9CC2A7B28:\ngrp:::::::::RESET:\n";
        assert!(read(grip)[0].secrets.is_empty());
        assert_eq!(read(&OWN.repeat(2)).len(), 2);
        assert_eq!(unescape("a\\x3ab\\xzz\\x"), "a:b\\xzz\\x");
    }
}
