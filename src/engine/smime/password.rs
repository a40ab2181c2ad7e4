//! Content keys under a password (RFC 5652 6.2.4, RFC 3211).

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use openssl::memcmp;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::symm::{Cipher, Crypter, Mode};
use zeroize::Zeroizing;

use super::ber::{self, INTEGER, OCTET_STRING, SEQUENCE};
use super::cms::{self, Algorithm, Fields};
use super::{pkcs8, policy};
use crate::base::Secret;
use crate::base::error::{Error, Result};
use crate::base::keys::Digest;

const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const PWRI_KEK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.9");

/// The hashes of PBKDF2.
const HMACS: &[(&str, Digest)] = &[
    ("1.2.840.113549.2.7", Digest::Sha1),
    ("1.2.840.113549.2.9", Digest::Sha256),
    ("1.2.840.113549.2.10", Digest::Sha384),
    ("1.2.840.113549.2.11", Digest::Sha512),
];

/// Gives a cipher.
pub(super) type Make = fn() -> Cipher;

/// The ciphers that wrap.
const CIPHERS: &[(&str, Make)] = &[
    ("2.16.840.1.101.3.4.1.2", Cipher::aes_128_cbc),
    ("2.16.840.1.101.3.4.1.22", Cipher::aes_192_cbc),
    ("2.16.840.1.101.3.4.1.42", Cipher::aes_256_cbc),
    ("1.2.840.113549.3.7", Cipher::des_ede3_cbc),
];

/// The content key in `encrypted`.
///
/// # Errors
/// `decrypt.failed`; `limit.exceeded`.
pub(super) fn open(
    stretching: &Algorithm,
    wrap: &Algorithm,
    encrypted: &[u8],
    password: &Secret,
) -> Result<Secret> {
    pkcs8::scheme_costs(stretching)?;
    let parts = || -> Result<(Cipher, Vec<u8>, Zeroizing<Vec<u8>>)> {
        let inner = wrap
            .parameters
            .clone()
            .filter(|_| wrap.oid == PWRI_KEK)
            .ok_or_else(ber::broken)?;
        let cipher = cms::algorithm(&ber::one(&inner.into())?)?;
        let make = self::cipher(cipher.oid).ok_or_else(ber::broken)?;
        let iv = ber::one(&cipher.parameters.ok_or_else(ber::broken)?.into())?.octets()?;
        let cipher = make();
        let kek = stretch(stretching, password, cipher.key_len())?;
        Ok((cipher, iv.to_vec(), kek))
    };
    let (cipher, iv, kek) = parts().map_err(|e| Error::decrypt_failed().because(e))?;
    let plain = unwrap(cipher, &kek, &iv, encrypted).ok_or_else(Error::decrypt_failed)?;
    // One octet for the length, three to check, then the key (RFC 3211 2.3.2).
    let checked = || {
        let length = usize::from(*plain.first()?);
        let check = plain.get(1..4)?;
        let key = plain.get(4..4 + length)?;
        let wanted: Vec<u8> = key.get(..3)?.iter().map(|b| !b).collect();
        memcmp::eq(check, &wanted).then(|| Secret::new(key.to_vec()))
    };
    checked().ok_or_else(Error::decrypt_failed)
}

/// The cipher of this name, of those that keys are under.
pub(super) fn cipher(oid: ObjectIdentifier) -> Option<Make> {
    let text = oid.to_string();
    let known = CIPHERS.iter().find(|(known, _)| *known == text);
    known.map(|(_, make)| *make)
}

fn stretch(stretching: &Algorithm, password: &Secret, length: usize) -> Result<Zeroizing<Vec<u8>>> {
    let inner: Bytes = stretching
        .parameters
        .clone()
        .filter(|_| stretching.oid == PBKDF2)
        .ok_or_else(ber::broken)?
        .into();
    let mut fields = Fields::of(&ber::one(&inner)?, SEQUENCE)?;
    let salt = fields.take(OCTET_STRING)?.octets()?;
    let rounds = fields.take(INTEGER)?;
    fields.optional(INTEGER);
    let digest = match fields.optional(SEQUENCE) {
        None => Digest::Sha1,
        Some(named) => {
            let text = cms::algorithm(&named)?.oid.to_string();
            let known = HMACS.iter().find(|(known, _)| *known == text);
            known.map(|(_, digest)| *digest).ok_or_else(ber::broken)?
        }
    };
    let rounds = usize::try_from(pkcs8::number(&rounds)).map_err(|_| ber::broken())?;
    let mut key = Zeroizing::new(vec![0; length]);
    pbkdf2_hmac(
        password.expose(),
        &salt,
        rounds,
        policy::message_digest(digest),
        &mut key,
    )
    .map_err(|e| ber::broken().because(e))?;
    Ok(key)
}

/// Takes both passes of CBC off again.
fn unwrap(cipher: Cipher, kek: &[u8], iv: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let block = cipher.block_size();
    if wrapped.len() < 2 * block || !wrapped.len().is_multiple_of(block) || iv.len() != block {
        return None;
    }
    let (head, last) = wrapped.split_at_checked(wrapped.len() - block)?;
    let before = head.get(head.len() - block..)?;
    let last_of_first = cbc(cipher, kek, before, last)?;
    let first_pass = cbc(cipher, kek, &last_of_first, wrapped)?;
    cbc(cipher, kek, iv, &first_pass)
}

/// Deciphers without padding.
pub(super) fn cbc(
    cipher: Cipher,
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut crypter = Crypter::new(cipher, Mode::Decrypt, key, Some(iv)).ok()?;
    crypter.pad(false);
    let mut out = Zeroizing::new(vec![0; data.len() + cipher.block_size()]);
    let written = crypter.update(data, &mut out).ok()?;
    let rest = crypter.finalize(out.get_mut(written..)?).ok()?;
    out.truncate(written + rest);
    Some(out)
}
