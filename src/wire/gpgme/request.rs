//! One request of the dialect: a JSON object whose fields are read by name and type.
//!
//! Types are strict, as gpgme-json's are: a flag is `true` or `false`, and a field that nobody asks
//! for is nobody's. Of two fields of one name the first counts. What it is stricter in: names are
//! told apart by upper and lower case, and nothing may follow the object.

use std::fmt;

use base64_simd::forgiving_decode_to_vec;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::base::Protocol;
use crate::base::body::wiped;
use crate::verbs::gpgme::{Code, Fault};

/// Why a text is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Where it stops being JSON, in bytes.
    pub offset: usize,
}

/// A request. Its texts are wiped when it goes.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a request. What is JSON and no object has no fields.
    ///
    /// # Errors
    /// [`Malformed`] for anything but one JSON text in UTF-8, and for one that nests deeper than
    /// 127 levels. Halves of surrogate pairs stand for nothing in UTF-8, and are no JSON here.
    pub fn read(text: &[u8]) -> Result<Fields, Malformed> {
        match serde_json::from_slice(text) {
            Ok(fields) => Ok(fields),
            Err(error) => Err(Malformed {
                offset: match error.is_eof() {
                    true => text.len(),
                    false => offset(text, error.line(), error.column()),
                },
            }),
        }
    }

    /// A text; `None` where there is none, or something else.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A text that has to be one.
    ///
    /// # Errors
    /// Invalid value.
    pub fn required(&self, name: &str) -> Result<&str, Fault> {
        self.text(name).ok_or(Fault::new(Code::Invalid))
    }

    /// A text that may be left out.
    ///
    /// # Errors
    /// Invalid value for anything else.
    pub fn optional(&self, name: &str) -> Result<Option<&str>, Fault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => Ok(Some(value.as_str().ok_or(Fault::new(Code::Invalid))?)),
        }
    }

    /// Whether something is to be so; it is not, when nothing is said.
    ///
    /// # Errors
    /// Invalid value for anything but `true` and `false`.
    pub fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(Fault::new(Code::Invalid)),
        }
    }

    /// A number that is not negative; `None` where there is none. What comes after the point
    /// counts for nothing.
    ///
    /// # Errors
    /// Invalid value for anything else.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let whole = value.as_u64().or_else(|| {
            let number = value.as_f64()?;
            // A cast ends at the ends of the range.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            (number >= 0.0).then_some(number as u64)
        });
        whole.map(Some).ok_or(Fault::new(Code::Invalid))
    }

    /// How long an answer may be; `None`: it comes in one piece.
    ///
    /// # Errors
    /// Invalid value for anything but a number. A negative one is the smallest.
    pub fn chunk_size(&self) -> Result<Option<u64>, Fault> {
        match self.0.get("chunksize") {
            Some(value) if value.as_f64().is_some_and(|number| number < 0.0) => Ok(Some(0)),
            _ => self.number("chunksize"),
        }
    }

    /// Which family it is about.
    ///
    /// # Errors
    /// Invalid value; unsupported protocol.
    pub fn protocol(&self) -> Result<Protocol, Fault> {
        match self.optional("protocol")? {
            None | Some("openpgp") => Ok(Protocol::OpenPgp),
            Some("cms") => Ok(Protocol::Smime),
            Some(_) => Err(Fault::new(Code::UnsupportedProtocol)),
        }
    }

    /// The keys that it names: one text, or several.
    ///
    /// # Errors
    /// Invalid value for anything but texts.
    pub fn keys(&self, name: &str) -> Result<Vec<String>, Fault> {
        let invalid = || Fault::new(Code::Invalid);
        match self.0.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one.clone()]),
            Some(Value::Array(several)) => several
                .iter()
                .map(|one| one.as_str().map(str::to_owned).ok_or_else(invalid))
                .collect(),
            Some(_) => Err(invalid()),
        }
    }

    /// The bytes of a field: its text, or what the text stands for where `base64` says so.
    ///
    /// # Errors
    /// No data where there is no such field; invalid value.
    pub fn data(&self, name: &'static str) -> Result<Bytes, Fault> {
        self.data_if_any(name)?.ok_or(Fault::new(Code::NoData))
    }

    /// As [`Fields::data`], of a field that may be left out.
    ///
    /// # Errors
    /// Invalid value.
    pub fn data_if_any(&self, name: &'static str) -> Result<Option<Bytes>, Fault> {
        let encoded = self.flag("base64")?;
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let text = value.as_str().ok_or(Fault::new(Code::Invalid))?;
        match encoded {
            false => Ok(Some(wiped(text.as_bytes().to_vec()))),
            // Padding of nothing is nothing.
            true => {
                forgiving_decode_to_vec(match text.trim_matches([' ', '=', '\r', '\n', '\t']) {
                    "" => b"",
                    _ => text.as_bytes(),
                })
                .map(|bytes| Some(wiped(bytes)))
                .map_err(|_| {
                    Fault::new(Code::BadData).doing(match name {
                        "signature" => "Error decoding Base-64 encoded 'signature'",
                        _ => "Error decoding Base-64 encoded 'data'",
                    })
                })
            }
        }
    }

    /// Whether the operation is only to be explained.
    pub fn wants_help(&self) -> bool {
        self.0.get("help") == Some(&Value::Bool(true))
    }
}

