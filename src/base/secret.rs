//! Secrets as a type without a voice: no `Debug`, no `Display`, no `Clone`, wiped on drop.

use zeroize::Zeroizing;

use super::error::{Error, Result};

/// A passphrase, a session key, or an unlocked key's bytes.
///
/// There is one way to see what is inside, [`Secret::expose`], so that every use can be
/// found by its name.
#[derive(Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; the caller's buffer is the secret's from here on.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// So many random bytes: nothing to guess, nothing to stretch.
    ///
    /// # Errors
    /// `internal` when the system has none.
    pub fn random(length: usize) -> Result<Secret> {
        let mut bytes = vec![0; length];
        let filled = getrandom::fill(&mut bytes);
        let secret = Secret::new(bytes);
        filled.map_err(|_| Error::internal("the system gives no random numbers; try again"))?;
        Ok(secret)
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// True when there is nothing inside.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret::new(text.into_bytes())
    }
}
