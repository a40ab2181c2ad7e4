//! The two families behind one trait. An engine opens or seals ONE layer and reads, makes and
//! merges certificates; it knows nothing of mail, files or JSON.
//!
//! `openpgp` and `smime` are siblings with the same file names. Whoever mends one opens the
//! other. `private` is the one door to the unlocked keys of both.

use bytes::Bytes;

use crate::base::autocrypt::PreferEncrypt;
use crate::base::described::Described;
use crate::base::error::Result;
use crate::base::extra::Means;
use crate::base::keys::{CertFacts, KeyId, Protocol, Usage};
use crate::base::layer::{Opened, Seal, Sealed, SealedOut, Trust};
use crate::base::verdict::Recipient;
use crate::base::{Address, Context, Secret};

pub mod marks;
pub mod openpgp;
mod private;
pub mod smime;
mod weak;

pub use private::unlocked;

/// One family of end-to-end encryption.
pub trait Engine: Send + Sync {
    /// Which family.
    fn protocol(&self) -> Protocol;

    /// Opens one layer: decrypts it, verifies it, or both where one message carries both.
    ///
    /// Nothing is returned before its integrity check passed, and what is returned is what
    /// was decrypted or hashed, byte for byte. A signature that is bad is a fact in the
    /// result; an error says that the layer could not be opened.
    ///
    /// # Errors
    /// `key.missing` (decrypt) when none of our keys is a recipient; `key.locked`, with its
    /// question; `decrypt.failed` for every fault inside the ciphertext once a key was found;
    /// `message.malformed` when it is not this family's at all; `limit.exceeded`; `cancelled`.
    fn open(&self, layer: &Sealed, cx: &Context) -> Result<Opened> {
        self.open_by(layer, &Means::default(), cx)
    }

    /// As [`Engine::open`], with more than the private keys to open it by.
    ///
    /// # Errors
    /// As [`Engine::open`].
    fn open_by(&self, layer: &Sealed, means: &Means, cx: &Context) -> Result<Opened>;

    /// Whom an encrypted message names, read without any key. Empty when it can't be read.
    fn recipients(&self, data: &[u8], cx: &Context) -> Vec<Recipient>;

