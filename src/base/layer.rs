//! One cryptographic layer: what the MIME tree shows of it, and what an engine saw in it.
//!
//! `mail` finds layers by structure and knows no cryptography; an engine opens exactly one and
//! knows no mail. Both speak in these terms, and `verbs` peels one after the other.

use bytes::Bytes;

use super::address::Address;
use super::keys::{KeyId, Protocol};
use super::verdict::{Integrity, Reason, Recipient, Scheme};

/// A layer as it was found, before any key was touched.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub protocol: Protocol,
    pub scheme: Scheme,
    pub form: Form,
}

/// The shapes that layers have.
#[derive(Debug, Clone)]
pub enum Form {
    /// An encrypted message, armored or binary; may carry signatures inside.
    Encrypted { data: Bytes },
    /// An OpenPGP message or CMS object that is signed but not encrypted, content inside.
    SignedInside { data: Bytes },
    /// Content and signatures apart (RFC 1847). `content` is what is hashed, byte for byte.
    Detached { content: Bytes, signature: Bytes },
    /// A cleartext signature frame (RFC 9580 7), from its first dash to its last.
    Cleartext { data: Bytes },
}

/// What an engine found when it opened a layer. `content` is exactly what was decrypted and
/// passed its integrity check, or exactly what was hashed.
#[derive(Debug, Clone)]
pub struct Opened {
    pub content: Bytes,
    pub encryption: Option<Encryption>,
    /// In the order they stand in the message.
    pub signatures: Vec<SignatureFacts>,
}

/// How the layer was encrypted.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// As in `AES256`.
    pub cipher: String,
    pub integrity: Integrity,
    pub recipients: Vec<Recipient>,
    /// The certificate whose key opened it.
    pub key: Option<KeyId>,
    /// Things about that key worth saying: expired, revoked.
    pub reasons: Vec<Reason>,
}

/// Whether a signature fits the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It does, and the algorithms are sound.
    Intact,
    /// It does not: content or signature were changed.
    Altered,
    /// It can't be read as a signature.
    Malformed,
    /// It fits or might fit, but its algorithms are broken: it says nothing.
    Weak,
    /// Its certificate is not here.
    NoCert,
    /// Its algorithm is not here.
    Unsupported,
}

/// What an engine can say of one signature without knowing who claims to have written.
#[derive(Debug, Clone)]
pub struct SignatureFacts {
    pub fit: Fit,
    /// The signer's certificate, when it is here.
    pub signer: Option<SignerFacts>,
    /// The signer as the signature names it: fingerprint or key id, upper-case hex.
    pub issuer: Option<String>,
    /// Seconds since the Unix epoch, as the signer claims.
    pub signed_at: Option<u64>,
    /// As in `SHA256`.
    pub hash: Option<String>,
    /// What the certificate's state means for this signature: `key-expired` and `key-revoked`
    /// (at signing time, or hard revocations whenever), `expired-since`, `future`.
    pub reasons: Vec<Reason>,
    /// Fingerprints of those it was meant for (RFC 9580 5.2.3.36); empty when it does not say.
    pub intended: Vec<String>,
    /// It is a text signature: line ends are not covered.
    pub text: bool,
}

/// The signer's certificate.
#[derive(Debug, Clone)]
pub struct SignerFacts {
    pub id: KeyId,
    /// The addresses its valid user ids or subject alternative names hold.
    pub addresses: Vec<Address>,
    pub name: Option<String>,
}

/// What is to be sealed into one layer, or into a signature inside an encryption.
#[derive(Debug, Clone)]
pub struct Seal<'a> {
    /// The certificates to encrypt to, ourselves included; empty: no encryption.
    pub recipients: &'a [super::keys::StoredCert],
    /// The certificate to sign with; `None`: no signature.
    pub signer: Option<&'a super::keys::StoredCert>,
    pub scheme: Scheme,
    /// The recipients that the signature names as intended (RFC 9580 5.2.3.36). Those alone
    /// that may know of one another.
    pub intended: bool,
}

/// What came out of sealing.
#[derive(Debug, Clone)]
pub enum SealedOut {
    /// An encrypted message: armored for OpenPGP, with CRLF for line ends; DER for CMS.
    Encrypted(Vec<u8>),
    /// A signature apart from its content, and the `micalg` that goes with it.
    Detached { signature: Vec<u8>, micalg: String },
    /// Content and signature in one: a cleartext frame, or opaque CMS.
    Inside(Vec<u8>),
}
