//! Secret keys under scrypt (RFC 7914 7). OpenSSL 3.6, when it reads such a file itself, stops at
//! 32 MiB of memory and says that the passphrase is wrong; here the bound is our own.

use openssl::pkcs5;
use openssl::symm;
use zeroize::Zeroizing;

use super::ber::{self, INTEGER, OCTET_STRING, SEQUENCE};
use super::cms::{self, Fields};
use super::{password, pkcs8};
use crate::base::Secret;
use crate::base::error::{Error, Kind, Result};

/// What OpenSSL lets scrypt take when it reads a file itself, in bytes.
pub(super) const OPENSSL_MEMORY: u64 = 32 << 20;

/// The key in an EncryptedPrivateKeyInfo (RFC 5958 3), in the clear, whose cost was looked at.
/// `None`: it is under something else.
///
/// # Errors
/// `passphrase.wrong`; `message.malformed`.
pub(super) fn open(sealed: &[u8], passphrase: &Secret) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let data = bytes::Bytes::copy_from_slice(sealed);
    let mut fields = Fields::of(&ber::one(&data)?, SEQUENCE)?;
    let scheme = cms::algorithm(&fields.take(SEQUENCE)?)?;
    let encrypted = fields.take(OCTET_STRING)?.octets()?;
    let Some(parameters) = scheme.parameters.filter(|_| scheme.oid == pkcs8::PBES2) else {
        return Ok(None);
    };
    let mut parts = Fields::of(&ber::one(&parameters.into())?, SEQUENCE)?;
    let stretching = cms::algorithm(&parts.take(SEQUENCE)?)?;
    let Some(parameters) = stretching
        .parameters
        .filter(|_| stretching.oid == pkcs8::SCRYPT)
    else {
        return Ok(None);
    };
    let cipher = cms::algorithm(&parts.take(SEQUENCE)?)?;
    let Some(make) = password::cipher(cipher.oid) else {
        return Ok(None);
    };
    let iv = ber::one(&cipher.parameters.ok_or_else(ber::broken)?.into())?.octets()?;
    let mut numbers = Fields::of(&ber::one(&parameters.into())?, SEQUENCE)?;
    let salt = numbers.take(OCTET_STRING)?.octets()?;
    let mut number = || Ok::<_, Error>(pkcs8::number(&numbers.take(INTEGER)?));
    let (cost, size, runs) = (number()?, number()?, number()?);
    let cipher = make();
    if cipher.iv_len() != Some(iv.len()) {
        return Err(ber::broken());
    }
    let mut key = Zeroizing::new(vec![0; cipher.key_len()]);
    let phrase = passphrase.expose();
    pkcs5::scrypt(phrase, &salt, cost, size, runs, u64::MAX >> 1, &mut key)
        .map_err(|e| ber::broken().because(e))?;
    let plain = symm::decrypt(cipher, &key, Some(&iv), &encrypted).map_err(wrong)?;
    Ok(Some(Zeroizing::new(plain)))
}

/// The error for what does not open.
pub(super) fn wrong(error: openssl::error::ErrorStack) -> Error {
    Error::new(Kind::PassphraseWrong, "the passphrase is wrong; try again").because(error)
}
