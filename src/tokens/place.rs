//! Where a secret half lies: which token, and which of its keys. Written beside the certificate
//! as a few lines of text, which hold nothing secret.

use bytes::Bytes;

/// The first line: the version of this form.
const MAGIC: &str = "pkcs11 1";

/// Which token it is, whatever reader it is in: PKCS#11 promises that these three together name
/// one (RFC 7512 2.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenName {
    pub manufacturer: String,
    pub model: String,
    pub serial: String,
}

/// One key on one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub token: TokenName,
    /// `CKA_ID`.
    pub key: Vec<u8>,
    /// Whose key it is, for dialogs.
    pub owner: String,
}

impl Place {
    /// As it is written down.
    pub fn to_bytes(&self) -> Vec<u8> {
        let TokenName {
            manufacturer,
            model,
            serial,
        } = &self.token;
        let key: String = self.key.iter().map(|b| format!("{b:02X}")).collect();
        let lines = [MAGIC, manufacturer, model, serial, &key, &self.owner];
        lines.map(one_line).join("\n").into_bytes()
    }

    /// Reads what [`Place::to_bytes`] wrote; `None` for anything else.
    pub fn from_bytes(bytes: &Bytes) -> Option<Place> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split('\n');
        if lines.next()? != MAGIC {
            return None;
        }
        let mut line = || lines.next().map(str::to_owned);
        let token = TokenName {
            manufacturer: line()?,
            model: line()?,
            serial: line()?,
        };
        let key = bytes_of(&line()?)?;
        let owner = line()?;
        lines
            .next()
            .is_none()
            .then_some(Place { token, key, owner })
    }
}

/// Text in one line: a token's maker may have put anything into its names.
pub(super) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16)?).ok();
    let pairs = hex.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? * 16 + digit(low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            token: TokenName {
                manufacturer: "Somebody".into(),
                model: "One\ntwo".into(),
                serial: "0123".into(),
            },
            key: vec![0, 0xA1, 0xFF],
            owner: "Alice <alice@a.example>".into(),
        }
    }

    #[test]
    fn a_place_comes_back_whatever_its_names_hold() {
        let mut expected = place();
        let back = Place::from_bytes(&expected.to_bytes().into()).unwrap();
        expected.token.model = "One two".into();
        assert_eq!(back, expected);
    }

    #[test]
    fn what_is_no_place_is_none() {
        let whole = String::from_utf8(place().to_bytes()).unwrap();
        for broken in [
            "",
            "pkcs11 1",
            &whole.replace("pkcs11 1", "pkcs11 2"),
            &whole.replace("00A1FF", "00A1F"),
            &whole.replace("00A1FF", "00A1FG"),
            &format!("{whole}\nmore"),
        ] {
            let bytes = Bytes::copy_from_slice(broken.as_bytes());
            assert_eq!(Place::from_bytes(&bytes), None, "{broken}");
        }
    }
}
