//! What the faults of tokens mean to a person, and the questions for their PINs.

use super::answer::{Failure, Fault};
use super::driver::Seen;
use super::place::Place;
use crate::base::Result;
use crate::base::ask::{self, Need, Question};
use crate::base::error::{Error, KeyUse, Kind};
use crate::base::keys::{KeyId, TokenState};

/// The error that carries the question for a PIN; or why no PIN would help.
pub(super) fn locked(id: &KeyId, place: &Place, seen: &Seen) -> Error {
    match usable(id, seen) {
        Ok(()) => ask::locked(id, &label(place, seen)),
        Err(error) => error,
    }
}

/// The error after a wrong PIN. Its question is the next one: it warns of the last try.
pub(super) fn wrong(id: &KeyId, place: &Place, seen: &Seen) -> Error {
    if let Err(error) = usable(id, seen) {
        return error;
    }
    Error::new(Kind::PassphraseWrong, "the PIN is wrong; try again").unless(Question::Passphrase {
        need: Need::Unlock,
        key: Some(id.clone()),
        label: label(place, seen),
        attempt: 2,
    })
}

/// Whether a PIN would open the token.
///
/// # Errors
/// `key.unusable`.
pub(super) fn usable(id: &KeyId, seen: &Seen) -> Result<()> {
    match seen.state {
        TokenState::Ready | TokenState::FewTries | TokenState::LastTry => Ok(()),
        TokenState::Locked => Err(pin_locked(id)),
        TokenState::NoPin => Err(unusable(
            id,
            "token-no-pin",
            "the token has no PIN yet; set one with the token's own program",
        )),
    }
}

/// What a dialog for the PIN names: the warning first, for it must be read. With the longest
/// token's name (32 bytes) it stays below what a dialog shows (200 characters).
fn label(place: &Place, seen: &Seen) -> String {
    /// The most characters of the owner's name and address.
    const OWNER_MAX: usize = 60;
    let warning = match seen.state {
        TokenState::LastTry => "LAST TRY before the token locks! ",
        TokenState::FewTries => "A wrong PIN was given before. ",
        _ => "",
    };
    let how = match seen.pad {
        true => "answer ok, then type the PIN on the reader",
        false => "its PIN",
    };
    let owner: String = place.owner.chars().take(OWNER_MAX).collect();
    format!("{warning}{owner}, on the token {} ({how})", seen.label)
}

/// A failure as a request is told.
pub(super) fn told(id: &KeyId, failure: Failure) -> Error {
    let error = match failure.fault {
        Fault::Absent => unusable(
            id,
            "token-absent",
            "the token of this key is not here; plug it in and try again",
        ),
        Fault::NoKey => unusable(
            id,
            "token-no-key",
            "the token is here and the key is not on it; delete the key here, or bring it back",
        ),
        Fault::PinLocked => pin_locked(id),
        Fault::Refused => refused(id),
        Fault::Broken => unusable(
            id,
            "module-broken",
            "a module for tokens can't be used; mend it, or pkcs11-modules in policy.toml",
        ),
        Fault::Silent => unusable(
            id,
            "module-silent",
            "a module for tokens does not answer; look at the reader, or start the host again",
        ),
        Fault::Cancelled => Error::new(
            Kind::PassphraseCancelled,
            "the PIN was not typed on the reader; try again",
        ),
        Fault::WrongPin => Error::new(Kind::PassphraseWrong, "the PIN is wrong; try again"),
        Fault::LoggedOut => Error::new(
            Kind::KeyLocked {
                ids: vec![id.clone()],
            },
            "the token wants its PIN; unlock the key",
        ),
        Fault::Data => Error::internal("the token can't sign this"),
    };
    because(error, failure)
}

/// The one answer to every fault inside a ciphertext.
pub(super) fn undeciphered(failure: Failure) -> Error {
    because(Error::decrypt_failed(), failure)
}

/// What a token does not do.
pub(super) fn refused(id: &KeyId) -> Error {
    unusable(
        id,
        "token-refuses",
        "the token does not do this with its key; use another key, or ask for another algorithm",
    )
}

/// A key that lies on no token, or whose record can't be read.
pub(super) fn nowhere(id: &KeyId) -> Error {
    Error::new(
        Kind::KeyMissing {
            r#for: KeyUse::Decrypt,
            addresses: Vec::new(),
            key_ids: vec![id.fingerprint().to_owned()],
        },
        "it is not known on which token this key lies; take its certificate from the token again",
    )
}

fn pin_locked(id: &KeyId) -> Error {
    unusable(
        id,
        "token-locked",
        "the token is locked after too many wrong PINs; unlock it with its PUK in the token's own program",
    )
}

fn unusable(id: &KeyId, reason: &'static str, message: &str) -> Error {
    let kind = Kind::KeyUnusable {
        id: id.clone(),
        reasons: vec![reason],
    };
    Error::new(kind, message)
}

fn because(error: Error, failure: Failure) -> Error {
    match failure.said {
        Some(said) => error.because(said),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::TokenName;

    #[test]
    fn the_longest_label_is_shown_whole() {
        let token = TokenName {
            manufacturer: String::new(),
            model: String::new(),
            serial: String::new(),
        };
        let mut seen = Seen {
            token: token.clone(),
            label: "L".repeat(32),
            state: TokenState::LastTry,
            login: true,
            pad: true,
        };
        let place = Place {
            token,
            key: vec![1],
            owner: "O".repeat(500),
        };
        let longest = label(&place, &seen);
        assert!(longest.starts_with("LAST TRY"), "{longest}");
        assert!(longest.ends_with("on the reader)"), "{longest}");
        assert!(longest.chars().count() < 200, "{longest}");
        seen.state = TokenState::Ready;
        assert!(label(&place, &seen).starts_with('O'));
    }
}
