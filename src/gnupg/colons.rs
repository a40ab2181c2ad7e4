//! What `gpg --with-colons` and `gpgsm` say of certificates, as descriptions: all that it says, in the order in
//! which it does (GnuPG's doc/DETAILS).

use super::list::{is_hex, unescape};
use crate::base::context::parse_rfc3339;
use crate::base::described::{
    Algorithm, Described, DescribedKey, DescribedName, Flags, Issued, Validity,
};
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
            "pub" | "sec" | "crt" | "crs" => {
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

    /// An instant in Unix seconds: a number, or the digits of a date and a time.
    fn instant(&self, n: usize) -> u64 {
        match self.field(n).contains('T') {
            true => parse_rfc3339(&spelled(self.field(n)).unwrap_or_default()).unwrap_or_default(),
            false => self.number(n),
        }
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
        // Ours alone: GnuPG has no word for what it does not know.
        let word = Some(self.field(20)).filter(|word| !word.is_empty());
        let word = word.unwrap_or("unknown");
        DescribedKey {
            flags,
            is_cardkey: on_card,
            is_de_vs: self.field(17).split(' ').any(|flag| flag == "23"),
            algorithm: Algorithm::new(number, length, curve.map(str::to_owned), word),
            keyid: self.field(4).to_owned(),
            fingerprint: String::new(),
            card_number: on_card.then(|| place.to_owned()),
            keygrip: None,
            timestamp: self.instant(5),
            expires: self.instant(6),
        }
    }
}

