//! What the thread of a module does: finds tokens, logs in to them, has them sign and open.
//! PKCS#11 spoken through cryptoki.
//!
//! Not here: what is opened until when, and what an error means to a person.

use std::collections::HashMap;
use std::path::PathBuf;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Said, RvError};
use cryptoki::object::{
    Attribute, AttributeType, CertificateType, KeyType, ObjectClass, ObjectHandle,
};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::{RawAuthPin, Ulong};

use super::Half;
use super::answer::{Done, Failure, Fault};
use super::mechanism::{self, Opener};
use super::place::{TokenName, one_line};
use crate::base::Secret;
use crate::base::keys::{Signing, TokenState};

/// Certificates that are read from one token: a card has a handful, a trust store has hundreds.
const CERTS_MAX: usize = 100;

/// A token as it is in its reader now.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub token: TokenName,
    pub label: String,
    pub state: TokenState,
    /// It wants a PIN before its keys can be used.
    pub login: bool,
    /// Its reader has keys of its own for the PIN.
    pub pad: bool,
}

/// A certificate on a token.
pub(super) struct Found {
    /// DER.
    pub cert: Vec<u8>,
    /// `CKA_ID`, which its private key has too.
    pub key: Vec<u8>,
    pub half: Half,
}

/// Keys that are looked at on one token: as many as certificates, and their public halves.
const KEYS_MAX: usize = 2 * CERTS_MAX;

/// What the thread of a module has.
pub(super) struct Driver {
    path: PathBuf,
    library: Option<Pkcs11>,
    ready: bool,
    /// One for each token that is logged in to: with it, so is this program.
    sessions: HashMap<TokenName, (Slot, Session)>,
}

impl Driver {
    /// Loads nothing yet.
    pub(super) fn new(path: PathBuf) -> Driver {
        Driver {
            path,
            library: None,
            ready: false,
            sessions: HashMap::new(),
        }
    }

    /// All tokens, each with its certificates.
    pub(super) fn look(&mut self) -> Done<Vec<(Seen, Vec<Found>)>> {
        if self.sessions.is_empty() {
            self.end();
        }
        let mut all = Vec::new();
        for (slot, info) in self.present()? {
            let seen = seen(&info);
            let access = match (seen.login, self.sessions.contains_key(&seen.token)) {
                (false, _) => Access::Free,
                (true, true) => Access::LoggedIn,
                (true, false) => Access::Public,
            };
            // Pulled out in this instant.
            let mut certs = certificates(self.library()?, slot).unwrap_or_default();
            halves(self.library()?, slot, access, &mut certs);
            all.push((seen, certs));
        }
        Ok(all)
    }

    /// One token.
    pub(super) fn find(&mut self, token: &TokenName) -> Done<Seen> {
        Ok(seen(&self.slot(token)?.1))
    }

    /// Logs in with a PIN, or with none where the reader takes it. Says whether the key wants it
    /// for each use once more.
    pub(super) fn login(
        &mut self,
        token: &TokenName,
        key: &[u8],
        pin: Option<&Secret>,
    ) -> Done<bool> {
        let (slot, _) = self.slot(token)?;
        // A PIN is checked only by who is not logged in.
        self.logout(token);
        let session = self.library()?.open_ro_session(slot)?;
        give(&session, UserType::User, pin)?;
        let wants = private_key(&session, key).and_then(|key| each_time(&session, key));
        self.sessions.insert(token.clone(), (slot, session));
        wants
    }

    /// Logs out and forgets the session.
    pub(super) fn logout(&mut self, token: &TokenName) {
        if let Some((_, session)) = self.sessions.remove(token) {
            let _ = session.logout();
        }
    }

    /// Signs; `pin` is for a key that wants it each time.
    pub(super) fn sign(
        &mut self,
        token: &TokenName,
        key: &[u8],
        pin: Option<&Secret>,
        (how, digest): (Signing, &[u8]),
    ) -> Done<Vec<u8>> {
        let (mechanism, data) = mechanism::signing(how, digest).ok_or(Fault::Refused)?;
        let raw = self.with_key(token, key, |session, key, pad| {
            if !each_time(session, key)? {
                return Ok(session.sign(&mechanism, key, &data)?);
            }
            let pin = for_this_use(pin, pad)?;
            session.sign_init(&mechanism, key)?;
            give(session, UserType::ContextSpecific, pin)?;
            session.sign_update(&data)?;
            Ok(session.sign_final()?)
        })?;
        mechanism::signature(how, raw).ok_or(Fault::Data.into())
    }

