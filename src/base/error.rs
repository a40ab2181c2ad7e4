//! One error for the whole program: what kind, whose fault, one sentence for people.
//!
//! A bad signature is not an error (we looked, this is what we saw); an [`Error`] says that
//! we could not look. `Kind` is the contract: its wire names are append-only. The message
//! names the thing and says what to do next, and never quotes a value out of a request.

use serde::{Deserialize, Serialize};

use super::ask::Question;
use super::keys::KeyId;
use super::verdict::{Headers, Recipient};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The contract's name for it, with its fields.
    pub kind: Kind,
    /// One sentence for people, lower case, without any value out of a request.
    pub message: String,
    /// What the library below said. For the log's kind column and for tests, never for the wire.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// A question to the person whose answer would get past this error.
    pub question: Option<Box<Question>>,
    /// What could be seen of a message that stayed closed.
    pub closed: Option<Box<Closed>>,
}

/// What is known of a message that could not be opened: its outer header fields and the
/// recipients its envelope names.
#[derive(Debug, Clone, Serialize)]
pub struct Closed {
    /// The outer header fields, all of them with protection `none`.
    pub headers: Headers,
    /// Whom the envelope is encrypted to.
    pub recipients: Vec<Recipient>,
}

/// What went wrong, by the contract's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum Kind {
    /// The request does not have the contract's form; `path` is a JSON pointer.
    #[serde(rename = "request.invalid")]
    RequestInvalid { path: String },
    #[serde(rename = "request.too-large")]
    RequestTooLarge,
    #[serde(rename = "protocol.unsupported")]
    ProtocolUnsupported { host: Vec<u32>, update: Half },
    #[serde(rename = "message.malformed")]
    MessageMalformed,
    #[serde(rename = "message.too-large")]
    MessageTooLarge,
    #[serde(rename = "key.missing")]
    KeyMissing {
        r#for: KeyUse,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        addresses: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        key_ids: Vec<String>,
    },
    #[serde(rename = "key.ambiguous")]
    KeyAmbiguous { address: String, ids: Vec<KeyId> },
    #[serde(rename = "key.conflict")]
    KeyConflict { address: String, ids: Vec<KeyId> },
    #[serde(rename = "key.locked")]
    KeyLocked { ids: Vec<KeyId> },
    #[serde(rename = "key.unusable")]
    KeyUnusable {
        id: KeyId,
        reasons: Vec<&'static str>,
    },
    #[serde(rename = "passphrase.wrong")]
    PassphraseWrong,
    #[serde(rename = "passphrase.cancelled")]
    PassphraseCancelled,
    #[serde(rename = "passphrase.unavailable")]
    PassphraseUnavailable,
    #[serde(rename = "consent.denied")]
    ConsentDenied,
    /// `retry_after` in seconds.
    #[serde(rename = "rate.limited")]
    RateLimited { retry_after: u64 },
    #[serde(rename = "decrypt.failed")]
    DecryptFailed,
    #[serde(rename = "policy.refused")]
    PolicyRefused {
        rule: &'static str,
        /// Where the rules themselves can't be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
    },
    #[serde(rename = "plan.stale")]
    PlanStale,
    #[serde(rename = "store.unavailable")]
    StoreUnavailable,
    #[serde(rename = "store.damaged")]
    StoreDamaged,
    #[serde(rename = "blob.unknown")]
    BlobUnknown,
    /// `limit` names the cap; `use` says what would help, where something would.
    #[serde(rename = "limit.exceeded")]
    LimitExceeded {
        limit: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        r#use: Option<&'static str>,
    },
    #[serde(rename = "network.failed")]
    NetworkFailed,
    #[serde(rename = "account.refused")]
    AccountRefused,
    #[serde(rename = "cancelled")]
    Cancelled,
    #[serde(rename = "internal")]
    Internal,
}

/// Which half of the pair is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Half {
    Host,
    Client,
}

/// What a missing key was wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyUse {
    Recipient,
    Decrypt,
    Sign,
}

/// Whose fault an error is: the first thing a client asks of a kind it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    Request,
    Message,
    Keys,
    Policy,
    Host,
}

