//! From what two sides share to the key that wraps a content key (RFC 5753 7, RFC 8418 2,
//! RFC 9629 5, RFC 3394).

use const_oid::ObjectIdentifier;
use openssl::aes::{AesKey, unwrap_key, wrap_key};
use openssl::hash::Hasher;
use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::{HkdfMode, PkeyCtx};
use openssl::sha::sha1;
use openssl::symm::Cipher;
use zeroize::Zeroizing;

use super::ber::{self, OCTET_STRING, SEQUENCE};
use super::cms::{self, Algorithm, CONTEXT_0, CONTEXT_2};
use super::password::cbc;
use super::policy;
use crate::base::Secret;
use crate::base::error::{Error, Result};
use crate::base::keys::Digest;

/// ECDH with the KDF of X9.63: the standard and the cofactor form are the same on the curves
/// that count.
const X963: &[(&str, Digest)] = &[
    ("1.3.133.16.840.63.0.2", Digest::Sha1),
    ("1.3.133.16.840.63.0.3", Digest::Sha1),
    ("1.3.132.1.11.0", Digest::Sha224),
    ("1.3.132.1.11.1", Digest::Sha256),
    ("1.3.132.1.11.2", Digest::Sha384),
    ("1.3.132.1.11.3", Digest::Sha512),
    ("1.3.132.1.14.0", Digest::Sha224),
    ("1.3.132.1.14.1", Digest::Sha256),
    ("1.3.132.1.14.2", Digest::Sha384),
    ("1.3.132.1.14.3", Digest::Sha512),
];

/// X25519 and X448 with HKDF (RFC 8418 2.1).
const HKDF: &[(&str, Digest)] = &[
    ("1.2.840.113549.1.9.16.3.19", Digest::Sha256),
    ("1.2.840.113549.1.9.16.3.20", Digest::Sha384),
    ("1.2.840.113549.1.9.16.3.21", Digest::Sha512),
];

/// Key derivations that stand alone (RFC 8619).
const HKDF_ALONE: &[(&str, Digest)] = &[
    ("1.2.840.113549.1.9.16.3.28", Digest::Sha256),
    ("1.2.840.113549.1.9.16.3.29", Digest::Sha384),
    ("1.2.840.113549.1.9.16.3.30", Digest::Sha512),
];

/// AES key wrap (RFC 3394), and the older one of Triple-DES, by key length in bytes.
const WRAPS: &[(&str, usize)] = &[
    ("2.16.840.1.101.3.4.1.5", 16),
    ("2.16.840.1.101.3.4.1.25", 24),
    ("2.16.840.1.101.3.4.1.45", 32),
    ("1.2.840.113549.1.9.16.3.6", 24),
];

const TRIPLE_DES_WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.6");

/// How a key is derived.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kdf {
    X963(Digest),
    Hkdf(Digest),
}

/// What a key agreement scheme derives by, its key wrap, and the length of the key.
pub(super) fn agreed(scheme: &Algorithm) -> Option<(Kdf, Algorithm, usize)> {
    let text = scheme.oid.to_string();
    let known = |table: &[(&str, Digest)]| {
        let found = table.iter().find(|(known, _)| *known == text);
        found.map(|(_, digest)| *digest)
    };
    let kdf = known(X963)
        .map(Kdf::X963)
        .or_else(|| known(HKDF).map(Kdf::Hkdf))?;
    let der = scheme.parameters.clone()?;
    let wrap = cms::algorithm(&ber::one(&der.into()).ok()?).ok()?;
    let length = wrap_length(wrap.oid)?;
    Some((kdf, wrap, length))
}

/// The key length of a key wrap, in bytes.
pub(super) fn wrap_length(oid: ObjectIdentifier) -> Option<usize> {
    let text = oid.to_string();
    let known = WRAPS.iter().find(|(known, _)| *known == text);
    known.map(|(_, length)| *length)
}

/// A key wrap as DER.
pub(super) fn wrap_der(wrap: &Algorithm) -> Vec<u8> {
    ber::algorithm(wrap.oid, wrap.parameters.as_deref().unwrap_or_default())
}

/// ECC-CMS-SharedInfo (RFC 5753 7.2).
pub(super) fn shared_info(wrap: &[u8], ukm: Option<&[u8]>, length: usize) -> Vec<u8> {
    let bits = u32::try_from(length * 8).unwrap_or(u32::MAX).to_be_bytes();
    let ukm = ukm.map(|ukm| {
        let octets = ber::element(OCTET_STRING, &[ukm]);
        ber::element(CONTEXT_0, &[&octets])
    });
    let length = ber::element(CONTEXT_2, &[&ber::element(OCTET_STRING, &[&bits])]);
    ber::element(
        SEQUENCE,
        &[wrap, ukm.as_deref().unwrap_or_default(), &length],
    )
}

