//! JSON-RPC 2.0, narrowed: named params, integer ids from 0 to 2^53-1, no batches.
//!
//! Reads the envelope alone and borrows the params from the frame; they are read in
//! [`super::params`]. Faults here keep JSON-RPC's own numbers.

use std::borrow::Cow;

use memchr::memchr2;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::params::Text;

/// How deep a text may nest, the envelope's own braces included.
pub const DEPTH_MAX: usize = 64;

/// The largest id: what a JavaScript number holds exactly.
pub const ID_MAX: u64 = (1 << 53) - 1;

/// Not JSON.
pub const PARSE_ERROR: i32 = -32700;
/// JSON, but not a message of ours.
pub const INVALID_REQUEST: i32 = -32600;
/// No such method.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// Params that are not an object.
pub const INVALID_PARAMS: i32 = -32602;
/// Taken back by the client.
pub const REQUEST_CANCELLED: i32 = -32800;

/// One message of the other side.
#[derive(Debug, PartialEq, Eq)]
pub enum Envelope<'a> {
    Request {
        id: u64,
        method: Cow<'a, str>,
        params: &'a str,
    },
    Notification {
        method: Cow<'a, str>,
        params: &'a str,
    },
    /// An answer to a request of ours; `None` for an error, whatever it says.
    Answer { id: u64, result: Option<&'a str> },
}

/// What is wrong with an envelope.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: i32,
    /// Where it could be made out.
    pub id: Option<u64>,
    pub message: &'static str,
}

impl Fault {
    fn new(code: i32, message: &'static str) -> Fault {
        Fault {
            code,
            id: None,
            message,
        }
    }

    fn of(mut self, id: Option<u64>) -> Fault {
        self.id = id;
        self
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<'a> {
    #[serde(borrow, default, deserialize_with = "there")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    error: Option<&'a RawValue>,
}

/// The id alone, out of an envelope that is wrong otherwise.
#[derive(Deserialize)]
struct Id<'a> {
    #[serde(borrow, default, deserialize_with = "there")]
    id: Option<&'a RawValue>,
}

/// A `null` that is there is not the same as nothing.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one frame's text.
///
/// # Errors
/// [`PARSE_ERROR`] for what is not UTF-8 or not JSON, [`INVALID_REQUEST`] for what is
/// nested too deep or is no message of this protocol, [`INVALID_PARAMS`].
pub fn read(frame: &[u8]) -> Result<Envelope<'_>, Fault> {
    let text = std::str::from_utf8(frame).map_err(|_| {
        Fault::new(
            PARSE_ERROR,
            "the frame is not UTF-8; send one JSON text in UTF-8",
        )
    })?;
    if deeper_than(frame, DEPTH_MAX) {
        return Err(Fault::new(
            INVALID_REQUEST,
            "the JSON text nests deeper than 64; send a flatter one",
        ));
    }
    let raw: Raw<'_> = serde_json::from_str(text).map_err(|error| not_an_envelope(text, &error))?;
    let id = raw.id.map(|id| number(id.get()));
    let known = id.flatten();
    let fault = |message| Fault::new(INVALID_REQUEST, message).of(known);
    if raw.jsonrpc.and_then(string).as_deref() != Some("2.0") {
        return Err(fault("the member jsonrpc is missing; it must be \"2.0\""));
    }
    let id = match id {
        Some(None) => {
            return Err(fault(
                "the id is not an integer from 0 to 2^53-1; count from 0",
            ));
        }
        Some(Some(id)) => Some(id),
        None => None,
    };
    let Some(method) = raw.method else {
        return match (id, raw.result, raw.error, raw.params) {
            (Some(id), Some(result), None, None) => Ok(Envelope::Answer {
                id,
                result: Some(result.get()),
            }),
            (Some(id), None, Some(_), None) => Ok(Envelope::Answer { id, result: None }),
            _ => Err(fault("neither a request nor an answer; name a method")),
        };
    };
    if raw.result.is_some() || raw.error.is_some() {
        return Err(fault("a request holds no result; send one or the other"));
    }
    let method = string(method).ok_or_else(|| fault("the method is not a string; name one"))?;
    let params = raw.params.map_or("{}", RawValue::get);
    if !params.starts_with('{') {
        return Err(Fault::new(
            INVALID_PARAMS,
            "params are not an object; name each of them",
        )
        .of(id));
    }
    Ok(match id {
        Some(id) => Envelope::Request { id, method, params },
        None => Envelope::Notification { method, params },
    })
}

/// Tells text that is not JSON from JSON that is no envelope.
fn not_an_envelope(text: &str, error: &serde_json::Error) -> Fault {
    let json =
        error.classify() == Category::Data && serde_json::from_str::<&RawValue>(text).is_ok();
    if !json {
        return Fault::new(
            PARSE_ERROR,
            "the frame is not JSON; send one JSON text in each",
        );
    }
    let id = serde_json::from_str::<Id<'_>>(text)
        .ok()
        .and_then(|found| number(found.id?.get()));
    Fault::new(
        INVALID_REQUEST,
        "not one JSON-RPC message; send one object with jsonrpc, id, method and params",
    )
    .of(id)
}