impl Kind {
    /// The contract's name, as it stands on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::RequestInvalid { .. } => "request.invalid",
            Kind::RequestTooLarge => "request.too-large",
            Kind::ProtocolUnsupported { .. } => "protocol.unsupported",
            Kind::MessageMalformed => "message.malformed",
            Kind::MessageTooLarge => "message.too-large",
            Kind::KeyMissing { .. } => "key.missing",
            Kind::KeyAmbiguous { .. } => "key.ambiguous",
            Kind::KeyConflict { .. } => "key.conflict",
            Kind::KeyLocked { .. } => "key.locked",
            Kind::KeyUnusable { .. } => "key.unusable",
            Kind::PassphraseWrong => "passphrase.wrong",
            Kind::PassphraseCancelled => "passphrase.cancelled",
            Kind::PassphraseUnavailable => "passphrase.unavailable",
            Kind::ConsentDenied => "consent.denied",
            Kind::RateLimited { .. } => "rate.limited",
            Kind::DecryptFailed => "decrypt.failed",
            Kind::PolicyRefused { .. } => "policy.refused",
            Kind::PlanStale => "plan.stale",
            Kind::StoreUnavailable => "store.unavailable",
            Kind::StoreDamaged => "store.damaged",
            Kind::BlobUnknown => "blob.unknown",
            Kind::LimitExceeded { .. } => "limit.exceeded",
            Kind::NetworkFailed => "network.failed",
            Kind::AccountRefused => "account.refused",
            Kind::Cancelled => "cancelled",
            Kind::Internal => "internal",
        }
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Kind::RequestInvalid { .. }
            | Kind::RequestTooLarge
            | Kind::ProtocolUnsupported { .. }
            | Kind::PlanStale
            | Kind::BlobUnknown
            | Kind::RateLimited { .. }
            | Kind::Cancelled => Blame::Request,
            Kind::MessageMalformed
            | Kind::MessageTooLarge
            | Kind::DecryptFailed
            | Kind::LimitExceeded { .. } => Blame::Message,
            Kind::KeyMissing { .. }
            | Kind::KeyAmbiguous { .. }
            | Kind::KeyConflict { .. }
            | Kind::KeyLocked { .. }
            | Kind::KeyUnusable { .. }
            | Kind::PassphraseWrong
            | Kind::PassphraseCancelled
            | Kind::PassphraseUnavailable => Blame::Keys,
            Kind::ConsentDenied | Kind::PolicyRefused { .. } => Blame::Policy,
            Kind::StoreUnavailable
            | Kind::StoreDamaged
            | Kind::NetworkFailed
            | Kind::AccountRefused
            | Kind::Internal => Blame::Host,
        }
    }
}

impl Error {
    /// An error of `kind`; `message` is one lower-case sentence that says what to do.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            source: None,
            question: None,
            closed: None,
        }
    }

    /// Adds what the library below said.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// Adds the question whose answer would get past this error.
    pub fn unless(mut self, question: Question) -> Error {
        self.question = Some(Box::new(question));
        self
    }

    /// A request field that is missing or wrong; `path` is a JSON pointer into the params.
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Error {
        Error::new(Kind::RequestInvalid { path: path.into() }, message)
    }

    /// A message whose structure can't be read.
    pub fn malformed(message: impl Into<String>) -> Error {
        Error::new(Kind::MessageMalformed, message)
    }

    /// The one answer to every fault inside a ciphertext for which a key was found.
    pub fn decrypt_failed() -> Error {
        Error::new(
            Kind::DecryptFailed,
            "the message can't be decrypted: it is damaged, or it was not made for this key; ask the sender to send it again",
        )
    }

    /// A cap that was passed; `limit` is its name.
    pub fn limit(limit: &'static str, message: impl Into<String>) -> Error {
        Error::new(Kind::LimitExceeded { limit, r#use: None }, message)
    }

    /// What a rule does not allow; `rule` is its name.
    pub fn refused(rule: &'static str, message: impl Into<String>) -> Error {
        let (file, line) = (None, None);
        Error::new(Kind::PolicyRefused { rule, file, line }, message)
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Kind::Internal, message)
    }

    /// The request was taken back before it changed anything.
    pub fn cancelled() -> Error {
        Error::new(Kind::Cancelled, "cancelled")
    }
}
