//! What one subcommand works at: the keys that it was given, unlocked where a password fits, and
//! the engine over them.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::fault::{Code, Failure, Result};
use super::memory::Memory;
use super::{files, passwords};
use crate::base::ask::Answers;
use crate::base::context::unix;
use crate::base::extra::{Means, Output};
use crate::base::job::Job;
use crate::base::keys::{Certs, KeyId, Lease, Private, Protocol, StoredCert};
use crate::base::layer::{ContentFormat, Form, Opened, Sealed};
use crate::base::policy::Policy;
use crate::base::verdict::Scheme;
use crate::base::{Context, Kind, Secret, body};
use crate::engine::openpgp::{OpenPgp, Transferable, read_ring};
use crate::engine::{Engine, Under, unlocked};

/// Keys in memory and the engine over them.
pub struct Bench {
    pub cx: Context,
    memory: Arc<Memory>,
    private: Private,
}

/// Certificates that were named, and under which name each came.
pub type Named = Vec<(String, StoredCert)>;

impl Bench {
    /// With no keys yet; judged by the clock, under the rules that mail has where nobody wrote
    /// any.
    pub fn new() -> Bench {
        let memory = Arc::new(Memory::default());
        let certs = Arc::clone(&memory) as Arc<dyn Certs>;
        let private = unlocked(&certs);
        let cx = Context {
            now: SystemTime::now(),
            at: None,
            policy: Arc::new(Policy::default()),
            job: Arc::new(Job::default()),
            answers: Arc::new(Answers::default()),
            certs,
            private: Arc::clone(&private),
            online: None,
        };
        Bench {
            cx,
            memory,
            private,
        }
    }

    /// Standard input, to its end; what comes after is now. What was signed while another program
    /// was still writing is not signed in the future.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn stdin(&mut self) -> Result<Bytes> {
        let data = files::stdin()?;
        self.cx.now = SystemTime::now();
        Ok(data)
    }

    /// Now, in Unix seconds.
    pub fn now(&self) -> u64 {
        unix(self.cx.now)
    }

    /// The certificates in some data, which must hold no secrets.
    ///
    /// # Errors
    /// 41.
    pub fn certs_in(&self, data: &[u8]) -> Result<Vec<Transferable>> {
        let ring = read_ring(data, &self.cx)?;
        match ring.iter().any(|one| one.secret.is_some()) {
            true => Err(Failure::new(
                Code::BadData,
                "these are secret keys where certificates are expected; see extract-cert",
            )),
            false => Ok(ring),
        }
    }

    /// The keys in some data, each with its secret half.
    ///
    /// # Errors
    /// 41.
    pub fn keys_in(&self, data: &[u8]) -> Result<Vec<Transferable>> {
        let ring = read_ring(data, &self.cx)?;
        match ring.iter().all(|one| one.secret.is_some()) {
            true => Ok(ring),
            false => Err(Failure::new(
                Code::BadData,
                "these are certificates where secret keys are expected",
            )),
        }
    }

    /// Takes up the certificates in files.
    ///
    /// # Errors
    /// Those of reading them; 41.
    pub fn certs(&self, names: &[OsString]) -> Result<Named> {
        let mut found = Vec::new();
        for name in names {
            let data = files::read(name)?;
            for one in self.certs_in(data.expose())? {
                found.push((name.to_string_lossy().into_owned(), self.memory.put(one)?));
            }
        }
        Ok(found)
    }

    /// Takes up the keys in files, each once, and unlocks those that one of the passwords in
    /// other files opens.
    ///
    /// # Errors
    /// Those of reading them; 41.
    pub fn keys(&self, names: &[OsString], passwords: &[OsString]) -> Result<Vec<StoredCert>> {
        let passwords = passwords::known(passwords)?;
        let mut found: Vec<StoredCert> = Vec::new();
        for name in names {
            let data = files::read(name)?;
            for one in self.keys_in(data.expose())? {
                let stored = self.key(one, &passwords)?;
                if !found.iter().any(|known| known.id == stored.id) {
                    found.push(stored);
                }
            }
        }
        Ok(found)
    }

    /// Takes up one key, and unlocks it where a password does.
    ///
    /// # Errors
    /// 41 when its halves don't belong together.
    pub fn key(&self, one: Transferable, passwords: &[Secret]) -> Result<StoredCert> {
        let sealed = one.under != Under::Nothing;
        let stored = self.memory.put(one)?;
        if sealed {
            self.unlock(&stored.id, passwords)?;
        }
        Ok(stored)
    }

    fn unlock(&self, id: &KeyId, passwords: &[Secret]) -> Result<()> {
        for password in passwords {
            match self.private.unlock(id, password, Lease::FOREVER) {
                Ok(()) => return Ok(()),
                Err(error) => match error.kind {
                    // What nothing opens is said where it is used.
                    Kind::PassphraseWrong | Kind::KeyMissing { .. } => {}
                    Kind::KeyUnusable { .. } => return Err(Failure::of(Code::BadData, error)),
                    _ => return Err(error.into()),
                },
            }
        }
        Ok(())
    }

    /// Opens one layer.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn open(&self, form: Form, scheme: Scheme, means: &Means) -> crate::base::Result<Opened> {
        let layer = Sealed {
            protocol: Protocol::OpenPgp,
            scheme,
            form,
        };
        OpenPgp::new().open_by(&layer, means, &self.cx)
    }
}

/// Armor, unless it is not wanted.
pub fn output(no_armor: bool) -> Output {
    match no_armor {
        true => Output::Binary,
        false => Output::Armored,
    }
}

/// Text as it is written where a text has LF for line ends: armor, and what was signed as text.
pub fn with_lf(data: Vec<u8>) -> Vec<u8> {
    let mut data = data;
    let mut out = Vec::with_capacity(data.len());
    let mut rest = data.as_slice();
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        let (line, end) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = end.strip_prefix(b"\r\n").unwrap_or(&[]);
    }
    out.extend_from_slice(rest);
    zeroize::Zeroize::zeroize(&mut data);
    out
}

/// What was opened: a text that was signed as one with the line ends of texts here, anything else
/// as it is.
pub fn content(opened: Opened) -> Bytes {
    let text =
        opened.format == ContentFormat::Text && opened.signatures.iter().all(|facts| facts.text);
    match text {
        true => body::wiped(with_lf(opened.content.to_vec())),
        false => opened.content,
    }
}

/// As [`with_lf`], where what was written is armor.
pub fn tidy(data: Vec<u8>, output: Output) -> Vec<u8> {
    match output {
        Output::Armored => with_lf(data),
        Output::Binary => data,
    }
}

/// Whether some data is text.
///
/// # Errors
/// 53 when it is not.
pub fn text(data: &Bytes) -> Result<()> {
    match std::str::from_utf8(data) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::new(
            Code::ExpectedText,
            "this is no UTF-8 text; leave --as away",
        )),
    }
}
