//! Keys on smart cards and other tokens, through PKCS#11: private operations of S/MIME
//! certificates whose secret half never leaves its token. No cryptography of its own.
//!
//! Modules come from policy alone, and are loaded when a request needs one. What is logged in to
//! is logged out of when its time is over, or by `keys/lock`; the PIN is wiped once it was given.
//! Certificates that a token shows only to who is logged in are not found.
//!
//! Not here: asking for PINs, files, and what a certificate says.

mod answer;
mod driver;
mod faults;
mod mechanism;
mod module;
mod place;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::base::Secret;
use crate::base::error::{Error, Result};
use crate::base::keys::{
    Certs, KeyId, KeyPairId, Lease, ModuleState, Opening, PrivateKeys, Protocol, SecretState,
    Signing, TokenState,
};
use crate::base::policy::{P11_KIT, PKCS11_MODULES};
use answer::{Done, Failure, Fault};
use driver::{Driver, Seen};
use mechanism::Opener;
use module::Module;
pub use place::{Place, TokenName};

/// How long a module may take to say which tokens there are: a reader that was just plugged in
/// takes seconds.
const LOOK: Duration = Duration::from_secs(20);

/// How long one private operation may take: the slowest cards need some seconds for RSA.
const OPERATE: Duration = Duration::from_secs(60);

/// How long logging in may take: where the reader has keys of its own, a person types on them.
const LOGIN: Duration = Duration::from_secs(120);

/// How long a PIN is kept for a key that wants it for each use, in seconds: one request may use
/// its key several times, for each envelope once, and is run as a whole.
const AGAIN_SECONDS: u64 = 10;

/// The module of p11-kit that stands for all others; the system knows where it is.
const P11_KIT_MODULE: &str = "p11-kit-proxy.so";

/// What to do where policy names other modules than those with which this process began.
pub const OUTDATED: &str = "policy.toml names other modules for tokens than when this host was started; start the browser anew";

/// The tokens of one person.
pub struct Tokens {
    certs: Arc<dyn Certs>,
    modules: Vec<Module>,
    /// The policy names something that is neither an absolute path nor p11-kit.
    misnamed: bool,
    /// As policy named them at first.
    named: Vec<PathBuf>,
    /// It names others by now.
    outdated: AtomicBool,
    open: Mutex<HashMap<TokenName, Open>>,
    /// When [`PrivateKeys::expire`] was called last.
    now: AtomicU64,
}

/// A token that is logged in to.
struct Open {
    lease: Lease,
    /// Which of the modules reaches it.
    module: usize,
    /// The PIN once more, for a key that wants it for each use.
    again: Option<Again>,
}

/// A PIN that was given for the uses of one key in one request.
struct Again {
    key: KeyId,
    pin: Arc<Secret>,
    /// When the request began that it is for, in Unix seconds; it begins after the answer.
    since: Option<u64>,
}

/// What one module has.
pub struct Look {
    /// Its file's name.
    pub module: String,
    pub state: ModuleState,
    pub tokens: Vec<TokenLook>,
}

/// One token.
pub struct TokenLook {
    pub name: TokenName,
    pub label: String,
    pub state: TokenState,
    pub certs: Vec<TokenCert>,
}

/// A certificate on a token.
pub struct TokenCert {
    /// DER.
    pub cert: Vec<u8>,
    /// The `CKA_ID` of its key.
    pub key: Vec<u8>,
    pub half: Half,
}

/// What a token shows of the private key that goes with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// It is there.
    Shown,
    /// It is not, though those of others are shown.
    Missing,
    /// Nothing, of any: only a login would tell.
    Unseen,
}

