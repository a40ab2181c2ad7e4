//! Replies, notifications and reverse requests as JSON text that fits into one frame.
//!
//! Bodies that don't fit are parked on the connection, largest first; a result that still
//! does not fit is parked whole. Where they are parked is the host's business ([`Parking`]).

use bytes::Bytes;
use serde::Serialize;

use super::call::Reply;
use super::envelope::Fault;
use super::frame::FRAME_OUT;
use crate::base::body::{Body, Wiped, as_text, wiped};
use crate::base::error::{Blame, Closed};
use crate::base::{Error, Kind, Result};

/// The most JSON bytes of a reply whose bodies can be parked. Well below a frame: a client
/// that reads ahead holds several.
pub const INLINE_OUT: usize = 768 * 1024;

/// Bodies below this stay inline: as a blob they would hardly be shorter.
const SMALL: usize = 256;

/// JSON text for one frame, wiped after it was sent.
pub type Text = Wiped;

/// Where bodies go that don't fit: gives each an id, in their order.
pub type Parking<'a> = &'a dyn Fn(Vec<Bytes>) -> Result<Vec<String>>;

/// The reply with the result of request `id`. Without `parking` (a client that never said
/// hello can't come back for the rest) everything has to fit into the frame.
///
/// # Errors
/// `limit.exceeded` when it does not fit.
pub fn result(id: u64, reply: &mut dyn Reply, parking: Option<Parking<'_>>) -> Result<Text> {
    let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#);
    let cap = parking.map_or(FRAME_OUT, |_| INLINE_OUT);
    let room = cap.saturating_sub(head.len() + 1);
    let written = write(reply, room, parking)?;
    if written.len() <= room {
        return Ok(join(&head, &written));
    }
    let Some(park) = parking else {
        return Err(Error::new(
            Kind::LimitExceeded {
                limit: "frameOut",
                r#use: Some("port"),
            },
            "the result does not fit into one frame; open a port and say hello",
        ));
    };
    let size = written.len();
    let mut written = written;
    let text = wiped(std::mem::take(&mut *written));
    let blob = park(vec![text])?.pop().unwrap_or_default();
    let pulled = json(&Pulled { blob, size })?;
    Ok(join(&head, &pulled))
}

#[derive(Serialize)]
struct Pulled {
    #[serde(rename = "$blob")]
    blob: String,
    size: usize,
}

fn join(head: &str, result: &[u8]) -> Text {
    let mut text = Vec::with_capacity(head.len() + result.len() + 1);
    text.extend_from_slice(head.as_bytes());
    text.extend_from_slice(result);
    text.push(b'}');
    Wiped::new(text)
}

/// The result's JSON text, with as many bodies parked as `room` asks for.
fn write(reply: &mut dyn Reply, room: usize, parking: Option<Parking<'_>>) -> Result<Text> {
    // Bodies are taken out to learn how long the rest is, without encoding them.
    let mut bodies = Vec::new();
    reply.bodies(&mut |body| {
        bodies.push(std::mem::replace(body, placeholder()));
        Ok(())
    })?;
    let mut frame = Wiped::new(Vec::new());
    reply.write(&mut frame)?;
    if bodies.is_empty() {
        return Ok(frame);
    }
    let hole = json(&placeholder())?.len();
    let sizes: Vec<usize> = bodies.iter().map(|body| size(body, room)).collect();
    let rest = frame.len().saturating_sub(hole * bodies.len());
    let mut total = sizes
        .iter()
        .fold(rest, |sum, size| sum.saturating_add(*size));
    if total > room {
        if let Some(park) = parking {
            total = park_largest(&mut bodies, &sizes, total, room, park)?;
        } else if total > room.saturating_mul(2) {
            // Nothing but the length counts now: it is not encoded in vain.
            return Ok(Wiped::new(vec![b' '; room + 1]));
        }
    }
    let mut bodies = bodies.into_iter();
    reply.bodies(&mut |body| {
        if let Some(back) = bodies.next() {
            *body = back;
        }
        Ok(())
    })?;
    // Taken once: growing would leave copies behind that nobody wipes.
    let mut text = Wiped::new(Vec::with_capacity(total.saturating_add(64)));
    reply.write(&mut text)?;
    Ok(text)
}

fn placeholder() -> Body {
    Body::Blob {
        blob: String::new(),
        size: 0,
    }
}

/// Parks the largest bodies until the rest fits; gives the new length, at most a few bytes
/// too long.
fn park_largest(
    bodies: &mut [Body],
    sizes: &[usize],
    mut total: usize,
    room: usize,
    park: Parking<'_>,
) -> Result<usize> {
    /// `{"blob":"…","size":…}` with the longest id and number.
    const PARKED: usize = 80;
    let mut order: Vec<(usize, &mut Body)> = sizes.iter().copied().zip(bodies).collect();
    order.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let mut chosen = Vec::new();
    let mut bytes = Vec::new();
    for (size, body) in order {
        if total <= room || size < SMALL {
            break;
        }
        if let Body::Inline(inline) = &*body {
            bytes.push(inline.clone());
            chosen.push(body);
            total = total.saturating_sub(size).saturating_add(PARKED);
        }
    }
    for (body, blob) in chosen.into_iter().zip(park(bytes)?) {
        let size = body.size();
        *body = Body::Blob { blob, size };
    }
    Ok(total)
}

