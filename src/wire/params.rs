//! Requests are strict: every field is known, there and of its type, or the request is
//! refused with a JSON pointer to the field.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::base::{Error, Result, Secret};

/// The longest pointer that is sent back: field names come from the client.
const POINTER_MAX: usize = 512;

/// How many blobs one request can name: a draft's attachments are capped below this.
const BLOBS_MAX: usize = 4096;

/// Reads a request.
///
/// # Errors
/// `request.invalid` with the pointer of the field that is unknown, missing or wrong.
pub fn read<'de, T: Deserialize<'de>>(params: &'de str) -> Result<T> {
    let mut json = serde_json::Deserializer::from_str(params);
    serde_path_to_error::deserialize(&mut json).map_err(|error| invalid(&error))
}

fn invalid(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    // serde names the field in its sentence alone; ours comes from the pointer.
    let said = error.inner().to_string();
    let mut path = pointer(error.path());
    let named = |beginning: &str| {
        let (name, _) = said.strip_prefix(beginning)?.split_once('`')?;
        Some(name)
    };
    let message = if said.starts_with("unknown field") {
        "the request has a field that this method does not know; leave it out"
    } else if let Some(name) = named("missing field `") {
        push(&mut path, name);
        "the request lacks a field; add it"
    } else if let Some(name) = named("duplicate field `") {
        push(&mut path, name);
        "the request has a field twice; keep one"
    } else {
        "a field of the request has the wrong type or value; see the protocol"
    };
    Error::invalid(path, message)
}

/// RFC 6901.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => push(&mut pointer, &index.to_string()),
            Segment::Map { key } => push(&mut pointer, key),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

fn push(pointer: &mut String, key: &str) {
    if pointer.len().saturating_add(key.len()) <= POINTER_MAX {
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
    }
}

/// The ids of the blobs that a request names, wherever they stand in it. Never fails: what
/// is wrong with a request is found when it is read.
pub fn blobs(params: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // A key can be spelled with escapes; then the request finds no blob when it runs.
    if memchr::memmem::find(params.as_bytes(), b"\"blob\"").is_some() {
        let mut json = serde_json::Deserializer::from_str(params);
        let _ = Find {
            found: &mut found,
            named: false,
        }
        .deserialize(&mut json);
    }
    found
}

/// Where a request names a blob, as a JSON pointer to its `size`. For the text of an error: it
/// reads the request again.
pub fn size_path(params: &str, blob: &str) -> String {
    fn find(value: &Value, blob: &str, pointer: &mut String) -> bool {
        let length = pointer.len();
        let mut inside = |key: &str, value: &Value| {
            push(pointer, key);
            let found = find(value, blob, pointer);
            if !found {
                pointer.truncate(length);
            }
            found
        };
        match value {
            Value::Object(fields) if fields.get("blob").is_some_and(|id| id == blob) => true,
            Value::Object(fields) => fields.iter().any(|(key, value)| inside(key, value)),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .any(|(index, value)| inside(&index.to_string(), value)),
            _ => false,
        }
    }
    let mut pointer = String::new();
    if serde_json::from_str(params).is_ok_and(|value| find(&value, blob, &mut pointer)) {
        push(&mut pointer, "size");
    }
    pointer
}

/// Walks a value and collects the strings under the name `blob`.
struct Find<'a> {
    found: &'a mut BTreeSet<String>,
    named: bool,
}

/// A string that borrows from the frame where it holds no escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.named && self.found.len() < BLOBS_MAX {
            self.found.insert(text.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq
            .next_element_seed(Find {
                found: self.found,
                named: false,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'_>>()? {
            map.next_value_seed(Find {
                found: self.found,
                named: key.0 == "blob",
            })?;
        }
        Ok(())
    }
}

/// What a client answered to `ask/passphrase`: `None` for `{cancelled:true}` and for
/// everything that is not an answer.
pub fn passphrase(result: &str) -> Option<Secret> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Given<'a> {
        #[serde(borrow, default)]
        passphrase: Option<&'a serde_json::value::RawValue>,
        #[serde(default)]
        cancelled: bool,
    }
    let given: Given<'_> = serde_json::from_str(result).ok()?;
    if given.cancelled {
        return None;
    }
    unescape(given.passphrase?.get())
}

/// A JSON string's content. serde_json would leave a copy of it in a buffer that nobody
/// wipes; this reads into the secret itself.
fn unescape(raw: &str) -> Option<Secret> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    // Escapes only ever shrink: the buffer never moves.
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(inner.len()));
    let mut chars = inner.chars();
    let mut put = |c: char| bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    while let Some(c) = chars.next() {
        if c != '\\' {
            put(c);
            continue;
        }
        put(match chars.next()? {
            c @ ('"' | '\\' | '/') => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = unit(&mut chars)?;
                match char::from_u32(first) {
                    Some(c) => c,
                    None => {
                        let escape = chars.next()? == '\\' && chars.next()? == 'u';
                        let second = escape.then(|| unit(&mut chars)).flatten()?;
                        let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
                        char::decode_utf16(pair).next()?.ok()?
                    }
                }
            }
            _ => return None,
        });
    }
    Some(Secret::new(std::mem::take(&mut *bytes)))
}