/// A date and time as RFC 3339 has it, of its digits alone.
fn spelled(text: &str) -> Option<String> {
    let (date, time) = text.split_once('T')?;
    let (year, date) = date.split_at_checked(4)?;
    let (month, day) = date.split_at_checked(2)?;
    let (hour, time) = time.split_at_checked(2)?;
    let (minute, second) = time.split_at_checked(2)?;
    Some(format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// A certificate that is being read.
struct Open {
    /// Of an authority's making (S/MIME), by whom.
    issued: Option<Issued>,
    /// The SHA-256 of such a one.
    digest: String,
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
        let issued = matches!(line.field(0), "crt" | "crs").then(|| Issued {
            serial: line.field(7).to_owned(),
            name: unescape(line.field(9)),
            chain_id: None,
        });
        Open {
            issued,
            digest: String::new(),
            flags,
            owner_trust: line
                .field(8)
                .chars()
                .map(Validity::of)
                .next_back()
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
                let chain = Some(line.field(12)).filter(|chain| is_hex(chain, &[40]));
                if let (Some(issued), Some(chain)) = (&mut self.issued, chain) {
                    issued.chain_id.get_or_insert_with(|| chain.to_owned());
                }
            }
            "fp2" if is_hex(line.field(9), &[64]) => line.field(9).clone_into(&mut self.digest),
            "grp" if is_hex(line.field(9), &[40]) => {
                if let Some(key) = self.keys.last_mut() {
                    key.keygrip = Some(line.field(9).to_owned());
                }
            }
            "uid" if self.names.len() < EACH_MAX => {
                let text = unescape(line.field(9));
                let mut name = match self.issued {
                    None => DescribedName::openpgp(&text),
                    Some(_) => DescribedName::smime(&text),
                };
                let letters = line.field(1);
                name.revoked = letters.contains('r');
                name.invalid = letters.contains('i');
                let mut found = letters.chars().map(Validity::of);
                // A name that nothing was said of is not known to be undefined.
                name.validity = found
                    .rfind(|validity| *validity != Validity::Undefined)
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
        let (protocol, named) = match self.issued {
            None => (Protocol::OpenPgp, &fingerprint),
            Some(_) => (Protocol::Smime, &self.digest),
        };
        Some(Described {
            id: KeyId::from_hex(protocol, named)?,
            flags: self.flags,
            protocol,
            issued: self.issued,
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

/// A description of an OpenPGP certificate as [`described`] reads it again. What GnuPG's form has
/// no place for is nobody's: secret halves, cards and trust are not written.
pub fn written(key: &Described) -> String {
    let mut text = String::new();
    for (at, subkey) in key.subkeys.iter().enumerate() {
        let (kind, whole) = match at {
            0 => ("pub", letters(key.flags).to_ascii_uppercase()),
            _ => ("sub", String::new()),
        };
        let state = match at {
            0 => state(key.flags),
            _ => state(subkey.flags),
        };
        let algorithm = &subkey.algorithm;
        text.push_str(&format!(
            "{kind}:{state}:{}:{}:{}:{}:{}:::::{}{whole}:::::{}::::{}:\n",
            algorithm.length,
            algorithm.openpgp(),
            subkey.keyid,
            subkey.timestamp,
            subkey.expires,
            letters(subkey.flags),
            algorithm.curve.as_deref().unwrap_or_default(),
            algorithm.string,
        ));
        text.push_str(&format!("fpr:::::::::{}:\n", subkey.fingerprint));
    }
    for name in &key.userids {
        let state = match (name.revoked, name.invalid) {
            (true, _) => "r",
            (false, true) => "i",
            (false, false) => "",
        };
        text.push_str(&format!("uid:{state}::::::::{}:\n", escape(&name.uid)));
    }
    text
}

fn letters(flags: Flags) -> String {
    let can = [
        (flags.can_encrypt, 'e'),
        (flags.can_sign, 's'),
        (flags.can_certify, 'c'),
        (flags.can_authenticate, 'a'),
    ];
    let can = can.iter().filter(|(can, _)| *can);
    can.map(|(_, letter)| *letter).collect()
}

fn state(flags: Flags) -> String {
    let said = [
        (flags.revoked, 'r'),
        (flags.expired, 'e'),
        (flags.invalid, 'i'),
    ];
    let said = said.iter().filter(|(said, _)| *said);
    said.map(|(_, letter)| *letter).collect()
}

/// What would end a field, or a line, stands in hex.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ':' | '\\' | '\n' | '\r' | '\0' => {
                escaped.push_str(&format!("\\x{:02x}", u32::from(c)))
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{described, written};
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
    fn what_is_written_is_read_again() {
        for key in described(LISTING) {
            let text = written(&key);
            let again = described(&text);
            assert_eq!(written(&again[0]), text);
            assert_eq!(again[0].userids[0].uid, key.userids[0].uid);
            assert_eq!(again[0].subkeys[0].algorithm, key.subkeys[0].algorithm);
            assert_eq!(again[0].flags.can_encrypt, key.flags.can_encrypt);
            assert_eq!(again[0].flags.expired, key.flags.expired);
        }
        let mut key = described(LISTING).remove(0);
        key.userids[0].uid = "a:b\\c\nd\\x3a".to_owned();
        let again = described(&written(&key));
        assert_eq!(again[0].userids[0].uid, key.userids[0].uid);
    }

    const SMIME: &str = "\
/home/x/pubring.kbx
-------------------
crt:n:2048:1:9440E659B919A1D0:20260101T000000:20491231T000000:5E26FE62582468030B574C00C3DE30EA6036C46A::CN=Alice::esES::::::23:
fpr:::::::::2B88E2051739F387773E39229440E659B919A1D0:::2B88E2051739F387773E39229440E659B919A1D0:
fp2:::::::::02BDAB7ED3B3BE7172DEFA77DDE50E5AFE6DEE60D17D024926DC49297E3E40D8::::
grp:::::::::9DD5AB504C6A698BC4008C7716A53AEB9408E6E0:
uid:n::::::::CN=Alice::
uid:n::::::::<alice@vectors.example>::
";

    #[test]
    fn certificates_of_smime_are_named_by_their_bytes() {
        let all = described(SMIME);
        let alice = &all[0];
        assert_eq!(
            alice.id.to_string(),
            "smime:02BDAB7ED3B3BE7172DEFA77DDE50E5AFE6DEE60D17D024926DC49297E3E40D8"
        );
        assert_eq!(
            alice.fingerprint,
            "2B88E2051739F387773E39229440E659B919A1D0"
        );
        let issued = alice.issued.clone().unwrap();
        assert_eq!(
            (&*issued.name, issued.chain_id),
            ("CN=Alice", Some(alice.fingerprint.clone()))
        );
        assert_eq!(alice.subkeys[0].timestamp, 1_767_225_600);
        assert_eq!(alice.subkeys[0].expires, 2_524_521_600);
        assert_eq!(
            alice.userids[1].address.as_deref(),
            Some("alice@vectors.example")
        );
        assert_eq!(alice.userids[0].validity, Validity::Never);
    }

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