    /// Seals `content`, a MIME entity in canonical form (or plain text for `inline`), or
    /// anything at all where [`Seal::extra`] says how.
    ///
    /// # Errors
    /// `key.unusable` when a certificate is not fit for what is asked; `key.locked`.
    fn seal(&self, content: &Bytes, how: &Seal<'_>, cx: &Context) -> Result<SealedOut>;

    /// What the bytes of one certificate say, judged at `at` (Unix seconds).
    ///
    /// # Errors
    /// `message.malformed` when it is not one certificate.
    fn facts(&self, cert: &[u8], at: u64) -> Result<CertFacts>;

    /// All that the bytes of one certificate say for a list of keys, judged at `at` (Unix seconds).
    /// Nothing in it is known of anybody's trust, nor of secret halves.
    ///
    /// # Errors
    /// `message.malformed` when it is not one certificate.
    fn describe(&self, cert: &[u8], at: u64) -> Result<Described>;

    /// The bits of the shortest RSA modulus among the keys that a certificate could use at `at`
    /// (Unix seconds). `None`: there is none, or it is no certificate.
    fn rsa_bits(&self, cert: &[u8], at: u64) -> Option<u32>;

    /// Why a certificate can't be used for `usage` (with `address`, where given, named by it)
    /// at `at`. Empty: it can. Words as in `key.unusable`: `expired`, `revoked`,
    /// `not-yet-valid`, `weak`, `no-address`, `no-encryption-key`, `no-signing-key`.
    fn unfit(
        &self,
        cert: &[u8],
        usage: Usage,
        address: Option<&Address>,
        at: u64,
    ) -> Vec<&'static str>;

    /// Who vouches beside the person for a certificate and the address: `Anchored` only where
    /// an anchor may speak for that address. `None` in a family without authorities.
    fn trust(&self, cert: &[u8], address: &Address, cx: &Context) -> Trust;

    /// Of those whom the person made introducers, one that vouches for a certificate and the
    /// address, and those whom they trust between; empty in a family with authorities.
    fn introducers(&self, cert: &[u8], address: &Address, cx: &Context) -> Vec<KeyId>;

    /// The handle that all certificates of one key pair share; `None` where a certificate is
    /// its key.
    fn key_handle(&self, cert: &[u8]) -> Option<String>;

    /// The authorities that come with the program, or those that policy names in their place, as
    /// far as it lets them speak.
    ///
    /// # Errors
    /// `policy.refused` when the files that it names can't be used.
    fn authorities(&self, cx: &Context) -> Result<Vec<CertFacts>>;

    /// Reads certificates, with or without secret halves, out of anything a person may have:
    /// armored or binary, one or many. Only what verifies is kept.
    ///
    /// # Errors
    /// `message.malformed` when there is none in it; `limit.exceeded`.
    fn read_keys(&self, data: &[u8], cx: &Context) -> Result<Incoming>;

    /// Whether this can be the secret half of a key, under something: as far as it shows without
    /// its passphrase.
    fn is_sealed(&self, secret: &Secret, id: &KeyId, cx: &Context) -> bool;

    /// Both certificates' content in one: all that verifies of either.
    ///
    /// # Errors
    /// `message.malformed` when they are not the same certificate.
    fn merge(&self, old: &[u8], new: &[u8]) -> Result<Vec<u8>>;

    /// Makes a certificate with its secret half, sealed under `passphrase`.
    ///
    /// # Errors
    /// `internal` when the cryptographic library refuses.
    fn generate(&self, spec: &KeySpec, passphrase: &Passphrase, cx: &Context) -> Result<NewKey>;

    /// A key whose end comes later: its certificate with a new one (`expires`, Unix seconds), or
    /// a request to its authority for another certificate of the same key. Asks the private key.
    ///
    /// # Errors
    /// `key.locked`; `key.unusable` for one that is revoked or can't sign.
    fn renew(&self, cert: &[u8], expires: u64, cx: &Context) -> Result<Renewed>;

    /// The certificate with its own word that it counts no more. Asks the private key.
    ///
    /// # Errors
    /// `key.locked`; `request.invalid` in a family whose authorities do that.
    fn revoke(&self, cert: &[u8], why: Revoking, cx: &Context) -> Result<Vec<u8>>;

    /// The certificate with a revocation that was made with the key and kept.
    ///
    /// # Errors
    /// `message.malformed` when it is not that key's.
    fn revoke_by(&self, cert: &[u8], kept: &[u8]) -> Result<Vec<u8>>;

    /// The certificate with a part more or less. Asks the private key.
    ///
    /// # Errors
    /// `key.locked`; `key.unusable` for one that is revoked; `request.invalid` for a part that it
    /// does not have, can't do without, or that its authority decides about; `limit.exceeded`.
    fn change(&self, cert: &[u8], part: &Part<'_>, cx: &Context) -> Result<Vec<u8>>;

    /// Whether a certificate says what it was to say, as soon as all that it says counts: at `at`
    /// (Unix seconds), or the moment after.
    fn says(&self, cert: &[u8], word: &Word<'_>, at: u64) -> bool;

    /// The certificate with one more subkey of the family's usual kind, and its secret half, under
    /// the same passphrase as before.
    ///
    /// # Errors
    /// `passphrase.wrong`; as [`Engine::change`].
    fn add_subkey(
        &self,
        cert: &[u8],
        sealed: &Secret,
        usage: Usage,
        passphrase: &Passphrase,
        cx: &Context,
    ) -> Result<(Vec<u8>, Secret)>;

    /// The fingerprints of the key pairs whose secret halves are in a sealed one. Empty in a
    /// family where a certificate has one key pair.
    ///
    /// # Errors
    /// `message.malformed`.
    fn secret_pairs(&self, sealed: &Secret) -> Result<Vec<String>>;

    /// A certificate without the names of other addresses, and without what only its owner may
    /// have, as it is given out and as it is taken from others; `None` when it names none of
    /// these. One that is signed as a whole stays whole.
    ///
    /// # Errors
    /// `message.malformed`; `limit.exceeded`; those of the store.
    fn only_for(
        &self,
        cert: &[u8],
        addresses: &[Address],
        words: Words,
        cx: &Context,
    ) -> Result<Option<Vec<u8>>>;

    /// Certificates in the form that `format` names; public material only.
    ///
    /// # Errors
    /// `request.invalid` for a format that is not this family's.
    fn export(&self, certs: &[Bytes], format: Format) -> Result<Vec<u8>>;

    /// A certificate and those between it and its authority, as far as they are here: what goes
    /// along with it.
    ///
    /// # Errors
    /// `message.malformed`; those of the store.
    fn with_issuers(&self, cert: &Bytes, cx: &Context) -> Result<Vec<Bytes>>;

    /// A secret half under another passphrase, in the form that `format` names, with the
    /// certificates of `chain` (its own first) where that form holds any.
    ///
    /// # Errors
    /// `passphrase.wrong`; `request.invalid` for a format that is not this family's.
    fn rewrap(
        &self,
        sealed: &Secret,
        chain: &[Bytes],
        old: &Passphrase,
        new: &Passphrase,
        format: Format,
    ) -> Result<Vec<u8>>;

    /// The header field that offers `cert` to whom one writes, or passes it on (Autocrypt 1.1),
    /// its value unfolded; `None` where the family has no such thing or the certificate does
    /// not fit.
    fn offer(&self, cert: &[u8], address: &Address, prefer: PreferEncrypt) -> Option<String>;

    /// What such a header field offers.
    fn offered(&self, value: &str) -> Option<Offer>;
}

/// What a header field offers (Autocrypt 1.1).
pub struct Offer {
    pub address: Address,
    pub cert: Vec<u8>,
    pub prefer: PreferEncrypt,
}

/// Whose signatures on the names of a certificate are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    Owner,
    /// The owner's, and those of people who may vouch for others here.
    Introducers,
}

/// What a person brought along.
pub struct Incoming {
    pub keys: Vec<IncomingKey>,
    /// Why others were left out.
    pub skipped: Vec<&'static str>,
}

/// One certificate, perhaps with its secret half.
pub struct IncomingKey {
    pub cert: Vec<u8>,
    pub facts: CertFacts,
    pub secret: Option<IncomingSecret>,
}

/// A secret half as it was brought.
pub struct IncomingSecret {
    /// A transferable secret key (or PKCS#8), public and secret half found to belong together
    /// as far as that shows without its passphrase.
    pub sealed: Secret,
    pub under: Under,
}

/// What a secret half lies under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    Nothing,
    /// What a person remembers.
    Passphrase,
    /// Whatever that of this certificate lies under, or wherever it lies: the key is here
    /// already, and nothing was brought.
    As(KeyId),
}

/// What a key is to be.
#[derive(Debug, Clone)]
pub struct KeySpec {
    pub name: Option<String>,
    pub address: Address,
    pub profile: Profile,
    /// Unix seconds; `None`: it does not expire.
    pub expires: Option<u64>,
}

/// Which peers a new key has in mind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// What GnuPG 2.2 and every other client can read: v4, Curve25519.
    #[default]
    Compatible,
    /// RFC 9580: v6, Ed25519 and X25519, AEAD.
    Modern,
    /// RFC 9980: ML-DSA-65+Ed25519 and ML-KEM-768+X25519.
    PostQuantum,
}

