//! Secret halves as files: encrypted before they come here, opaque here.
//!
//! A file is one line that says how it is wrapped, how long it is and what its checksum is;
//! the rest is the transferable secret key (or PKCS#8), so that a person can get at it with
//! `tail -n +2` and any other OpenPGP program. The files are the truth: the index only says
//! which there are.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::files::{self, Lock, Stamp};
use super::home::Home;
use crate::base::keys::{SealedSecret, no_such_key};
use crate::base::{Error, KeyId, Kind, Protocol, Result, Secret};

/// The largest secret half, in bytes: the largest certificate, with secret numbers in it.
pub const SECRET_MAX: u64 = 8 << 20;

/// Room for the first line.
const HEAD_MAX: usize = 100;

/// The first words of every file: what it is, and the version of this form.
const MAGIC: &str = "sealpost-secret 1";

/// Bytes of the store's own passphrase: nothing to guess, nothing to stretch.
const DEVICE_BYTES: usize = 32;

/// What a secret half is encrypted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrap {
    /// A passphrase that a person knows.
    Passphrase,
    /// The store's own random passphrase.
    Device,
    /// Nothing: it is not here, and the file says on which token it lies.
    Token,
}

impl Wrap {
    fn name(self) -> &'static str {
        match self {
            Wrap::Passphrase => "passphrase",
            Wrap::Device => "device",
            Wrap::Token => "token",
        }
    }

    fn named(name: &str) -> Option<Wrap> {
        [Wrap::Passphrase, Wrap::Device, Wrap::Token]
            .into_iter()
            .find(|wrap| wrap.name() == name)
    }
}

/// Writes a secret half; on return it is on the disk.
pub(super) fn put(home: &Home, id: &KeyId, sealed: &Secret, wrap: Wrap) -> Result<()> {
    let body = sealed.expose();
    if body.len() as u64 > SECRET_MAX {
        return Err(Error::limit(
            "secretKey",
            "the secret key is larger than eight MiB; bring one of usual size",
        ));
    }
    let head = format!(
        "{MAGIC} {} {} {:016x}\n",
        wrap.name(),
        body.len(),
        files::checksum(body)
    );
    let mut bytes = Vec::with_capacity(head.len() + body.len());
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(body);
    let bytes = Secret::new(bytes);
    let _lock = lock(home)?;
    files::clean(&home.secrets());
    files::clean(&home.state);
    files::write(&path(home, id), bytes.expose())
}

/// Removes a secret half; false when there was none.
pub(super) fn delete(home: &Home, id: &KeyId) -> Result<bool> {
    let _lock = lock(home)?;
    files::remove(&path(home, id))
}

/// Reads a secret half.
///
/// # Errors
/// `key.missing`; `key.unusable` when it lies on a token; `store.damaged` when the file is not
/// as it was written.
pub(super) fn get(home: &Home, id: &KeyId) -> Result<SealedSecret> {
    let (wrap, sealed) = read(home, id)?;
    let device = match wrap {
        Wrap::Passphrase => None,
        Wrap::Device => Some(device(home)?),
        Wrap::Token => {
            return Err(Error::new(
                Kind::KeyUnusable {
                    id: id.clone(),
                    reasons: vec!["on-token"],
                },
                "the secret half of this key lies on a token and never leaves it; use the token's own program",
            ));
        }
    };
    Ok(SealedSecret { sealed, device })
}

/// On which token a secret half lies, as it was written; `None` when it lies on none.
///
/// # Errors
/// `store.damaged` when the file is not as it was written.
pub(super) fn token(home: &Home, id: &KeyId) -> Result<Option<Bytes>> {
    if wrap(home, id) != Some(Wrap::Token) {
        return Ok(None);
    }
    let (_, place) = read(home, id)?;
    Ok(Some(Bytes::copy_from_slice(place.expose())))
}

fn read(home: &Home, id: &KeyId) -> Result<(Wrap, Secret)> {
    let (bytes, _) =
        files::read(&path(home, id), SECRET_MAX + HEAD_MAX as u64)?.ok_or_else(no_such_key)?;
    let bytes = Secret::new(bytes);
    let (head, body) = split(bytes.expose()).ok_or_else(damaged)?;
    if head.length != body.len() || head.checksum != files::checksum(body) {
        return Err(damaged());
    }
    Ok((head.wrap, Secret::new(body.to_vec())))
}

/// How a secret half is wrapped; `None` when there is none, or none that can be read.
pub(super) fn wrap(home: &Home, id: &KeyId) -> Option<Wrap> {
    let head = files::read_from(&path(home, id), 0, HEAD_MAX as u64).ok()?;
    Some(split(&head)?.0.wrap)
}

/// Which secret halves there are.
pub(super) fn all(home: &Home) -> Result<Vec<(KeyId, Wrap)>> {
    let mut found = Vec::new();
    for name in files::list(&home.secrets())? {
        let Some((protocol, hex)) = name.split_once('-') else {
            continue;
        };
        let Some(id) = KeyId::parse(&format!("{protocol}:{hex}")) else {
            continue;
        };
        match wrap(home, &id) {
            Some(wrap) => found.push((id, wrap)),
            None => {
                // Still ours: whoever uses it is told that it is damaged.
                log::warn!("a secret key file is damaged");
                found.push((id, Wrap::Passphrase));
            }
        }
    }
    Ok(found)
}

/// Changes whenever a secret half is added, changed or removed.
pub(super) fn stamp(home: &Home) -> i64 {
    files::stamp(&home.secrets()).map_or(0, Stamp::number)
}

