//! Both sides in one process, over a real socket, with keys that take their time.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::hosts::Hosts;
use super::speech::{self, Question};
use super::{Agent, Means, Standing, Surroundings, serve};
use crate::base::error::Result;
use crate::base::job::Job;
use crate::base::keys::{
    KeyId, KeyPairId, Lease, Opening, Private, PrivateKeys, Protocol, SecretState, Signing,
};
use crate::base::{Error, Secret};

/// Keys behind which everything takes this long.
struct Slow {
    takes: Duration,
    open: Mutex<bool>,
    begun: AtomicBool,
    opened: AtomicBool,
}

impl Slow {
    fn new(takes: Duration) -> Arc<Slow> {
        Arc::new(Slow {
            takes,
            open: Mutex::default(),
            begun: AtomicBool::default(),
            opened: AtomicBool::default(),
        })
    }
}

impl PrivateKeys for Slow {
    fn state(&self, _: &KeyId) -> SecretState {
        match *self.open.lock().unwrap() {
            true => SecretState::Unlocked,
            false => SecretState::Locked,
        }
    }

    fn sign(&self, _: &KeyPairId, _: Signing, data: &[u8]) -> Result<Vec<u8>> {
        thread::sleep(self.takes);
        Ok(data.to_vec())
    }

    fn decrypt(&self, _: &KeyPairId, _: Opening<'_>, _: &[u8]) -> Result<Secret> {
        Err(Error::decrypt_failed())
    }

    fn unlock(&self, _: &KeyId, _: &Secret, _: Lease) -> Result<()> {
        self.begun.store(true, Ordering::SeqCst);
        thread::sleep(self.takes);
        *self.open.lock().unwrap() = true;
        self.opened.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn until(&self, _: &KeyId) -> Option<u64> {
        self.open.lock().unwrap().then_some(1)
    }

    fn wipe(&self, _: Option<&KeyId>) {
        *self.open.lock().unwrap() = false;
    }

    fn expire(&self, _: u64) {}
}

fn id() -> KeyId {
    KeyId::from_hex(Protocol::OpenPgp, &"AB".repeat(20)).unwrap()
}

/// An agent for as long as the folder is there.
fn agent(keys: &Arc<Slow>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let (keys, place) = (Arc::clone(keys) as Private, socket.clone());
    thread::spawn(move || {
        let surroundings = Surroundings {
            now: || 0,
            in_place: Box::new(move || place.exists()),
        };
        serve(listener, keys, &surroundings);
    });
    (folder, socket)
}

/// A host's door to it that does nothing itself.
fn door(socket: &Path, own: &Arc<Slow>) -> Agent {
    let means = Means {
        start: Box::new(|| None),
        watch: Box::new(|_| ()),
    };
    Agent::new(socket.to_owned(), means, Arc::clone(own) as Private)
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_agent_that_works_is_waited_for() {
    // Longer than it may be silent.
    let keys = Slow::new(Duration::from_secs(12));
    let (_folder, socket) = agent(&keys);
    let own = Slow::new(Duration::ZERO);
    let agent = door(&socket, &own);
    let key = KeyPairId {
        cert: id(),
        subkey: "AB".repeat(20),
    };
    let begun = Instant::now();
    assert_eq!(agent.sign(&key, Signing::Ecdsa, b"it").unwrap(), b"it");
    assert!(begun.elapsed() >= keys.takes, "somebody else did it");
    // Unless nobody wants to know any more.
    let job: Arc<Job> = Arc::default();
    let during = agent.during(&job).unwrap();
    let begun = Instant::now();
    let waiting = thread::spawn(move || during.sign(&key, Signing::Ecdsa, b"it"));
    thread::sleep(Duration::from_millis(500));
    assert!(job.cancel());
    let error = waiting.join().unwrap().unwrap_err();
    assert_eq!(error.kind.name(), "cancelled");
    assert!(begun.elapsed() < keys.takes, "it was waited for");
}

#[test]
fn what_nobody_waits_for_is_not_opened() {
    let keys = Slow::new(Duration::from_millis(1500));
    let (_folder, socket) = agent(&keys);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(speech::GREETING.as_bytes()).unwrap();
    let question = Question::Unlock {
        id: id(),
        passphrase: b"x",
        lease: Lease::FOREVER,
    };
    speech::ask(&mut stream, &question).unwrap();
    until("it to begin", || keys.begun.load(Ordering::SeqCst));
    drop(stream);
    until("it to be open", || keys.opened.load(Ordering::SeqCst));
    until("it to be locked", || {
        keys.state(&id()) == SecretState::Locked
    });
    // One that is waited for is.
    let agent = door(&socket, &Slow::new(Duration::ZERO));
    agent
        .unlock(&id(), &Secret::new(Vec::new()), Lease::FOREVER)
        .unwrap();
    assert_eq!(agent.state(&id()), SecretState::Unlocked);
    assert_eq!(keys.state(&id()), SecretState::Unlocked);
}

#[test]
fn a_crowd_loses_what_is_not_in_use() {
    let hosts: Arc<Hosts> = Arc::default();
    let join = || {
        let (theirs, ours) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (theirs, hosts.admit(ours))
    };
    let mut all: Vec<_> = (0..64).map(|_| join()).collect();
    let gone = |stream: &UnixStream| matches!((&*stream).read(&mut [0]), Ok(0));
    let busy = all[0].1.as_ref().unwrap().busy();
    let (_one_more, admitted) = join();
    assert!(admitted.is_ok());
    assert_eq!(hosts.count(), 64);
    let lost: Vec<_> = (0..all.len()).filter(|n| gone(&all[*n].0)).collect();
    assert_eq!(lost, [1], "the oldest that is not in use");
    drop(busy);
    // When all are in use, nobody is.
    drop(admitted);
    drop(all.remove(1));
    all.push(join());
    let working: Vec<_> = all
        .iter()
        .map(|(_, h)| h.as_ref().unwrap().busy())
        .collect();
    assert_eq!(hosts.count(), 64);
    assert!(join().1.is_err());
    drop(working);
    assert!(join().1.is_ok());
    drop(all);
    assert_eq!(hosts.count(), 0);
}

#[test]
fn a_host_that_is_kept_out_does_it_itself() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        // Until this process ends; each connection is short.
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(speech::BUSY.as_bytes());
        }
    });
    let own = Slow::new(Duration::ZERO);
    let agent = door(&socket, &own);
    assert_eq!(agent.standing(&Job::default()), Standing::Busy);
    agent
        .unlock(&id(), &Secret::new(Vec::new()), Lease::FOREVER)
        .unwrap();
    assert_eq!(own.state(&id()), SecretState::Unlocked);
    assert_eq!(agent.state(&id()), SecretState::Unlocked);
    agent.lock(None).unwrap();
    assert_eq!(agent.state(&id()), SecretState::Locked);
}