fn unit(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + chars.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{blobs, passphrase, read, size_path};
    use crate::base::{Address, Body, Kind};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<Inner>,
        body: Option<Body>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        number: u8,
        address: Option<Address>,
    }

    fn path(params: &str) -> String {
        match read::<Outer>(params).expect_err(params).kind {
            Kind::RequestInvalid { path } => path,
            other => panic!("{params}: {other:?}"),
        }
    }

    #[test]
    fn the_pointer_names_the_field() {
        for (params, pointer) in [
            (r#"{"strange":1}"#, "/strange"),
            (r#"{"a/b~c":1}"#, "/a~1b~0c"),
            (r#"{"inner":{"number":1,"x":null}}"#, "/inner/x"),
            (r#"{"inner":{}}"#, "/inner/number"),
            (r#"{"inner":{"number":"1"}}"#, "/inner/number"),
            (r#"{"inner":{"number":1e999}}"#, "/inner/number"),
            (r#"{"inner":{"number":-1}}"#, "/inner/number"),
            (
                r#"{"inner":{"number":123456789012345678901234567890}}"#,
                "/inner/number",
            ),
            (
                r#"{"list":[{"number":1},{"number":256}]}"#,
                "/list/1/number",
            ),
            (r#"{"inner":{"number":1,"address":"a"}}"#, "/inner/address"),
            (r#"{"inner":{"number":1},"inner":null}"#, "/inner"),
            (r#"{"body":{"text":"a","base64":""}}"#, "/body"),
            (r#"{"body":{"base64":"!"}}"#, "/body/base64"),
            (r#"{"body":{"text":"\ud800"}}"#, "/body/text"),
            (r#"{"body":{"what":"a"}}"#, "/body/what"),
        ] {
            assert_eq!(path(params), pointer, "{params}");
        }
        assert_eq!(path(&format!(r#"{{"{}":1}}"#, "x".repeat(100_000))), "");
    }

    #[test]
    fn messages_quote_nothing() {
        let error = read::<Outer>(r#"{"sesame":"open"}"#).expect_err("unknown");
        assert!(!error.message.contains("sesame"));
        let error = read::<Outer>(r#"{"inner":{"number":"open"}}"#).expect_err("wrong");
        assert!(!error.message.contains("open"));
    }

    #[test]
    fn blobs_are_found_wherever_they_stand() {
        let params = r#"{"draft":{"attachments":[{"body":{"blob":"a","size":1}}],"text":{"blob":"b"}},
            "text":"{\"blob\":\"no\"}","blob":["no"],"x":{"blob":7},"y":{"blob":"a"}}"#;
        assert_eq!(
            blobs(params).into_iter().collect::<Vec<_>>(),
            ["a", "b"],
            "each once"
        );
        assert!(blobs(r#"{"text":"nothing here"}"#).is_empty());
    }

    #[test]
    fn an_answer_is_a_passphrase_or_none() {
        let said = |text: &str| passphrase(text).map(|secret| secret.expose().to_vec());
        assert_eq!(said(r#"{"passphrase":"a b"}"#), Some(b"a b".to_vec()));
        assert_eq!(
            said(r#"{"passphrase":"\u00e4\n\"\\\/\ud83d\ude00"}"#),
            Some("ä\n\"\\/😀".as_bytes().to_vec())
        );
        for none in [
            r#"{"cancelled":true}"#,
            r#"{"passphrase":"a","cancelled":true}"#,
            r#"{"passphrase":7}"#,
            r#"{"passphrase":null}"#,
            r#"{"passphrase":"\ud800"}"#,
            r#"{"passphrase":"\ud800\ud800"}"#,
            r#"{"strange":"a"}"#,
            "{}",
            "7",
        ] {
            assert!(said(none).is_none(), "{none}");
        }
    }

    #[test]
    fn the_size_of_a_blob_is_pointed_at() {
        let params = r#"{"draft": {"text": {"blob": "a", "size": 1},
            "attachments": [{"body": {"text": "b"}}, {"body": {"blob": "b", "size": 2}}]}}"#;
        assert_eq!(size_path(params, "a"), "/draft/text/size");
        assert_eq!(size_path(params, "b"), "/draft/attachments/1/body/size");
        assert_eq!(size_path(params, "c"), "");
    }
}
