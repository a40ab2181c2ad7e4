//! The bytes of an answer: as text where a page can hold them so, else in base64.

use base64_simd::STANDARD;
use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::base::body::wiped;

/// The bytes, and what they are. Wiped when the answer is.
#[derive(Debug, Serialize)]
pub struct Data {
    r#type: &'static str,
    base64: bool,
    #[serde(serialize_with = "text")]
    data: Bytes,
}

/// What sealed bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Armored,
    Binary,
}

impl From<bool> for Form {
    fn from(armor: bool) -> Form {
        match armor {
            true => Form::Armored,
            false => Form::Binary,
        }
    }
}

impl Data {
    /// What was decrypted or verified: base64 for all but plain ASCII without a NUL, as gpgme-json
    /// has it.
    pub fn plain(content: Bytes) -> Data {
        let ascii = content.iter().all(|byte| matches!(byte, 1..0x80));
        Data::new("plaintext", content, !ascii)
    }

    /// What was sealed, armor in lines that end with LF as GnuPG writes it. What is signed in a text
    /// need not be one.
    pub fn sealed(r#type: &'static str, bytes: Vec<u8>, form: Form) -> Data {
        let base64 = form == Form::Binary || std::str::from_utf8(&bytes).is_err();
        Data::new(r#type, Bytes::from(bytes), base64)
    }

    fn new(r#type: &'static str, data: Bytes, base64: bool) -> Data {
        Data {
            r#type,
            base64,
            data: match base64 {
                true => wiped(STANDARD.encode_type::<Vec<u8>>(&data)),
                false => data,
            },
        }
    }
}

fn text<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(data) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => Err(serde::ser::Error::custom("armor that is no text")),
    }
}

/// The lines of a text with LF at their ends.
pub fn unix_lines(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        let (line, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = after.get(2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Data, unix_lines};

    #[test]
    fn what_is_no_ascii_is_base64() {
        for (content, base64, data) in [
            (&b""[..], false, "".as_bytes()),
            (b"a\r\n\x7f\x01", false, b"a\r\n\x7f\x01"),
            (b"a\0", true, b"YQA="),
            ("ä".as_bytes(), true, b"w6Q="),
            (b"\x80", true, b"gA=="),
        ] {
            let made = Data::plain(Bytes::copy_from_slice(content));
            assert_eq!((made.base64, &made.data[..]), (base64, data), "{content:?}");
        }
    }

    #[test]
    fn lines_end_as_gnupg_writes_them() {
        for (text, lines) in [
            ("", ""),
            ("a\r\nb\r\n", "a\nb\n"),
            ("a\nb\r", "a\nb\r"),
            ("\r\r\n\n", "\r\n\n"),
        ] {
            assert_eq!(unix_lines(text.as_bytes()), lines.as_bytes(), "{text:?}");
        }
    }
}
