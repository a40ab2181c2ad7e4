//! A host's side: private keys that lie in the agent, which is started when it is needed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::line::{self, Fault, Line};
use super::peer;
use super::speech::{self, Answer, Question};
use crate::base::Secret;
use crate::base::error::{Error, Kind, Result};
use crate::base::job::Job;
use crate::base::keys::{
    KeyId, KeyPairId, Lease, Opening, Private, PrivateKeys, SecretState, Signing,
};

/// How long an agent that was just started may take to be there. One that can't be is known at
/// once.
const START: Duration = Duration::from_secs(10);

/// How often it is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(4);

/// How long another agent may take that is about to end, or has just begun, before one is started
/// again.
const PAUSE: Duration = Duration::from_millis(100);

/// For how long this process does its work itself once no agent was to be had. A person who
/// mends it should not have to start the browser anew.
const AGAIN: Duration = Duration::from_secs(60);

/// Connections that are kept: as many as a host has workers.
const KEPT: usize = 4;

/// How far an agent is that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It may be there yet.
    Running,
    /// It found that there is another.
    Yielded,
    /// It can't be.
    Failed,
}

/// Tells how far the agent is that was started.
pub type Starting = Box<dyn Fn() -> Fate>;

/// How an agent is started; `None` when that can't be.
pub type Start = Box<dyn Fn() -> Option<Starting> + Send + Sync>;

/// What a host brings along.
pub struct Means {
    pub start: Start,
    /// Sees to it that the keys are locked when the person goes away. Called once, when the host
    /// is the first time without an agent and opens one itself.
    pub watch: Box<dyn Fn(&Private) + Send + Sync>,
}

/// How things stand with the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It answers.
    Running,
    /// There is none now.
    Absent,
    /// It does not answer.
    Silent,
    /// It has too many hosts.
    Busy,
    /// It is of another version.
    Other,
    /// It can't be started.
    Failed,
}

/// Private keys in the agent of this person and state folder. Where none can be had, this
/// process does the work with keys of its own.
pub struct Agent {
    link: Arc<Link>,
    /// The request on whose behalf it waits.
    job: Arc<Job>,
}

struct Link {
    socket: PathBuf,
    means: Means,
    own: Private,
    /// Something was opened in this process, while there was no agent.
    holds: AtomicBool,
    idle: Mutex<Vec<Line>>,
    /// There was none to be had, and until when it is not tried again.
    without: Mutex<Option<(Standing, Instant)>>,
}

/// Whether an agent is worth starting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// What there is to do needs one.
    Yes,
    /// Without one there is nothing to do.
    IfThere,
}

impl Link {
    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn without(&self) -> MutexGuard<'_, Option<(Standing, Instant)>> {
        self.without.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was none to be had just now.
    fn is_without(&self) -> bool {
        self.without()
            .is_some_and(|(_, until)| Instant::now() < until)
    }

    fn do_without(&self, standing: Standing) {
        log::warn!("agent: {standing:?}; this process does its work");
        self.idle().clear();
        let until = Instant::now() + AGAIN;
        *self.without() = Some((standing, until));
    }

    /// Whether this process has opened a key itself.
    fn has_opened(&self, id: &KeyId) -> bool {
        self.holds.load(Ordering::Relaxed) && self.own.until(id).is_some()
    }

    /// What the agent answers; `None` when there is none.
    ///
    /// # Errors
    /// `cancelled`.
    fn ask(
        &self,
        question: &Question<'_>,
        wanted: Wanted,
        job: &Job,
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        if self.is_without() {
            return Ok(None);
        }
        // A connection that was kept may lead to an agent that has ended since.
        let kept = self.idle().pop();
        if let Some(kept) = kept {
            match self.over(kept, question, job) {
                Err(Fault::Gone(_)) => self.idle().clear(),
                said => return self.said(said),
            }
        }
        let line = match line::connect(&self.socket, job) {
            Err(Fault::Gone(_) | Fault::Older) => match wanted {
                Wanted::Yes => self.started(job),
                Wanted::IfThere => return Ok(None),
            },
            line => line,
        };
        let said = line.and_then(|line| self.over(line, question, job));
        self.said(said)
    }

