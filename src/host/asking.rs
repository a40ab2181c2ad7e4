//! Questions to the person: one on the screen at a time, one per key, five minutes at most.
//!
//! A request that needs an answer lies here, not in a worker's hands. All who wait for the
//! same key share its answer; when the last of them is taken back, so is the question. How
//! a question is put and what its answer leads to: [`super::answering`].

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::pinentry::Given;
use super::requests::Request;
use super::{Confirm, Host, answering, pool};
use crate::base::ask::{Answer, Need, Question};
use crate::base::job::Stage;
use crate::base::{Error, KeyId};
use crate::verbs::Ask;
use crate::wire::call::Call;
use crate::wire::params;

/// The longest time that one question stands.
pub const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);

/// How many questions one request may lead to: more is a verb that never has enough.
const QUESTIONS_MAX: u8 = 16;

/// How often the time limit of unlocked keys is looked at while nobody asks anything.
const IDLE: Duration = Duration::from_secs(15);

/// Who waits for which answer.
#[derive(Default)]
pub struct Asking {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Pending>,
    current: Option<Pending>,
    /// Counts questions put; the number of the present one, and its id towards a client.
    number: u64,
    given: Option<Given>,
    /// The client may answer the present question.
    asked_client: bool,
    /// How often a key was unlocked here.
    unlocks: u64,
    running: bool,
    closed: bool,
}

struct Pending {
    question: Question,
    waiters: Vec<Arc<Request>>,
}

impl Asking {
    /// How often a key was unlocked so far: who finds a key locked, and this number changed
    /// since it began, looks again instead of asking.
    pub fn unlocks(&self) -> u64 {
        self.lock().unlocks
    }

    /// Takes a client's answer to the present question; any other is ignored.
    pub fn answer(&self, id: u64, result: Option<&str>) {
        let mut state = self.lock();
        if state.asked_client && state.number == id && state.given.is_none() {
            state.given = Some(
                result
                    .and_then(params::passphrase)
                    .map_or(Given::No, Given::Passphrase),
            );
            self.changed.notify_all();
        }
    }

