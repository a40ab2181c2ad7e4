//! The one owner of the output: everybody else leaves texts in its [`Outbox`].
//!
//! Workers never wait for it. The reader does, when a client asks but does not read.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::wire::frame;
use crate::wire::reply::Text;

/// With this much unsent, no further request is read.
const FULL: usize = 32 * 1024 * 1024;

/// Texts on their way out.
#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    texts: VecDeque<Text>,
    /// Unsent bytes, those that are being written included.
    bytes: usize,
    unsent: usize,
    /// Nothing is taken any more; what is there is still sent.
    closed: bool,
    /// The output broke.
    broken: bool,
}

impl Outbox {
    /// Leaves a text. Dropped when the output is closed.
    pub fn send(&self, text: Text) {
        let mut state = self.lock();
        if state.closed || state.broken || text.is_empty() {
            return;
        }
        state.bytes = state.bytes.saturating_add(text.len());
        state.unsent = state.unsent.saturating_add(1);
        state.texts.push_back(text);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits while too much is unsent.
    pub fn wait_for_room(&self) {
        let full = |state: &mut State| state.bytes > FULL && !state.closed && !state.broken;
        drop(
            self.changed
                .wait_while(self.lock(), full)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Whether something waits already: progress would only add to it.
    pub fn is_behind(&self) -> bool {
        self.lock().unsent > 16
    }

    /// Takes nothing more, and waits until what is there was written, or until `deadline`.
    pub fn close(&self, deadline: Instant) {
        self.lock().closed = true;
        self.changed.notify_all();
        let left = deadline.saturating_duration_since(Instant::now());
        let unsent = |state: &mut State| state.unsent > 0 && !state.broken;
        drop(
            self.changed
                .wait_timeout_while(self.lock(), left.max(Duration::from_millis(1)), unsent)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn next(&self) -> Option<Text> {
        let mut state = self
            .changed
            .wait_while(self.lock(), |state| {
                state.texts.is_empty() && !state.closed && !state.broken
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.broken {
            return None;
        }
        state.texts.pop_front()
    }

    fn sent(&self, length: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(length);
        state.unsent = state.unsent.saturating_sub(1);
        drop(state);
        self.changed.notify_all();
    }

    fn broke(&self) {
        let mut state = self.lock();
        state.broken = true;
        state.texts.clear();
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what comes into the outbox until it is closed and empty (true), or the output
/// breaks (false).
pub fn write(outbox: &Outbox, mut output: impl Write) -> bool {
    while let Some(text) = outbox.next() {
        let length = text.len();
        let written = frame::write(&mut output, &text);
        drop(text);
        if let Err(error) = written {
            log::warn!("output closed: {:?}", error.kind());
            outbox.broke();
            return false;
        }
        outbox.sent(length);
    }
    true
}
