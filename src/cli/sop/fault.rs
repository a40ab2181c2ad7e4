//! How the interface ends when it can't do what was asked: the draft's numbers.

use crate::base::{Error, Kind};

pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// The draft's exit codes, all of them but those for keys in hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Unspecified = 1,
    NoSignature = 3,
    UnsupportedAsymmetricAlgo = 13,
    CertCannotEncrypt = 17,
    MissingArg = 19,
    IncompleteVerification = 23,
    CannotDecrypt = 29,
    PasswordNotHumanReadable = 31,
    UnsupportedOption = 37,
    BadData = 41,
    ExpectedText = 53,
    OutputExists = 59,
    MissingInput = 61,
    KeyIsProtected = 67,
    UnsupportedSubcommand = 69,
    UnsupportedSpecialPrefix = 71,
    AmbiguousInput = 73,
    KeyCannotSign = 79,
    IncompatibleOptions = 83,
    UnsupportedProfile = 89,
    PrimaryKeyBad = 103,
    CertUseridNoMatch = 107,
    KeyCannotCertify = 109,
}

/// Why a subcommand did nothing.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    /// One sentence for people.
    pub message: String,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    /// A failure with this code and sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
            source: None,
        }
    }

    /// An error that means something else in this place than elsewhere.
    pub fn of(code: Code, error: Error) -> Failure {
        Failure {
            code,
            message: error.message,
            source: error.source,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let code = match &error.kind {
            Kind::MessageMalformed | Kind::MessageTooLarge | Kind::LimitExceeded { .. } => {
                Code::BadData
            }
            Kind::KeyUnusable { reasons, .. } if reasons.contains(&"mismatch") => Code::BadData,
            Kind::KeyLocked { .. } | Kind::PassphraseWrong => Code::KeyIsProtected,
            Kind::DecryptFailed => Code::CannotDecrypt,
            Kind::RequestInvalid { .. } => Code::UnsupportedOption,
            _ => Code::Unspecified,
        };
        Failure::of(code, error)
    }
}