impl Tokens {
    /// Those that the modules reach which policy names. Loads nothing.
    pub fn new(certs: Arc<dyn Certs>, modules: &[PathBuf]) -> Tokens {
        let known = |path: &&PathBuf| path.is_absolute() || path.as_path() == Path::new(P11_KIT);
        let path = |path: &PathBuf| match path.is_absolute() {
            true => path.clone(),
            false => PathBuf::from(P11_KIT_MODULE),
        };
        Tokens {
            certs,
            misnamed: !modules.iter().all(|path| known(&path)),
            named: modules.to_vec(),
            outdated: AtomicBool::new(false),
            modules: modules
                .iter()
                .filter(known)
                .map(path)
                .map(Module::new)
                .collect(),
            open: Mutex::default(),
            now: AtomicU64::default(),
        }
    }

    /// Says which modules policy names by now. What is loaded can't be taken back: where they are
    /// others than at first, none is used.
    pub fn keep_to(&self, modules: &[PathBuf]) {
        self.outdated.store(self.named != modules, Ordering::SeqCst);
    }

    /// Whether policy names other modules than at first.
    pub fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::SeqCst)
    }

    /// Whether a key lies on a token. Touches none.
    pub fn knows(&self, id: &KeyId) -> bool {
        id.protocol() == Protocol::Smime && matches!(self.certs.token(id), Ok(Some(_)))
    }

    /// Whether two keys lie on one token, and so behind one PIN. Touches none.
    pub fn share(&self, one: &KeyId, other: &KeyId) -> bool {
        let place = |id| self.place(id).map(|place| place.token).ok();
        one.protocol() == other.protocol() && place(one).is_some_and(|o| Some(o) == place(other))
    }

    /// The error that carries the question for the PIN of a key's token.
    ///
    /// # Errors
    /// `key.missing` when it lies on none; `policy.refused`.
    pub fn locked(&self, id: &KeyId) -> Result<Error> {
        self.allowed()?;
        let place = self.place(id)?;
        Ok(match self.find(&place.token) {
            Ok((_, seen)) => faults::locked(id, &place, &seen),
            Err(failure) => faults::told(id, failure),
        })
    }

    /// All tokens that are in their readers now, by module.
    ///
    /// # Errors
    /// `policy.refused` where policy names no module.
    pub fn look(&self) -> Result<Vec<Look>> {
        self.allowed()?;
        let look = |module: &Module| {
            let (state, tokens) = match module.run(LOOK, Driver::look) {
                Ok(tokens) => (ModuleState::Ready, tokens),
                Err(failure) if failure.fault == Fault::Silent => (ModuleState::Silent, Vec::new()),
                Err(_) => (ModuleState::Broken, Vec::new()),
            };
            let tokens = tokens.into_iter().map(|(seen, certs)| TokenLook {
                name: seen.token,
                label: seen.label,
                state: seen.state,
                certs: certs
                    .into_iter()
                    .map(|found| TokenCert {
                        cert: found.cert,
                        key: found.key,
                        half: found.half,
                    })
                    .collect(),
            });
            Look {
                module: file_name(module.path()),
                state,
                tokens: tokens.collect(),
            }
        };
        Ok(self.modules.iter().map(look).collect())
    }

    fn lock_map(&self) -> MutexGuard<'_, HashMap<TokenName, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, id: &KeyId) -> Result<Place> {
        let written = self.certs.token(id)?;
        let place = written.as_ref().and_then(Place::from_bytes);
        place.ok_or_else(|| faults::nowhere(id))
    }

    /// # Errors
    /// `policy.refused`.
    fn allowed(&self) -> Result<()> {
        if self.is_outdated() {
            return Err(Error::refused(PKCS11_MODULES, OUTDATED));
        }
        if self.misnamed {
            return Err(Error::refused(
                PKCS11_MODULES,
                "a module for tokens is named neither by its absolute path nor as p11-kit; mend pkcs11-modules in policy.toml",
            ));
        }
        match self.modules.is_empty() {
            true => Err(Error::refused(
                PKCS11_MODULES,
                "no module for tokens is allowed here; sealpost policy says who set pkcs11-modules: name one there",
            )),
            false => Ok(()),
        }
    }

    /// The module that reaches a token, and how the token is now.
    fn find(&self, token: &TokenName) -> Done<(usize, Seen)> {
        let mut failed = Failure::from(Fault::Absent);
        for (index, module) in self.modules.iter().enumerate() {
            let token = token.clone();
            match module.run(LOOK, move |driver| driver.find(&token)) {
                Ok(seen) => return Ok((index, seen)),
                // One that can't say may have it.
                Err(failure) if failed.fault == Fault::Absent => failed = failure,
                Err(_) => {}
            }
        }
        Err(failed)
    }

    fn module(&self, index: usize) -> Done<&Module> {
        self.modules.get(index).ok_or(Fault::Broken.into())
    }

    /// Runs a private operation on the token of a key.
    ///
    /// # Errors
    /// As [`PrivateKeys::sign`]; what is wrong with the data, as a failure inside.
    fn operate<T: Send + 'static>(
        &self,
        id: &KeyId,
        act: impl FnOnce(&mut Driver, &Place, Option<&Secret>) -> Done<T> + Send + 'static,
    ) -> Result<Done<T>> {
        self.allowed()?;
        let place = self.place(id)?;
        let now = self.now.load(Ordering::Relaxed);
        let open = self.lock_map().get_mut(&place.token).map(|open| {
            open.lease.used(now);
            let again = open.again.as_ref().filter(|again| again.key == *id);
            (open.module, again.map(|again| Arc::clone(&again.pin)))
        });
        let (module, pin) = match open {
            Some(open) => open,
            None => match self.find(&place.token) {
                Ok((_, seen)) if seen.login => return Err(faults::locked(id, &place, &seen)),
                Ok((module, _)) => (module, None),
                Err(failure) => return Err(faults::told(id, failure)),
            },
        };
        let theirs = place.clone();
        let done = self
            .module(module)
            .and_then(|m| m.run(OPERATE, move |driver| act(driver, &theirs, pin.as_deref())));
        match done {
            Err(Failure {
                fault: Fault::Data, ..
            })
            | Ok(_) => Ok(done),
            Err(failure) => {
                if failure.fault != Fault::Refused {
                    self.end(|token, _| *token == place.token);
                }
                match failure.fault {
                    Fault::LoggedOut => Err(self.locked(id)?),
                    _ => Err(faults::told(id, failure)),
                }
            }
        }
    }

    /// Logs out of what `over` says, all of it before it returns unless a module hangs.
    fn end(&self, over: impl Fn(&TokenName, &Open) -> bool) {
        let ended = |token: &TokenName, open: &mut Open| over(token, open);
        let ended: Vec<_> = self.lock_map().extract_if(ended).collect();
        for (token, open) in ended {
            if let Ok(module) = self.module(open.module) {
                module.tell(move |driver| driver.logout(&token));
            }
        }
    }
}

