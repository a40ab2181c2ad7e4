//! The desktop's own key store: the Secret Service on Linux, the Keychain on macOS, the
//! Credential Manager on Windows.

use std::sync::Arc;

use keyring::Entry;

use crate::base::Secret;
use crate::base::error::{Error, Kind, Result};
use crate::base::keys::Keychain;

/// Under which name ours lie there.
const SERVICE: &str = "org.sealpost.host";

/// The key store of whoever is logged in. Nothing is contacted before it is used.
struct Desktop;

/// The desktop's key store.
pub fn keychain() -> Arc<dyn Keychain> {
    Arc::new(Desktop)
}

impl Keychain for Desktop {
    fn get(&self, name: &str) -> Result<Secret> {
        let found = Entry::new(SERVICE, name).and_then(|entry| entry.get_secret());
        found.map(Secret::new).map_err(translated)
    }

    fn put(&self, name: &str, secret: &Secret) -> Result<()> {
        Entry::new(SERVICE, name)
            .and_then(|entry| entry.set_secret(secret.expose()))
            .map_err(translated)
    }

    fn delete(&self, name: &str) -> Result<()> {
        match Entry::new(SERVICE, name).and_then(|entry| entry.delete_credential()) {
            Err(keyring::Error::NoEntry) => Ok(()),
            done => done.map_err(translated),
        }
    }
}

fn translated(error: keyring::Error) -> Error {
    let message = match &error {
        keyring::Error::NoEntry | keyring::Error::Ambiguous(_) => {
            "the desktop's key store has nothing that opens this key; restore it from a backup"
        }
        keyring::Error::NoStorageAccess(_) => {
            "the desktop's key store is locked; unlock it and try again"
        }
        _ => "this desktop has no key store that the host can use; ask for a passphrase instead",
    };
    Error::new(Kind::PassphraseUnavailable, message).because(error)
}
