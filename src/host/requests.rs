//! The requests in flight: each gets exactly one reply, whoever gives it.
//!
//! A request leaves the table in the moment its reply is decided, and whoever took it out
//! sends it. Its id is free again from then on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::hello::Client;
use crate::base::ask::Answers;
use crate::base::job::{Job, Stage};
use crate::wire::call::Call;

/// The most requests in flight: far more than any client sends at a time.
const REQUESTS_MAX: usize = 256;

/// The most bytes of requests in flight: four frames of the largest size.
const BYTES_MAX: usize = 256 * 1024 * 1024;

/// One request from its arrival to its reply.
pub struct Request {
    pub id: u64,
    pub method: &'static str,
    /// What the client had said when the request came.
    pub client: Client,
    /// Of its frame, in bytes.
    pub size: usize,
    pub arrived: Instant,
    pub job: Arc<Job>,
    pub answers: Arc<Answers>,
    questions: AtomicU8,
    input: Mutex<Input>,
}

/// What a request is at the moment.
pub enum Input {
    /// Not looked at yet: its params, and the blobs they name.
    Text {
        params: Bytes,
        borrowed: HashMap<String, Bytes>,
    },
    /// Read, and ready to be run (again).
    Call(Box<dyn Call>),
    /// In a worker's hands.
    Running,
}

impl Request {
    /// A request that just came.
    pub fn new(
        (id, method): (u64, &'static str),
        client: Client,
        size: usize,
        input: Input,
    ) -> Arc<Request> {
        Arc::new(Request {
            id,
            method,
            client,
            size,
            arrived: Instant::now(),
            job: Arc::default(),
            answers: Arc::default(),
            questions: AtomicU8::new(0),
            input: Mutex::new(input),
        })
    }

    /// The origin that the client claims, while the request waits for an answer.
    pub fn origin(&self) -> Option<String> {
        match &*self.lock() {
            Input::Call(call) => call.origin().map(str::to_owned),
            Input::Text { .. } | Input::Running => None,
        }
    }

    /// Takes what there is to do. [`Input::Running`] when somebody has it already.
    pub fn take(&self) -> Input {
        std::mem::replace(&mut *self.lock(), Input::Running)
    }

    /// Puts a call back that has to wait for an answer. False, and the call is gone, when
    /// the request was cancelled meanwhile.
    pub fn park(&self, call: Box<dyn Call>) -> bool {
        let mut input = self.lock();
        let wanted = self.job.check().is_ok();
        if wanted {
            *input = Input::Call(call);
        }
        wanted
    }

    /// Counts one more question, and gives their number.
    pub fn count_question(&self) -> u8 {
        self.questions
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1)
    }

    /// Takes the request back. True when no worker has it: then nobody else will reply.
    pub fn cancel(&self) -> bool {
        let mut input = self.lock();
        self.job.cancel()
            && !matches!(
                std::mem::replace(&mut *input, Input::Running),
                Input::Running
            )
    }

    fn lock(&self) -> MutexGuard<'_, Input> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its id is in flight.
    Twice,
    /// Too many are in flight.
    TooMany,
}

/// The table.
#[derive(Default)]
pub struct Requests {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    all: HashMap<u64, Entry>,
    bytes: usize,
    /// The progress thread waits for a request.
    dozing: bool,
    closed: bool,
    /// Requests that are taken out, but whose replies nobody has yet.
    owed: usize,
}

struct Entry {
    request: Arc<Request>,
    /// When the client last heard of it.
    told: Instant,
    stage: Stage,
}

impl State {
    fn done(&self) -> bool {
        self.all.is_empty() && self.owed == 0
    }
}

impl Requests {
    /// Adds one.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn insert(&self, request: &Arc<Request>) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.all.contains_key(&request.id) {
            return Err(Refused::Twice);
        }
        let bytes = state.bytes.saturating_add(request.size);
        if state.all.len() >= REQUESTS_MAX || bytes > BYTES_MAX {
            return Err(Refused::TooMany);
        }
        state.bytes = bytes;
        state.all.insert(
            request.id,
            Entry {
                request: Arc::clone(request),
                told: request.arrived,
                stage: Stage::Queued,
            },
        );
        if state.dozing {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Whether this id is in flight.
    pub fn has(&self, id: u64) -> bool {
        self.lock().all.contains_key(&id)
    }

    /// Whether this very request still waits for its reply.
    pub fn holds(&self, request: &Arc<Request>) -> bool {
        let state = self.lock();
        let entry = state.all.get(&request.id);
        entry.is_some_and(|entry| Arc::ptr_eq(&entry.request, request))
    }

    /// The request with this id.
    pub fn find(&self, id: u64) -> Option<Arc<Request>> {
        let state = self.lock();
        state.all.get(&id).map(|entry| Arc::clone(&entry.request))
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Request>> {
        let state = self.lock();
        state
            .all
            .values()
            .map(|entry| Arc::clone(&entry.request))
            .collect()
    }

    /// Takes a request out. True for the one caller that has to reply.
    pub fn finish(&self, request: &Arc<Request>) -> bool {
        let mut state = self.lock();
        let held = state
            .all
            .get(&request.id)
            .is_some_and(|entry| Arc::ptr_eq(&entry.request, request));
        if held {
            state.all.remove(&request.id);
            state.bytes = state.bytes.saturating_sub(request.size);
            state.owed = state.owed.saturating_add(1);
        }
        held
    }

    /// The caller that had to reply has done so.
    pub fn replied(&self) {
        let mut state = self.lock();
        state.owed = state.owed.saturating_sub(1);
        if state.done() && state.closed {
            self.changed.notify_all();
        }
    }

    /// Waits until none is left and every reply is under way, or until `deadline`.
    pub fn wait_until_empty(&self, deadline: Instant) {
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_all();
        let left = deadline.saturating_duration_since(Instant::now());
        drop(
            self.changed
                .wait_timeout_while(state, left, |state| !state.done())
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Waits for requests whose clients want progress, then for `tick` more. False when the
    /// conversation is over.
    pub fn wait_for_tick(&self, tick: Duration) -> bool {
        let mut state = self.lock();
        state.dozing = true;
        let mut state = self
            .changed
            .wait_while(state, |state| {
                !state.closed && !state.all.values().any(|e| e.request.client.progress)
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.dozing = false;
        let (state, _) = self
            .changed
            .wait_timeout_while(state, tick, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    /// Shows those requests whose clients want progress and have not heard of it for
    /// `silence`, or not of the present stage. Their replies come after what `tell` sends.
    pub fn tell(&self, silence: Duration, tell: &mut dyn FnMut(&Request)) {
        let mut state = self.lock();
        let now = Instant::now();
        for entry in state.all.values_mut() {
            let stage = entry.request.job.progress().stage;
            let due = now.saturating_duration_since(entry.told) >= silence;
            if entry.request.client.progress && (due || stage != entry.stage) {
                entry.told = now;
                entry.stage = stage;
                tell(&entry.request);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