/// A body's length as JSON. Above `room` it only has to be too long: it is not looked at.
fn size(body: &Body, room: usize) -> usize {
    let Body::Inline(bytes) = body else {
        return SMALL;
    };
    if bytes.len() > room {
        return bytes.len();
    }
    match as_text(bytes) {
        Some(text) => text.bytes().map(escaped).sum::<usize>() + r#"{"text":""}"#.len(),
        None => bytes.len().div_ceil(3) * 4 + r#"{"base64":""}"#.len(),
    }
}

fn escaped(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// The reply that carries an error. Always fits: what a closed message's header fields and
/// lists of keys would make too long is left out.
pub fn error(id: Option<u64>, error: &Error) -> Text {
    let code = match error.kind {
        Kind::Cancelled => super::envelope::REQUEST_CANCELLED,
        _ => 1,
    };
    let data = |closed| Data {
        kind: &error.kind,
        blame: error.kind.blame(),
        closed,
    };
    let closed = error.closed.as_deref();
    [data(closed), data(None)]
        .iter()
        .find_map(|data| failure(id, code, &error.message, data))
        .or_else(|| {
            let kind = Kind::LimitExceeded {
                limit: "frameOut",
                r#use: None,
            };
            let data = Data {
                blame: kind.blame(),
                kind: &kind,
                closed: None,
            };
            failure(id, 1, "the error does not fit into one frame", &data)
        })
        .unwrap_or_default()
}

/// The reply to `blob/get`: base64 goes straight into the frame.
pub fn piece(id: u64, bytes: &[u8], end: bool) -> Text {
    let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"base64":""#);
    let tail = format!(r#"","end":{end}}}}}"#);
    let length = base64_simd::STANDARD.encoded_length(bytes.len());
    let mut text = Wiped::new(Vec::with_capacity(head.len() + length + tail.len()));
    text.extend_from_slice(head.as_bytes());
    base64_simd::STANDARD.encode_append(bytes, &mut *text);
    text.extend_from_slice(tail.as_bytes());
    text
}

/// The reply with a small result of the host's own.
pub fn plain(id: u64, result: &impl Serialize) -> Text {
    let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#);
    json(result).map_or_else(
        |failed| error(Some(id), &failed),
        |written| join(&head, &written),
    )
}

/// The reply to a faulty envelope.
pub fn fault(fault: &Fault) -> Text {
    let kind = Kind::RequestInvalid {
        path: String::new(),
    };
    let data = Data {
        blame: kind.blame(),
        kind: &kind,
        closed: None,
    };
    failure(fault.id, fault.code, fault.message, &data).unwrap_or_default()
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    kind: &'a Kind,
    blame: Blame,
    #[serde(flatten)]
    closed: Option<&'a Closed>,
}

fn failure(id: Option<u64>, code: i32, message: &str, data: &Data<'_>) -> Option<Text> {
    #[derive(Serialize)]
    struct Failure<'a> {
        jsonrpc: &'static str,
        id: Option<u64>,
        error: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        code: i32,
        message: &'a str,
        data: &'a Data<'a>,
    }
    let text = json(&Failure {
        jsonrpc: "2.0",
        id,
        error: Inner {
            code,
            message,
            data,
        },
    });
    text.ok().filter(|text| text.len() <= FRAME_OUT)
}

/// A message of our own: a notification, or with an `id` a request to the client.
///
/// # Errors
/// `internal` for params that are no JSON.
pub fn message(id: Option<u64>, method: &'static str, params: &impl Serialize) -> Result<Text> {
    #[derive(Serialize)]
    struct Message<'a, P> {
        jsonrpc: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        method: &'static str,
        params: &'a P,
    }
    json(&Message {
        jsonrpc: "2.0",
        id,
        method,
        params,
    })
}

