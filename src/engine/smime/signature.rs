//! One signature over one message: algorithms of RFC 3370, 4056, 5753, 8419 and 9882.

use const_oid::ObjectIdentifier;
use openssl::error::ErrorStack;
use openssl::hash::hash;
use openssl::pkey::{Id, PKey, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};

use super::ber::{self, INTEGER, SEQUENCE};
use super::certs::Certificate;
use super::cms::{self, Algorithm, CONTEXT_0, CONTEXT_1, CONTEXT_2, CONTEXT_3, Fields, SignerInfo};
use super::pkcs8::number;
use super::policy;
use crate::base::error::Result;
use crate::base::keys::{Digest, Signing};

/// What checking one signature came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    Fits,
    Differs,
    /// Its fields contradict one another, or the key.
    Malformed,
    Weak,
    Unknown,
}

/// The longest salt: as long as the largest modulus, in bytes.
const SALT_MAX: i32 = 2048;

/// How the signature value was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    RsaPkcs1,
    RsaPss {
        digest: Digest,
        salt: i32,
    },
    Ecdsa,
    /// Ed25519, ML-DSA: over the message itself.
    Pure(&'static str),
}

/// Signature algorithms that carry their hash: object identifier, hash (`None`: broken), RSA.
const WITH_HASH: &[(&str, Option<Digest>, Scheme)] = &[
    (
        "1.2.840.113549.1.1.14",
        Some(Digest::Sha224),
        Scheme::RsaPkcs1,
    ),
    (
        "1.2.840.113549.1.1.11",
        Some(Digest::Sha256),
        Scheme::RsaPkcs1,
    ),
    (
        "1.2.840.113549.1.1.12",
        Some(Digest::Sha384),
        Scheme::RsaPkcs1,
    ),
    (
        "1.2.840.113549.1.1.13",
        Some(Digest::Sha512),
        Scheme::RsaPkcs1,
    ),
    ("1.2.840.113549.1.1.2", None, Scheme::RsaPkcs1),
    ("1.2.840.113549.1.1.3", None, Scheme::RsaPkcs1),
    ("1.2.840.113549.1.1.4", None, Scheme::RsaPkcs1),
    ("1.2.840.113549.1.1.5", None, Scheme::RsaPkcs1),
    ("1.2.840.10045.4.3.1", Some(Digest::Sha224), Scheme::Ecdsa),
    ("1.2.840.10045.4.3.2", Some(Digest::Sha256), Scheme::Ecdsa),
    ("1.2.840.10045.4.3.3", Some(Digest::Sha384), Scheme::Ecdsa),
    ("1.2.840.10045.4.3.4", Some(Digest::Sha512), Scheme::Ecdsa),
    ("1.2.840.10045.4.1", None, Scheme::Ecdsa),
];

/// Signature algorithms that leave the hash to the other field, or have none.
const ALONE: &[(&str, Scheme)] = &[
    ("1.2.840.113549.1.1.1", Scheme::RsaPkcs1),
    ("1.2.840.10045.2.1", Scheme::Ecdsa),
    ("1.3.101.112", Scheme::Pure("ED25519")),
    ("2.16.840.1.101.3.4.3.17", Scheme::Pure("ML-DSA-44")),
    ("2.16.840.1.101.3.4.3.18", Scheme::Pure("ML-DSA-65")),
    ("2.16.840.1.101.3.4.3.19", Scheme::Pure("ML-DSA-87")),
];

const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");

/// Whether an algorithm rests on a broken hash, whatever else it says.
pub(super) fn is_broken(algorithm: &Algorithm) -> bool {
    let text = algorithm.oid.to_string();
    WITH_HASH
        .iter()
        .any(|(known, digest, _)| *known == text && digest.is_none())
}

/// Whether the certificate's key signed `message`; `digest` is its hash under the signer's
/// hash algorithm, where that is known already.
pub(super) fn check(
    signer: &SignerInfo,
    cert: &Certificate,
    message: &[u8],
    digest: Option<&[u8]>,
) -> Checked {
    let Some(named) = policy::digest(signer.digest.oid) else {
        return Checked::Unknown;
    };
    let scheme = match scheme(&signer.algorithm, named) {
        Some(Ok(scheme)) => scheme,
        Some(Err(checked)) => return checked,
        None => return Checked::Unknown,
    };
    let Ok(key) = cert.x509.public_key() else {
        return Checked::Unknown;
    };
    // The key decides what kind of signature it is; who says otherwise lies.
    let fitting = match scheme {
        Scheme::RsaPkcs1 => key.id() == Id::RSA,
        Scheme::RsaPss { .. } => matches!(key.id(), Id::RSA | Id::RSA_PSS),
        Scheme::Ecdsa => key.id() == Id::EC,
        Scheme::Pure(_) => {
            let info = cert.parsed.tbs_certificate().subject_public_key_info();
            info.algorithm.oid == signer.algorithm.oid
        }
    };
    if !fitting {
        return Checked::Malformed;
    }
    let verified = match scheme {
        Scheme::Pure(_) => pure(&key, message, &signer.signature),
        _ => match digest {
            Some(digest) => over_digest(&key, scheme, named, digest, &signer.signature),
            None => hash(policy::message_digest(named), message)
                .and_then(|d| over_digest(&key, scheme, named, &d, &signer.signature)),
        },
    };
    match verified {
        Ok(true) => Checked::Fits,
        // OpenSSL answers a signature of the wrong shape with an error.
        Ok(false) | Err(_) => Checked::Differs,
    }
}

