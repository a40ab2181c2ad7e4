//! What `gpg --with-colons` says of certificates, as descriptions: all that it says, in the order in
//! which it does (GnuPG's doc/DETAILS).

use super::list::{is_hex, unescape};
use crate::base::described::{Algorithm, Described, DescribedKey, DescribedName, Flags, Validity};
use crate::base::keys::{KeyId, Protocol};

/// The most key pairs or names of one certificate.
const EACH_MAX: usize = 1000;

/// Reads a listing. What has no fingerprint is left out; so is all but the first thousand key pairs
/// or names of a certificate.
pub fn described(text: &str) -> Vec<Described> {
    let mut all = Vec::new();
    let mut open: Option<Open> = None;
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let line = Line(&fields);
        match line.field(0) {
            "pub" | "sec" => {
                all.extend(open.take().and_then(Open::close));
                open = Some(Open::new(&line));
            }
            kind => {
                if let Some(open) = &mut open {
                    open.read(kind, &line);
                }
            }
        }
    }
    all.extend(open.and_then(Open::close));
    all
}

struct Line<'a>(&'a [&'a str]);

impl<'a> Line<'a> {
    fn field(&self, n: usize) -> &'a str {
        self.0.get(n).copied().unwrap_or_default()
    }

    fn number(&self, n: usize) -> u64 {
        let text = self.field(n);
        let digits = text.find(|c: char| !c.is_ascii_digit());
        let text = text.get(..digits.unwrap_or(text.len())).unwrap_or_default();
        text.parse().unwrap_or_default()
    }

    /// The letters that say what is wrong with a key.
    fn flags(&self) -> Flags {
        let letters = self.field(1);
        Flags {
            revoked: letters.contains('r'),
            expired: letters.contains('e'),
            disabled: letters.contains('d'),
            invalid: letters.contains('i'),
            ..Flags::default()
        }
    }

    fn key(&self) -> DescribedKey {
        let can = self.field(11);
        let mut flags = self.flags();
        flags.can_encrypt = can.contains('e');
        flags.can_sign = can.contains('s');
        flags.can_certify = can.contains('c');
        flags.can_authenticate = can.contains('a');
        flags.is_qualified = can.contains('q');
        let place = self.field(14);
        // "+": the agent has it; a serial number: a card; "#": nobody here has it.
        let on_card = place.starts_with(|c: char| c.is_ascii_hexdigit());
        flags.secret = on_card || place == "+";
        let curve = Some(self.field(16)).filter(|curve| !curve.is_empty());
        let number = u8::try_from(self.number(3)).unwrap_or_default();
        let length = u32::try_from(self.number(2)).unwrap_or_default();
        DescribedKey {
            flags,
            is_cardkey: on_card,
            is_de_vs: self.field(17).split(' ').any(|flag| flag == "23"),
            algorithm: Algorithm::new(number, length, curve.map(str::to_owned), "unknown"),
            keyid: self.field(4).to_owned(),
            fingerprint: String::new(),
            card_number: on_card.then(|| place.to_owned()),
            keygrip: None,
            timestamp: self.number(5),
            expires: self.number(6),
        }
    }
}

/// A certificate that is being read.
struct Open {
    flags: Flags,
    owner_trust: Validity,
    origin: u64,
    last_update: u64,
    keys: Vec<DescribedKey>,
    names: Vec<DescribedName>,
}

impl Open {
    fn new(line: &Line<'_>) -> Open {
        let key = line.key();
        let can = line.field(11);
        let flags = Flags {
            disabled: key.flags.disabled || can.contains('D'),
            can_encrypt: can.contains(['e', 'E']),
            can_sign: can.contains(['s', 'S']),
            can_certify: can.contains(['c', 'C']),
            can_authenticate: can.contains(['a', 'A']),
            secret: key.flags.secret,
            ..key.flags
        };
        Open {
            flags,
            owner_trust: line
                .field(8)
                .chars()
                .map(Validity::of)
                .last()
                .unwrap_or_default(),
            origin: line.number(19),
            last_update: line.number(18),
            keys: vec![key],
            names: Vec::new(),
        }
    }

