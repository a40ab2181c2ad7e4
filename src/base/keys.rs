//! Keys as everybody speaks of them: ids, what a client is told, what the store indexes,
//! and the doors through which the engines reach certificates and private operations.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::address::Address;
use super::error::{Error, Result};
use super::gnupg::Grip;
use super::secret::Secret;

pub use super::private::{
    Digest, KeyPairId, Lease, Opening, Parted, Private, PrivateKeys, Signing,
};

/// The two families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[serde(rename = "openpgp")]
    OpenPgp,
    #[serde(rename = "smime")]
    Smime,
}

impl Protocol {
    /// Both families.
    pub const ALL: [Protocol; 2] = [Protocol::OpenPgp, Protocol::Smime];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::OpenPgp => "openpgp",
            Protocol::Smime => "smime",
        }
    }
}

/// Names one certificate: `openpgp:FPR`, upper-case hex of the primary key's fingerprint
/// (40 or 64 digits), or `smime:SHA256`, upper-case hex over the DER certificate.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId {
    protocol: Protocol,
    hex: String,
}

impl KeyId {
    /// Reads an id in its wire form; upper or lower case digits.
    pub fn parse(text: &str) -> Option<KeyId> {
        let (protocol, hex) = text.split_once(':')?;
        let protocol = match protocol {
            "openpgp" => Protocol::OpenPgp,
            "smime" => Protocol::Smime,
            _ => return None,
        };
        KeyId::from_hex(protocol, hex)
    }

    /// An id from a fingerprint in hex; `None` when it is not one of that protocol's lengths.
    pub fn from_hex(protocol: Protocol, hex: &str) -> Option<KeyId> {
        let length = match protocol {
            Protocol::OpenPgp => hex.len() == 40 || hex.len() == 64,
            Protocol::Smime => hex.len() == 64,
        };
        (length && hex.bytes().all(|b| b.is_ascii_hexdigit())).then(|| KeyId {
            protocol,
            hex: hex.to_ascii_uppercase(),
        })
    }

    /// Which family it belongs to.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The fingerprint, upper-case hex.
    pub fn fingerprint(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.protocol.name(), self.hex)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeyId, D::Error> {
        let text = String::deserialize(deserializer)?;
        KeyId::parse(&text).ok_or_else(|| de::Error::custom("a key id expected"))
    }
}

/// Whether a certificate can be used today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStatus {
    Valid,
    Expired,
    Revoked,
    NotYetValid,
    Weak,
}

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Usage {
    Sign,
    Encrypt,
    Certify,
}

/// Where a certificate's secret half is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretState {
    None,
    Locked,
    Unlocked,
    Token,
    Agent,
    /// It is here, and can't be read.
    Damaged,
}

impl SecretState {
    /// Whether there is a secret half at all.
    pub fn is_own(self) -> bool {
        self != SecretState::None
    }
}

/// How a token stands with its PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    Ready,
    /// A PIN was wrong already.
    FewTries,
    /// One more wrong PIN locks it.
    LastTry,
    Locked,
    /// It has no PIN yet.
    NoPin,
}

/// What became of a PKCS#11 module when it was asked for its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModuleState {
    Ready,
    /// It can't be loaded, or fails.
    Broken,
    /// It does not answer in time.
    Silent,
}

/// What the person said of a key for one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acceptance {
    Rejected,
    Undecided,
    Accepted,
    Verified,
}

/// How a certificate came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Generated,
    Imported,
    Autocrypt,
    Attached,
    Signature,
    Shared,
    /// GnuPG's keyring.
    Gnupg,
    /// Passed on by others, in mail to several.
    Gossip,
    Wkd,
    Keyserver,
    Ldap,
}

/// A second valid certificate that turned up for an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    pub address: Address,
    pub with: Vec<KeyId>,
    /// RFC 3339.
    pub seen_at: String,
}

/// When mail from an address first and last used a certificate. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    pub address: Address,
    pub first: String,
    pub last: String,
}

