//! What sealing and opening can do beside what mail needs: for those who speak other dialects
//! than ours. The defaults are what mail does.

use std::fmt;
use std::sync::Arc;

use super::error::Result;
use super::keys::StoredCert;
use super::secret::Secret;

/// The key that a message's content is encrypted with. Whoever has it reads that message, and no
/// other one.
#[derive(Clone)]
pub struct SessionKey {
    algorithm: u8,
    key: Arc<Secret>,
}

/// AES with 256 bits (RFC 9580 9.3).
const AES256: u8 = 9;

impl SessionKey {
    /// The key of a cipher, by its number (RFC 9580 9.3).
    pub fn new(algorithm: u8, key: Secret) -> SessionKey {
        SessionKey {
            algorithm,
            key: Arc::new(key),
        }
    }

    /// A new one, for AES with 256 bits.
    ///
    /// # Errors
    /// `internal` when the system has no random numbers.
    pub fn random() -> Result<SessionKey> {
        Ok(SessionKey::new(AES256, Secret::random(32)?))
    }

    /// The cipher's number (RFC 9580 9.3).
    pub fn algorithm(&self) -> u8 {
        self.algorithm
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        self.key.expose()
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

/// Whether a message's session key is told to whoever opens it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Telling {
    #[default]
    Hidden,
    Told,
}

/// What may open a message beside the private keys, given beforehand and tried before anybody is
/// asked for anything.
#[derive(Default)]
pub struct Means {
    /// Passphrases of the message itself.
    pub passphrases: Vec<Secret>,
    pub session_keys: Vec<SessionKey>,
    pub session_key: Telling,
}

/// How a layer is sealed where it is not sealed as mail is.
#[derive(Clone, Copy, Default)]
pub struct Extra<'a> {
    /// Those who sign too, after [`Seal::signer`].
    ///
    /// [`Seal::signer`]: super::layer::Seal::signer
    pub signers: &'a [StoredCert],
    pub covers: Covers,
    pub placing: Placing,
    pub output: Output,
    pub naming: Naming,
    /// What opens the message too (OpenPGP).
    pub passphrases: &'a [Secret],
    pub container: Container,
    pub purpose: Purpose,
    /// What the content is called (OpenPGP); 255 bytes at most.
    pub file_name: Option<&'a str>,
    pub content: Content,
    /// The user id by which the signers say who they are (OpenPGP).
    pub sender: Option<&'a str>,
    /// The session key to use (OpenPGP), of a cipher that counts as sound.
    pub session_key: Option<&'a SessionKey>,
}

/// What a signature covers of a text's line ends (OpenPGP).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Covers {
    /// Every byte.
    #[default]
    Bytes,
    /// Lines, however they end (RFC 9580 5.2.1.2).
    Text,
}

/// Where the signatures of a message that is not encrypted stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Placing {
    /// Where the scheme says.
    #[default]
    Scheme,
    /// Around the content, in one message (RFC 9580 10.3): nobody reads it without a program.
    Inside,
}

/// What the content of an encrypted message is (OpenPGP).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Content {
    #[default]
    Data,
    /// MIME, and the message says so (as GnuPG does, in no RFC).
    Mime,
    /// A message that is not encrypted, in armor or not: taken as it is.
    Message,
}

/// What OpenPGP data looks like from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Output {
    #[default]
    Armored,
    Binary,
}

/// Whether an encrypted message names its recipients (OpenPGP).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Naming {
    #[default]
    Named,
    /// They find out by trying their keys.
    Hidden,
}

/// What ciphertext is in (OpenPGP).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Container {
    /// The newest that all recipients say they read; version 1 where there are none.
    #[default]
    Known,
    /// Version 1 (RFC 4880), passphrases stretched as GnuPG does.
    Mdc,
    /// Version 2 (RFC 9580), passphrases stretched with Argon2.
    Aead,
}

/// Which of the recipients' keys are encrypted to (OpenPGP).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    #[default]
    Any,
    Communications,
    Storage,
}