    /// Ends every question. Who waits is left to the table of requests.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.queue.clear();
        self.changed.notify_all();
    }

    /// Waits until the question on the screen is gone, or until `deadline`.
    pub fn wait_until_closed(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        drop(
            self.changed
                .wait_timeout_while(self.lock(), left, |state| state.running)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn forget(&self, request: &Arc<Request>) {
        let mut state = self.lock();
        let State { queue, current, .. } = &mut *state;
        for pending in queue.iter_mut().chain(current.as_mut()) {
            pending
                .waiters
                .retain(|waiter| !Arc::ptr_eq(waiter, request));
        }
        queue.retain(|pending| !pending.waiters.is_empty());
        self.changed.notify_all();
    }

    /// An answer to question `number`, unless it came too late.
    pub fn give(&self, number: u64, given: Given) {
        let mut state = self.lock();
        if state.number == number && state.given.is_none() {
            state.given = Some(given);
            self.changed.notify_all();
        }
    }

    /// Begins to put the present question: earlier answers no longer count.
    pub fn begin(&self, to_client: bool) -> u64 {
        let mut state = self.lock();
        state.number += 1;
        state.given = None;
        state.asked_client = to_client;
        state.number
    }

    /// Waits for an answer to the present question. `None` when nobody wants it any more.
    pub fn wait(&self, deadline: Instant) -> Option<Given> {
        let left = deadline.saturating_duration_since(Instant::now());
        let open = |state: &mut State| {
            let wanted = state
                .current
                .as_ref()
                .is_some_and(|c| !c.waiters.is_empty());
            state.given.is_none() && wanted && !state.closed
        };
        let (mut state, waited) = self
            .changed
            .wait_timeout_while(self.lock(), left, open)
            .unwrap_or_else(PoisonError::into_inner);
        state.asked_client = false;
        let wanted = state
            .current
            .as_ref()
            .is_some_and(|c| !c.waiters.is_empty());
        if !wanted || state.closed {
            return None;
        }
        let given = state.given.take();
        given.or(waited.timed_out().then_some(Given::No))
    }

    /// Takes up the next question, and calls `idle` now and then until there is one. `None`
    /// when the conversation is over.
    fn next(&self, idle: impl Fn()) -> Option<Question> {
        let mut state = self.lock();
        while state.queue.is_empty() && !state.closed {
            let (after, waited) = self
                .changed
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = after;
            if waited.timed_out() {
                drop(state);
                idle();
                state = self.lock();
            }
        }
        if state.closed {
            return None;
        }
        let pending = state.queue.pop_front()?;
        let question = pending.question.clone();
        state.current = Some(pending);
        Some(question)
    }

    /// Those who wait for the present question, which is over.
    pub fn done(&self, unlocked: Unlocked) -> Vec<Arc<Request>> {
        let mut state = self.lock();
        if matches!(unlocked, Unlocked::Yes) {
            state.unlocks += 1;
        }
        state.given = None;
        state.current.take().map_or_else(Vec::new, |c| c.waiters)
    }

    /// A waiter of the present question whose client can ask.
    pub fn asker(&self) -> Option<Arc<Request>> {
        let state = self.lock();
        let waiters = &state.current.as_ref()?.waiters;
        waiters.iter().find(|waiter| waiter.client.ask).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an answer unlocked a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlocked {
    Yes,
    No,
}

/// Takes a request back, if that is still possible; it gets its reply now or, when a worker
/// has it, soon.
pub fn cancel(host: &Host, request: &Arc<Request>) {
    if request.cancel() {
        host.fail(request, &Error::cancelled());
        host.asking.forget(request);
    }
}

/// Decides what becomes of a request whose run ended with a question. `unlocks` is what
/// [`Asking::unlocks`] said before that run.
pub fn question(
    host: &Arc<Host>,
    request: &Arc<Request>,
    call: Box<dyn Call>,
    mut error: Error,
    unlocks: u64,
) {
    let Some(question) = error.question.take().map(|question| *question) else {
        return host.fail(request, &error);
    };
    let confirm = matches!(question, Question::Confirm { .. });
    if confirm && host.settings.confirm == Confirm::No {
        return host.fail(request, &answering::denied(&question));
    }
    if request.count_question() > QUESTIONS_MAX {
        return host.fail(request, &Error::internal("a request asks without end"));
    }
    let never = call.ask() == Ask::Never;
    if confirm && host.settings.confirm == Confirm::Yes {
        request.answers.give(question, Answer::Confirmed);
        if request.park(call) {
            pool::submit(host, Arc::clone(request));
        } else {
            host.fail(request, &Error::cancelled());
        }
        return;
    }
    if never {
        return host.fail(request, &error);
    }
    request.job.stage(Stage::Asking);
    if !request.park(call) {
        return host.fail(request, &Error::cancelled());
    }
    enqueue(host, request, question, unlocks);
}

fn enqueue(host: &Arc<Host>, request: &Arc<Request>, question: Question, unlocks: u64) {
    let mut state = host.asking.lock();
    if state.closed {
        drop(state);
        return cancel(host, request);
    }
    if !host.requests.holds(request) {
        return;
    }
    let waiter = Arc::clone(request);
    let key = unlocks_key(&question);
    if key.is_some() && state.unlocks != unlocks {
        drop(state);
        return pool::submit(host, waiter);
    }
    let State { queue, current, .. } = &mut *state;
    let same = queue
        .iter_mut()
        .chain(current.as_mut())
        .find(|pending| key.is_some() && unlocks_key(&pending.question) == key);
    match same {
        Some(pending) => pending.waiters.push(waiter),
        None => queue.push_back(Pending {
            question,
            waiters: vec![waiter],
        }),
    }
    let start = !state.running;
    state.running = true;
    drop(state);
    host.asking.changed.notify_all();
    if start {
        let theirs = Arc::clone(host);
        let started = thread::Builder::new()
            .name("asking".to_owned())
            .spawn(move || {
                // Keys are unlocked on this thread alone: it also sees to their time limit.
                let idle = || theirs.service.expire(SystemTime::now());
                while let Some(question) = theirs.asking.next(idle) {
                    answering::ask(&theirs, question);
                }
                theirs.asking.lock().running = false;
                theirs.asking.changed.notify_all();
            });
        if started.is_err() {
            host.asking.lock().running = false;
            cancel(host, request);
        }
    }
}

/// The key that a question unlocks, if that is what it is for.
pub fn unlocks_key(question: &Question) -> Option<&KeyId> {
    match question {
        Question::Passphrase {
            need: Need::Unlock,
            key,
            ..
        } => key.as_ref(),
        _ => None,
    }
}
