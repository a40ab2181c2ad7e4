//! What modules answer when something fails, and what it comes to. What it means to a person:
//! [`super::faults`].

use cryptoki::context::Function;
use cryptoki::error::{Error as Said, RvError};

/// What went wrong, as far as it makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The token is in no reader, or was pulled out.
    Absent,
    /// Its PIN is wanted.
    LoggedOut,
    WrongPin,
    /// Too many wrong PINs.
    PinLocked,
    /// The person did not type the PIN on the reader.
    Cancelled,
    /// The token is there and the key is not.
    NoKey,
    /// It can't do this, or must not.
    Refused,
    /// It does not like what it was given.
    Data,
    /// The module can't be used at all.
    Broken,
    /// The module does not answer in time.
    Silent,
}

/// A fault, with what the module said.
pub(super) struct Failure {
    pub fault: Fault,
    pub said: Option<Said>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure { fault, said: None }
    }
}

impl From<Said> for Failure {
    fn from(said: Said) -> Failure {
        Failure {
            fault: fault(&said),
            said: Some(said),
        }
    }
}

pub(super) type Done<T> = Result<T, Failure>;

impl Failure {
    /// The module can't be used at all.
    pub(super) fn broken(said: Said) -> Failure {
        Failure {
            fault: Fault::Broken,
            said: Some(said),
        }
    }

    /// A fault of deciphering itself is one of the data, whatever the module calls it: what a
    /// wrong padding leads to must not show.
    pub(super) fn of_deciphering(said: Said) -> Failure {
        let of_data = match &said {
            Said::Pkcs11(
                RvError::UserNotLoggedIn
                | RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::FunctionNotSupported
                | RvError::OperationNotInitialized,
                _,
            ) => false,
            Said::Pkcs11(_, function) => matches!(
                function,
                Function::Decrypt | Function::DecryptUpdate | Function::DecryptFinal
            ),
            _ => false,
        };
        match of_data {
            true => Failure {
                fault: Fault::Data,
                said: Some(said),
            },
            false => said.into(),
        }
    }
}

/// What an answer comes to. Who does not know why it failed blames the data: SoftHSM says
/// `CKR_GENERAL_ERROR` where others say `CKR_ENCRYPTED_DATA_INVALID`.
fn fault(said: &Said) -> Fault {
    let Said::Pkcs11(said, _) = said else {
        return match said {
            Said::LibraryLoading(_) | Said::MissingSymbol(_) => Fault::Broken,
            Said::NullFunctionPointer | Said::NotSupported => Fault::Refused,
            _ => Fault::Data,
        };
    };
    match said {
        RvError::DeviceRemoved
        | RvError::DeviceError
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized
        | RvError::SlotIdInvalid
        | RvError::SessionHandleInvalid
        | RvError::SessionClosed => Fault::Absent,
        RvError::CryptokiNotInitialized => Fault::Broken,
        RvError::UserNotLoggedIn => Fault::LoggedOut,
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => Fault::WrongPin,
        RvError::PinLocked => Fault::PinLocked,
        RvError::FunctionCanceled | RvError::Cancel => Fault::Cancelled,
        RvError::ObjectHandleInvalid | RvError::KeyHandleInvalid => Fault::NoKey,
        RvError::ArgumentsBad
        | RvError::MechanismInvalid
        | RvError::MechanismParamInvalid
        | RvError::FunctionNotSupported
        | RvError::CurveNotSupported
        | RvError::KeyTypeInconsistent
        | RvError::KeyFunctionNotPermitted
        | RvError::KeySizeRange
        | RvError::ActionProhibited
        | RvError::OperationActive
        | RvError::OperationNotInitialized
        | RvError::PinExpired
        | RvError::TemplateIncomplete
        | RvError::TemplateInconsistent
        | RvError::AttributeSensitive => Fault::Refused,
        _ => Fault::Data,
    }
}
