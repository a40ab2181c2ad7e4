//! Secret halves as files: encrypted before they come here, opaque here.
//!
//! A file is one line that says how it is wrapped, how long it is and what its checksum is;
//! the rest is the transferable secret key (or PKCS#8), so that a person can get at it with
//! `tail -n +2` and any other OpenPGP program. The files are the truth: the index only says
//! which there are.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::access;
use super::files::{self, Lock, Stamp};
use super::home::Home;
use crate::base::gnupg::Grip;
use crate::base::keys::{Keychain, Opener, SealedSecret, no_such_key};
use crate::base::{Error, KeyId, Kind, Result, Secret};

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
    /// A random one that the desktop's key store has.
    Keychain,
    /// Nothing: it is not here, and the file says on which token it lies.
    Token,
    /// Nothing: GnuPG's agent has it, and the file says what it calls its key pairs.
    GnuPg,
}

impl Wrap {
    fn name(self) -> &'static str {
        match self {
            Wrap::Passphrase => "passphrase",
            Wrap::Device => "device",
            Wrap::Keychain => "keychain",
            Wrap::Token => "token",
            Wrap::GnuPg => "gnupg",
        }
    }

    fn named(name: &str) -> Option<Wrap> {
        [
            Wrap::Passphrase,
            Wrap::Device,
            Wrap::Keychain,
            Wrap::Token,
            Wrap::GnuPg,
        ]
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
    let path = path(home, id)?;
    files::write(&path, bytes.expose())?;
    // Hardly anything else is written there in a way that leaves something.
    if let Some(stamp) = files::stamp(&path) {
        files::clean(&home.state, stamp.modified);
    }
    Ok(())
}

/// Removes a secret half; false when there was none.
pub(super) fn delete(home: &Home, id: &KeyId) -> Result<bool> {
    let _lock = lock(home)?;
    files::remove(&path(home, id)?)
}

