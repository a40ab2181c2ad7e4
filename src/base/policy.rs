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
    /// Whether keys of other people may be looked up, and own ones published, over the network.
    pub discovery: Discovery,
    /// Servers that are asked for OpenPGP keys: `https://` (VKS) or `hkps://` (HKP). They get to
    /// know who is looked for.
    pub keyservers: Vec<String>,
    /// Directories that are asked for S/MIME certificates: `ldaps://host/base`, or
    /// `ldap://host/base` with StartTLS.
    pub directories: Vec<String>,
    /// Files of authorities (PEM) that vouch for servers in place of the system's; only who
    /// stands in every one of them counts. Absolute paths.
    pub network_authorities: Vec<PathBuf>,
    /// Where connections to a `host:port` go instead (`address:port`), for networks that have
    /// their own idea of names. The server has to prove the name that was asked for.
    pub connect_to: BTreeMap<String, String>,
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

/// The rules about look-ups, as errors name them.
pub const DISCOVERY: &str = "discovery";
pub const KEYSERVERS: &str = "keyservers";
pub const DIRECTORIES: &str = "directories";
pub const NETWORK_AUTHORITIES: &str = "network-authorities";
pub const CONNECT_TO: &str = "connect-to";

/// Whether keys are looked up and published. The stricter first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Discovery {
    Never,
    /// When a request asks for it.
    #[default]
    Asked,
}

/// The server of keys that is asked where no rule names others.
const KEYSERVER: &str = "https://keys.openpgp.org";

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
            discovery: Discovery::Asked,
            keyservers: vec![KEYSERVER.to_owned()],
            directories: Vec::new(),
            network_authorities: Vec::new(),
            connect_to: BTreeMap::new(),
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
            discovery: self.discovery.min(other.discovery),
            keyservers: narrower(self.keyservers, &other.keyservers, &[KEYSERVER.to_owned()]),
            directories: narrower(self.directories, &other.directories, &[]),
            network_authorities: either(self.network_authorities, &other.network_authorities),
            connect_to: first(self.connect_to, &other.connect_to),
            unconfirmed: both(self.unconfirmed, &other.unconfirmed),
        }
    }
}

/// What both allow.
fn both<T: PartialEq>(mut ours: Vec<T>, theirs: &[T]) -> Vec<T> {
    ours.retain(|one| theirs.contains(one));
    ours
}

/// What both allow, where both say something other than what holds without them.
fn narrower(ours: Vec<String>, theirs: &[String], unsaid: &[String]) -> Vec<String> {
    match (ours == unsaid, theirs == unsaid) {
        (_, true) => ours,
        (true, false) => theirs.to_vec(),
        (false, false) => both(ours, theirs),
    }
}

/// The first that says anything: names have one meaning, not two.
fn first(
    ours: BTreeMap<String, String>,
    theirs: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    match ours.is_empty() {
        true => theirs.clone(),
        false => ours,
    }
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