impl PrivateKeys for Tokens {
    fn state(&self, id: &KeyId) -> SecretState {
        match self.knows(id) {
            true => SecretState::Token,
            false => SecretState::None,
        }
    }

    fn sign(&self, key: &KeyPairId, how: Signing, data: &[u8]) -> Result<Vec<u8>> {
        let data = data.to_vec();
        let signed = self.operate(&key.cert, move |driver, place, pin| {
            driver.sign(&place.token, &place.key, pin, (how, &data))
        })?;
        signed.map_err(|failure| faults::told(&key.cert, failure))
    }

    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret> {
        let opener = Opener::of(how).ok_or_else(|| faults::refused(&key.cert))?;
        let data = ciphertext.to_vec();
        let opened = self.operate(&key.cert, move |driver, place, pin| {
            driver.open(&place.token, &place.key, pin, (&opener, &data))
        })?;
        match (opened, how) {
            (Ok(secret), _) => Ok(secret),
            (Err(_), Opening::RsaPkcs1) => Ok(made_up(ciphertext)),
            (Err(failure), _) => Err(faults::undeciphered(failure)),
        }
    }

    fn unlock(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<()> {
        self.allowed()?;
        let place = self.place(id)?;
        let told = |failure| faults::told(id, failure);
        let (index, seen) = self.find(&place.token).map_err(told)?;
        faults::usable(id, &seen)?;
        let module = self.module(index).map_err(told)?;
        // Where the reader has keys of its own, the dialog's answer is only a yes.
        let pin = (!seen.pad).then(|| Secret::new(passphrase.expose().to_vec()));
        let theirs = place.clone();
        let done = module.run(LOGIN, move |driver| {
            driver.login(&theirs.token, &theirs.key, pin.as_ref())
        });
        let each_time = match done {
            Ok(each_time) => each_time,
            Err(failure) => {
                self.lock_map().remove(&place.token);
                // Also after one that took too long: it may yet succeed.
                let token = place.token.clone();
                module.tell(move |driver| driver.logout(&token));
                return Err(match failure.fault {
                    Fault::WrongPin => match self.find(&place.token) {
                        Ok((_, seen)) => faults::wrong(id, &place, &seen),
                        Err(failure) => told(failure),
                    },
                    _ => told(failure),
                });
            }
        };
        let again = || Again {
            key: id.clone(),
            pin: Arc::new(Secret::new(passphrase.expose().to_vec())),
            since: None,
        };
        let open = Open {
            lease,
            module: index,
            again: (each_time && !seen.pad).then(again),
        };
        self.lock_map().insert(place.token, open);
        Ok(())
    }

    fn until(&self, id: &KeyId) -> Option<u64> {
        let place = self.place(id).ok()?;
        let open = self.lock_map();
        open.get(&place.token).map(|open| open.lease.until())
    }

    fn wipe(&self, id: Option<&KeyId>) {
        match id {
            None => self.end(|_, _| true),
            Some(id) => {
                if let Ok(place) = self.place(id) {
                    self.end(|token, _| *token == place.token);
                }
            }
        }
    }

    fn expire(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
        self.end(|_, open| open.lease.is_over(now));
        for open in self.lock_map().values_mut() {
            let over = |again: &mut Again| {
                let since = *again.since.get_or_insert(now);
                now >= since.saturating_add(AGAIN_SECONDS)
            };
            drop(open.again.take_if(over));
        }
    }
}

/// What stands for a key whose padding was wrong: bytes of some length, the same for the same
/// ciphertext, that nobody can foretell. As OpenSSL does it (RFC 3218 2.3.2).
fn made_up(ciphertext: &[u8]) -> Secret {
    /// The bytes that PKCS#1 v1.5 needs beside the message (RFC 8017 7.2).
    const PADDING: usize = 11;
    static KEYED: OnceLock<RandomState> = OnceLock::new();
    let keyed = KEYED.get_or_init(RandomState::new);
    let number = |n: u64| keyed.hash_one((n, ciphertext));
    let longest = ciphertext.len().saturating_sub(PADDING) as u64;
    let length = usize::try_from(number(0) % (longest + 1)).unwrap_or_default();
    let bytes = (1..).flat_map(|n| number(n).to_be_bytes());
    Secret::new(bytes.take(length).collect())
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::made_up;

    #[test]
    fn a_made_up_key_is_the_same_for_the_same_ciphertext() {
        let first = made_up(&[1; 256]);
        assert_eq!(first.expose(), made_up(&[1; 256]).expose());
        let lengths: std::collections::BTreeSet<usize> = (0..40_u8)
            .map(|n| made_up(&[n; 256]).expose().len())
            .collect();
        assert!(lengths.len() > 20, "{lengths:?}");
        assert!(lengths.iter().all(|length| *length <= 245));
        assert!(made_up(&[]).is_empty());
    }
}