/// Reads a secret half.
///
/// # Errors
/// `key.missing`; `key.unusable` when it lies on a token or in GnuPG's agent; `store.damaged`
/// when the file is not as it was written.
pub(super) fn get(
    home: &Home,
    id: &KeyId,
    keychain: Option<&Arc<dyn Keychain>>,
) -> Result<SealedSecret> {
    let (wrap, sealed) = whole(home, id)?;
    let device = match wrap {
        Wrap::Passphrase => None,
        Wrap::Device => Some(Opener::Store(device(home)?)),
        Wrap::Keychain => match keychain {
            Some(keychain) => Some(Opener::Keychain(Arc::clone(keychain), id.to_string())),
            None => {
                return Err(Error::new(
                    Kind::PassphraseUnavailable,
                    "what opens this key is in a desktop's key store, and there is none here",
                ));
            }
        },
        Wrap::Token => {
            return Err(Error::new(
                Kind::KeyUnusable {
                    id: id.clone(),
                    reasons: vec!["on-token"],
                },
                "the secret half of this key lies on a token and never leaves it; use the token's own program",
            ));
        }
        Wrap::GnuPg => {
            return Err(Error::new(
                Kind::KeyUnusable {
                    id: id.clone(),
                    reasons: vec!["in-gnupg"],
                },
                "the secret half of this key is kept by GnuPG; use gpg for this",
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
    let (_, place) = whole(home, id)?;
    Ok(Some(Bytes::copy_from_slice(place.expose())))
}

/// What GnuPG's agent calls the key pairs of a certificate; none when it does not have them.
///
/// # Errors
/// `store.damaged` when the file is not as it was written.
pub(super) fn grips(home: &Home, id: &KeyId) -> Result<Vec<Grip>> {
    if wrap(home, id) != Some(Wrap::GnuPg) {
        return Ok(Vec::new());
    }
    let (_, written) = whole(home, id)?;
    let text = std::str::from_utf8(written.expose()).map_err(|_| damaged())?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(subkey, keygrip)| Grip {
            subkey: subkey.to_owned(),
            keygrip: keygrip.to_owned(),
        })
        .collect())
}

/// How [`grips`] are written.
pub(super) fn written(grips: &[Grip]) -> Secret {
    let lines = grips
        .iter()
        .map(|g| format!("{} {}\n", g.subkey, g.keygrip));
    Secret::from(lines.collect::<String>())
}

/// The file of a secret half: how it is wrapped, and what there is.
///
/// # Errors
/// As [`get`].
pub(super) fn whole(home: &Home, id: &KeyId) -> Result<(Wrap, Secret)> {
    let bytes = match raw(home, id) {
        Ok(Some(bytes)) => Secret::new(bytes),
        // A folder, or whatever else is no file.
        Ok(None) if files::is_something(&path(home, id)?) => return Err(damaged()),
        Ok(None) => return Err(no_such_key()),
        Err(e) if matches!(e.kind, Kind::LimitExceeded { .. }) => return Err(damaged().because(e)),
        Err(e) => return Err(e),
    };
    let (sealed, wrap) = read(bytes.expose()).ok_or_else(damaged)?;
    Ok((wrap, sealed))
}

/// How a secret half is wrapped; `None` when there is none. One that can't be read is still
/// there, and as good as under a passphrase: whoever uses it is told that it is damaged.
pub(super) fn wrap(home: &Home, id: &KeyId) -> Option<Wrap> {
    let path = path(home, id).ok()?;
    if !files::is_something(&path) {
        return None;
    }
    let head = files::read_from(&path, 0, HEAD_MAX as u64).unwrap_or_default();
    let wrap = split(&head).map(|(head, _)| head.wrap);
    Some(wrap.unwrap_or_else(|| {
        log::warn!("a secret key file is damaged");
        Wrap::Passphrase
    }))
}

/// Which secret halves there are.
pub(super) fn all(home: &Home) -> Result<Vec<(KeyId, Wrap)>> {
    let names = files::list(&home.secrets())?;
    let found = names.iter().filter_map(|name| {
        let id = named(name)?;
        let wrap = wrap(home, &id)?;
        Some((id, wrap))
    });
    Ok(found.collect())
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
        files::write_first(&file, Secret::random(DEVICE_BYTES)?.expose())?;
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

fn path(home: &Home, id: &KeyId) -> Result<PathBuf> {
    files::within(&home.secrets(), &name(id))
}

/// What the file of a secret half is called.
pub(super) fn name(id: &KeyId) -> String {
    format!("{}-{}", id.protocol().name(), id.fingerprint())
}

/// The key whose secret half lies in a file of this name.
pub(super) fn named(name: &str) -> Option<KeyId> {
    let (protocol, hex) = name.split_once('-')?;
    KeyId::parse(&format!("{protocol}:{hex}"))
}

/// The file of a secret half, whatever is in it.
pub(super) fn raw(home: &Home, id: &KeyId) -> Result<Option<Vec<u8>>> {
    let found = files::read(&path(home, id)?, SECRET_MAX + HEAD_MAX as u64)?;
    Ok(found.map(|(bytes, _)| bytes))
}

/// The content of such a file; `None` when it is damaged.
pub(super) fn read(bytes: &[u8]) -> Option<(Secret, Wrap)> {
    let (head, body) = split(bytes)?;
    let whole = body.len() == head.length && files::checksum(body) == head.checksum;
    whole.then(|| (Secret::new(body.to_vec()), head.wrap))
}

/// Puts the store's own passphrase in its place, unless there is one that can be read.
pub(super) fn restore_device(home: &Home, passphrase: &Secret) -> Result<()> {
    if passphrase.expose().len() != DEVICE_BYTES {
        return Ok(());
    }
    let _lock = lock(home)?;
    let file = home.device_key();
    match files::length(&file) == DEVICE_BYTES as u64 {
        true => Ok(()),
        false => files::write(&file, passphrase.expose()),
    }
}

pub(super) fn lock(home: &Home) -> Result<Lock> {
    access::find(home)?;
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
    use crate::base::Protocol;

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
        let back = get(&home, &id(), None).unwrap();
        assert_eq!(back.sealed.expose(), b"sealed\nbytes");
        assert!(back.device.is_none());

        let device = device(&home).unwrap();
        put(&home, &id(), &Secret::new(b"other".to_vec()), Wrap::Device).unwrap();
        let back = get(&home, &id(), None).unwrap();
        assert_eq!(back.sealed.expose(), b"other");
        let opener = back.device.unwrap();
        assert_eq!(opener.passphrase().unwrap().expose(), device.expose());
        assert_eq!(all(&home).unwrap(), [(id(), Wrap::Device)]);

        let place = Secret::new(b"a token".to_vec());
        put(&home, &id(), &place, Wrap::Token).unwrap();
        assert_eq!(token(&home, &id()).unwrap().unwrap(), "a token");
        let Err(error) = get(&home, &id(), None) else {
            panic!("a place was read as a secret half");
        };
        assert_eq!(error.kind.name(), "key.unusable");

        let grip = |n: &str| Grip {
            subkey: n.repeat(20),
            keygrip: n.repeat(20),
        };
        let both = [grip("AA"), grip("BB")];
        put(&home, &id(), &written(&both), Wrap::GnuPg).unwrap();
        assert_eq!(grips(&home, &id()).unwrap(), both);
        assert!(get(&home, &id(), None).is_err());
        assert!(token(&home, &id()).unwrap().is_none());
        assert!(delete(&home, &id()).unwrap());
        assert!(!delete(&home, &id()).unwrap());
    }

    #[test]
    fn a_damaged_file_is_said_to_be_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        put(&home, &id(), &Secret::new(vec![7; 300]), Wrap::Passphrase).unwrap();
        let whole = files::read(&path(&home, &id()).unwrap(), 1000)
            .unwrap()
            .unwrap()
            .0;
        let mut flipped = whole.clone();
        flipped[200] ^= 1;
        for broken in [&whole[..whole.len() - 1], &whole[..5], &[][..], &flipped] {
            files::write(&path(&home, &id()).unwrap(), broken).unwrap();
            let Err(error) = get(&home, &id(), None) else {
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
        assert!(get(&home, &id(), None).is_err());
        files::remove(&home.device_key()).unwrap();
        let Err(error) = get(&home, &id(), None) else {
            panic!("made anew");
        };
        assert_eq!(error.kind.name(), "store.damaged");
    }
}