/// What protects a secret half on disk.
pub enum Passphrase {
    /// Nothing at all: only on its way between two protections.
    None,
    /// What a person remembers: stretched.
    Human(std::sync::Arc<Secret>),
    /// 256 random bits of our own: nothing to stretch.
    Random(std::sync::Arc<Secret>),
}

/// A key that was just made.
pub struct NewKey {
    pub cert: Vec<u8>,
    pub facts: CertFacts,
    pub sealed: Secret,
    /// A PKCS#10 request for the same key, DER, where the family has authorities.
    pub request: Option<Vec<u8>>,
    /// Its revocation, for the day when its passphrase is lost, where the family has such a thing.
    pub revocation: Option<Vec<u8>>,
}

/// What renewing a key came to.
pub struct Renewed {
    /// The certificate with its new end.
    pub cert: Option<Vec<u8>>,
    /// A PKCS#10 request for the same key, DER.
    pub request: Option<Vec<u8>>,
}

/// What a certificate consists of, besides its first key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// One more address; with the name that the key has already when there is none.
    Address {
        name: Option<&'a str>,
        address: &'a Address,
    },
    /// An address that is not its owner's any more.
    NoAddress(&'a Address),
    /// A subkey, by fingerprint or key id in upper-case hex, that is not to be used any more.
    /// What was encrypted to it can still be read.
    NoSubkey(&'a str),
}

/// What the owner of a key says with it of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word<'a> {
    /// When it ends, in Unix seconds.
    End(u64),
    /// That it counts no more.
    Over,
    /// That it can be used for this.
    Fit(Usage),
    /// That it has a part, or not.
    Part(Part<'a>),
}

/// Why a key is revoked (RFC 9580 5.2.3.31).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revoking {
    #[default]
    Unspecified,
    /// There is a newer key.
    Superseded,
    /// Somebody else may have it: nothing that it signed counts any more.
    Compromised,
    /// Its owner uses it no longer.
    Retired,
}

/// The forms in which keys leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Armored,
    Binary,
    Pem,
    Der,
    P7b,
    Pkcs12,
}
