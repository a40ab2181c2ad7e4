//! What a host and the agent say to each other over their socket: one greeting line each, then
//! a length and that many bytes for every question and every answer.
//!
//! Both ends are the same program of the same person. Whoever is of another version is no
//! partner, and says no more than its greeting. An answer that takes its time is announced, again
//! and again, by [`Answer::Working`].

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::base::ask;
use crate::base::error::{Error, KeyUse, Kind, Result};
use crate::base::keys::{KeyId, KeyPairId, Lease, Opening, SecretState, Signing};

/// The line with which each side begins. The program's version is in it: what is asked may
/// differ between any two.
pub(super) const GREETING: &str = concat!("sealpost-agent ", env!("CARGO_PKG_VERSION"), " 2\n");

/// What the greetings of all versions begin with.
const NAME: &str = "sealpost-agent ";

/// What an agent says in place of its greeting when it has too many hosts.
pub(super) const BUSY: &str = "sealpost-agent busy\n";

/// The longest greeting that is read: another version's may be longer.
const GREETING_MAX: usize = 64;

/// The longest question or answer, in bytes: digests, session keys, what a KEM makes of them.
const LENGTH_MAX: usize = 256 << 10;

/// Room beside the bytes that are carried: ids, names, the form itself.
const ROOM: usize = 8 << 10;

/// What a host wants.
#[derive(Serialize, Deserialize)]
pub(super) enum Question<'a> {
    State(KeyId),
    Until(KeyId),
    Sign {
        key: KeyPairId,
        how: Signing,
        data: &'a [u8],
    },
    Decrypt {
        key: KeyPairId,
        #[serde(borrow)]
        how: Opening<'a>,
        ciphertext: &'a [u8],
    },
    Unlock {
        id: KeyId,
        passphrase: &'a [u8],
        lease: Lease,
    },
    Lock(Option<KeyId>),
    /// The agent is to forget everything and end.
    End,
}

impl Question<'_> {
    /// Whether it needs computing, or a person at a reader.
    pub(super) fn takes_long(&self) -> bool {
        match self {
            Question::Sign { .. } | Question::Decrypt { .. } | Question::Unlock { .. } => true,
            // A token that hangs is waited for a little before it counts as logged out.
            Question::Lock(_) | Question::End => true,
            Question::State(_) | Question::Until(_) => false,
        }
    }

    fn carries(&self) -> usize {
        match self {
            Question::Sign { data, .. } => data.len(),
            Question::Decrypt { ciphertext, .. } => ciphertext.len(),
            _ => 0,
        }
    }
}