/// Whether the certificate's key made this signature over a digest, or over a message where
/// `how` says so.
pub(super) fn is_of(cert: &Certificate, how: Signing, data: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = cert.x509.public_key() else {
        return false;
    };
    let (scheme, digest) = match how {
        Signing::RsaPkcs1(digest) => (Scheme::RsaPkcs1, digest),
        Signing::RsaPss(digest) => {
            let salt = i32::try_from(data.len()).unwrap_or(SALT_MAX);
            (Scheme::RsaPss { digest, salt }, digest)
        }
        Signing::Ecdsa => match data.len() {
            ..=32 => (Scheme::Ecdsa, Digest::Sha256),
            33..=48 => (Scheme::Ecdsa, Digest::Sha384),
            _ => (Scheme::Ecdsa, Digest::Sha512),
        },
        Signing::Message => return pure(&key, data, signature).is_ok_and(|fits| fits),
        Signing::OpenPgp(_) => return false,
    };
    over_digest(&key, scheme, digest, data, signature).is_ok_and(|fits| fits)
}

fn scheme(algorithm: &Algorithm, named: Digest) -> Option<std::result::Result<Scheme, Checked>> {
    if algorithm.oid == RSA_PSS {
        let read = algorithm.parameters.as_deref().map(pss);
        return Some(match read {
            Some(Ok(Scheme::RsaPss { digest, salt })) if digest == named => {
                Ok(Scheme::RsaPss { digest, salt })
            }
            // RFC 4055 3.1: without parameters it is SHA-1.
            None => Err(Checked::Weak),
            Some(Ok(_)) => Err(Checked::Malformed),
            Some(Err(_)) => Err(Checked::Unknown),
        });
    }
    let text = algorithm.oid.to_string();
    if let Some((_, digest, scheme)) = WITH_HASH.iter().find(|(known, ..)| *known == text) {
        return Some(match digest {
            None => Err(Checked::Weak),
            Some(digest) if *digest == named => Ok(*scheme),
            Some(_) => Err(Checked::Malformed),
        });
    }
    let alone = ALONE.iter().find(|(known, _)| *known == text);
    alone.map(|(_, scheme)| Ok(*scheme))
}

/// The parameters of RSASSA-PSS (RFC 4055 3.1); the mask must use the same hash.
fn pss(parameters: &[u8]) -> Result<Scheme> {
    let broken = ber::broken;
    let mut fields = Fields::of(&ber::one(&parameters.to_vec().into())?, SEQUENCE)?;
    let digest = match fields.optional(CONTEXT_0) {
        Some(tagged) => {
            let mut inside = Fields::of(&tagged, CONTEXT_0)?;
            policy::digest(cms::algorithm(&inside.take(SEQUENCE)?)?.oid).ok_or_else(broken)?
        }
        None => Digest::Sha1,
    };
    if let Some(tagged) = fields.optional(CONTEXT_1) {
        let mask = cms::algorithm(&Fields::of(&tagged, CONTEXT_1)?.take(SEQUENCE)?)?;
        let inner = mask.parameters.ok_or_else(broken)?;
        let inner = cms::algorithm(&ber::one(&inner.into())?)?;
        if mask.oid != MGF1 || policy::digest(inner.oid) != Some(digest) {
            return Err(broken());
        }
    } else if digest != Digest::Sha1 {
        return Err(broken());
    }
    let salt = match fields.optional(CONTEXT_2) {
        Some(tagged) => {
            let salt = number(&Fields::of(&tagged, CONTEXT_2)?.take(INTEGER)?);
            i32::try_from(salt)
                .ok()
                .filter(|salt| *salt <= SALT_MAX)
                .ok_or_else(broken)?
        }
        None => 20,
    };
    fields.optional(CONTEXT_3);
    fields.end()?;
    Ok(Scheme::RsaPss { digest, salt })
}

fn over_digest(
    key: &PKey<Public>,
    scheme: Scheme,
    named: Digest,
    digest: &[u8],
    signature: &[u8],
) -> std::result::Result<bool, ErrorStack> {
    let mut ctx = PkeyCtx::new(key)?;
    ctx.verify_init()?;
    match scheme {
        Scheme::RsaPkcs1 => ctx.set_rsa_padding(Padding::PKCS1)?,
        Scheme::RsaPss { salt, .. } => {
            ctx.set_rsa_padding(Padding::PKCS1_PSS)?;
            ctx.set_signature_md(policy::md(named))?;
            ctx.set_rsa_mgf1_md(policy::md(named))?;
            ctx.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt))?;
            return ctx.verify(digest, signature);
        }
        Scheme::Ecdsa | Scheme::Pure(_) => {}
    }
    ctx.set_signature_md(policy::md(named))?;
    ctx.verify(digest, signature)
}

fn pure(
    key: &PKey<Public>,
    message: &[u8],
    signature: &[u8],
) -> std::result::Result<bool, ErrorStack> {
    Verifier::new_without_digest(key)?.verify_oneshot(signature, message)
}