    fn over(
        &self,
        line: Line,
        question: &Question<'_>,
        job: &Job,
    ) -> std::result::Result<Zeroizing<Vec<u8>>, Fault> {
        let answer = line.ask(question, job)?;
        let mut idle = self.idle();
        if idle.len() < KEPT {
            idle.push(line);
        }
        Ok(answer)
    }

    /// What becomes of it: an answer, or else this process does without.
    fn said(
        &self,
        said: std::result::Result<Zeroizing<Vec<u8>>, Fault>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let standing = match said {
            Ok(answer) => return Ok(Some(answer)),
            Err(Fault::TakenBack) => return Err(Error::cancelled()),
            // It ended with the question in its hands; the next one may find another.
            Err(Fault::Gone(error)) => {
                log::warn!("agent: no answer, {}", error.kind());
                return Ok(None);
            }
            Err(Fault::Silent) => Standing::Silent,
            Err(Fault::Busy) => Standing::Busy,
            Err(Fault::Older | Fault::Newer) => Standing::Other,
            Err(Fault::Unstartable) => Standing::Failed,
        };
        self.do_without(standing);
        Ok(None)
    }

    /// Starts an agent and connects to it.
    fn started(&self, job: &Job) -> std::result::Result<Line, Fault> {
        let begun = Instant::now();
        let mut starting = (self.means.start)().ok_or(Fault::Unstartable)?;
        while begun.elapsed() < START {
            match line::connect(&self.socket, job) {
                Ok(line) => {
                    log::info!("agent: started in {} ms", begun.elapsed().as_millis());
                    *self.without() = None;
                    return Ok(line);
                }
                Err(Fault::Gone(_) | Fault::Older) => {}
                Err(fault) => return Err(fault),
            }
            match starting() {
                Fate::Running => thread::sleep(LOOK),
                Fate::Failed => return Err(Fault::Unstartable),
                // What is there ends just now, or has only begun.
                Fate::Yielded => {
                    thread::sleep(PAUSE);
                    if let Ok(line) = line::connect(&self.socket, job) {
                        return Ok(line);
                    }
                    starting = (self.means.start)().ok_or(Fault::Unstartable)?;
                }
            }
            if job.check().is_err() {
                return Err(Fault::TakenBack);
            }
        }
        Err(Fault::Unstartable)
    }
}

impl Agent {
    /// The agent behind `socket`; `own` for when there is none. Nothing is contacted yet.
    pub fn new(socket: PathBuf, means: Means, own: Private) -> Agent {
        Agent {
            link: Arc::new(Link {
                socket,
                means,
                own,
                holds: AtomicBool::new(false),
                idle: Mutex::default(),
                without: Mutex::default(),
            }),
            job: Arc::default(),
        }
    }

    /// How things stand with it now. None is started.
    pub fn standing(&self, job: &Job) -> Standing {
        let standing = standing(&self.link.socket, job);
        let before = self.link.without().map(|(before, _)| before);
        match (standing, before) {
            // As far as is known: it is not tried now.
            (Standing::Absent, Some(Standing::Failed)) => return Standing::Failed,
            // Whoever asks later need not find out anew.
            (Standing::Silent, _) => self.link.do_without(standing),
            // Somebody has mended it.
            _ => *self.link.without() = None,
        }
        standing
    }

    fn ask(&self, question: &Question<'_>, wanted: Wanted) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.link.ask(question, wanted, &self.job)
    }