/// What the agent answers.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer<'a> {
    State(SecretState),
    Until(Option<u64>),
    Bytes(&'a [u8]),
    Done,
    #[serde(borrow)]
    Failed(Failed<'a>),
    /// The answer is still to come.
    Working,
}

/// Why it could not.
#[derive(Serialize, Deserialize)]
pub(super) struct Failed<'a> {
    #[serde(borrow)]
    fault: Fault<'a>,
    message: &'a str,
    /// A passphrase would help: of which key, how it is called, and which attempt it would be.
    #[serde(borrow)]
    asks: Option<(KeyId, &'a str, u32)>,
}

/// The errors that a door to private keys has.
#[derive(Serialize, Deserialize)]
enum Fault<'a> {
    Locked(KeyId),
    Missing(KeyUse, Vec<String>),
    Unusable {
        id: KeyId,
        #[serde(borrow)]
        reasons: Vec<&'a str>,
    },
    Limit(&'a str),
    Refused(&'a str),
    WrongPassphrase,
    DecryptFailed,
    Unavailable,
    Damaged,
    Internal,
}

/// Reasons why a key is unusable, caps and rules, which have no place in what is said: names that
/// both sides know.
const NAMES: &[&str] = &[
    "in-gnupg",
    "mismatch",
    "module-broken",
    "module-silent",
    "on-token",
    "passphrase-memory",
    "pkcs11-modules",
    "token-absent",
    "token-locked",
    "token-no-key",
    "token-no-pin",
    "token-refuses",
];

fn known(name: &str) -> &'static str {
    NAMES
        .iter()
        .copied()
        .find(|known| *known == name)
        .unwrap_or("elsewhere")
}

impl<'a> Failed<'a> {
    /// An error, to be carried.
    pub(super) fn of(error: &'a Error) -> Failed<'a> {
        let fault = match &error.kind {
            Kind::KeyLocked { ids } => match ids.as_slice() {
                [id, ..] => Fault::Locked(id.clone()),
                [] => Fault::Internal,
            },
            Kind::KeyMissing { r#for, key_ids, .. } => Fault::Missing(*r#for, key_ids.clone()),
            Kind::KeyUnusable { id, reasons } => Fault::Unusable {
                id: id.clone(),
                reasons: reasons.clone(),
            },
            Kind::LimitExceeded { limit, .. } => Fault::Limit(limit),
            Kind::PolicyRefused { rule, .. } => Fault::Refused(rule),
            Kind::PassphraseWrong => Fault::WrongPassphrase,
            Kind::DecryptFailed => Fault::DecryptFailed,
            Kind::StoreUnavailable => Fault::Unavailable,
            Kind::StoreDamaged => Fault::Damaged,
            _ => Fault::Internal,
        };
        let asks = match error.question.as_deref() {
            Some(ask::Question::Passphrase {
                key: Some(key),
                label,
                attempt,
                ..
            }) => Some((key.clone(), label.as_str(), *attempt)),
            _ => None,
        };
        Failed {
            fault,
            message: &error.message,
            asks,
        }
    }

    /// The error that was carried.
    pub(super) fn error(&self) -> Error {
        let kind = match &self.fault {
            Fault::Locked(id) => Kind::KeyLocked {
                ids: vec![id.clone()],
            },
            Fault::Missing(r#for, key_ids) => Kind::KeyMissing {
                r#for: *r#for,
                addresses: Vec::new(),
                key_ids: key_ids.clone(),
            },
            Fault::Unusable { id, reasons } => Kind::KeyUnusable {
                id: id.clone(),
                reasons: reasons.iter().map(|reason| known(reason)).collect(),
            },
            Fault::Limit(limit) => Kind::LimitExceeded {
                limit: known(limit),
                r#use: None,
            },
            Fault::Refused(rule) => Kind::PolicyRefused {
                rule: known(rule),
                file: None,
                line: None,
            },
            Fault::WrongPassphrase => Kind::PassphraseWrong,
            Fault::DecryptFailed => Kind::DecryptFailed,
            Fault::Unavailable => Kind::StoreUnavailable,
            Fault::Damaged => Kind::StoreDamaged,
            Fault::Internal => Kind::Internal,
        };
        let error = Error::new(kind, self.message);
        match &self.asks {
            Some((key, label, attempt)) => error.unless(ask::Question::Passphrase {
                need: ask::Need::Unlock,
                key: Some(key.clone()),
                label: (*label).to_owned(),
                attempt: *attempt,
            }),
            None => error,
        }
    }
}

/// Who is at the other end, by its greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partner {
    Same,
    /// An older version of us.
    Older,
    /// A newer version of us.
    Newer,
    /// An agent that takes no more hosts.
    Busy,
}

/// Says who we are, and tells who the other side is.
///
/// # Errors
/// Whatever the socket says; `InvalidData` for a stranger.
pub(super) fn greet(stream: &mut (impl Read + Write)) -> io::Result<Partner> {
    // Whoever takes no more hosts does not listen to what they say.
    let said = stream.write_all(GREETING.as_bytes());
    let mut theirs = Vec::with_capacity(GREETING_MAX);
    let mut byte = [0];
    // No byte more than the line: what follows is not this function's.
    while theirs.len() < GREETING_MAX && theirs.last() != Some(&b'\n') {
        stream.read_exact(&mut byte)?;
        theirs.extend_from_slice(&byte);
    }
    if theirs == BUSY.as_bytes() {
        return Ok(Partner::Busy);
    }
    if theirs == GREETING.as_bytes() {
        return said.map(|()| Partner::Same);
    }
    if !theirs.starts_with(NAME.as_bytes()) || theirs.last() != Some(&b'\n') {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(match (version(&theirs), version(GREETING.as_bytes())) {
        (Some(theirs), Some(ours)) if theirs < ours => Partner::Older,
        // What can't be read was thought of later.
        _ => Partner::Newer,
    })
}

/// The numbers in a greeting: the program's version, then that of what is said.
fn version(greeting: &[u8]) -> Option<Vec<u64>> {
    let greeting = std::str::from_utf8(greeting).ok()?;
    let numbers = greeting.strip_prefix(NAME)?.trim_end();
    let numbers = numbers.split(['.', ' ']).map(|number| number.parse().ok());
    numbers.collect()
}

/// Sends a question.
///
/// # Errors
/// Whatever the socket says; `InvalidInput` when it is too long.
pub(super) fn ask(stream: &mut impl Write, question: &Question<'_>) -> io::Result<()> {
    send(stream, question, question.carries())
}

/// Sends an answer.
///
/// # Errors
/// As [`ask`].
pub(super) fn tell(stream: &mut impl Write, answer: &Answer<'_>) -> io::Result<()> {
    let carries = match answer {
        Answer::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    send(stream, answer, carries)
}

fn send(stream: &mut impl Write, what: &impl Serialize, carries: usize) -> io::Result<()> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    // Never grown, so that nothing is left behind of what is wiped.
    let mut buffer = Zeroizing::new(vec![0; carries.saturating_add(ROOM)]);
    let (head, body) = buffer.split_at_mut_checked(4).ok_or_else(invalid)?;
    let length = postcard::to_slice(what, body).map_err(|_| invalid())?.len();
    if length > LENGTH_MAX {
        return Err(invalid());
    }
    let announced = u32::try_from(length).map_err(|_| invalid())?;
    head.copy_from_slice(&announced.to_le_bytes());
    stream.write_all(buffer.get(..length + 4).ok_or_else(invalid)?)?;
    stream.flush()
}

/// The bytes of one question or answer; `None` when the other side has gone.
///
/// # Errors
/// Whatever the socket says; `InvalidData` for a length that nobody announces.
pub(super) fn receive(stream: &mut impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut head = [0; 4];
    match stream.read(&mut head)? {
        0 => return Ok(None),
        read => stream.read_exact(head.get_mut(read..).unwrap_or_default())?,
    }
    let length = u32::from_le_bytes(head) as usize;
    if length > LENGTH_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    stream.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// Reads a question or an answer out of its bytes.
///
/// # Errors
/// `internal` when it is neither.
pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| {
        Error::internal("the agent and the host don't understand each other").because(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::{Digest, Protocol};

    fn id() -> KeyId {
        KeyId::from_hex(Protocol::Smime, &"AB".repeat(32)).unwrap()
    }

    #[test]
    fn questions_arrive_as_they_were_asked() {
        let key = KeyPairId {
            cert: id(),
            subkey: "CD".repeat(20),
        };
        let how = Opening::RsaOaep {
            digest: Digest::Sha256,
            mgf: Digest::Sha1,
            label: b"label",
        };
        let mut wire = Vec::new();
        let ciphertext = vec![7; 100_000];
        let sent = Question::Decrypt {
            key: key.clone(),
            how,
            ciphertext: &ciphertext,
        };
        ask(&mut wire, &sent).unwrap();
        let mut input = wire.as_slice();
        let bytes = receive(&mut input).unwrap().unwrap();
        let Question::Decrypt {
            key: k,
            how: h,
            ciphertext: c,
        } = read(&bytes).unwrap()
        else {
            panic!("another question");
        };
        assert_eq!((k, h, c), (key, how, ciphertext.as_slice()));
        assert!(receive(&mut input).unwrap().is_none());
    }

    #[test]
    fn errors_keep_their_kind_and_their_question() {
        for error in [
            ask::locked(&id(), "Alice"),
            Error::decrypt_failed(),
            Error::new(
                Kind::KeyUnusable {
                    id: id(),
                    reasons: vec!["mismatch"],
                },
                "no",
            ),
            Error::limit("passphrase-memory", "too much"),
            Error::new(Kind::PassphraseWrong, "wrong"),
            Error {
                kind: Kind::PassphraseWrong,
                ..ask::locked(&id(), "the last try")
            },
            Error::refused("pkcs11-modules", "none is allowed"),
        ] {
            let mut wire = Vec::new();
            tell(&mut wire, &Answer::Failed(Failed::of(&error))).unwrap();
            let bytes = receive(&mut wire.as_slice()).unwrap().unwrap();
            let Answer::Failed(failed) = read(&bytes).unwrap() else {
                panic!("another answer");
            };
            let back = failed.error();
            assert_eq!((&back.kind, &back.message), (&error.kind, &error.message));
            assert_eq!(back.question, error.question);
        }
    }

    #[test]
    fn a_greeting_says_who_is_older() {
        let (before, _) = GREETING.rsplit_once(' ').unwrap();
        for (greeting, partner) in [
            (GREETING.to_owned(), Some(Partner::Same)),
            (format!("{before} 1\n"), Some(Partner::Older)),
            (format!("{before} 10\n"), Some(Partner::Newer)),
            ("sealpost-agent 99.0.0 1\n".to_owned(), Some(Partner::Newer)),
            ("sealpost-agent 0.0.9 7\n".to_owned(), Some(Partner::Older)),
            (BUSY.to_owned(), Some(Partner::Busy)),
            (
                "sealpost-agent 1.0-new 1\n".to_owned(),
                Some(Partner::Newer),
            ),
            ("sealpost-agent".to_owned(), None),
            ("GET / HTTP/1.1\n".to_owned(), None),
            (format!("sealpost-agent {}", "1".repeat(100)), None),
        ] {
            let mut wire = io::Cursor::new(Vec::new());
            wire.get_mut().extend([0; GREETING.len()]);
            wire.get_mut().extend(greeting.as_bytes());
            assert_eq!(greet(&mut wire).ok(), partner, "{greeting}");
        }
    }

    #[test]
    fn strangers_and_long_claims_are_refused() {
        let long = [0xff; 8];
        assert!(receive(&mut long.as_slice()).is_err());
        assert!(read::<Question<'_>>(&[200, 1, 2]).is_err());
        assert!(read::<Question<'_>>(&[]).is_err());
        let torn = [9, 0, 0, 0, 1];
        assert!(receive(&mut torn.as_slice()).is_err());
    }
}