    fn read(&mut self, kind: &str, line: &Line<'_>) {
        match kind {
            "sub" | "ssb" if self.keys.len() < EACH_MAX => {
                let key = line.key();
                self.flags.secret |= key.flags.secret;
                self.keys.push(key);
            }
            "fpr" if is_hex(line.field(9), &[40, 64]) => {
                if let Some(key) = self
                    .keys
                    .last_mut()
                    .filter(|key| key.fingerprint.is_empty())
                {
                    line.field(9).clone_into(&mut key.fingerprint);
                }
            }
            "grp" if is_hex(line.field(9), &[40]) => {
                if let Some(key) = self.keys.last_mut() {
                    key.keygrip = Some(line.field(9).to_owned());
                }
            }
            "uid" if self.names.len() < EACH_MAX => {
                let mut name = DescribedName::openpgp(&unescape(line.field(9)));
                let letters = line.field(1);
                name.revoked = letters.contains('r');
                name.invalid = letters.contains('i');
                let found = letters.chars().map(Validity::of);
                // A name that nothing was said of is not known to be undefined.
                name.validity = found
                    .filter(|validity| *validity != Validity::Undefined)
                    .last()
                    .unwrap_or_default();
                name.origin = line.number(19);
                name.last_update = line.number(18);
                self.names.push(name);
            }
            _ => {}
        }
    }

    fn close(self) -> Option<Described> {
        let fingerprint = self.keys.first()?.fingerprint.clone();
        Some(Described {
            id: KeyId::from_hex(Protocol::OpenPgp, &fingerprint)?,
            flags: self.flags,
            protocol: Protocol::OpenPgp,
            issued: None,
            fingerprint,
            owner_trust: match self.owner_trust {
                Validity::Undefined => Validity::Unknown,
                trust => trust,
            },
            origin: self.origin,
            last_update: self.last_update,
            subkeys: self.keys,
            userids: self.names,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::described;
    use crate::base::described::Validity;

    const LISTING: &str = "\
tru::1:1795630966:1827166966:3:1:5
pub:u:3072:1:EE292A12F833E2AC:1795630965:1895630965::u:::scESC:::+:::23::0:
fpr:::::::::AD202BC53263D4EEB510D4C3EE292A12F833E2AC:
grp:::::::::429A1BD1CCBF89DA02A55D3CAD0F05E3968EDE74:
uid:u::::1795630965::5ED2::A\\x3a (c) <alice@a.example>::::::::::0:
uid:r::::1795630965::5ED2::Old <old@a.example>::::::::::0:
sub:u:255:18:602CEB49C43AD3B9:1795630965::::::e:::D2760001240100000006::cv25519::
fpr:::::::::93EB2C9F4549E660A478E4A5602CEB49C43AD3B9:
pub:e:1024:17:4199193F2BBDC775:1795630966:1827166966::-:::sc:::::::1700000000:1:
fpr:::::::::30D9A0035FF684B4B85E92F34199193F2BBDC775:
uid:e::::1795630966::D6E0::Bob <bob@a.example>::::::::::0:
pub:-:1024:17:nothing
";

    #[test]
    fn a_listing_says_all_that_gpgme_says() {
        let all = described(LISTING);
        let [alice, bob] = all.as_slice() else {
            panic!("two: {}", all.len());
        };
        assert!(alice.flags.can_encrypt && alice.flags.secret && !alice.flags.revoked);
        assert!(!alice.subkeys[0].flags.can_encrypt && alice.subkeys[0].is_de_vs);
        assert_eq!(alice.owner_trust, Validity::Ultimate);
        assert_eq!(alice.subkeys[0].algorithm.string, "rsa3072");
        assert_eq!(alice.subkeys[1].algorithm.string, "cv25519");
        assert_eq!(alice.subkeys[1].algorithm.name, Some("ECDH"));
        assert!(alice.subkeys[1].is_cardkey && alice.subkeys[1].flags.secret);
        assert_eq!(alice.userids[0].uid, "A: (c) <alice@a.example>");
        assert_eq!(alice.userids[0].validity, Validity::Ultimate);
        assert!(alice.userids[1].revoked);
        assert!(bob.flags.expired && bob.flags.can_sign && !bob.flags.can_encrypt);
        assert_eq!(bob.subkeys[0].algorithm.string, "dsa1024");
        assert_eq!((bob.last_update, bob.origin), (1_700_000_000, 1));
        assert_eq!(bob.owner_trust, Validity::Unknown);
    }
}
