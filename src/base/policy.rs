//! What is allowed here. The defaults are the careful choice; a file widens or narrows them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::ask::Action;
use super::keys::{KeyId, Protocol};
use super::rules::{
    Allowed, ClientId, Destination, Groups, bits, directories, files, hosts, keyservers, modules,
    places,
};

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
    /// How long an unlocked key stays unlocked without being used, in seconds.
    pub unlock_seconds: u64,
    /// How long it stays so however much it is used, in seconds.
    pub unlock_seconds_most: u64,
    /// Use the keys in place that GnuPG has, where it is in use.
    pub gnupg: bool,
    /// Authorities that come with the program (Mozilla's, for mail) may vouch for S/MIME
    /// certificates. Without them only the person's own anchors do.
    pub bundled_anchors: bool,
    /// Files of authorities (PEM) that take the place of those that come with the program; only
    /// who stands in every one of them counts. Absolute paths.
    #[serde(deserialize_with = "files")]
    pub anchors_files: Vec<PathBuf>,
    /// When authorities are asked over the network whether a certificate was revoked. That
    /// tells them, and perhaps the sender, that the message was read.
    pub fetch_revocation: Fetching,
    /// A signature whose certificate's revocation is unknown is at most `unverified`.
    pub require_revocation: bool,
    /// Hosts that may be contacted though their addresses are private: a company's own.
    #[serde(deserialize_with = "hosts")]
    pub private_hosts: Vec<String>,
    /// The PKCS#11 modules through which tokens are reached: absolute paths, or `p11-kit` for
    /// all that the system has registered. They run inside this program; none unless named.
    #[serde(deserialize_with = "modules")]
    pub pkcs11_modules: Vec<PathBuf>,
    /// Whether keys of other people may be looked up, and own ones published, over the network.
    pub discovery: Discovery,
    /// Servers that are asked for OpenPGP keys: `https://` (VKS) or `hkps://` (HKP). They get to
    /// know who is looked for.
    #[serde(deserialize_with = "keyservers")]
    pub keyservers: Vec<String>,
    /// Directories that are asked for S/MIME certificates: `ldaps://host/base`, or
    /// `ldap://host/base` with StartTLS.
    #[serde(deserialize_with = "directories")]
    pub directories: Vec<String>,
    /// Files of authorities (PEM) that vouch for servers in place of the system's; only who
    /// stands in every one of them counts. Absolute paths.
    #[serde(deserialize_with = "files")]
    pub network_authorities: Vec<PathBuf>,
    /// Where connections to a `host:port` go instead (`address:port`), for networks that have
    /// their own idea of names. The server has to prove the name that was asked for.
    #[serde(deserialize_with = "places")]
    pub connect_to: BTreeMap<String, String>,
    /// Which actions need no confirmation outside the browser.
    pub unconfirmed: Vec<Action>,
    /// The extensions that may ask anything: by the id that the browser gives. Any local program
    /// can pretend to be one: this keeps extensions apart, not programs.
    pub clients: Allowed<ClientId>,
    /// The families that are used. Of the others no key is made, taken in or sealed for; what
    /// they encrypted stays closed, and what they signed is `unknown`.
    pub protocols: Allowed<Protocol>,
    /// The shortest RSA modulus that is sealed for, signed with or made, in bits.
    #[serde(deserialize_with = "bits")]
    pub minimum_rsa_bits: u32,
    /// To whom nothing goes out unsigned.
    pub require_signing: Vec<Destination>,
    /// To whom nothing goes out unencrypted.
    pub require_encryption: Vec<Destination>,
    pub encrypt: Encrypting,
    /// Addresses that stand for others.
    pub groups: Groups,
}

/// Rules about encrypting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Encrypting {
    /// Keys that every encrypted message is encrypted to as well: a company's archive.
    pub also: Vec<KeyId>,
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

/// What stands there for all modules that the system has registered with p11-kit.
pub const P11_KIT: &str = "p11-kit";

/// The rule behind [`Policy::clients`].
pub const CLIENTS: &str = "clients";

