//! A host's side: private keys that lie in the agent, which is started when it is needed.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::peer;
use super::speech::{self, Answer, Question};
use crate::base::Secret;
use crate::base::error::{Error, Result};
use crate::base::keys::{
    KeyId, KeyPairId, Lease, Opening, Private, PrivateKeys, SecretState, Signing,
};

/// How long an agent that was just started may take to be there.
const START: Duration = Duration::from_secs(5);

/// How often it is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(4);

/// How long one operation may take. A passphrase may be stretched for seconds, and a PIN may be
/// typed on a token's reader.
const PATIENCE: Duration = Duration::from_secs(150);

/// Connections that are kept: as many as a host has workers.
const KEPT: usize = 4;

/// How an agent is started: whether one has been. It need not be there yet.
pub type Start = Box<dyn Fn() -> bool + Send + Sync>;

/// Private keys in the agent of this person and state folder. Where none can be had, this
/// process does the work with keys of its own.
pub struct Agent {
    socket: PathBuf,
    start: Start,
    own: Private,
    idle: Mutex<Vec<UnixStream>>,
    /// There is none to be had.
    without: AtomicBool,
}

/// Whether an agent is worth starting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// What there is to do needs one.
    Yes,
    /// Without one there is nothing to do.
    IfThere,
}

impl Agent {
    /// The agent behind `socket`; `own` for when there is none. Nothing is contacted yet.
    pub fn new(socket: PathBuf, start: Start, own: Private) -> Agent {
        Agent {
            socket,
            start,
            own,
            idle: Mutex::default(),
            without: AtomicBool::new(false),
        }
    }

    /// What the agent answers; `None` when there is none.
    fn ask(&self, question: &Question<'_>, wanted: Wanted) -> Option<Zeroizing<Vec<u8>>> {
        if self.without.load(Ordering::Relaxed) {
            return None;
        }
        // A connection that was kept may lead to an agent that has ended since.
        let kept = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(stream) = kept
            && let Ok(answer) = self.over(stream, question)
        {
            return Some(answer);
        }
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let stream = match connect(&self.socket) {
            Ok(stream) => stream,
            Err(_) if wanted == Wanted::IfThere => return None,
            Err(_) => self.started()?,
        };
        match self.over(stream, question) {
            Ok(answer) => Some(answer),
            Err(error) => {
                log::warn!("agent: no answer, {}", error.kind());
                None
            }
        }
    }

    fn over(
        &self,
        mut stream: UnixStream,
        question: &Question<'_>,
    ) -> io::Result<Zeroizing<Vec<u8>>> {
        speech::ask(&mut stream, question)?;
        let answer = speech::receive(&mut stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(stream);
        }
        Ok(answer)
    }

    /// Starts an agent and connects to it; `None`, from now on, when that does not work.
    fn started(&self) -> Option<UnixStream> {
        let begun = Instant::now();
        if (self.start)() {
            while begun.elapsed() < START {
                if let Ok(stream) = connect(&self.socket) {
                    log::info!("agent: started in {} ms", begun.elapsed().as_millis());
                    return Some(stream);
                }
                thread::sleep(LOOK);
            }
        }
        log::warn!("agent: can't be started; this process does its work");
        self.without.store(true, Ordering::Relaxed);
        None
    }

    /// What the agent gives, or else what this process does itself.
    fn bytes(
        &self,
        question: &Question<'_>,
        own: impl FnOnce(&Private) -> Result<Secret>,
    ) -> Result<Secret> {
        let Some(answer) = self.ask(question, Wanted::Yes) else {
            return own(&self.own);
        };
        match speech::read(&answer)? {
            Answer::Bytes(bytes) => Ok(Secret::new(bytes.to_vec())),
            Answer::Failed(failed) => Err(failed.error()),
            _ => Err(confused()),
        }
    }
}

impl PrivateKeys for Agent {
    fn state(&self, id: &KeyId) -> SecretState {
        let answer = self.ask(&Question::State(id.clone()), Wanted::IfThere);
        match answer.as_deref().map(|answer| speech::read(answer)) {
            Some(Ok(Answer::State(state))) => state,
            _ => self.own.state(id),
        }
    }

    fn sign(&self, key: &KeyPairId, how: Signing, data: &[u8]) -> Result<Vec<u8>> {
        let question = Question::Sign {
            key: key.clone(),
            how,
            data,
        };
        let signed = self.bytes(&question, |own| own.sign(key, how, data).map(Secret::new))?;
        Ok(signed.expose().to_vec())
    }

    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret> {
        let question = Question::Decrypt {
            key: key.clone(),
            how,
            ciphertext,
        };
        self.bytes(&question, |own| own.decrypt(key, how, ciphertext))
    }

    fn unlock(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<()> {
        let question = Question::Unlock {
            id: id.clone(),
            passphrase: passphrase.expose(),
            lease,
        };
        let Some(answer) = self.ask(&question, Wanted::Yes) else {
            return self.own.unlock(id, passphrase, lease);
        };
        match speech::read(&answer)? {
            Answer::Done => Ok(()),
            Answer::Failed(failed) => Err(failed.error()),
            _ => Err(confused()),
        }
    }

    fn until(&self, id: &KeyId) -> Option<u64> {
        let answer = self.ask(&Question::Until(id.clone()), Wanted::IfThere);
        match answer.as_deref().map(|answer| speech::read(answer)) {
            Some(Ok(Answer::Until(until))) => until,
            _ => self.own.until(id),
        }
    }

    fn lock(&self, id: Option<&KeyId>) {
        self.own.lock(id);
        self.ask(&Question::Lock(id.cloned()), Wanted::IfThere);
    }

    fn wipe(&self) {
        self.own.wipe();
    }

    fn expire(&self, now: u64) {
        self.own.expire(now);
    }
}

/// Tells the agent behind `socket` to end; false when there is none.
pub fn end(socket: &Path) -> bool {
    connect(socket).is_ok_and(|mut stream| {
        speech::ask(&mut stream, &Question::End).is_ok() && speech::receive(&mut stream).is_ok()
    })
}

/// Connects to an agent of the same person and program.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    if !peer::is_this_person(&stream) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    speech::greet(&mut stream)?;
    Ok(stream)
}

fn confused() -> Error {
    Error::internal(
        "the agent gave another answer than was asked for; end it with: sealpost agent --end",
    )
}

/// The agent behind `socket`, as a door.
pub fn private(socket: PathBuf, start: Start, own: Private) -> Private {
    Arc::new(Agent::new(socket, start, own))
}