/// The store's own passphrase: 32 random bytes, made when first asked for, the same for
/// every host from then on.
///
/// # Errors
/// `store.damaged` when it is gone or cut although a key depends on it.
pub(super) fn device(home: &Home) -> Result<Arc<Secret>> {
    let file = home.device_key();
    if files::stamp(&file).is_none() {
        let _lock = lock(home)?;
        if all(home)?.iter().any(|(_, wrap)| *wrap == Wrap::Device) && files::stamp(&file).is_none()
        {
            return Err(device_damaged());
        }
        let mut fresh = vec![0; DEVICE_BYTES];
        let filled = getrandom::fill(&mut fresh);
        let fresh = Secret::new(fresh);
        filled.map_err(|_| Error::internal("the system gives no random numbers; try again"))?;
        files::write_first(&file, fresh.expose())?;
    }
    let (bytes, _) = files::read(&file, DEVICE_BYTES as u64)
        .map_err(|e| match e.kind {
            Kind::LimitExceeded { .. } => device_damaged(),
            _ => e,
        })?
        .ok_or_else(device_damaged)?;
    let secret = Secret::new(bytes);
    if secret.expose().len() != DEVICE_BYTES {
        return Err(device_damaged());
    }
    Ok(Arc::new(secret))
}

struct Head {
    wrap: Wrap,
    length: usize,
    checksum: u64,
}

/// The first line, read, and what follows it.
fn split(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let end = bytes.iter().take(HEAD_MAX).position(|b| *b == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    let mut words = std::str::from_utf8(line)
        .ok()?
        .strip_prefix(MAGIC)?
        .split_ascii_whitespace();
    let head = Head {
        wrap: Wrap::named(words.next()?)?,
        length: words.next()?.parse().ok()?,
        checksum: u64::from_str_radix(words.next()?, 16).ok()?,
    };
    Some((head, rest.get(1..)?))
}

fn path(home: &Home, id: &KeyId) -> PathBuf {
    let protocol = match id.protocol() {
        Protocol::OpenPgp => "openpgp",
        Protocol::Smime => "smime",
    };
    home.secrets()
        .join(format!("{protocol}-{}", id.fingerprint()))
}

fn lock(home: &Home) -> Result<Lock> {
    files::folder(&home.state)?;
    Lock::take(&home.lock())
}

fn damaged() -> Error {
    Error::new(
        Kind::StoreDamaged,
        "the file of this secret key is damaged; restore it from a backup",
    )
}

fn device_damaged() -> Error {
    Error::new(
        Kind::StoreDamaged,
        "device.key, which opens the keys without a passphrase, is gone or damaged; restore it from a backup",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> KeyId {
        KeyId::from_hex(Protocol::OpenPgp, &"AB".repeat(20)).unwrap()
    }

    #[test]
    fn a_secret_half_comes_back_with_what_opens_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        put(
            &home,
            &id(),
            &Secret::new(b"sealed\nbytes".to_vec()),
            Wrap::Passphrase,
        )
        .unwrap();
        let back = get(&home, &id()).unwrap();
        assert_eq!(back.sealed.expose(), b"sealed\nbytes");
        assert!(back.device.is_none());

        let device = device(&home).unwrap();
        put(&home, &id(), &Secret::new(b"other".to_vec()), Wrap::Device).unwrap();
        let back = get(&home, &id()).unwrap();
        assert_eq!(back.sealed.expose(), b"other");
        assert_eq!(back.device.unwrap().expose(), device.expose());
        assert_eq!(all(&home).unwrap(), [(id(), Wrap::Device)]);

        let place = Secret::new(b"a token".to_vec());
        put(&home, &id(), &place, Wrap::Token).unwrap();
        assert_eq!(token(&home, &id()).unwrap().unwrap(), "a token");
        let Err(error) = get(&home, &id()) else {
            panic!("a place was read as a secret half");
        };
        assert_eq!(error.kind.name(), "key.unusable");
        assert!(delete(&home, &id()).unwrap());
        assert!(!delete(&home, &id()).unwrap());
    }

    #[test]
    fn a_damaged_file_is_said_to_be_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        put(&home, &id(), &Secret::new(vec![7; 300]), Wrap::Passphrase).unwrap();
        let whole = files::read(&path(&home, &id()), 1000).unwrap().unwrap().0;
        let mut flipped = whole.clone();
        flipped[200] ^= 1;
        for broken in [&whole[..whole.len() - 1], &whole[..5], &[][..], &flipped] {
            files::write(&path(&home, &id()), broken).unwrap();
            let Err(error) = get(&home, &id()) else {
                panic!("a damaged file was read");
            };
            assert_eq!(error.kind.name(), "store.damaged");
        }
    }

    #[test]
    fn the_device_passphrase_is_made_once_and_never_anew_under_keys_that_need_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| device(&home))).collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap().unwrap().expose().to_vec())
                .collect()
        });
        assert!(all.windows(2).all(|w| w[0] == w[1]));
        assert_eq!(all[0].len(), 32);

        put(&home, &id(), &Secret::new(b"x".to_vec()), Wrap::Device).unwrap();
        files::write(&home.device_key(), b"short").unwrap();
        assert!(get(&home, &id()).is_err());
        files::remove(&home.device_key()).unwrap();
        let Err(error) = get(&home, &id()) else {
            panic!("made anew");
        };
        assert_eq!(error.kind.name(), "store.damaged");
    }
}
