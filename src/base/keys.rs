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
use super::secret::Secret;

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
    pub conflicts: Vec<Conflict>,
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

/// The certificates that an engine may look up. Implemented by the store.
pub trait Certs: Send + Sync {
    /// The certificates whose primary key or subkey has this fingerprint or key id (hex,
    /// upper case). Several only when key ids collide.
    fn by_handle(&self, protocol: Protocol, handle: &str) -> Result<Vec<StoredCert>>;

    /// The certificates that name this address, whatever their state.
    fn by_address(&self, protocol: Protocol, address: &Address) -> Result<Vec<StoredCert>>;

    /// The certificates whose secret half is ours.
    fn own(&self, protocol: Protocol) -> Result<Vec<StoredCert>>;

    /// What the person said of this key for this address. `Undecided` when nothing was said.
    fn acceptance(&self, id: &KeyId, address: &Address) -> Result<Acceptance>;

    /// The secret half as it lies on disk.
    ///
    /// # Errors
    /// `key.missing` when there is none.
    fn sealed_secret(&self, id: &KeyId) -> Result<SealedSecret>;

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
    /// The store's own random passphrase, for a key whose owner wanted none: nobody is asked.
    pub device: Option<Arc<Secret>>,
}

/// The hashes that private operations of S/MIME name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digest {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// How a private key is to sign, and with it the formats of what goes in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// A digest under this hash algorithm (RFC 9580 9.5). Out come the signature's
    /// algorithm-specific fields (5.2.3).
    OpenPgp(u8),
    /// A digest, padded as PKCS#1 v1.5.
    RsaPkcs1(Digest),
    /// A digest, padded as PSS: MGF1 with the same hash, a salt of its length.
    RsaPss(Digest),
    /// A digest. Out comes the DER of an `ECDSA-Sig-Value`.
    Ecdsa,
    /// The message itself: Ed25519 (RFC 8419), ML-DSA (RFC 9882).
    Message,
}

/// How a private key is to open something, and with it the formats of what goes in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening<'a> {
    /// The PKESK's algorithm-specific fields (RFC 9580 5.1). Out comes the session key
    /// material as the public-key algorithm yields it. `length` is its expected length in
    /// bytes, where known: it makes the answer to a wrong padding look like that to a right one.
    OpenPgp { length: Option<usize> },
    /// PKCS#1 v1.5. A wrong padding yields a made-up key, never an error.
    RsaPkcs1,
    /// OAEP, with MGF1.
    RsaOaep {
        digest: Digest,
        mgf: Digest,
        label: &'a [u8],
    },
    /// The peer's public key as SubjectPublicKeyInfo. Out comes the shared secret (ECDH,
    /// X25519).
    Agreement,
    /// The ciphertext of a KEM. Out comes the shared secret.
    Kem,
}

/// Names one key pair inside a certificate: the certificate and the (sub)key's fingerprint;
/// for S/MIME the certificate's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPairId {
    pub cert: KeyId,
    /// Upper-case hex.
    pub subkey: String,
}

/// Private-key operations, wherever the key lies: in this process, in the agent, in
/// gpg-agent, on a token. An engine hands over bytes and gets bytes; it never sees the key.
pub trait PrivateKeys: Send + Sync {
    /// Whether the key can be used now.
    fn state(&self, id: &KeyId) -> SecretState;

    /// Signs `data` as [`Signing`] says.
    ///
    /// # Errors
    /// `key.locked`, with the question that would unlock it; `key.missing`; `key.unusable`.
    fn sign(&self, key: &KeyPairId, how: Signing, data: &[u8]) -> Result<Vec<u8>>;

    /// Recovers a session key, or what one is derived from, as [`Opening`] says.
    ///
    /// # Errors
    /// As [`PrivateKeys::sign`]; `decrypt.failed` for every fault in the ciphertext.
    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret>;

    /// Opens the key with its passphrase until the instant `until` (Unix seconds) or
    /// [`PrivateKeys::lock`], whichever is first.
    ///
    /// # Errors
    /// `passphrase.wrong`; `key.missing`; `key.unusable` when public and secret half don't
    /// belong together.
    fn unlock(&self, id: &KeyId, passphrase: &Secret, until: u64) -> Result<()>;

    /// Wipes one unlocked key, or all of them.
    fn lock(&self, id: Option<&KeyId>);

    /// Wipes what has passed its time limit.
    fn expire(&self, now: u64);
}

/// Shared handle on the private keys.
pub type Private = Arc<dyn PrivateKeys>;

impl From<&KeyId> for String {
    fn from(id: &KeyId) -> String {
        id.to_string()
    }
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