    /// Deciphers or agrees; `pin` is for a key that wants it each time.
    pub(super) fn open(
        &mut self,
        token: &TokenName,
        key: &[u8],
        pin: Option<&Secret>,
        (how, data): (&Opener, &[u8]),
    ) -> Done<Secret> {
        self.with_key(token, key, |session, key, pad| {
            let each_time = each_time(session, key)?;
            let Some(mechanism) = how.deciphering() else {
                if each_time {
                    // C_DeriveKey has no moment between its start and its end for a PIN.
                    return Err(Fault::Refused.into());
                }
                return agreed(session, key, data);
            };
            if !each_time {
                let plain = session.decrypt(&mechanism, key, data);
                return Ok(Secret::new(plain.map_err(Failure::of_deciphering)?));
            }
            let pin = for_this_use(pin, pad)?;
            session.decrypt_init(&mechanism, key)?;
            give(session, UserType::ContextSpecific, pin)?;
            let mut plain = session
                .decrypt_update(data)
                .map_err(Failure::of_deciphering)?;
            plain.append(&mut session.decrypt_final().map_err(Failure::of_deciphering)?);
            Ok(Secret::new(plain))
        })
    }

    /// Runs `act` with a private key of a token that is logged in to, and whether its reader has
    /// keys of its own. After a fault that may
    /// mean that the token is gone, looks whether it is.
    fn with_key<T>(
        &mut self,
        token: &TokenName,
        key: &[u8],
        act: impl FnOnce(&Session, ObjectHandle, bool) -> Done<T>,
    ) -> Done<T> {
        let (slot, info) = self.slot(token)?;
        let pad = info.protected_authentication_path();
        if self.sessions.get(token).is_some_and(|(at, _)| *at != slot) {
            self.sessions.remove(token);
        }
        if !self.sessions.contains_key(token) {
            if info.login_required() {
                return Err(Fault::LoggedOut.into());
            }
            let session = self.library()?.open_ro_session(slot)?;
            self.sessions.insert(token.clone(), (slot, session));
        }
        let (_, session) = self.sessions.get(token).ok_or(Fault::LoggedOut)?;
        let done = private_key(session, key).and_then(|key| act(session, key, pad));
        let Err(failure) = done else {
            return done;
        };
        match failure.fault {
            Fault::Absent | Fault::NoKey => {
                self.sessions.remove(token);
                self.end_unless_used();
                self.slot(token)?;
                Err(match failure.fault {
                    // It is back already, and wants its PIN again.
                    Fault::Absent => Fault::LoggedOut.into(),
                    _ => failure,
                })
            }
            Fault::LoggedOut | Fault::WrongPin | Fault::PinLocked => {
                self.sessions.remove(token);
                Err(failure)
            }
            _ => Err(failure),
        }
    }

    /// The slot that a token is in.
    fn slot(&mut self, token: &TokenName) -> Done<(Slot, TokenInfo)> {
        if let Some(found) = self.slot_now(token)? {
            return Ok(found);
        }
        self.sessions.remove(token);
        // Some modules see only what was there when they were started.
        self.end_unless_used();
        self.slot_now(token)?.ok_or(Fault::Absent.into())
    }

    fn slot_now(&mut self, token: &TokenName) -> Done<Option<(Slot, TokenInfo)>> {
        let all = self.present()?;
        Ok(all.into_iter().find(|(_, info)| name(info) == *token))
    }

    /// The slots with a token that can be used.
    fn present(&mut self) -> Done<Vec<(Slot, TokenInfo)>> {
        let library = self.library()?;
        let slots = library.get_slots_with_token().map_err(Failure::broken)?;
        let all = slots
            .into_iter()
            .filter_map(|slot| Some((slot, library.get_token_info(slot).ok()?)));
        Ok(all.filter(|(_, info)| info.token_initialized()).collect())
    }

    fn library(&mut self) -> Done<&Pkcs11> {
        let library = match self.library.take() {
            Some(library) => library,
            None => Pkcs11::new(&self.path).map_err(Failure::broken)?,
        };
        let library = &*self.library.insert(library);
        if !self.ready {
            let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
            match library.initialize(threads) {
                Ok(()) | Err(Said::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
                Err(said) => return Err(Failure::broken(said)),
            }
            self.ready = true;
        }
        Ok(library)
    }

    fn end_unless_used(&mut self) {
        if self.sessions.is_empty() {
            self.end();
        }
    }

    /// Ends the module's work; it stays loaded and begins anew when it is needed.
    pub(super) fn end(&mut self) {
        self.sessions.clear();
        if let Some(library) = self.library.as_ref().filter(|_| self.ready) {
            let _ = library.clone().finalize();
        }
        self.ready = false;
    }
}

/// The PIN for one use of a key; none where the reader takes it.
fn for_this_use(pin: Option<&Secret>, pad: bool) -> Done<Option<&Secret>> {
    match (pin, pad) {
        (_, true) => Ok(None),
        (Some(pin), false) => Ok(Some(pin)),
        (None, false) => Err(Fault::LoggedOut.into()),
    }
}

fn give(session: &Session, who: UserType, pin: Option<&Secret>) -> Done<()> {
    match pin {
        Some(pin) => {
            let pin = RawAuthPin::new(Box::new(pin.expose().to_vec()));
            session.login_with_raw(who, &pin)?;
        }
        None => session.login(who, None)?,
    }
    Ok(())
}

fn private_key(session: &Session, id: &[u8]) -> Done<ObjectHandle> {
    let wanted = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Id(id.to_vec()),
    ];
    let found = session.find_objects(&wanted)?;
    found.first().copied().ok_or(Fault::NoKey.into())
}

