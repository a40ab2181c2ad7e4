//! The small service: it echoes, waits, panics, and has keys that are locked.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::client::LONG;
use crate::base::ask::{Action, Answers, Need, locked};
use crate::base::body::{Bodies, Body};
use crate::base::job::Job;
use crate::base::keys::{
    Acceptance, Certs, KeyPairId, Lease, Opening, PrivateKeys, Protocol, SealedSecret, SecretState,
    Signing, StoredCert, no_such_key,
};
use crate::base::policy::Policy;
use crate::base::{Address, Context, Error, KeyId, Kind, Result, Secret};
use crate::verbs::{Ask, Asks};
use crate::wire::call::{self, Call, Service};

/// What opens every key.
pub const PASSPHRASE: &str = "correct horse 100% \u{e4}";

#[derive(Default)]
pub struct Fake {
    world: Arc<World>,
    pub policy: Mutex<Policy>,
}

#[derive(Default)]
pub struct World {
    unlocked: Mutex<HashSet<KeyId>>,
    /// How often a passphrase was tried.
    pub tried: AtomicUsize,
    /// How many `test/wait` are running, and whether they may go on.
    gate: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Fake {
    pub fn world(&self) -> &World {
        &self.world
    }
}

impl World {
    /// Waits until `count` requests wait inside a worker.
    pub fn until_waiting(&self, count: usize) {
        let (gate, waited) = self
            .changed
            .wait_timeout_while(self.gate.lock().unwrap(), LONG, |gate| gate.0 < count)
            .unwrap();
        assert!(!waited.timed_out(), "{} of {count} wait", gate.0);
    }

    /// Lets them go on, and all that come.
    pub fn release(&self) {
        self.gate.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    pub fn is_unlocked(&self) -> bool {
        !self.unlocked.lock().unwrap().is_empty()
    }
}

/// One of ten key ids.
pub fn key(number: u8) -> String {
    format!("openpgp:{}", format!("{number:X}").repeat(40))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    bodies: Vec<Body>,
    name: usize,
    key: Option<KeyId>,
    /// Past the point of return: a cancel comes too late.
    commit: bool,
    ask: Ask,
    origin: Option<String>,
}

#[derive(Serialize)]
pub struct Reply {
    bodies: Vec<Body>,
    name: String,
}

impl Bodies for Request {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.bodies.bodies(visit)
    }
}

impl Bodies for Reply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.bodies.bodies(visit)
    }
}

impl Asks for Request {
    fn ask(&self) -> Ask {
        self.ask
    }

    fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }
}

fn echo(_: &World, request: &Request, _: &Context) -> Result<Reply> {
    Ok(Reply {
        bodies: request.bodies.clone(),
        name: "n".repeat(request.name),
    })
}

/// Holds its worker until it is released; listens to cancels unless it has committed.
fn wait(world: &World, request: &Request, context: &Context) -> Result<Reply> {
    if request.commit {
        context.job.commit()?;
    }
    let mut gate = world.gate.lock().unwrap();
    gate.0 += 1;
    world.changed.notify_all();
    while !gate.1 {
        context.job.check()?;
        let tick = std::time::Duration::from_millis(5);
        gate = world.changed.wait_timeout(gate, tick).unwrap().0;
    }
    drop(gate);
    if !request.commit {
        context.job.check()?;
    }
    echo(world, request, context)
}

fn explode(_: &World, _: &Request, _: &Context) -> Result<Reply> {
    panic!("sesame")
}

/// Works only with its key unlocked.
fn unlocked(world: &World, request: &Request, context: &Context) -> Result<Reply> {
    let key = request.key.clone().unwrap();
    if !world.unlocked.lock().unwrap().contains(&key) {
        return Err(locked(&key, "Alice <alice@example.org>"));
    }
    echo(world, request, context)
}

/// Asks for a passphrase of its own, and gives it back.
fn unwrap(_: &World, request: &Request, context: &Context) -> Result<Reply> {
    let label = "a file";
    let (secret, attempt) = context.answers.passphrase(Need::Unwrap, None, label)?;
    if secret.expose() != PASSPHRASE.as_bytes() {
        return Err(Answers::wrong(Need::Unwrap, None, label, attempt));
    }
    echo(&World::default(), request, context)
}

