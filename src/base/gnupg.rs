//! GnuPG as the others reach it: what its keyring holds, and what its agent does with secret
//! keys that stay where they are, smartcards included.

use std::io;
use std::path::PathBuf;

use serde::Serialize;

use super::error::{Error, KeyUse, Result};
use super::job::Job;
use super::keys::Protocol;
use super::secret::Secret;

/// One certificate in GnuPG's keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Of the primary key, upper-case hex.
    pub fingerprint: String,
    /// User ids that GnuPG takes for valid, as they are written: by its web of trust, or
    /// because the key is the person's own.
    pub valid: Vec<String>,
    /// The key pairs whose secret half GnuPG's agent has. Empty for other people's.
    pub secrets: Vec<Grip>,
}

/// One key pair that GnuPG's agent has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grip {
    /// Its fingerprint, upper-case hex.
    pub subkey: String,
    /// What the agent calls it, upper-case hex.
    pub keygrip: String,
}

/// What a private operation is done with when the agent wants a passphrase.
#[derive(Clone, Copy)]
pub enum Access<'a> {
    /// Whatever the agent remembers. One that lets nobody else ask does so itself.
    Remembered,
    /// Whatever the agent remembers, and no dialog whoever it may be.
    Silent,
    /// This; the agent remembers it for its time.
    With(&'a Secret),
    /// The agent asks the person itself.
    Asking,
}

/// A decrypted value.
pub struct Value {
    /// The canonical S-expression.
    pub expression: Secret,
    /// The agent left PKCS#1's padding where it was.
    pub padded: bool,
}

/// The programs. Nothing is started before it is needed.
pub trait GnuPg: Send + Sync {
    /// The files with which the keyring and the secret keys change.
    fn files(&self) -> Vec<PathBuf>;

    /// The certificates that have secret keys, or all of them.
    ///
    /// # Errors
    /// `store.unavailable` when GnuPG does not do it; `limit.exceeded`; `cancelled`.
    fn list(&self, whose: Whose, job: &Job) -> Result<Vec<Listed>>;

    /// Certificates, binary, without anything secret; those with secret keys, or any.
    ///
    /// # Errors
    /// As [`GnuPg::list`].
    fn export(&self, fingerprints: &[String], whose: Whose, job: &Job) -> Result<Vec<u8>>;

    /// The files with which what it thinks of other people's certificates changes.
    fn trust_files(&self) -> Vec<PathBuf>;

    /// The file of its options.
    fn options_file(&self) -> PathBuf;

    /// All that there is to be told of all certificates of a family, as GnuPG's programs tell it
    /// under `--with-colons`.
    ///
    /// # Errors
    /// As [`GnuPg::list`].
    fn listing(&self, of: Protocol, job: &Job) -> Result<String>;

    /// All certificates of a family, without anything secret: binary, or as PEM (S/MIME).
    ///
    /// # Errors
    /// As [`GnuPg::list`].
    fn keyring(&self, of: Protocol, job: &Job) -> Result<Vec<u8>>;

    /// Whether a person will be asked by the agent for every use: the key is on a card.
    ///
    /// # Errors
    /// `key.missing` when the agent does not have it; `store.unavailable`; `cancelled`.
    fn on_card(&self, keygrip: &str, to: KeyUse, job: &Job) -> Result<bool>;

    /// Signs a digest under an OpenPGP hash algorithm; a canonical S-expression comes out. It is
    /// whatever the agent gave: not looked at here.
    ///
    /// # Errors
    /// `passphrase.unavailable` when the agent does not remember it; `passphrase.wrong`;
    /// `passphrase.cancelled`; `key.missing`; `store.unavailable`; `cancelled`.
    fn sign(
        &self,
        keygrip: &str,
        digest: (u8, &[u8]),
        access: Access<'_>,
        job: &Job,
    ) -> Result<Secret>;

    /// Decrypts a value that is given as a canonical S-expression.
    ///
    /// # Errors
    /// As [`GnuPg::sign`]; `decrypt.failed`.
    fn decrypt(
        &self,
        keygrip: &str,
        expression: &[u8],
        access: Access<'_>,
        job: &Job,
    ) -> Result<Value>;
}

/// How it went when GnuPG was looked at last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GnuPgState {
    #[default]
    Ready,
    /// The program is not there.
    Missing,
    /// It did not answer in time.
    Silent,
    /// It ended with an error.
    Broken,
}

impl GnuPgState {
    /// What an error of [`GnuPg`] says of it.
    pub fn of(error: &Error) -> GnuPgState {
        let source = error.source.as_deref();
        let fault = source.and_then(|source| source.downcast_ref::<io::Error>());
        match fault.map(io::Error::kind) {
            Some(io::ErrorKind::TimedOut) => GnuPgState::Silent,
            Some(io::ErrorKind::NotFound) => GnuPgState::Missing,
            _ => GnuPgState::Broken,
        }
    }
}

/// Which certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those with secret keys.
    Own,
    All,
}
