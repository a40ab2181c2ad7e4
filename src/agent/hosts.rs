//! The hosts that are connected to the agent. There is a most: beyond it, whoever has the most
//! connections loses one that is not in use. A host finds another when it needs one.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::peer;

/// The most connections at once: a person has a few browsers, each host a few workers.
const CONNECTIONS_MAX: usize = 64;

/// All of them.
#[derive(Default)]
pub(super) struct Hosts {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    all: HashMap<u64, Entry>,
    next: u64,
}

struct Entry {
    stream: Arc<UnixStream>,
    process: Option<u32>,
    /// Since when nothing is done for it; `None` while something is.
    idle: Option<Instant>,
}

/// One connection, which counts for as long as this lives.
pub(super) struct Host {
    hosts: Arc<Hosts>,
    number: u64,
    stream: Arc<UnixStream>,
}

/// Something is done for a connection for as long as this lives.
pub(super) struct Busy<'a>(&'a Host);

impl Hosts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().all.len()
    }

    /// Takes a connection. Gives it back when there are too many and all of them are in use.
    pub(super) fn admit(self: &Arc<Hosts>, stream: UnixStream) -> Result<Host, UnixStream> {
        let process = peer::process(&stream);
        let mut state = self.lock();
        if state.all.len() >= CONNECTIONS_MAX {
            let Some(number) = state.least_needed() else {
                return Err(stream);
            };
            if let Some(entry) = state.all.remove(&number) {
                let _ = rustix::net::shutdown(&*entry.stream, rustix::net::Shutdown::Both);
            }
        }
        let stream = Arc::new(stream);
        let number = state.next;
        state.next = state.next.wrapping_add(1);
        state.all.insert(
            number,
            Entry {
                stream: Arc::clone(&stream),
                process,
                idle: Some(Instant::now()),
            },
        );
        drop(state);
        Ok(Host {
            hosts: Arc::clone(self),
            number,
            stream,
        })
    }

    fn set(&self, number: u64, idle: Option<Instant>) {
        if let Some(entry) = self.lock().all.get_mut(&number) {
            entry.idle = idle;
        }
    }
}

impl State {
    /// The connection that is not in use for the longest, of the process that has the most.
    fn least_needed(&self) -> Option<u64> {
        let mut counts: HashMap<Option<u32>, usize> = HashMap::new();
        for entry in self.all.values() {
            *counts.entry(entry.process).or_default() += 1;
        }
        let idle = self.all.iter().filter_map(|(number, entry)| {
            let count = counts.get(&entry.process).copied().unwrap_or_default();
            Some((count, std::cmp::Reverse(entry.idle?), *number))
        });
        idle.max().map(|(_, _, number)| number)
    }
}

impl Host {
    /// What is said and heard over it.
    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Something is done for it from now on.
    pub(super) fn busy(&self) -> Busy<'_> {
        self.hosts.set(self.number, None);
        Busy(self)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.hosts.lock().all.remove(&self.number);
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.hosts.set(self.0.number, Some(Instant::now()));
    }
}
