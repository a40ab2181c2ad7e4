//! Questions to the person, as data.
//!
//! Nobody below the host ever waits for an answer. A verb that needs one ends with an error
//! that carries the [`Question`] (see [`Error::unless`]); whoever runs the verb asks, keeps
//! the answer in [`Answers`], and runs the verb again from its start. So a verb asks before
//! it writes, a question holds no worker, and taking a question back is forgetting a request.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::error::{Error, Kind, Result};
use super::keys::KeyId;
use super::secret::Secret;

/// What a passphrase is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// To open a secret key that lies in the store.
    Unlock,
    /// To put something under a new passphrase: asked for twice.
    Wrap,
    /// To open something that was brought along.
    Unwrap,
    /// To log in to a mail account.
    Account,
}

/// What a person confirms outside the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    AcceptVerified,
    AcceptByImport,
    DeleteKey,
    DeleteSecret,
    ExportSecret,
    Revoke,
    ChangeAnchors,
    SetAccount,
    RestoreBackup,
    Introduce,
    /// To say less of a key that was verified, or of an own one, or as much of another beside it.
    LeaveVerified,
    /// To let a key end sooner.
    Shorten,
    /// To have a key of one's own for an address that another key names.
    ClaimAddress,
    WriteBackup,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 14] = [
        Action::AcceptVerified,
        Action::AcceptByImport,
        Action::DeleteKey,
        Action::DeleteSecret,
        Action::ExportSecret,
        Action::Revoke,
        Action::ChangeAnchors,
        Action::SetAccount,
        Action::RestoreBackup,
        Action::Introduce,
        Action::LeaveVerified,
        Action::Shorten,
        Action::ClaimAddress,
        Action::WriteBackup,
    ];
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// For a passphrase; the answer is a [`Secret`].
    Passphrase {
        need: Need,
        key: Option<KeyId>,
        /// What is asked about, for the dialog: a name and address, or what is being imported.
        label: String,
        /// 1 for the first time, one more after each wrong answer.
        attempt: u32,
    },
    /// For a yes or no.
    Confirm {
        action: Action,
        /// What exactly will happen to what, for the dialog.
        label: String,
    },
    /// For a look: the person says that they have what is shown. It goes by no browser.
    Show {
        shown: Shown,
        /// What it is for, for the dialog.
        label: String,
    },
}

/// Something secret that a person is to see.
#[derive(Clone)]
pub struct Shown(Arc<Secret>);

impl Shown {
    /// What is to be shown.
    pub fn new(secret: Secret) -> Shown {
        Shown(Arc::new(secret))
    }

    /// The text itself.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Shown) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Shown {}

impl Hash for Shown {
    // Equal ones hash alike, and what is secret stays out of it.
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// An answer that was given.
#[derive(Clone)]
pub enum Answer {
    Passphrase(Arc<Secret>),
    /// A yes; for [`Need::Unlock`], that the key was opened. The passphrase is not kept.
    Confirmed,
}

/// How often a wrong passphrase is asked for again.
pub const ATTEMPTS: u32 = 3;

/// The answers that one request has had so far. Wiped with it.
#[derive(Default)]
pub struct Answers {
    given: Mutex<Vec<(Question, Answer)>>,
}

impl Answers {
    /// Keeps an answer for the next run of the verb.
    pub fn give(&self, question: Question, answer: Answer) {
        self.lock().push((question, answer));
    }

    /// The passphrase for `need` and `key`, and which attempt it is.
    ///
    /// # Errors
    /// `passphrase.unavailable`, with the question, when it was not asked yet.
    pub fn passphrase(
        &self,
        need: Need,
        key: Option<&KeyId>,
        label: &str,
    ) -> Result<(Arc<Secret>, u32)> {
        let given = self.lock();
        let last = given
            .iter()
            .rev()
            .find_map(|(question, answer)| match (question, answer) {
                (
                    Question::Passphrase {
                        need: n,
                        key: k,
                        label: l,
                        attempt,
                    },
                    Answer::Passphrase(secret),
                ) if *n == need && k.as_ref() == key && l == label => {
                    Some((Arc::clone(secret), *attempt))
                }
                _ => None,
            });
        last.ok_or_else(|| {
            Error::new(
                Kind::PassphraseUnavailable,
                "a passphrase is needed and nobody can be asked for it; install pinentry",
            )
            .unless(Question::Passphrase {
                need,
                key: key.cloned(),
                label: label.to_owned(),
                attempt: 1,
            })
        })
    }

    /// Whether this request has asked for that passphrase before, and had an answer.
    pub fn was_asked(&self, need: Need, key: &KeyId) -> bool {
        self.lock().iter().any(|(question, _)| {
            matches!(question, Question::Passphrase { need: n, key: Some(k), .. }
                if *n == need && k == key)
        })
    }

    /// The error after a wrong passphrase: asks again while attempts are left.
    pub fn wrong(need: Need, key: Option<&KeyId>, label: &str, attempt: u32) -> Error {
        let error = Error::new(Kind::PassphraseWrong, "the passphrase is wrong; try again");
        if attempt >= ATTEMPTS {
            return error;
        }
        error.unless(Question::Passphrase {
            need,
            key: key.cloned(),
            label: label.to_owned(),
            attempt: attempt + 1,
        })
    }

    /// Passes when the person has confirmed this very action.
    ///
    /// # Errors
    /// `consent.denied`, with the question, when it was not asked yet; `limit.exceeded` for more
    /// than a dialog shows: nobody confirms what they can't see.
    pub fn confirmed(&self, action: Action, label: &str) -> Result<()> {
        if shown_bytes(label) > LABEL_MAX {
            return Err(Error::limit(
                "confirmation",
                "this is more than one dialog can show to be confirmed; do it in smaller pieces",
            ));
        }
        let question = Question::Confirm {
            action,
            label: label.to_owned(),
        };
        if self.lock().iter().any(|(asked, _)| *asked == question) {
            return Ok(());
        }
        Err(Error::new(
            Kind::ConsentDenied,
            "this has to be confirmed outside the browser; answer the dialog, or install pinentry",
        )
        .unless(question))
    }

    /// What the person was shown under this label, and has.
    pub fn shown(&self, label: &str) -> Option<Shown> {
        let given = self.lock();
        given.iter().find_map(|(question, _)| match question {
            Question::Show {
                shown,
                label: known,
            } if known == label => Some(shown.clone()),
            _ => None,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Question, Answer)>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most of a label that a dialog shows, in bytes as [`shown_bytes`] counts them: it goes to
/// pinentry in one line of a thousand.
pub const LABEL_MAX: usize = 800;

/// How many bytes a text takes on its way to a dialog, where `%` and line ends are escaped.
pub fn shown_bytes(text: &str) -> usize {
    let escaped = text.bytes().filter(|b| matches!(b, b'%' | b'\r' | b'\n'));
    text.len() + 2 * escaped.count()
}

/// The error that carries the question for a locked key.
pub fn locked(id: &KeyId, label: &str) -> Error {
    Error::new(
        Kind::KeyLocked {
            ids: vec![id.clone()],
        },
        "the key is locked; unlock it with its passphrase",
    )
    .unless(Question::Passphrase {
        need: Need::Unlock,
        key: Some(id.clone()),
        label: label.to_owned(),
        attempt: 1,
    })
}