/// The rule behind [`Policy::protocols`].
pub const PROTOCOLS: &str = "protocols";

/// The rule behind [`Policy::undecided_recipients`].
pub const UNDECIDED_RECIPIENTS: &str = "undecided-recipients";

/// The rule behind [`Policy::minimum_rsa_bits`].
pub const MINIMUM_RSA_BITS: &str = "minimum-rsa-bits";

/// The rule behind [`Policy::require_signing`].
pub const REQUIRE_SIGNING: &str = "require-signing";

/// The rule behind [`Policy::require_encryption`].
pub const REQUIRE_ENCRYPTION: &str = "require-encryption";

/// The rule behind [`Encrypting::also`].
pub const ENCRYPT_ALSO: &str = "encrypt.also";

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
            unlock_seconds_most: 8 * 60 * 60,
            gnupg: true,
            bundled_anchors: true,
            anchors_files: Vec::new(),
            fetch_revocation: Fetching::Asked,
            require_revocation: false,
            private_hosts: Vec::new(),
            pkcs11_modules: Vec::new(),
            discovery: Discovery::Asked,
            keyservers: vec![KEYSERVER.to_owned()],
            directories: Vec::new(),
            network_authorities: Vec::new(),
            connect_to: BTreeMap::new(),
            unconfirmed: Vec::new(),
            clients: Allowed::All,
            protocols: Allowed::All,
            minimum_rsa_bits: super::rules::RSA_BITS_LEAST,
            require_signing: Vec::new(),
            require_encryption: Vec::new(),
            encrypt: Encrypting::default(),
            groups: Groups::default(),
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
            unlock_seconds_most: self.unlock_seconds_most.min(other.unlock_seconds_most),
            gnupg: self.gnupg && other.gnupg,
            bundled_anchors: self.bundled_anchors && other.bundled_anchors,
            anchors_files: either(self.anchors_files, &other.anchors_files),
            fetch_revocation: self.fetch_revocation.min(other.fetch_revocation),
            require_revocation: self.require_revocation || other.require_revocation,
            private_hosts: both(self.private_hosts, &other.private_hosts),
            pkcs11_modules: both(self.pkcs11_modules, &other.pkcs11_modules),
            discovery: self.discovery.min(other.discovery),
            keyservers: narrower(self.keyservers, &other.keyservers, &[KEYSERVER.to_owned()]),
            directories: narrower(self.directories, &other.directories, &[]),
            network_authorities: either(self.network_authorities, &other.network_authorities),
            connect_to: first(self.connect_to, &other.connect_to),
            unconfirmed: both(self.unconfirmed, &other.unconfirmed),
            clients: self.clients.both(&other.clients),
            protocols: self.protocols.both(&other.protocols),
            minimum_rsa_bits: self.minimum_rsa_bits.max(other.minimum_rsa_bits),
            require_signing: either(self.require_signing, &other.require_signing),
            require_encryption: either(self.require_encryption, &other.require_encryption),
            encrypt: Encrypting {
                also: either(self.encrypt.also, &other.encrypt.also),
            },
            groups: self.groups.with(&other.groups),
        }
    }

    /// The rules that a message to `address` would break: names, as errors and plans have them.
    /// `None` stands for somebody who is not named.
    pub fn broken_by(&self, address: Option<&Address>, sealing: Sealing) -> Vec<&'static str> {
        let wanted = |rule: &[Destination]| rule.iter().any(|one| one.meets(address));
        let mut rules = Vec::new();
        if sealing.encrypt == Done::No && wanted(&self.require_encryption) {
            rules.push(REQUIRE_ENCRYPTION);
        }
        if sealing.sign == Done::No && wanted(&self.require_signing) {
            rules.push(REQUIRE_SIGNING);
        }
        rules
    }
}

/// What is done to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealing {
    pub sign: Done,
    pub encrypt: Done,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Yes,
    No,
}

impl From<bool> for Done {
    fn from(done: bool) -> Done {
        match done {
            true => Done::Yes,
            false => Done::No,
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
