//! One conversation with one client: reader, workers, one writer, blobs, questions, log.
//!
//! [`run`] takes a conversation from its first byte to its end. The reader does itself what
//! must not wait ([`reader`]); everything else goes to a few workers ([`pool`]) and comes
//! back through the [`writer`], who alone owns the output. A question to the person holds
//! no worker ([`asking`], [`answering`]). Nothing here knows a key, a message or a verb.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

pub mod answering;
pub mod asking;
pub mod blobs;
pub mod gpgme;
pub mod hello;
pub mod logging;
pub mod pinentry;
pub mod pool;
pub mod process;
pub mod progress;
pub mod reader;
pub mod requests;
pub mod writer;

use crate::base::Error;
use crate::wire::call::Service;
use crate::wire::reply::{self, Text};

/// How long requests that were read before the input ended may take to finish.
const GRACE: Duration = Duration::from_secs(1);

/// How long cancelled requests, and what is still to be written, are waited for after that.
const LAST: Duration = Duration::from_millis(250);

/// How a conversation is held.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program that asks the person; `None` when there is none.
    pub pinentry: Option<PathBuf>,
    /// Who answers confirmations.
    pub confirm: Confirm,
    /// How often progress is looked at.
    pub tick: Duration,
}

/// Who answers confirmations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Confirm {
    /// The person.
    #[default]
    Ask,
    /// Always yes: an unattended host under test.
    Yes,
    /// Always no.
    No,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            pinentry: None,
            confirm: Confirm::Ask,
            tick: Duration::from_millis(500),
        }
    }
}

impl Settings {
    /// What the environment says: `SEALPOST_PINENTRY` (a program, or `none`; else `pinentry`
    /// from the path) and `SEALPOST_CONFIRM` (`yes`, `no`; else the person is asked).
    pub fn from_env() -> Settings {
        let pinentry = match std::env::var_os("SEALPOST_PINENTRY") {
            None => Some(PathBuf::from("pinentry")),
            Some(program) if program.is_empty() || program == "none" => None,
            Some(program) => Some(PathBuf::from(program)),
        };
        let confirm = match std::env::var("SEALPOST_CONFIRM").as_deref() {
            Ok("yes") => Confirm::Yes,
            Ok("no") => Confirm::No,
            _ => Confirm::Ask,
        };
        Settings {
            pinentry,
            confirm,
            ..Settings::default()
        }
    }
}

/// How the conversation came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The input ended between two frames.
    Boundary,
    /// The input ended inside a frame, or a frame was too large to be read.
    Fault,
    /// Nobody reads the output any more.
    Closed,
}

/// What the parts of one conversation share.
pub struct Host {
    service: Arc<dyn Service>,
    settings: Settings,
    outbox: writer::Outbox,
    requests: requests::Requests,
    pool: pool::Pool,
    asking: asking::Asking,
    blobs: Mutex<blobs::Blobs>,
}

impl Host {
    fn blobs(&self) -> MutexGuard<'_, blobs::Blobs> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the one reply of a request; does nothing when it had one.
    fn reply(&self, request: &Arc<requests::Request>, outcome: &str, text: Text) {
        if self.requests.finish(request) {
            log::info!(
                "{} id={} in={} out={} ms={} {outcome}",
                request.method,
                request.id,
                request.size,
                text.len(),
                request.arrived.elapsed().as_millis(),
            );
            self.outbox.send(text);
            self.requests.replied();
        }
    }

    fn fail(&self, request: &Arc<requests::Request>, error: &Error) {
        let text = reply::error(Some(request.id), error);
        self.reply(request, error.kind.name(), text);
    }

    fn cancel_all(&self) {
        for request in self.requests.all() {
            asking::cancel(self, &request);
        }
    }
}

/// Holds one conversation, from the first byte to the last, and gives the process's exit
/// status: 0 when the input ended between two frames or nobody read the output any more, 1
/// when it ended inside a frame or a frame was too large.
///
/// Comes back even when the input's reader hangs or a worker does not listen: the process
/// is meant to end then.
pub fn run(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    service: Arc<dyn Service>,
    settings: Settings,
) -> u8 {
    let host = Arc::new(Host {
        service,
        settings,
        outbox: writer::Outbox::default(),
        requests: requests::Requests::default(),
        pool: pool::Pool::default(),
        asking: asking::Asking::default(),
        blobs: Mutex::default(),
    });
    let (ended, end) = mpsc::channel();
    let theirs = Arc::clone(&host);
    let closed = ended.clone();
    let writing = thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || {
            if !writer::write(&theirs.outbox, output) {
                // Whoever waits for requests to finish need not any more.
                theirs.cancel_all();
                let _ = closed.send(End::Closed);
            }
        });
    let theirs = Arc::clone(&host);
    let reading = thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || {
            let end = reader::read(&theirs, input);
            let _ = ended.send(end);
        });
    if writing.is_err() || reading.is_err() {
        log::error!("no threads");
        return 1;
    }
    let end = end.recv().unwrap_or(End::Closed);
    log::info!("end: {end:?}");
    finish(&host, end);
    u8::from(end == End::Fault)
}

/// Lets requests finish that may, cancels the others, and wipes.
fn finish(host: &Host, end: End) {
    host.asking.close();
    let now = Instant::now();
    if end == End::Boundary {
        host.requests.wait_until_empty(now + GRACE);
    }
    host.cancel_all();
    let last = Instant::now() + LAST;
    host.requests.wait_until_empty(last);
    host.outbox.close(last.max(now + GRACE));
    host.asking.wait_until_closed(last);
    host.blobs().clear();
    host.service.wipe();
}

#[cfg(test)]
mod tests;