/// CMSORIforKEMOtherInfo (RFC 9629 5).
pub(super) fn kem_info(wrap: &[u8], length: usize, ukm: Option<&[u8]>) -> Vec<u8> {
    let length = ber::integer(u32::try_from(length).unwrap_or(u32::MAX));
    let ukm = ukm.map(|ukm| {
        let octets = ber::element(OCTET_STRING, &[ukm]);
        ber::element(CONTEXT_0, &[&octets])
    });
    ber::element(
        SEQUENCE,
        &[wrap, &length, ukm.as_deref().unwrap_or_default()],
    )
}

/// The KDF of ANSI X9.63.
pub(super) fn x963(
    digest: Digest,
    shared: &Secret,
    info: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |e| Error::decrypt_failed().because(e);
    let mut key = Zeroizing::new(Vec::with_capacity(length + 64));
    let mut counter = 0_u32;
    while key.len() < length {
        counter += 1;
        let mut hasher = Hasher::new(policy::message_digest(digest)).map_err(failed)?;
        for part in [shared.expose(), &counter.to_be_bytes(), info] {
            hasher.update(part).map_err(failed)?;
        }
        key.extend_from_slice(&hasher.finish().map_err(failed)?);
    }
    key.truncate(length);
    Ok(key)
}

/// HKDF without a salt (RFC 5869).
pub(super) fn hkdf(
    digest: Digest,
    shared: &Secret,
    info: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>> {
    let derive = || -> std::result::Result<_, openssl::error::ErrorStack> {
        let mut ctx = PkeyCtx::new_id(Id::HKDF)?;
        ctx.derive_init()?;
        ctx.set_hkdf_mode(HkdfMode::EXTRACT_THEN_EXPAND)?;
        ctx.set_hkdf_md(match digest {
            Digest::Sha384 => Md::sha384(),
            Digest::Sha512 => Md::sha512(),
            _ => Md::sha256(),
        })?;
        ctx.set_hkdf_key(shared.expose())?;
        ctx.add_hkdf_info(info)?;
        let mut key = Zeroizing::new(vec![0; length]);
        ctx.derive(Some(&mut key))?;
        Ok(key)
    };
    derive().map_err(|e| Error::decrypt_failed().because(e))
}

/// A content key out of its wrapping.
///
/// # Errors
/// `decrypt.failed`.
pub(super) fn unwrap(wrap: ObjectIdentifier, kek: &[u8], wrapped: &[u8]) -> Result<Secret> {
    if wrap == TRIPLE_DES_WRAP {
        return unwrap_triple_des(kek, wrapped).ok_or_else(Error::decrypt_failed);
    }
    let key = AesKey::new_decrypt(kek).map_err(|_| Error::decrypt_failed())?;
    let length = wrapped
        .len()
        .checked_sub(8)
        .ok_or_else(Error::decrypt_failed)?;
    let mut out = Zeroizing::new(vec![0; length]);
    unwrap_key(&key, None, &mut out, wrapped).map_err(|_| Error::decrypt_failed())?;
    Ok(Secret::new(std::mem::take(&mut *out)))
}

/// The wrapping that old mail has, for reading alone (RFC 3217 3.2).
fn unwrap_triple_des(kek: &[u8], wrapped: &[u8]) -> Option<Secret> {
    const START: [u8; 8] = [0x4A, 0xDD, 0xA2, 0x2C, 0x79, 0xE8, 0x21, 0x05];
    let cipher = Cipher::des_ede3_cbc();
    let mut outer = cbc(cipher, kek, &START, wrapped)?;
    outer.reverse();
    let (iv, inner) = outer.split_at_checked(8)?;
    let plain = cbc(cipher, kek, iv, inner)?;
    let (key, check) = plain.split_at_checked(24)?;
    let sum = sha1(key);
    memcmp_eq(sum.get(..8)?, check).then(|| Secret::new(key.to_vec()))
}

fn memcmp_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && openssl::memcmp::eq(a, b)
}

/// A content key under a key of the recipient's (RFC 3394).
///
/// # Errors
/// `internal` for keys of odd lengths.
pub(super) fn wrap(kek: &[u8], content_key: &Secret) -> Result<Vec<u8>> {
    let refused = || Error::internal("a message key can't be wrapped");
    let key = AesKey::new_encrypt(kek).map_err(|_| refused())?;
    let mut out = vec![0; content_key.expose().len() + 8];
    wrap_key(&key, None, &mut out, content_key.expose()).map_err(|_| refused())?;
    Ok(out)
}

/// A key derivation that stands alone (RFC 8619).
pub(super) fn hkdf_alone(oid: ObjectIdentifier) -> Option<Digest> {
    let text = oid.to_string();
    let known = HKDF_ALONE.iter().find(|(known, _)| *known == text);
    known.map(|(_, digest)| *digest)
}