fn json(value: &impl Serialize) -> Result<Text> {
    serde_json::to_vec(value)
        .map(Wiped::new)
        .map_err(|error| Error::internal("a message can't be written as JSON").because(error))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use bytes::Bytes;
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::{Value, json};

    use super::{INLINE_OUT, result, size};
    use crate::base::body::{Bodies, Body};
    use crate::base::error::Closed;
    use crate::base::verdict::{Header, HeaderProtection, Headers};
    use crate::base::{Error, Kind, Result};
    use crate::wire::frame::FRAME_OUT;

    #[derive(Serialize)]
    struct Sample {
        name: String,
        bodies: Vec<Body>,
    }

    impl Bodies for Sample {
        fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
            self.bodies.bodies(visit)
        }
    }

    fn sample(name: usize, bodies: &[&[u8]]) -> Sample {
        Sample {
            name: "n".repeat(name),
            bodies: bodies.iter().map(|b| Body::from(b.to_vec())).collect(),
        }
    }

    /// The reply, and what was parked.
    fn reply(mut sample: Sample) -> (Value, Vec<Bytes>) {
        let parked = RefCell::new(Vec::new());
        let park = |bytes: Vec<Bytes>| {
            let ids = (0..bytes.len()).map(|at| format!("blob-{at}")).collect();
            parked.borrow_mut().extend(bytes);
            Ok(ids)
        };
        let text = result(9, &mut sample, Some(&park)).unwrap();
        assert!(text.len() <= INLINE_OUT);
        (serde_json::from_slice(&text).unwrap(), parked.into_inner())
    }

    #[test]
    fn what_fits_stays() {
        let (value, parked) = reply(sample(1, &[b"one", b"\xff\x00"]));
        assert!(parked.is_empty());
        assert_eq!(
            value,
            json!({"jsonrpc":"2.0","id":9,"result":
                {"name":"n","bodies":[{"text":"one"},{"base64":"/wA="}]}})
        );
    }

    #[test]
    fn the_largest_is_parked_first() {
        let (value, parked) = reply(sample(
            1,
            &[&[b'a'; 400 * 1024], &[b'b'; 500 * 1024], b"small"],
        ));
        assert_eq!(parked.len(), 1);
        assert_eq!(parked[0].len(), 500 * 1024);
        assert_eq!(
            value["result"]["bodies"][1],
            json!({"blob":"blob-0","size":500 * 1024})
        );
        assert!(value["result"]["bodies"][0]["text"].is_string());
        // Escapes count: fewer bytes, but longer as JSON.
        let (_, parked) = reply(sample(1, &[&[1; 130 * 1024], &[b'b'; 400 * 1024]]));
        assert_eq!(parked.len(), 1);
        assert_eq!(parked[0].len(), 130 * 1024);
    }

    #[test]
    fn what_still_does_not_fit_is_pulled_as_text() {
        let (value, parked) = reply(sample(2 * INLINE_OUT, &[&[b'a'; 1000]]));
        let pulled: Value = serde_json::from_slice(&parked[1]).unwrap();
        assert_eq!(
            value["result"],
            json!({"$blob":"blob-0","size":parked[1].len()})
        );
        assert_eq!(pulled["bodies"][0], json!({"blob":"blob-0","size":1000}));
    }

    #[test]
    fn without_parking_the_frame_is_the_limit() {
        for (body, fits) in [
            (FRAME_OUT - 200, true),
            (FRAME_OUT, false),
            (5 * FRAME_OUT, false),
        ] {
            let mut sample = sample(1, &[&vec![b'a'; body]]);
            match result(9, &mut sample, None) {
                Ok(text) => assert!(fits && text.len() <= FRAME_OUT),
                Err(error) => {
                    assert!(!fits);
                    assert_eq!(
                        error.kind,
                        Kind::LimitExceeded {
                            limit: "frameOut",
                            r#use: Some("port")
                        }
                    );
                }
            }
        }
    }

    #[test]
    fn errors_carry_kind_blame_and_what_was_seen() {
        let mut error = Error::decrypt_failed();
        let header = |value: String| Header {
            value,
            addresses: None,
            protection: HeaderProtection::None,
            outer: None,
            claimed: None,
            more: Vec::new(),
        };
        error.closed = Some(Box::new(Closed {
            headers: Headers(vec![("subject".to_owned(), header("[...]".to_owned()))]),
            recipients: Vec::new(),
        }));
        let value: Value = serde_json::from_slice(&super::error(Some(3), &error)).unwrap();
        assert_eq!(value["error"]["code"], 1);
        assert_eq!(
            value["error"]["data"],
            json!({"kind":"decrypt.failed","blame":"message",
                "headers":{"subject":{"value":"[...]","protection":"none"}},"recipients":[]})
        );
        if let Some(closed) = &mut error.closed {
            closed.headers.0[0].1 = header("x".repeat(FRAME_OUT));
        }
        let text = super::error(Some(3), &error);
        assert!(text.len() <= FRAME_OUT);
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["error"]["data"]["kind"], "decrypt.failed");
        assert!(value["error"]["data"].get("headers").is_none());
        let cancelled = super::error(Some(3), &Error::cancelled());
        let value: Value = serde_json::from_slice(&cancelled).unwrap();
        assert_eq!(value["error"]["code"], -32800);
    }

    proptest! {
        #[test]
        fn lengths_are_foretold(bytes in proptest::collection::vec(any::<u8>(), 0..300), ascii: bool) {
            let bytes = if ascii { bytes.iter().map(|b| b & 0x7f).collect() } else { bytes };
            let body = Body::from(bytes);
            prop_assert_eq!(size(&body, 1 << 20), serde_json::to_vec(&body).unwrap().len());
        }
    }
}
