//! The agent's side: private keys that outlive every host.
//!
//! One thread for each host that is connected; the first one watches the time. The agent ends
//! by itself when nobody needs it, when it is told to, and when its socket is taken away.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::hosts::{Host, Hosts};
use super::speech::{self, Answer, Failed, Partner, Question};
use crate::base::Secret;
use crate::base::error::Result;
use crate::base::keys::{KeyId, Private, SecretState};
use crate::base::peer;

/// How often the time is looked at.
const TICK: Duration = Duration::from_millis(500);

/// How long an agent waits for work when no host is there and nothing is unlocked.
const LINGER: Duration = Duration::from_secs(60);

/// How long a host may take to greet, and to take an answer.
const TAKES: Duration = Duration::from_secs(5);

/// How often a host is told that its answer is still to come: well below the silence that it
/// bears.
const BEAT: Duration = Duration::from_secs(1);

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
    hosts: Arc<Hosts>,
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

    /// Wipes what the agent itself holds.
    fn wipe(&self, id: Option<&KeyId>) {
        self.keys.wipe(id);
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
        hosts: Arc::default(),
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
    shared.wipe(None);
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
            shared.wipe(None);
            lock_all(&shared.keys);
        }
        asleep = slept;
        if shared.hosts.count() > 0 || shared.is_holding() {
            needed = Instant::now();
        }
        let told = shared.ended.load(Ordering::SeqCst);
        if told || needed.elapsed() > LINGER || !(surroundings.in_place)() {
            log::info!("agent: ends");
            return;
        }
    }
}

/// Locks all keys, of every host.
pub fn lock_all(keys: &Private) {
    if let Err(error) = keys.lock(None) {
        log::warn!(
            "agent: others that hold keys were not told, {}",
            error.kind.name()
        );
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
        if !peer::is_this_person(&stream) {
            log::warn!("agent: a connection was refused");
            continue;
        }
        let host = match shared.hosts.admit(stream) {
            Ok(host) => host,
            Err(mut stream) => {
                log::warn!("agent: too many connections are in use");
                let _ = stream.set_nonblocking(true);
                let _ = stream.write_all(speech::BUSY.as_bytes());
                continue;
            }
        };
        let theirs = Arc::clone(shared);
        // Where there is no thread for it, the connection ends here.
        let _ = thread::Builder::new()
            .name("host".to_owned())
            .spawn(move || {
                // A host that has gone, or speaks otherwise, is heard no more.
                if let Err(error) = converse(&host, &theirs) {
                    log::info!("agent: a connection ended, {}", error.kind());
                }
            });
    }
}

fn converse(host: &Host, shared: &Shared) -> io::Result<()> {
    let mut stream = host.stream();
    stream.set_read_timeout(Some(TAKES))?;
    stream.set_write_timeout(Some(TAKES))?;
    match speech::greet(&mut stream)? {
        Partner::Same => {}
        // A newer host, after an update: it can start its own when we are gone.
        Partner::Newer => {
            shared.ended.store(true, Ordering::SeqCst);
            return Err(io::ErrorKind::Unsupported.into());
        }
        Partner::Older | Partner::Busy => return Err(io::ErrorKind::Unsupported.into()),
    }
    stream.set_read_timeout(None)?;
    while let Some(bytes) = speech::receive(&mut stream)? {
        let _busy = host.busy();
        let question = match speech::read(&bytes) {
            Ok(question) => question,
            Err(error) => {
                speech::tell(&mut stream, &Answer::Failed(Failed::of(&error)))?;
                continue;
            }
        };
        let answered = worked_out(&question, shared, stream)?;
        let told = match &answered {
            Ok(Given::State(state)) => speech::tell(&mut stream, &Answer::State(*state)),
            Ok(Given::Until(until)) => speech::tell(&mut stream, &Answer::Until(*until)),
            Ok(Given::Bytes(secret)) => speech::tell(&mut stream, &Answer::Bytes(secret.expose())),
            Ok(Given::Done) => speech::tell(&mut stream, &Answer::Done),
            Err(error) => speech::tell(&mut stream, &Answer::Failed(Failed::of(error))),
        };
        // Nobody knows that it is open: it may have been locked since it was asked for.
        if let (Question::Unlock { id, .. }, Err(_)) = (&question, &told) {
            shared.wipe(Some(id));
        }
        told?;
    }
    Ok(())
}

/// Works out an answer, and says meanwhile that it is coming.
///
/// # Errors
/// Whatever the socket says.
fn worked_out(
    question: &Question<'_>,
    shared: &Shared,
    mut stream: &UnixStream,
) -> io::Result<Result<Given>> {
    if !question.takes_long() {
        return Ok(answer(question, shared));
    }
    thread::scope(|scope| {
        let (given, answered) = channel();
        thread::Builder::new()
            .name("work".to_owned())
            .spawn_scoped(scope, move || given.send(answer(question, shared)))?;
        let mut listened = Ok(());
        loop {
            match answered.recv_timeout(BEAT) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::ErrorKind::Other.into());
                }
                Err(RecvTimeoutError::Timeout) if listened.is_ok() => {
                    listened = speech::tell(&mut stream, &Answer::Working);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    })
}

enum Given {
    State(SecretState),
    Until(Option<u64>),
    Bytes(Secret),
    Done,
}

fn answer(question: &Question<'_>, shared: &Shared) -> Result<Given> {
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
        // Whoever asks has posted a notice.
        Question::Lock(id) => {
            shared.wipe(id.as_ref());
            Given::Done
        }
        Question::End => {
            shared.wipe(None);
            shared.ended.store(true, Ordering::SeqCst);
            Given::Done
        }
    })
}