impl<'a> Deserialize<'a> for Fields {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_any(Object)
    }
}

/// Reads the fields of an object; what is no object has none.
struct Object;

impl<'a> Visitor<'a> for Object {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields(Map::new());
        while let Some((name, mut value)) = map.next_entry::<String, Value>()? {
            match fields.0.contains_key(&name) {
                true => wipe(&mut value),
                false => _ = fields.0.insert(name, value),
            }
        }
        Ok(fields)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Fields, A::Error> {
        while let Some(mut value) = seq.next_element::<Value>()? {
            wipe(&mut value);
        }
        Ok(Fields(Map::new()))
    }

    fn visit_str<E>(self, _: &str) -> Result<Fields, E> {
        Ok(Fields(Map::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Fields, E> {
        Ok(Fields(Map::new()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Fields, E> {
        Ok(Fields(Map::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Fields, E> {
        Ok(Fields(Map::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Fields, E> {
        Ok(Fields(Map::new()))
    }

    fn visit_unit<E>(self) -> Result<Fields, E> {
        Ok(Fields(Map::new()))
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The place of a line and a column, as serde_json counts them from one.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let ends = memchr::memchr_iter(b'\n', text);
    let before = match line.checked_sub(2) {
        None => 0,
        Some(lines) => ends.map(|end| end + 1).nth(lines).unwrap_or_default(),
    };
    before
        .saturating_add(column.saturating_sub(1))
        .min(text.len())
}

#[cfg(test)]
mod tests {
    use super::{Fields, Malformed};
    use crate::verbs::gpgme::Code;

    #[test]
    fn a_text_that_is_no_json_says_where() {
        for (text, offset) in [
            ("", 0),
            ("{", 1),
            ("{\"op\":\"version\"}x", 16),
            ("{\n\"op\" 5}", 7),
            ("{\"op\":\"\\ud800\"}", 13),
        ] {
            let found = Fields::read(text.as_bytes()).err();
            assert_eq!(found, Some(Malformed { offset }), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(Fields::read(deep.as_bytes()).is_err());
        assert!(Fields::read(b"{\"op\":\"\xff\"}").is_err());
    }

    #[test]
    fn what_is_no_object_has_no_fields_and_the_first_of_two_counts() {
        for text in ["[1,{\"op\":2}]", "\"op\"", "true", "1", "-1", "1.5", "null"] {
            let fields = Fields::read(text.as_bytes()).unwrap();
            assert!(fields.0.is_empty(), "{text}");
        }
        let fields = Fields::read(br#"{"op":"a","x":1,"op":"b"}"#).unwrap();
        assert_eq!(fields.text("op"), Some("a"));
    }

    #[test]
    fn base64_is_taken_as_gpgme_takes_it() {
        for (text, data) in [("====", ""), (" ", ""), ("YWI", "ab"), ("YW\\nI=", "ab")] {
            let text = format!(r#"{{"base64":true,"data":"{text}"}}"#);
            let fields = Fields::read(text.as_bytes()).unwrap();
            assert_eq!(fields.data("data").unwrap(), data, "{text}");
        }
        let fields = Fields::read(br#"{"base64":true,"data":"*"}"#).unwrap();
        assert_eq!(fields.data("data").unwrap_err().code, Code::BadData);
    }

    #[test]
    fn fields_have_their_types() {
        let text =
            r#"{"a":true,"b":1,"c":"x","d":["x","y"],"e":["x",1],"f":2.5,"g":-1,"z":"a\u0000b"}"#;
        let fields = Fields::read(text.as_bytes()).unwrap();
        assert!(fields.flag("a").unwrap() && !fields.flag("nothing").unwrap());
        assert_eq!(fields.flag("b").unwrap_err().code, Code::Invalid);
        assert_eq!(fields.keys("c").unwrap(), ["x"]);
        assert_eq!(fields.keys("d").unwrap(), ["x", "y"]);
        assert_eq!(fields.keys("e").unwrap_err().code, Code::Invalid);
        assert_eq!(fields.number("f").unwrap(), Some(2));
        assert!(fields.number("g").is_err());
        assert_eq!(fields.data("z").unwrap(), "a\0b");
    }
}