    /// What the agent gives, or else what this process does itself.
    fn bytes(
        &self,
        key: &KeyId,
        question: &Question<'_>,
        own: impl FnOnce(&Private) -> Result<Secret>,
    ) -> Result<Secret> {
        if self.link.has_opened(key) {
            return own(&self.link.own);
        }
        let Some(answer) = self.ask(question, Wanted::Yes)? else {
            return own(&self.link.own);
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
        if self.link.has_opened(id) {
            return self.link.own.state(id);
        }
        let answer = self.ask(&Question::State(id.clone()), Wanted::IfThere);
        match answer.ok().flatten().as_deref().map(|a| speech::read(a)) {
            Some(Ok(Answer::State(state))) => state,
            _ => self.link.own.state(id),
        }
    }

    fn sign(&self, key: &KeyPairId, how: Signing, data: &[u8]) -> Result<Vec<u8>> {
        let question = Question::Sign {
            key: key.clone(),
            how,
            data,
        };
        let signed = self.bytes(&key.cert, &question, |own| {
            own.sign(key, how, data).map(Secret::new)
        })?;
        Ok(signed.expose().to_vec())
    }

    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret> {
        let question = Question::Decrypt {
            key: key.clone(),
            how,
            ciphertext,
        };
        self.bytes(&key.cert, &question, |own| {
            own.decrypt(key, how, ciphertext)
        })
    }

    fn unlock(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<()> {
        let question = Question::Unlock {
            id: id.clone(),
            passphrase: passphrase.expose(),
            lease,
        };
        let Some(answer) = self.ask(&question, Wanted::Yes)? else {
            if !self.link.holds.swap(true, Ordering::Relaxed) {
                (self.link.means.watch)(&self.link.own);
            }
            return self.link.own.unlock(id, passphrase, lease);
        };
        match speech::read(&answer)? {
            Answer::Done => Ok(()),
            Answer::Failed(failed) => Err(failed.error()),
            _ => Err(confused()),
        }
    }

    fn until(&self, id: &KeyId) -> Option<u64> {
        if self.link.has_opened(id) {
            return self.link.own.until(id);
        }
        let answer = self.ask(&Question::Until(id.clone()), Wanted::IfThere);
        match answer.ok().flatten().as_deref().map(|a| speech::read(a)) {
            Some(Ok(Answer::Until(until))) => until,
            _ => self.link.own.until(id),
        }
    }

    fn lock(&self, id: Option<&KeyId>) -> Result<()> {
        let posted = self.link.own.lock(id);
        // It heeds what was posted before it uses a key; told, it wipes at once.
        let _ = self.ask(&Question::Lock(id.cloned()), Wanted::IfThere);
        posted
    }

    fn wipe(&self, id: Option<&KeyId>) {
        self.link.own.wipe(id);
    }

    fn expire(&self, now: u64) {
        self.link.own.expire(now);
    }

    fn during(&self, job: &Arc<Job>) -> Option<Private> {
        Some(Arc::new(Agent {
            link: Arc::clone(&self.link),
            job: Arc::clone(job),
        }))
    }
}

fn standing(socket: &Path, job: &Job) -> Standing {
    match line::connect(socket, job) {
        Ok(_) => Standing::Running,
        Err(Fault::Silent) => Standing::Silent,
        Err(Fault::Busy) => Standing::Busy,
        Err(Fault::Older | Fault::Newer) => Standing::Other,
        Err(Fault::Gone(_) | Fault::TakenBack | Fault::Unstartable) => Standing::Absent,
    }
}

/// Ends the agent behind `socket`, whether it listens or not; false when there is none.
///
/// # Errors
/// `store.unavailable` when it can't be reached at all.
pub fn end(socket: &Path) -> Result<bool> {
    let unreachable = || {
        Error::new(
            Kind::StoreUnavailable,
            "the agent can't be reached; end its process, which is called: sealpost agent",
        )
    };
    let job = Job::default();
    let stream = match line::reach(socket, &job) {
        Ok(stream) => stream,
        Err(Fault::Silent) => return Err(unreachable()),
        Err(_) => return Ok(false),
    };
    let process = peer::process(&stream);
    let told = line::greeted(stream, &job).and_then(|line| line.ask(&Question::End, &job));
    match (told, process) {
        (Ok(_), _) => Ok(true),
        (Err(_), Some(process)) => {
            peer::kill(process);
            Ok(true)
        }
        (Err(_), None) => Err(unreachable()),
    }
}

fn confused() -> Error {
    Error::internal(
        "the agent gave another answer than was asked for; end it with: sealpost agent --end",
    )
}
