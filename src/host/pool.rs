//! A few workers, started as they are needed, and what runs in them.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::SystemTime;

use bytes::Bytes;

use super::Host;
use super::requests::{Input, Request};
use crate::base::job::Stage;
use crate::base::{Body, Error, Result};
use crate::verbs::Ask;
use crate::wire::call::Call;
use crate::wire::{params as fields, reply};

/// The most workers: beyond it large messages only compete for memory.
const WORKERS_MAX: usize = 4;

/// Requests on their way to a worker.
#[derive(Default)]
pub struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Request>>,
    idle: usize,
    workers: usize,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Arc<Request> {
        let mut state = self.lock();
        loop {
            if let Some(request) = state.queue.pop_front() {
                return request;
            }
            state.idle += 1;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle = state.idle.saturating_sub(1);
        }
    }
}

/// Hands a request to the workers.
pub fn submit(host: &Arc<Host>, request: Arc<Request>) {
    let mut state = host.pool.lock();
    state.queue.push_back(request);
    let wanted = state.queue.len() > state.idle && state.workers < workers_max();
    if wanted {
        let theirs = Arc::clone(host);
        let started = thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || {
                loop {
                    let request = theirs.pool.next();
                    work(&theirs, &request);
                }
            });
        if started.is_ok() {
            state.workers += 1;
        }
    }
    drop(state);
    host.pool.work.notify_one();
}

fn workers_max() -> usize {
    thread::available_parallelism().map_or(2, |n| n.get().clamp(2, WORKERS_MAX))
}

fn work(host: &Arc<Host>, request: &Arc<Request>) {
    let input = request.take();
    if matches!(input, Input::Running) || !host.requests.holds(request) {
        return;
    }
    request.job.stage(Stage::Reading);
    let unlocks = host.asking.unlocks();
    let ran = catch_unwind(AssertUnwindSafe(|| run(host, request, input)));
    match ran {
        Ok(Ran::Result(text)) => host.reply(request, "ok", text),
        Ok(Ran::Failed(error, call)) => match call {
            Some(call) if error.question.is_some() => {
                super::asking::question(host, request, call, error, unlocks);
            }
            _ => host.fail(request, &error),
        },
        Err(_) => host.fail(request, &panicked()),
    }
}

/// The answer after a panic: its place is in the log, its words nowhere.
pub fn panicked() -> Error {
    Error::internal("something went wrong inside Sealpost; its log says where")
}

enum Ran {
    Result(reply::Text),
    /// With the call, should an answer get past the error.
    Failed(Error, Option<Box<dyn Call>>),
}

fn run(host: &Arc<Host>, request: &Arc<Request>, input: Input) -> Ran {
    let call = match input {
        // The rules may have changed since it asked its question.
        Input::Call(call) => host.service.admit(request.method).map(|()| call),
        Input::Text { params, borrowed } => read(host, request, &params, &borrowed),
        Input::Running => Err(Error::cancelled()),
    };
    let call = match call {
        Ok(call) => call,
        Err(error) => return Ran::Failed(error, None),
    };
    if call.ask() == Ask::Never {
        request.job.ask_nobody();
    }
    let context = host.service.context(
        SystemTime::now(),
        Arc::clone(&request.job),
        Arc::clone(&request.answers),
    );
    let ran = request.job.check().and_then(|()| call.run(&context));
    let mut given = match ran {
        Ok(given) => given,
        Err(error) => return Ran::Failed(error, Some(call)),
    };
    // What was asked is no longer needed; what was given may be as large.
    drop(call);
    drop(context);
    request.job.stage(Stage::Writing);
    let park = |bodies| host.blobs().park(bodies);
    let parking: Option<reply::Parking<'_>> = request.client.greeted.then_some(&park);
    match reply::result(request.id, &mut *given, parking) {
        Ok(text) => Ran::Result(text),
        Err(error) => Ran::Failed(error, None),
    }
}

/// Reads a request and puts the borrowed bytes where it names blobs.
fn read(
    host: &Host,
    request: &Request,
    params: &Bytes,
    borrowed: &HashMap<String, Bytes>,
) -> Result<Box<dyn Call>> {
    let text = std::str::from_utf8(params)
        .map_err(|_| Error::internal("a frame lost its UTF-8 on the way"))?;
    let mut call = host.service.read(request.method, text)?;
    call.bodies(&mut |body| {
        if let Body::Blob { blob, size } = body {
            let bytes = borrowed.get(blob).ok_or_else(super::blobs::unknown)?;
            // 0 stands for a size that was left out.
            if *size != 0 && *size != bytes.len() as u64 {
                return Err(Error::invalid(
                    fields::size_path(text, blob),
                    "a blob does not have the size that the request says; put all of it first",
                ));
            }
            *body = Body::Inline(bytes.clone());
        }
        Ok(())
    })?;
    Ok(call)
}
