//! Sentences for people: what the contract's words mean. A browser's extension has its own,
//! in its reader's language; these are the command line's.

use crate::base::ask::Action;
use crate::base::keys::{Acceptance, Attention, KeyStatus, SecretState};
use crate::base::verdict::{
    Extent, FoundChange, Reason, Signature, Signed, Status, Summary, Warning,
};

/// What is encrypted, as one short sentence.
pub fn encrypted(extent: Extent) -> &'static str {
    match extent {
        Extent::None => "no",
        Extent::Part => "a part of it",
        Extent::Whole => "yes, the whole message",
    }
}

/// What the signatures over the whole message come to.
pub fn signed(summary: &Summary) -> String {
    match (summary.signed, &summary.signer) {
        (Signed::Good, Some(signer)) => format!("good, by {}", signer.address),
        (Signed::Good, None) => "good".to_owned(),
        (Signed::None, _) => "no".to_owned(),
        (Signed::Unverified, _) => "intact, but nobody vouches for who made it".to_owned(),
        (Signed::Unknown, _) => "can't be checked".to_owned(),
        (Signed::Bad, _) => "BAD".to_owned(),
    }
}

/// One signature: who, what, why.
pub fn signature(signature: &Signature) -> String {
    let status = match signature.status {
        Status::Good => "good",
        Status::Unverified => "unverified",
        Status::Unknown => "unknown",
        Status::Bad => "BAD",
    };
    let signer = &signature.signer;
    let who = signer
        .addresses
        .first()
        .map(ToString::to_string)
        .or_else(|| signer.fingerprint.clone())
        .unwrap_or_else(|| "an unknown key".to_owned());
    let mut text = format!("{status}, by {who}");
    if let Some(at) = &signature.signed_at {
        text.push_str(&format!(", {at}"));
    }
    for reason in &signature.reasons {
        text.push_str("; ");
        text.push_str(self::reason(*reason));
    }
    text
}

/// Why a signature or a layer is what it is.
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::AddressMismatch => "the key does not belong to the sender's address",
        Reason::NoAddress => "there is no sender's address to compare with",
        Reason::NotAccepted => "you have not accepted this key for this address",
        Reason::Rejected => "you have rejected this key",
        Reason::KeyExpired => "the key had expired when it signed",
        Reason::KeyRevoked => "the key is revoked",
        Reason::ExpiredSince => "the key has expired since",
        Reason::WeakAlgorithm => "it rests on an algorithm that is broken",
        Reason::UnsupportedAlgorithm => "its algorithm is not known here",
        Reason::ChainUntrusted => "its certificate leads to no authority that is trusted here",
        Reason::ChainIncomplete => "certificates between it and an authority are missing",
        Reason::Altered => "the content was changed after it was signed",
        Reason::Malformed => "it can't be read",
        Reason::DateMismatch => {
            "it was not made when the message says it was written, or that says nothing"
        }
        Reason::Future => "it claims to be made in the future",
        Reason::NotIntendedRecipient => "it was made for somebody else",
        Reason::SignedOutsideEncryption => "it stands outside the encryption",
        Reason::ClaimedHeaders => "the sender is only what the page claims",
    }
}

/// What a reader should know.
pub fn warning(warning: Warning) -> &'static str {
    match warning {
        Warning::FromMismatch => "the sender inside is not the sender outside",
        Warning::OtherSignature => "there is another signature beside the one that counts",
        Warning::Unauthenticated => "nothing shows whether the ciphertext was changed",
        Warning::QuoteWithheld => "its text is not quoted in answers",
        Warning::SeveralFrom => "it names several senders",
        Warning::AddressInName => "a sender's name holds an address that is not theirs",
        Warning::HiddenCharacters => "a name or address holds characters that hide",
        Warning::PartClosed => "a part of it stayed closed",
        Warning::DateMismatch => {
            "it was signed at another time than it says it was written, or does not say when"
        }
        Warning::MixedScripts => "a name or address mixes the letters of several scripts",
        Warning::LooksLikeKnown => "the sender's address only looks like one that you know",
        Warning::NoFrom => "it names no sender, or not in a way that all programs read alike",
        Warning::SenderDiffers => "somebody else sent it than who wrote it",
        Warning::KeyConflict => "another key came for an address that has one",
    }
}

/// What came along in a message; `None` when it was known already.
pub fn found(change: FoundChange) -> Option<&'static str> {
    match change {
        FoundChange::New => Some("came along, new here"),
        FoundChange::Update => Some("came along, with something new"),
        FoundChange::Conflict => Some("came along for an address that has another key"),
        FoundChange::Known => None,
    }
}

/// What is about to be done.
pub fn action(action: Action) -> &'static str {
    match action {
        Action::AcceptVerified => "This key is accepted as verified",
        Action::AcceptByImport => "These keys are accepted for the addresses they name",
        Action::DeleteKey => "This key is deleted",
        Action::DeleteSecret => "This secret key is deleted and can't be brought back",
        Action::ExportSecret => "This secret key is given out",
        Action::Revoke => "This key is revoked, and that can't be taken back",
        Action::ChangeAnchors => "What authorities are trusted changes",
        Action::SetAccount => "This mail account changes",
        Action::RestoreBackup => "What is in this backup is taken up",
        Action::Introduce => "The owner of this key may vouch for others from now on",
        Action::LeaveVerified => "Which key counts for this address changes",
        Action::Shorten => "This key ends sooner",
        Action::ClaimAddress => "You get a key of your own for an address that another key has",
        Action::WriteBackup => "All keys are given out, in a backup under a passphrase",
    }
}

/// What locking came to.
pub fn locked(secret: SecretState) -> &'static str {
    match secret {
        SecretState::Locked => "locked",
        SecretState::Unlocked => "no passphrase protects this key; it opens by itself",
        SecretState::Token => "logged out of its token",
        SecretState::Agent => "GnuPG's agent has this key; gpgconf --reload gpg-agent locks it",
        SecretState::None => "there is nothing to lock: its secret half is not here",
        SecretState::Damaged => "there is nothing to lock: its secret half can't be read",
    }
}

/// A certificate's state, with where its secret half is.
pub fn state(status: KeyStatus, secret: SecretState) -> String {
    let status = match status {
        KeyStatus::Valid => "valid",
        KeyStatus::Expired => "expired",
        KeyStatus::Revoked => "revoked",
        KeyStatus::NotYetValid => "not yet valid",
        KeyStatus::Weak => "weak",
    };
    match secret {
        SecretState::None => status.to_owned(),
        SecretState::Locked => format!("{status}, own, locked"),
        SecretState::Unlocked => format!("{status}, own"),
        SecretState::Token => format!("{status}, own, on a token"),
        SecretState::Agent => format!("{status}, own, in an agent"),
        SecretState::Damaged => format!("{status}, own, damaged"),
    }
}

/// What a person said of a key.
pub fn acceptance(level: Acceptance) -> &'static str {
    match level {
        Acceptance::Rejected => "rejected",
        Acceptance::Undecided => "undecided",
        Acceptance::Accepted => "accepted",
        Acceptance::Verified => "verified",
    }
}

/// What a person should look at.
pub fn attention(attention: Attention) -> &'static str {
    match attention {
        Attention::ExpiresSoon => "expires soon",
        Attention::Expired => "has expired",
        Attention::NoEncryptionKey => "nothing can be encrypted to it",
        Attention::NoSigningKey => "it can't sign",
        Attention::NoAddress => "it names no address",
        Attention::Weak => "it is weak by today's measure",
    }
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