/// An id in its only form: digits.
fn number(raw: &str) -> Option<u64> {
    let digits = !raw.is_empty() && raw.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| raw.parse().ok()).flatten()?;
    (number <= ID_MAX).then_some(number)
}

fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(raw.get())
        .ok()
        .map(|text| text.0)
}

/// Whether a text nests deeper than `cap`. Looks at brackets outside strings alone: for
/// text that is not JSON the answer means nothing, and serde finds out.
fn deeper_than(text: &[u8], cap: usize) -> bool {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth > cap {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(rest),
            _ => {}
        }
    }
    false
}

/// What follows a string's closing quote.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some((at, found)) =
        memchr2(b'"', b'\\', rest).and_then(|at| Some((at, *rest.get(at)?)))
    {
        let skip = if found == b'"' { 1 } else { 2 };
        rest = rest.get(at.saturating_add(skip)..).unwrap_or_default();
        if found == b'"' {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_are_answered_never_feared(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn so_is_text_that_looks_like_json(text in "[\\[\\]{}\",:\\\\u0-9a-z \u{e4}]{0,200}") {
            let _ = read(text.as_bytes());
            let _ = crate::wire::params::blobs(&text);
            let _ = crate::wire::params::passphrase(&text);
        }
    }

    fn code(text: &str) -> (i32, Option<u64>) {
        let fault = read(text.as_bytes()).expect_err(text);
        (fault.code, fault.id)
    }

    #[test]
    fn the_three_forms() {
        assert_eq!(
            read(br#" {"jsonrpc":"2.0","id":7,"method":"hel\u006co","params":{"a":[1]}} "#),
            Ok(Envelope::Request {
                id: 7,
                method: "hello".into(),
                params: r#"{"a":[1]}"#
            })
        );
        assert_eq!(
            read(br#"{"method":"$/cancelRequest","jsonrpc":"2.0"}"#),
            Ok(Envelope::Notification {
                method: "$/cancelRequest".into(),
                params: "{}"
            })
        );
        assert_eq!(
            read(br#"{"jsonrpc":"2.0","id":1,"result":{"cancelled":true}}"#),
            Ok(Envelope::Answer {
                id: 1,
                result: Some(r#"{"cancelled":true}"#)
            })
        );
        assert_eq!(
            read(br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#),
            Ok(Envelope::Answer {
                id: 1,
                result: None
            })
        );
    }

    #[test]
    fn ids_are_integers_of_53_bits() {
        let with = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"hello"}}"#);
        for good in ["0", "1", "9007199254740991"] {
            assert!(read(with(good).as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            "-1",
            "-0",
            "1.0",
            "1e0",
            "9007199254740992",
            "18446744073709551616",
            "1e400",
            "null",
            "\"1\"",
            "[]",
            "{}",
            "true",
        ] {
            assert_eq!(code(&with(bad)), (INVALID_REQUEST, None), "{bad}");
        }
    }

    #[test]
    fn what_is_not_json_is_a_parse_error() {
        for text in [
            "",
            " ",
            "{",
            "nope",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\"}}",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",}",
            "{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"hello\"}",
            "{\"strange\":1,\"id\":1",
            "\u{feff}{}",
        ] {
            assert_eq!(code(text), (PARSE_ERROR, None), "{text}");
        }
        assert_eq!(
            read(b"{\"a\":\"\xff\"}").expect_err("not UTF-8").code,
            PARSE_ERROR
        );
    }

    #[test]
    fn what_is_no_envelope_is_an_invalid_request() {
        for (text, id) in [
            ("[]", None),
            ("7", None),
            ("\"hello\"", None),
            ("{}", None),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"hello"}]"#, None),
            (r#"{"id":1,"method":"hello"}"#, Some(1)),
            (r#"{"jsonrpc":"1.0","id":1,"method":"hello"}"#, Some(1)),
            (r#"{"jsonrpc":2.0,"id":1,"method":"hello"}"#, Some(1)),
            (r#"{"jsonrpc":"2.0","id":1}"#, Some(1)),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, Some(1)),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"a","extra":1}"#,
                Some(1),
            ),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#, None),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#,
                Some(1),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"a","result":1}"#,
                Some(1),
            ),
            (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, Some(1)),
            (r#"{"jsonrpc":"2.0","result":1}"#, None),
        ] {
            assert_eq!(code(text), (INVALID_REQUEST, id), "{text}");
        }
        for params in ["[]", "null", "1", "\"{}\""] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":3,"method":"a","params":{params}}}"#);
            assert_eq!(code(&text), (INVALID_PARAMS, Some(3)), "{params}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |levels: usize| {
            format!(
                r#"{{"jsonrpc":"2.0","id":3,"method":"a","params":{{"a":{}{}}}}}"#,
                "[".repeat(levels),
                "]".repeat(levels)
            )
        };
        assert!(read(nested(DEPTH_MAX - 2).as_bytes()).is_ok());
        assert_eq!(code(&nested(DEPTH_MAX - 1)), (INVALID_REQUEST, None));
        assert_eq!(code(&nested(1_000_000)), (INVALID_REQUEST, None));
        // Brackets in strings nest nothing, however they are quoted.
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":3,"method":"a","params":{{"a":"\\\"{}"}}}}"#,
            "[{".repeat(100)
        );
        assert!(read(text.as_bytes()).is_ok());
    }
}