/// A certificate as a client sees it. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    pub id: KeyId,
    pub protocol: Protocol,
    pub fingerprint: String,
    /// Primary key first, then the subkeys: 16 hex digits each.
    pub key_ids: Vec<String>,
    pub addresses: Vec<Address>,
    pub name: Option<String>,
    pub algorithm: String,
    pub created: Option<String>,
    pub changed: Option<String>,
    pub expires: Option<String>,
    pub status: KeyStatus,
    pub usage: Vec<Usage>,
    pub secret: SecretState,
    pub acceptance: BTreeMap<Address, Acceptance>,
    /// Introducers whose word stands for the person's, by the address that it is about.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub vouched_by: BTreeMap<Address, Vec<KeyId>>,
    pub conflicts: Vec<Conflict>,
    pub seen: Vec<Seen>,
    /// The person made its owner an introducer: for addresses at these domains; empty: for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introduces: Option<Vec<String>>,
    pub source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    pub attention: Vec<Attention>,
    /// Other certificates of the same key pair (S/MIME): renewals, and what an authority made
    /// of a request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub same_key: Vec<KeyId>,
}

/// What a person should look at before it hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attention {
    ExpiresSoon,
    Expired,
    NoEncryptionKey,
    NoSigningKey,
    NoAddress,
    Weak,
}

/// What an engine can say of a certificate by looking at its bytes alone: everything in
/// [`Key`] that neither the store nor the person knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertFacts {
    pub id: KeyId,
    /// Fingerprints and key ids of the primary key and of every bound subkey, upper-case hex;
    /// the primary's own first. What the store finds a certificate by.
    pub handles: Vec<String>,
    /// The key ids among them, primary first.
    pub key_ids: Vec<String>,
    pub addresses: Vec<Address>,
    pub name: Option<String>,
    pub algorithm: String,
    pub created: Option<String>,
    pub changed: Option<String>,
    pub expires: Option<String>,
    pub status: KeyStatus,
    pub usage: Vec<Usage>,
    pub issuer: Option<String>,
    pub attention: Vec<Attention>,
}

/// A certificate out of the store.
#[derive(Debug, Clone)]
pub struct StoredCert {
    pub id: KeyId,
    /// Public material only: a transferable public key, or DER.
    pub cert: Bytes,
    pub source: Source,
    /// The secret half lies in the store too (encrypted).
    pub own: bool,
}

/// A certificate of an authority that the person trusts for mail (S/MIME).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// DER.
    pub cert: Bytes,
    /// The domains whose addresses it may vouch for, as A-labels; empty: all.
    pub domains: Vec<String>,
}

/// Somebody whose signatures on other people's certificates count as the person's own word
/// (OpenPGP).
#[derive(Debug, Clone)]
pub struct Introducer {
    pub cert: StoredCert,
    /// The domains whose addresses they may speak for, as A-labels; empty: all.
    pub domains: Vec<String>,
}

impl Introducer {
    /// Whether they may speak for an address.
    pub fn speaks_for(&self, address: &Address) -> bool {
        let known = |domain: &String| domain == address.domain();
        self.domains.is_empty() || self.domains.iter().any(known)
    }
}

/// The certificates that an engine may look up. Implemented by the store.
pub trait Certs: Send + Sync {
    /// The certificates whose primary key or subkey has this fingerprint or key id (hex,
    /// upper case). Several only when key ids collide.
    fn by_handle(&self, protocol: Protocol, handle: &str) -> Result<Vec<StoredCert>>;

    /// As [`Certs::by_handle`], for thousands of handles of which hardly any is here: without
    /// looking whether another program has just brought one.
    fn indexed(&self, protocol: Protocol, handle: &str) -> Result<Vec<StoredCert>> {
        self.by_handle(protocol, handle)
    }

    /// The certificates that name this address, whatever their state.
    fn by_address(&self, protocol: Protocol, address: &Address) -> Result<Vec<StoredCert>>;

    /// Whether an address is neither our own nor one for which the person accepted a key, and it
    /// or its domain looks like one of those.
    fn imitates_known(&self, address: &Address) -> Result<bool> {
        let _ = address;
        Ok(false)
    }

    /// The certificates whose secret half is ours.
    fn own(&self, protocol: Protocol) -> Result<Vec<StoredCert>>;

    /// What the person said of this key for this address. `Undecided` when nothing was said.
    fn acceptance(&self, id: &KeyId, address: &Address) -> Result<Acceptance>;

    /// The secret half as it lies on disk.
    ///
    /// # Errors
    /// `key.missing` when there is none; `key.unusable` when it lies on a token or in
    /// GnuPG's agent.
    fn sealed_secret(&self, id: &KeyId) -> Result<SealedSecret>;

