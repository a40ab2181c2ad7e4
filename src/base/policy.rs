//! What is allowed here. The defaults are the careful choice; a file widens or narrows them.

use serde::Deserialize;

use super::ask::Action;

/// The rules in force, as `policy.toml` spells them (kebab-case, every key optional).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// Ask authorities over the network whether a certificate was revoked, when a signature
    /// is checked. That tells them, and perhaps the sender, that the message was read.
    pub fetch_revocation: bool,
    /// A signature whose certificate's revocation is unknown is at most `unverified`.
    pub require_revocation: bool,
    /// Which actions need no confirmation outside the browser.
    pub unconfirmed: Vec<Action>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            legacy: false,
            ask_client: true,
            undecided_recipients: true,
            unlock_seconds: 15 * 60,
            bundled_anchors: true,
            fetch_revocation: false,
            require_revocation: false,
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
            fetch_revocation: self.fetch_revocation && other.fetch_revocation,
            require_revocation: self.require_revocation || other.require_revocation,
            unconfirmed: self
                .unconfirmed
                .into_iter()
                .filter(|action| other.unconfirmed.contains(action))
                .collect(),
        }
    }
}
