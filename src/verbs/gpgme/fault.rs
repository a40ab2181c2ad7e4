//! How an operation of the dialect fails: a code and a text of libgpg-error, as its clients
//! compare them.

use crate::base::{Error, Kind};

/// Where libgpg-error says that an error came from: gpgme.
const SOURCE: u32 = 7 << 24;

/// An error of libgpg-error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    None,
    General,
    BadPassphrase,
    NoPublicKey,
    BadSignature,
    NoSecretKey,
    NotFound,
    InvalidUserId,
    Invalid,
    UnusableSecretKey,
    UnusablePublicKey,
    NoData,
    NotSupported,
    TooLarge,
    NotImplemented,
    Conflict,
    DecryptFailed,
    NoKey,
    Ambiguous,
    Canceled,
    NoPinentry,
    CertRevoked,
    WrongKeyUsage,
    NoCms,
    KeyExpired,
    SignatureExpired,
    MissingKey,
    UnsupportedProtocol,
    Forbidden,
    UnsupportedAlgorithm,
    BadData,
    NameInUse,
    EndOfFile,
}

impl Code {
    /// Its number, and its text.
    fn both(self) -> (u32, &'static str) {
        match self {
            Code::None => (0, "Success"),
            Code::General => (1, "General error"),
            Code::BadSignature => (8, "Bad signature"),
            Code::NoPublicKey => (9, "No public key"),
            Code::BadPassphrase => (11, "Bad passphrase"),
            Code::NoSecretKey => (17, "No secret key"),
            Code::NotFound => (27, "Not found"),
            Code::InvalidUserId => (37, "Invalid user ID"),
            Code::UnusablePublicKey => (53, "Unusable public key"),
            Code::UnusableSecretKey => (54, "Unusable secret key"),
            Code::Invalid => (55, "Invalid value"),
            Code::NoData => (58, "No data"),
            Code::NotSupported => (60, "Not supported"),
            Code::TooLarge => (67, "Provided object is too large"),
            Code::NotImplemented => (69, "Not implemented"),
            Code::Conflict => (70, "Conflicting use"),
            Code::UnsupportedAlgorithm => (84, "Unsupported algorithm"),
            Code::NoPinentry => (85, "No pinentry"),
            Code::BadData => (89, "Bad data"),
            Code::CertRevoked => (94, "Certificate revoked"),
            Code::Canceled => (99, "Operation cancelled"),
            Code::Ambiguous => (107, "Ambiguous name"),
            Code::UnsupportedProtocol => (121, "Unsupported protocol"),
            Code::WrongKeyUsage => (125, "Wrong key usage"),
            Code::NoCms => (143, "No CMS object"),
            Code::DecryptFailed => (152, "Decryption failed"),
            Code::KeyExpired => (153, "Key expired"),
            Code::SignatureExpired => (154, "Signature expired"),
            Code::MissingKey => (181, "Missing key"),
            Code::NameInUse => (304, "User ID already exists"),
            Code::NoKey => (221, "No key"),
            Code::Forbidden => (251, "Forbidden"),
            Code::EndOfFile => (16383, "End of file"),
        }
    }

    /// The number that goes over the wire; 0 for none.
    pub fn number(self) -> u32 {
        match self {
            Code::None => 0,
            // What decodes base64 for gpgme says nothing of where it is.
            Code::BadData => self.both().0,
            code => SOURCE | code.both().0,
        }
    }

    /// The text that goes over the wire.
    pub fn text(self) -> &'static str {
        self.both().1
    }

    /// What stands for an error of ours.
    pub fn of(error: &Error) -> Code {
        match &error.kind {
            Kind::RequestInvalid { .. } => Code::Invalid,
            Kind::RequestTooLarge | Kind::MessageTooLarge | Kind::LimitExceeded { .. } => {
                Code::TooLarge
            }
            Kind::MessageMalformed => Code::NoData,
            Kind::KeyMissing { .. } => Code::NoKey,
            Kind::KeyAmbiguous { .. } => Code::Ambiguous,
            Kind::KeyConflict { .. } => Code::Conflict,
            Kind::KeyUnusable { .. } => Code::UnusablePublicKey,
            Kind::KeyLocked { .. } | Kind::PassphraseUnavailable => Code::NoPinentry,
            Kind::PassphraseWrong => Code::BadPassphrase,
            Kind::PassphraseCancelled | Kind::ConsentDenied | Kind::Cancelled => Code::Canceled,
            Kind::DecryptFailed => Code::DecryptFailed,
            Kind::PolicyRefused { .. } => Code::Forbidden,
            Kind::ProtocolUnsupported { .. } => Code::UnsupportedProtocol,
            Kind::RateLimited { .. }
            | Kind::PlanStale
            | Kind::StoreUnavailable
            | Kind::StoreDamaged
            | Kind::BlobUnknown
            | Kind::NetworkFailed
            | Kind::AccountRefused
            | Kind::Internal => Code::General,
        }
    }
}

/// Why an operation came to nothing.
#[derive(Debug)]
pub struct Fault {
    /// What was being done: the first words of the text.
    pub doing: &'static str,
    pub code: Code,
    /// Ours, when there is one: it may carry a question.
    pub error: Option<Box<Error>>,
}

/// The first words where an operation has none of its own.
const FAILED: &str = "Operation failed";

impl Fault {
    /// A code alone.
    pub fn new(code: Code) -> Fault {
        Fault {
            doing: FAILED,
            code,
            error: None,
        }
    }

    /// The same, while this was being done, unless something was said already.
    #[must_use]
    pub fn doing(mut self, doing: &'static str) -> Fault {
        if self.doing == FAILED {
            self.doing = doing;
        }
        self
    }

    /// The same with another code, unless it is about the person or the rules.
    #[must_use]
    pub fn but(mut self, from: Code, to: Code) -> Fault {
        if self.code == from {
            self.code = to;
        }
        self
    }

    /// What goes over the wire. Where a rule of the person's or the disk stands in the way, what
    /// they can do about it goes along: libgpg-error has no words for that.
    pub fn text(&self) -> String {
        let text = format!("{}: {}", self.doing, self.code.text());
        let explained = self.error.as_ref().filter(|error| {
            matches!(
                error.kind,
                Kind::PolicyRefused { .. }
                    | Kind::StoreUnavailable
                    | Kind::StoreDamaged
                    | Kind::LimitExceeded { .. }
                    | Kind::PassphraseUnavailable
            )
        });
        match explained {
            Some(error) => format!("{text}: {}", error.message),
            None => text,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault {
            doing: FAILED,
            code: Code::of(&error),
            error: Some(Box::new(error)),
        }
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Fault {
        Fault::new(code)
    }
}