/// Whether a key wants the PIN for each use (`CKA_ALWAYS_AUTHENTICATE`).
fn each_time(session: &Session, key: ObjectHandle) -> Done<bool> {
    let said = session.get_attributes(key, &[AttributeType::AlwaysAuthenticate])?;
    Ok(said.contains(&Attribute::AlwaysAuthenticate(true)))
}

/// The shared secret with a peer's public key: derived into an object that lives as long as the
/// session and may be read.
fn agreed(session: &Session, key: ObjectHandle, peer: &[u8]) -> Done<Secret> {
    let (point, size) = mechanism::point(peer).ok_or(Fault::Data)?;
    let wanted = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::ValueLen(Ulong::try_from(size)?),
    ];
    let derived = session.derive_key(&mechanism::agreeing(point), key, &wanted)?;
    let read = session.get_attributes(derived, &[AttributeType::Value]);
    let _ = session.destroy_object(derived);
    let value = read?.into_iter().find_map(|attribute| match attribute {
        Attribute::Value(value) => Some(Secret::new(value)),
        _ => None,
    });
    let value = value.ok_or(Fault::Refused)?;
    // Some modules leave zeros at its beginning out (SEC 1, 3.3.1 and 2.3.5 say its length).
    let lacking = size.saturating_sub(value.expose().len());
    let mut whole = Vec::with_capacity(size.max(value.expose().len()));
    whole.resize(lacking, 0);
    whole.extend_from_slice(value.expose());
    Ok(Secret::new(whole))
}

/// The X.509 certificates that a token shows to everybody.
fn certificates(library: &Pkcs11, slot: Slot) -> Done<Vec<Found>> {
    let session = library.open_ro_session(slot)?;
    let wanted = [
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
    ];
    let mut all = Vec::new();
    for object in session.find_objects(&wanted)?.into_iter().take(CERTS_MAX) {
        let asked = [AttributeType::Value, AttributeType::Id];
        let mut found = Found {
            cert: Vec::new(),
            key: Vec::new(),
            half: Half::Unseen,
        };
        for attribute in session.get_attributes(object, &asked)? {
            match attribute {
                Attribute::Value(cert) => found.cert = cert,
                Attribute::Id(key) => found.key = key,
                _ => {}
            }
        }
        all.push(found);
    }
    Ok(all)
}

/// Says of each certificate what the token shows of its private key. Who is logged in sees those
/// themselves; everybody else their public halves at most, where the token keeps any.
fn halves(library: &Pkcs11, slot: Slot, access: Access, certs: &mut [Found]) {
    let ids = |class| ids(library, slot, class).unwrap_or_default();
    let private = ids(ObjectClass::PRIVATE_KEY);
    let whole = match access {
        Access::Free => true,
        // None at all: it was pulled out since, and the login went with it.
        Access::LoggedIn => !private.is_empty(),
        Access::Public => false,
    };
    let shown = match whole {
        true => private,
        false => [private, ids(ObjectClass::PUBLIC_KEY)].concat(),
    };
    let has = |found: &Found| shown.contains(&found.key);
    // A token that shows the key of one certificate shows those of all.
    let tells = whole || certs.iter().any(has);
    for found in certs {
        found.half = match (has(found), tells) {
            (true, _) => Half::Shown,
            (false, true) => Half::Missing,
            (false, false) => Half::Unseen,
        };
    }
}

/// The `CKA_ID`s of the keys of one class that a token shows.
fn ids(library: &Pkcs11, slot: Slot, class: ObjectClass) -> Done<Vec<Vec<u8>>> {
    let session = library.open_ro_session(slot)?;
    let mut ids = Vec::new();
    let found = session.find_objects(&[Attribute::Class(class)])?;
    for object in found.into_iter().take(KEYS_MAX) {
        for attribute in session.get_attributes(object, &[AttributeType::Id])? {
            if let Attribute::Id(id) = attribute {
                ids.push(id);
            }
        }
    }
    Ok(ids)
}

/// What of a token is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// All of it: it wants no login.
    Free,
    /// All of it, as long as it stays in its reader.
    LoggedIn,
    /// What it shows to everybody.
    Public,
}

fn seen(info: &TokenInfo) -> Seen {
    let state = if info.user_pin_locked() {
        TokenState::Locked
    } else if info.user_pin_final_try() {
        TokenState::LastTry
    } else if info.user_pin_count_low() {
        TokenState::FewTries
    } else if info.login_required() && !info.user_pin_initialized() {
        TokenState::NoPin
    } else {
        TokenState::Ready
    };
    Seen {
        token: name(info),
        label: one_line(info.label()),
        state,
        login: info.login_required(),
        pad: info.protected_authentication_path(),
    }
}

fn name(info: &TokenInfo) -> TokenName {
    TokenName {
        manufacturer: one_line(info.manufacturer_id()),
        model: one_line(info.model()),
        serial: one_line(info.serial_number()),
    }
}