    /// Where the secret half lies, in the words of whoever reaches tokens; `None` when it lies on
    /// none.
    fn token(&self, _id: &KeyId) -> Result<Option<Bytes>> {
        Ok(None)
    }

    /// What GnuPG's agent calls the key pairs of a certificate whose secret half it has; none
    /// for any other.
    fn grips(&self, _id: &KeyId) -> Result<Vec<Grip>> {
        Ok(Vec::new())
    }

    /// Those whom the person made introducers.
    fn introducers(&self) -> Result<Vec<Introducer>> {
        Ok(Vec::new())
    }

    /// The person's own trust anchors, beside those that come with the program.
    fn anchors(&self) -> Result<Vec<Anchor>> {
        Ok(Vec::new())
    }

    /// The content of each file of authorities that policy names in place of those that come
    /// with the program. Empty: it names none.
    ///
    /// # Errors
    /// `policy.refused` when one can't be read: rules that can't be read are not rules that are
    /// not there.
    fn authorities(&self) -> Result<Vec<Bytes>> {
        Ok(Vec::new())
    }

    /// The newest revocation list (DER) of an issuer: the SHA-256 over the DER of its name,
    /// upper-case hex. `None` when there is none.
    fn revocation_list(&self, _issuer: &str) -> Result<Option<Bytes>> {
        Ok(None)
    }

    /// Keeps a revocation list of an issuer, in place of the one that is here. The caller has
    /// checked its signature, and that it is newer.
    fn keep_revocation_list(&self, _issuer: &str, _list: &Bytes) -> Result<()> {
        Ok(())
    }

    /// What the owner of a certificate said last of the algorithms they read: the DER of
    /// SMIMECapabilities (RFC 8551 2.5.2). `None` when nothing was recorded.
    fn capabilities(&self, _id: &KeyId) -> Result<Option<Bytes>> {
        Ok(None)
    }
}

/// A secret half as it lies on disk: a transferable secret key (or PKCS#8), encrypted.
pub struct SealedSecret {
    pub sealed: Secret,
    /// What opens it without asking anybody, for a key that no passphrase of a person protects.
    pub device: Option<Opener>,
}

/// Where a passphrase lies that no person knows.
pub enum Opener {
    /// In the store: its own random one.
    Store(Arc<Secret>),
    /// In the desktop's key store, under this name.
    Keychain(Arc<dyn Keychain>, String),
}

impl Opener {
    /// The passphrase.
    ///
    /// # Errors
    /// `passphrase.unavailable` when the desktop does not give it.
    pub fn passphrase(&self) -> Result<Arc<Secret>> {
        match self {
            Opener::Store(passphrase) => Ok(Arc::clone(passphrase)),
            Opener::Keychain(keychain, name) => keychain.get(name).map(Arc::new),
        }
    }
}

/// The desktop's own key store.
pub trait Keychain: Send + Sync {
    /// What lies there under a name.
    ///
    /// # Errors
    /// `passphrase.unavailable` when there is nothing, or no such store.
    fn get(&self, name: &str) -> Result<Secret>;

    /// Puts something there, in place of what there was.
    ///
    /// # Errors
    /// As [`Keychain::get`].
    fn put(&self, name: &str, secret: &Secret) -> Result<()>;

    /// Takes it away; it need not be there.
    ///
    /// # Errors
    /// As [`Keychain::get`].
    fn delete(&self, name: &str) -> Result<()>;
}

impl From<&KeyId> for String {
    fn from(id: &KeyId) -> String {
        id.to_string()
    }
}

/// The error for a key of somebody else's where one's own is wanted.
pub fn not_own() -> Error {
    Error::new(
        super::Kind::KeyMissing {
            r#for: super::error::KeyUse::Sign,
            addresses: Vec::new(),
            key_ids: Vec::new(),
        },
        "this key is not your own, its secret half is not here; choose one of yours, or import that half",
    )
}

/// The error for a key that nobody has.
pub fn no_such_key() -> Error {
    Error::new(
        super::Kind::KeyMissing {
            r#for: super::error::KeyUse::Recipient,
            addresses: Vec::new(),
            key_ids: Vec::new(),
        },
        "there is no such key here; import it first",
    )
}