fn wrap(_: &World, _: &Request, context: &Context) -> Result<Reply> {
    let (secret, _) = context.answers.passphrase(Need::Wrap, None, "a key")?;
    Ok(Reply {
        bodies: vec![Body::from(secret.expose().to_vec())],
        name: String::new(),
    })
}

fn delete(world: &World, request: &Request, context: &Context) -> Result<Reply> {
    context.confirm(Action::DeleteSecret, "Alice <alice@example.org>")?;
    echo(world, request, context)
}

fn lock(world: &World, request: &Request, context: &Context) -> Result<Reply> {
    world.unlocked.lock().unwrap().clear();
    echo(world, request, context)
}

impl Service for Fake {
    fn methods(&self) -> &[&'static str] {
        &[
            "test/echo",
            "test/wait",
            "test/panic",
            "test/unlocked",
            "test/unwrap",
            "test/wrap",
            "test/delete",
            "keys/lock",
        ]
    }

    fn admit(&self, _method: &str) -> Result<()> {
        Ok(())
    }

    fn read(&self, method: &'static str, params: &str) -> Result<Box<dyn Call>> {
        let verb = match method {
            "test/echo" => echo,
            "test/wait" => wait,
            "test/panic" => explode,
            "test/unlocked" => unlocked,
            "test/unwrap" => unwrap,
            "test/wrap" => wrap,
            "test/delete" => delete,
            _ => lock,
        };
        let world = Arc::clone(&self.world);
        let present: call::Present<_> = Arc::new(move || Arc::clone(&world));
        call::read(&present, verb, params)
    }

    fn protocols(&self) -> Vec<Protocol> {
        vec![Protocol::OpenPgp]
    }

    fn context(&self, now: SystemTime, job: Arc<Job>, answers: Arc<Answers>) -> Context {
        Context {
            now,
            at: None,
            policy: self.policy(),
            job,
            answers,
            certs: Arc::new(NoKeys),
            private: Arc::new(NoKeys),
            online: None,
        }
    }

    fn unlock(&self, id: &KeyId, passphrase: &Secret, _: SystemTime) -> Result<()> {
        self.world.tried.fetch_add(1, Ordering::SeqCst);
        if passphrase.expose() != PASSPHRASE.as_bytes() {
            return Err(Error::new(Kind::PassphraseWrong, "wrong"));
        }
        self.world.unlocked.lock().unwrap().insert(id.clone());
        Ok(())
    }

    fn policy(&self) -> Arc<Policy> {
        Arc::new(self.policy.lock().unwrap().clone())
    }

    fn expire(&self, _: SystemTime) {}

    fn wipe(&self) {
        self.world.unlocked.lock().unwrap().clear();
    }
}

struct NoKeys;

impl Certs for NoKeys {
    fn by_handle(&self, _: Protocol, _: &str) -> Result<Vec<StoredCert>> {
        Ok(Vec::new())
    }

    fn by_address(&self, _: Protocol, _: &Address) -> Result<Vec<StoredCert>> {
        Ok(Vec::new())
    }

    fn own(&self, _: Protocol) -> Result<Vec<StoredCert>> {
        Ok(Vec::new())
    }

    fn acceptance(&self, _: &KeyId, _: &Address) -> Result<Acceptance> {
        Ok(Acceptance::Undecided)
    }

    fn sealed_secret(&self, _: &KeyId) -> Result<SealedSecret> {
        Err(no_such_key())
    }
}

impl PrivateKeys for NoKeys {
    fn state(&self, _: &KeyId) -> SecretState {
        SecretState::None
    }

    fn sign(&self, _: &KeyPairId, _: Signing, _: &[u8]) -> Result<Vec<u8>> {
        Err(no_such_key())
    }

    fn decrypt(&self, _: &KeyPairId, _: Opening<'_>, _: &[u8]) -> Result<Secret> {
        Err(no_such_key())
    }

    fn unlock(&self, _: &KeyId, _: &Secret, _: Lease) -> Result<()> {
        Err(no_such_key())
    }

    fn until(&self, _: &KeyId) -> Option<u64> {
        None
    }

    fn wipe(&self, _: Option<&KeyId>) {}

    fn expire(&self, _: u64) {}
}
