//! `message/plan`: which key for each recipient, or why none: what a compose window shows as
//! one types. It never fails for one address.

use serde::{Deserialize, Serialize};

use super::seal::Protect;
use super::{Ask, Asks};
use crate::base::body::Bodies;
use crate::base::keys::{Acceptance, KeyStatus};
use crate::base::{KeyId, Mailbox};

/// From whom, to whom, protected how.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    pub from: Option<String>,
    pub to: Vec<String>,
    pub cc: Vec<String>,
    pub bcc: Vec<String>,
    pub protect: Protect,
}

/// The plan. The i-th recipient stands for the i-th of `to`, `cc` and `bcc` in a row.
#[derive(Debug, Clone, Serialize)]
pub struct Reply {
    pub possible: bool,
    pub plan: String,
    pub sender: Party,
    pub recipients: Vec<Party>,
    pub revision: u64,
}

/// One address and what there is for it.
#[derive(Debug, Clone, Serialize)]
pub struct Party {
    pub address: String,
    pub state: State,
    pub choice: PartyChoice,
    pub keys: Vec<Candidate>,
}

/// Whether something can be sealed for (or signed by) an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Ready,
    NoKey,
    Conflict,
    Refused,
    /// Not an address yet: somebody is still typing.
    Incomplete,
}

/// Which family would be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PartyChoice {
    #[serde(rename = "openpgp")]
    OpenPgp,
    Smime,
    None,
}

/// One key that names the address; the one that would be used comes first.
#[derive(Debug, Clone, Serialize)]
pub struct Candidate {
    pub id: KeyId,
    pub status: KeyStatus,
    pub acceptance: Acceptance,
    pub reasons: Vec<&'static str>,
}

impl Bodies for Request {}
impl Bodies for Reply {}
impl Asks for Request {
    fn ask(&self) -> Ask {
        Ask::Never
    }
}

/// The address in what somebody typed, if it is one already.
pub(super) fn typed(text: &str) -> Option<Mailbox> {
    Mailbox::parse(text)
}
