//! What is allowed here. The defaults are the careful choice; a file widens or narrows them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ask::Action;

/// The rules in force, as `policy.toml` spells them (kebab-case, every key optional).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Decrypt with material that is called weak today. Signatures are judged all the same.
    pub legacy: bool,
    /// Where there is no pinentry, a client that offered it may be asked for passphrases.
    pub ask_client: bool,
    /// Encrypt to keys about which the person has not decided yet.
    pub undecided_recipients: bool,
    /// How long an unlocked key stays unlocked, in seconds.
    pub unlock_seconds: u64,
    /// Authorities that come with the program (Mozilla's, for mail) may vouch for S/MIME
    /// certificates. Without them only the person's own anchors do.
    pub bundled_anchors: bool,
    /// Files of authorities (PEM) that take the place of those that come with the program; only
    /// who stands in every one of them counts. Absolute paths.
    pub anchors_files: Vec<PathBuf>,
    /// When authorities are asked over the network whether a certificate was revoked. That
    /// tells them, and perhaps the sender, that the message was read.
    pub fetch_revocation: Fetching,
    /// A signature whose certificate's revocation is unknown is at most `unverified`.
    pub require_revocation: bool,
    /// Hosts that may be contacted though their addresses are private: a company's own.
    pub private_hosts: Vec<String>,
    /// The PKCS#11 modules through which tokens are reached: absolute paths, or `p11-kit` for
    /// all that the system has registered. They run inside this program; none unless named.
    pub pkcs11_modules: Vec<PathBuf>,
    /// Which actions need no confirmation outside the browser.
    pub unconfirmed: Vec<Action>,
}

/// The rules in force, and who set each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruled {
    pub policy: Policy,
    /// By the names that `policy.toml` has for them.
    pub origins: BTreeMap<String, Origin>,
}

/// Who set a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Nobody: what the program takes for careful.
    Default,
    /// The person's own file.
    Person,
    /// The administrator's file.
    Administrator,
    /// Both, each a part of it or the same.
    Both,
}

/// The rule behind [`Policy::anchors_files`], as errors name it.
pub const ANCHORS_FILES: &str = "anchors-files";

/// The rule behind [`Policy::pkcs11_modules`], as errors name it.
pub const PKCS11_MODULES: &str = "pkcs11-modules";

/// When something is looked up over the network. The stricter first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fetching {
    Never,
    /// When a request asks for it.
    #[default]
    Asked,
    Always,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            legacy: false,
            ask_client: true,
            undecided_recipients: true,
            unlock_seconds: 15 * 60,
            bundled_anchors: true,
            anchors_files: Vec::new(),
            fetch_revocation: Fetching::Asked,
            require_revocation: false,
            private_hosts: Vec::new(),
            pkcs11_modules: Vec::new(),
            unconfirmed: Vec::new(),
        }
    }
}

impl Policy {
    /// Both rules in force at once: the stricter of each pair.
    pub fn stricter(self, other: &Policy) -> Policy {
        Policy {
            legacy: self.legacy && other.legacy,
            ask_client: self.ask_client && other.ask_client,
            undecided_recipients: self.undecided_recipients && other.undecided_recipients,
            unlock_seconds: self.unlock_seconds.min(other.unlock_seconds),
            bundled_anchors: self.bundled_anchors && other.bundled_anchors,
            anchors_files: either(self.anchors_files, &other.anchors_files),
            fetch_revocation: self.fetch_revocation.min(other.fetch_revocation),
            require_revocation: self.require_revocation || other.require_revocation,
            private_hosts: both(self.private_hosts, &other.private_hosts),
            pkcs11_modules: both(self.pkcs11_modules, &other.pkcs11_modules),
            unconfirmed: both(self.unconfirmed, &other.unconfirmed),
        }
    }
}

/// What both allow.
fn both<T: PartialEq>(mut ours: Vec<T>, theirs: &[T]) -> Vec<T> {
    ours.retain(|one| theirs.contains(one));
    ours
}

/// What one of them wants.
fn either<T: PartialEq + Clone>(mut ours: Vec<T>, theirs: &[T]) -> Vec<T> {
    for one in theirs {
        if !ours.contains(one) {
            ours.push(one.clone());
        }
    }
    ours
}
