//! One cryptographic layer: what the MIME tree shows of it, and what an engine saw in it.
//!
//! `mail` finds layers by structure and knows no cryptography; an engine opens exactly one and
//! knows no mail. Both speak in these terms, and `verbs` peels one after the other.

use bytes::Bytes;
use serde::Deserialize;

use super::address::Address;
use super::extra::{Extra, SessionKey};
use super::keys::{KeyId, Protocol};
use super::verdict::{Integrity, Reason, Recipient, Revocation, Scheme};

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
    /// CMS CompressedData (RFC 3274): what is inside is protected as it is itself.
    Compressed { data: Bytes },
    /// Content and signatures apart (RFC 1847). `content` is what is hashed, byte for byte.
    Detached { content: Bytes, signature: Bytes },
    /// A cleartext signature frame (RFC 9580 7), from its first dash to its last.
    Cleartext { data: Bytes },
}

impl Form {
    /// The size of what came, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Form::Encrypted { data }
            | Form::SignedInside { data }
            | Form::Compressed { data }
            | Form::Cleartext { data } => data.len(),
            Form::Detached { content, .. } => content.len(),
        }
    }
}

/// What an engine found when it opened a layer. `content` is exactly what was decrypted and
/// passed its integrity check, or exactly what was hashed.
#[derive(Debug, Clone)]
pub struct Opened {
    pub content: Bytes,
    pub encryption: Option<Encryption>,
    /// In the order they stand in the message.
    pub signatures: Vec<SignatureFacts>,
    /// What the message calls its content (RFC 9580 5.9); nothing protects it where there is only
    /// a signature.
    pub file_name: Option<String>,
    /// What the message says of its content. Nothing protects that either.
    pub format: ContentFormat,
}

/// How a message's content is written (RFC 9580 5.9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContentFormat {
    #[default]
    Binary,
    /// Lines, with CRLF between them until somebody shows them.
    Text,
    /// As GnuPG marks it, in no RFC.
    Mime,
}

impl Opened {
    /// Content without encryption, and the signatures over it.
    pub fn signed(content: Bytes, signatures: Vec<SignatureFacts>) -> Opened {
        Opened {
            content,
            encryption: None,
            signatures,
            file_name: None,
            format: ContentFormat::Binary,
        }
    }
}

/// How the layer was encrypted.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// As in `AES256`.
    pub cipher: String,
    /// How the cipher is used: `CFB`, `OCB`, `CBC`.
    pub mode: &'static str,
    pub integrity: Integrity,
    pub recipients: Vec<Recipient>,
    /// The certificate whose key opened it.
    pub key: Option<KeyId>,
    /// Things about that key worth saying: expired, revoked.
    pub reasons: Vec<Reason>,
    /// For those alone who asked for it.
    pub session_key: Option<SessionKey>,
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
    /// The key that made it, where the signature fits: its fingerprint, upper-case hex; the
    /// signer's certificate may have several.
    pub key: Option<String>,
    /// The public-key algorithm as RFC 9580 9.1 names it; for S/MIME in one word.
    pub algorithm: Option<String>,
    /// Seconds since the Unix epoch, as the signer claims.
    pub signed_at: Option<u64>,
    /// When it ends by its own word; Unix seconds.
    pub expires: Option<u64>,
    /// What the signer noted in it (RFC 9580 5.2.3.24), of what it protects itself.
    pub notations: Vec<Notation>,
    /// As in `SHA256`.
    pub hash: Option<String>,
    /// What the certificate's state means for this signature: `key-expired` and `key-revoked`
    /// (at signing time, or hard revocations whenever), `expired-since`, `future`.
    pub reasons: Vec<Reason>,
    /// Fingerprints of those it was meant for (RFC 9580 5.2.3.36); empty when it does not say.
    pub intended: Vec<String>,
    /// It is a text signature: line ends are not covered.
    pub text: bool,
    /// What vouches for the signer's certificate beside the person.
    pub trust: Trust,
    /// Who vouches, of those whom the person made introducers, for which address.
    pub introduced: Vec<(Address, Vec<KeyId>)>,
    /// What is known of that certificate's revocation, where its family has such a thing.
    pub revocation: Option<Revocation>,
    /// What came along with the signature.
    pub brought: Brought,
}

impl SignatureFacts {
    /// A signature of which no more is known than how it fits.
    pub fn unread(fit: Fit) -> SignatureFacts {
        SignatureFacts {
            fit,
            signer: None,
            issuer: None,
            key: None,
            algorithm: None,
            signed_at: None,
            expires: None,
            notations: Vec::new(),
            hash: None,
            reasons: Vec::new(),
            intended: Vec::new(),
            text: false,
            trust: Trust::None,
            introduced: Vec::new(),
            revocation: None,
            brought: Brought::default(),
        }
    }
}

/// A remark in a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notation {
    /// Empty: the value is where the policy is under which it was made (RFC 9580 5.2.3.28).
    pub name: String,
    pub value: Vec<u8>,
    /// The value is text.
    pub readable: bool,
    /// Whoever does not know it must not take the signature.
    pub critical: bool,
}

/// What vouches for a certificate beside the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Nothing can: the family has no authorities.
    None,
    /// It chains to an e-mail trust anchor. The signer's addresses are those the anchor may
    /// vouch for.
    Anchored,
    /// Its chain ends at an authority that nobody trusts, or breaks a rule on the way.
    Untrusted,
    /// Certificates on the way to an authority are missing.
    Incomplete,
}

/// What an S/MIME signature carries beside itself.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// Certificates, DER, the signer's own first.
    pub certs: Vec<Bytes>,
    /// Which algorithms the signer says they read: the DER of SMIMECapabilities, out of the
    /// signed attributes (RFC 8551 2.5.2).
    pub capabilities: Option<Bytes>,
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
#[derive(Clone, Copy)]
pub struct Seal<'a> {
    /// The certificates to encrypt to, ourselves included; empty: no encryption.
    pub recipients: &'a [super::keys::StoredCert],
    /// The certificate to sign with; `None`: no signature.
    pub signer: Option<&'a super::keys::StoredCert>,
    /// Mime: signature and content apart; opaque (CMS alone): in one; inline: OpenPGP in a text.
    pub scheme: Scheme,
    pub cipher: Cipher,
    /// The recipients that the signature names as intended (RFC 9580 5.2.3.36). Those alone
    /// that may know of one another.
    pub intended: bool,
    pub extra: Extra<'a>,
}

/// Which content encryption CMS is to use (RFC 5652 6, RFC 5083); OpenPGP always has integrity
/// and chooses itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cipher {
    /// What all recipients are known to read.
    #[default]
    Auto,
    /// EnvelopedData: AES in CBC mode, without integrity of its own.
    Cbc,
    /// AuthEnvelopedData: AES in GCM mode.
    Gcm,
}

/// What came out of sealing.
#[derive(Debug, Clone)]
pub enum SealedOut {
    /// An encrypted OpenPGP message; armor has CRLF for line ends.
    Encrypted(Vec<u8>),
    /// CMS EnvelopedData or AuthEnvelopedData, DER.
    Enveloped { der: Vec<u8>, authenticated: bool },
    /// Signatures apart from their content, and the `micalg` that goes with them.
    Detached { signature: Vec<u8>, micalg: String },
    /// Content and signature in one: a cleartext frame, opaque CMS, or an OpenPGP message.
    Inside(Vec<u8>),
}
