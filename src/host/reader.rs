//! The one reader. What must never wait for a worker it does itself, in order of arrival:
//! hello, blobs, cancels, answers to questions, locking keys.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::hello::{self, Client};
use super::requests::{Input, Refused, Request};
use super::{End, Host, asking, pool, progress};
use crate::base::body::Wiped;
use crate::base::{Error, Kind, Result};
use crate::wire::envelope::{self, Envelope, Fault, INVALID_REQUEST, METHOD_NOT_FOUND};
use crate::wire::frame;
use crate::wire::params::{self, Text};
use crate::wire::reply;

/// The methods that the host answers itself.
const OWN: [&str; 4] = ["hello", "blob/put", "blob/get", "blob/drop"];

/// A notification; answered all the same when it comes as a request.
const CANCEL: &str = "$/cancelRequest";

/// The service's method that the reader runs itself: who locks does not wait in a queue.
const LOCK: &str = "keys/lock";

/// The reader's own state.
#[derive(Default)]
struct Reader {
    client: Client,
    telling: bool,
}

/// Reads until the input ends, and says how it did.
pub fn read(host: &Arc<Host>, mut input: impl Read) -> End {
    let mut reader = Reader::default();
    loop {
        host.outbox.wait_for_room();
        match frame::read(&mut input) {
            Ok(Some(frame)) => {
                let done = catch_unwind(AssertUnwindSafe(|| reader.message(host, &frame)));
                if done.is_err() {
                    // Its own requests are caught closer; a request's id is not known here.
                    host.outbox.send(reply::error(None, &pool::panicked()));
                }
            }
            Ok(None) => return End::Boundary,
            Err(fault) => {
                log::warn!("input: {fault}");
                if matches!(fault, frame::Fault::TooLarge) {
                    let error = Error::new(
                        Kind::RequestTooLarge,
                        "the frame is larger than 64 MiB; send the message in pieces with blob/put",
                    );
                    host.outbox.send(reply::error(None, &error));
                }
                return End::Fault;
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put<'a> {
    #[serde(default)]
    blob: Option<String>,
    offset: u64,
    #[serde(borrow)]
    base64: Text<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Get {
    blob: String,
    offset: u64,
    length: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drop {
    blob: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    id: u64,
}

#[derive(Serialize)]
struct Stored {
    blob: String,
    size: u64,
}

#[derive(Serialize)]
struct Nothing {}

impl Reader {
    fn message(&mut self, host: &Arc<Host>, frame: &Bytes) {
        match envelope::read(frame) {
            Ok(Envelope::Request { id, method, params }) => {
                self.request(host, frame, (id, method), params);
            }
            Ok(Envelope::Notification { method, params }) if method == CANCEL => {
                // A notification gets no reply, not even when it can't be read.
                let _ = cancel(host, params);
            }
            Ok(Envelope::Notification { .. }) => log::debug!("unknown notification"),
            Ok(Envelope::Answer { id, result }) => host.asking.answer(id, result),
            Err(fault) => {
                log::info!("envelope: {}", fault.code);
                host.outbox.send(reply::fault(&fault));
            }
        }
    }

    fn request(
        &mut self,
        host: &Arc<Host>,
        frame: &Bytes,
        (id, method): (u64, Cow<'_, str>),
        params: &str,
    ) {
        let fault = |code, message| Fault {
            code,
            id: Some(id),
            message,
        };
        if host.requests.has(id) {
            let twice = "this id is in flight; give every request its own";
            host.outbox
                .send(reply::fault(&fault(INVALID_REQUEST, twice)));
            return;
        }
        let own = OWN.iter().chain(&[CANCEL]).find(|own| **own == method);
        if let Some(own) = own {
            let done = catch_unwind(AssertUnwindSafe(|| {
                host.service.admit(own)?;
                self.own(host, id, own, params)
            }));
            let reply = match done.unwrap_or_else(|_| Err(pool::panicked())) {
                Ok(text) => text,
                Err(error) => {
                    log::info!("{own} id={id} in={} {}", frame.len(), error.kind.name());
                    reply::error(Some(id), &error)
                }
            };
            host.outbox.send(reply);
            return;
        }
        let methods = host.service.methods();
        let Some(method) = methods.iter().copied().find(|name| *name == method) else {
            let unknown = "no such method here; hello lists those that are";
            host.outbox
                .send(reply::fault(&fault(METHOD_NOT_FOUND, unknown)));
            return;
        };
        let input = Input::Text {
            params: shared(frame, params),
            borrowed: borrow(host, params),
        };
        let request = Request::new((id, method), self.client, frame.len(), input);
        match host.requests.insert(&request) {
            Ok(()) if method == LOCK => lock(host, &request, params),
            Ok(()) => pool::submit(host, request),
            Err(Refused::Twice) => {}
            Err(Refused::TooMany) => {
                let error = Error::limit(
                    "requests",
                    "too many requests are in flight; wait for replies",
                );
                host.outbox.send(reply::error(Some(id), &error));
            }
        }
    }

    fn own(
        &mut self,
        host: &Arc<Host>,
        id: u64,
        method: &'static str,
        params: &str,
    ) -> Result<reply::Text> {
        match method {
            "hello" => {
                let methods = OWN.iter().chain(host.service.methods()).copied();
                let (client, welcome) = hello::hello(params, host.service.protocols(), methods)?;
                self.client = client;
                if client.progress && !self.telling {
                    self.telling = true;
                    progress::start(host);
                }
                Ok(reply::plain(id, &welcome))
            }
            "blob/put" => {
                let put: Put<'_> = params::read(params)?;
                let bytes = base64_simd::STANDARD
                    .decode_to_vec(put.base64.0.as_bytes())
                    .map(Wiped::new)
                    .map_err(|_| {
                        Error::invalid(
                            "/base64",
                            "this is not base64; use the standard alphabet with padding",
                        )
                    })?;
                let (blob, size) = host.blobs().put(put.blob, put.offset, bytes)?;
                Ok(reply::plain(id, &Stored { blob, size }))
            }
            "blob/get" => {
                let get: Get = params::read(params)?;
                let piece = host.blobs().get(&get.blob, get.offset, get.length)?;
                Ok(reply::piece(id, &piece.bytes, piece.end))
            }
            "blob/drop" => {
                let drop: Drop = params::read(params)?;
                host.blobs().discard(&drop.blob)?;
                Ok(reply::plain(id, &Nothing {}))
            }
            _ => {
                cancel(host, params)?;
                Ok(reply::plain(id, &Nothing {}))
            }
        }
    }
}

/// The params as a slice of their frame, which lives as long as they do.
fn shared(frame: &Bytes, params: &str) -> Bytes {
    if frame.as_ptr_range().contains(&params.as_ptr()) {
        frame.slice_ref(params.as_bytes())
    } else {
        Bytes::copy_from_slice(params.as_bytes())
    }
}

/// The blobs that a request names, as they are now: what is dropped after it was sent is
/// still there for it. An id that names nothing is told when the request is read.
fn borrow(host: &Host, params: &str) -> HashMap<String, Bytes> {
    let named = params::blobs(params);
    if named.is_empty() {
        return HashMap::new();
    }
    let mut blobs = host.blobs();
    named
        .into_iter()
        .filter_map(|id| Some((blobs.borrow(&id).ok()?, id)))
        .map(|(bytes, id)| (id, bytes))
        .collect()
}

fn cancel(host: &Arc<Host>, text: &str) -> Result<()> {
    let cancel: Cancel = params::read(text)?;
    if let Some(request) = host.requests.find(cancel.id) {
        asking::cancel(host, &request);
    }
    Ok(())
}

fn lock(host: &Arc<Host>, request: &Arc<Request>, params: &str) {
    request.take();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let call = host.service.read(LOCK, params)?;
        let (job, answers) = (Arc::clone(&request.job), Arc::clone(&request.answers));
        let context = host.service.context(SystemTime::now(), job, answers);
        let mut given = call.run(&context)?;
        reply::result(request.id, &mut *given, None)
    }));
    match ran.unwrap_or_else(|_| Err(pool::panicked())) {
        Ok(text) => host.reply(request, "ok", text),
        Err(error) => host.fail(request, &error),
    }
}
