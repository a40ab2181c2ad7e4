//! The agent's side: private keys that outlive every host.
//!
//! One thread for each host that is connected; the first one watches the time. The agent ends
//! by itself when nobody needs it, when it is told to, and when its socket is taken away.

use std::collections::HashSet;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::peer;
use super::speech::{self, Answer, Failed, Question};
use crate::base::error::Result;
use crate::base::keys::{KeyId, Private, SecretState};
use crate::base::{Error, Secret};

/// How often the time is looked at.
const TICK: Duration = Duration::from_millis(500);

/// How long an agent waits for work when no host is there and nothing is unlocked.
const LINGER: Duration = Duration::from_secs(60);

/// The most hosts at once, each with its workers: a person has a few browsers.
const CONNECTIONS_MAX: usize = 64;

/// How much longer real time may be than the time that this machine was awake, before it is
/// taken to have slept.
const SLEPT: Duration = Duration::from_secs(3);

/// What the agent knows of the world outside.
pub struct Surroundings {
    /// Unix seconds.
    pub now: fn() -> u64,
    /// Whether the socket still is where hosts look for it, and the rules are as they were.
    pub in_place: Box<dyn Fn() -> bool + Send>,
}

struct Shared {
    keys: Private,
    now: fn() -> u64,
    connections: AtomicUsize,
    /// What a passphrase opened.
    unlocked: Mutex<HashSet<KeyId>>,
    ended: AtomicBool,
}

impl Shared {
    fn unlocked(&self) -> MutexGuard<'_, HashSet<KeyId>> {
        self.unlocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something is still unlocked by a passphrase.
    fn is_holding(&self) -> bool {
        let mut unlocked = self.unlocked();
        unlocked.retain(|id| self.keys.until(id).is_some());
        !unlocked.is_empty()
    }

    fn lock(&self, id: Option<&KeyId>) {
        self.keys.lock(id);
        let mut unlocked = self.unlocked();
        match id {
            Some(id) => drop(unlocked.remove(id)),
            None => unlocked.clear(),
        }
    }
}

/// Answers hosts until nobody needs it any more, and wipes. `keys` are this process's own.
pub fn serve(listener: UnixListener, keys: Private, surroundings: &Surroundings) {
    let shared = Arc::new(Shared {
        keys,
        now: surroundings.now,
        connections: AtomicUsize::new(0),
        unlocked: Mutex::default(),
        ended: AtomicBool::new(false),
    });
    let theirs = Arc::clone(&shared);
    let accepting = thread::Builder::new()
        .name("accepting".to_owned())
        .spawn(move || accept(&listener, &theirs));
    if accepting.is_ok() {
        watch(&shared, surroundings);
    }
    shared.lock(None);
}

/// Comes back when the agent is to end.
fn watch(shared: &Shared, surroundings: &Surroundings) {
    let mut needed = Instant::now();
    let mut asleep = asleep();
    loop {
        thread::sleep(TICK);
        shared.keys.expire((surroundings.now)());
        let slept = self::asleep();
        if slept.saturating_sub(asleep) > SLEPT {
            log::info!("agent: locked, the machine has slept");
            shared.lock(None);
        }
        asleep = slept;
        if shared.connections.load(Ordering::SeqCst) > 0 || shared.is_holding() {
            needed = Instant::now();
        }
        let told = shared.ended.load(Ordering::SeqCst);
        if told || needed.elapsed() > LINGER || !(surroundings.in_place)() {
            log::info!("agent: ends");
            return;
        }
    }
}

/// For how long this machine has slept since it was started.
fn asleep() -> Duration {
    #[cfg(target_os = "linux")]
    {
        use rustix::time::{ClockId, clock_gettime};
        let read = |clock| {
            let time = clock_gettime(clock);
            let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
            let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
            Duration::new(seconds, nanoseconds)
        };
        read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic))
    }
    #[cfg(not(target_os = "linux"))]
    {
        Duration::ZERO
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // No file descriptors left: they come back when a host goes.
            thread::sleep(TICK);
            continue;
        };
        if shared.connections.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX
            || !peer::is_this_person(&stream)
        {
            shared.connections.fetch_sub(1, Ordering::SeqCst);
            log::warn!("agent: a connection was refused");
            continue;
        }
        let theirs = Arc::clone(shared);
        let spawned = thread::Builder::new()
            .name("host".to_owned())
            .spawn(move || {
                let _connected = Connected(&theirs);
                // A host that has gone, or speaks otherwise, is heard no more.
                if let Err(error) = converse(stream, &theirs) {
                    log::info!("agent: a connection ended, {}", error.kind());
                }
            });
        if spawned.is_err() {
            shared.connections.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Counts a connection until it is over, however that comes.
struct Connected<'a>(&'a Shared);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

fn converse(mut stream: UnixStream, shared: &Shared) -> io::Result<()> {
    if let Err(error) = speech::greet(&mut stream) {
        // A host of another version, after an update: it can start its own when we are gone.
        if error.kind() == io::ErrorKind::Unsupported {
            shared.ended.store(true, Ordering::SeqCst);
        }
        return Err(error);
    }
    while let Some(bytes) = speech::receive(&mut stream)? {
        let answered = match speech::read(&bytes) {
            Ok(question) => answer(&question, shared),
            Err(error) => Err(error),
        };
        match &answered {
            Ok(Given::State(state)) => speech::tell(&mut stream, &Answer::State(*state))?,
            Ok(Given::Until(until)) => speech::tell(&mut stream, &Answer::Until(*until))?,
            Ok(Given::Bytes(secret)) => {
                speech::tell(&mut stream, &Answer::Bytes(secret.expose()))?;
            }
            Ok(Given::Done) => speech::tell(&mut stream, &Answer::Done)?,
            Err(error) => speech::tell(&mut stream, &Answer::Failed(Failed::of(error)))?,
        }
    }
    Ok(())
}

enum Given {
    State(SecretState),
    Until(Option<u64>),
    Bytes(Secret),
    Done,
}

fn answer(question: &Question<'_>, shared: &Shared) -> Result<Given, Error> {
    let keys = &shared.keys;
    keys.expire((shared.now)());
    Ok(match question {
        Question::State(id) => Given::State(keys.state(id)),
        Question::Until(id) => Given::Until(keys.until(id)),
        Question::Sign { key, how, data } => {
            Given::Bytes(keys.sign(key, *how, data).map(Secret::new)?)
        }
        Question::Decrypt {
            key,
            how,
            ciphertext,
        } => Given::Bytes(keys.decrypt(key, *how, ciphertext)?),
        Question::Unlock {
            id,
            passphrase,
            lease,
        } => {
            keys.unlock(id, &Secret::new(passphrase.to_vec()), *lease)?;
            shared.unlocked().insert(id.clone());
            Given::Done
        }
        Question::Lock(id) => {
            shared.lock(id.as_ref());
            Given::Done
        }
        Question::End => {
            shared.lock(None);
            shared.ended.store(true, Ordering::SeqCst);
            Given::Done
        }
    })
}
