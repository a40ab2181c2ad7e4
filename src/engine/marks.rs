//! Marks and sealed notes of this store's own: what is given out to be brought back, and must be
//! known again. Keys for each use come out of one secret of the store.

use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};

use crate::base::error::{Error, Result};
use crate::base::{Secret, body};

/// The nonce of AES-GCM (RFC 5116 5.3): random, for far fewer than 2^32 notes.
const NONCE: usize = 12;

/// Its tag.
const TAG: usize = 16;

/// The bytes of a mark.
pub const MARK: usize = 32;

/// A mark (HMAC with SHA-256) over pieces that follow one another, for one use.
///
/// # Errors
/// `internal` when the library fails.
pub fn mark(secret: &Secret, r#use: &str, pieces: &[&[u8]]) -> Result<[u8; MARK]> {
    let key = derived(secret, r#use)?;
    hmac(key.expose(), pieces)
}

/// Whether two marks are the same, in constant time.
pub fn same(made: &[u8], given: &[u8]) -> bool {
    made.len() == given.len() && memcmp::eq(made, given)
}

/// A note that only this store can read and make (AES-256-GCM), for one use.
///
/// # Errors
/// `internal` when the library or the system's randomness fails.
pub fn seal(secret: &Secret, r#use: &str, note: &[u8]) -> Result<Vec<u8>> {
    let key = derived(secret, r#use)?;
    let nonce = Secret::random(NONCE)?;
    let mut tag = [0; TAG];
    let cipher = Cipher::aes_256_gcm();
    let sealed = encrypt_aead(
        cipher,
        key.expose(),
        Some(nonce.expose()),
        r#use.as_bytes(),
        note,
        &mut tag,
    )
    .map_err(failed)?;
    Ok([nonce.expose(), &sealed, &tag].concat())
}

/// The note; `None` when this store has not sealed it, or not for this use.
///
/// # Errors
/// `internal` when the library fails.
pub fn open(secret: &Secret, r#use: &str, sealed: &[u8]) -> Result<Option<bytes::Bytes>> {
    let Some((nonce, rest)) = sealed.split_first_chunk::<NONCE>() else {
        return Ok(None);
    };
    let Some((note, tag)) = rest.split_last_chunk::<TAG>() else {
        return Ok(None);
    };
    let key = derived(secret, r#use)?;
    let cipher = Cipher::aes_256_gcm();
    let opened = decrypt_aead(
        cipher,
        key.expose(),
        Some(nonce),
        r#use.as_bytes(),
        note,
        tag,
    );
    Ok(opened.ok().map(body::wiped))
}

/// The key for one use.
fn derived(secret: &Secret, r#use: &str) -> Result<Secret> {
    Ok(Secret::new(
        hmac(secret.expose(), &[r#use.as_bytes()])?.to_vec(),
    ))
}

fn hmac(key: &[u8], pieces: &[&[u8]]) -> Result<[u8; MARK]> {
    let key = PKey::hmac(key).map_err(failed)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key).map_err(failed)?;
    for piece in pieces {
        signer.update(piece).map_err(failed)?;
    }
    let mut mark = [0; MARK];
    signer.sign(&mut mark).map_err(failed)?;
    Ok(mark)
}

fn failed(e: openssl::error::ErrorStack) -> Error {
    Error::internal("a mark of this store can't be made").because(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::new(vec![byte; 32])
    }

    #[test]
    fn only_this_store_and_this_use_know_it_again() {
        let sealed = seal(&secret(1), "a", b"note").unwrap();
        let opened = open(&secret(1), "a", &sealed).unwrap();
        assert_eq!(opened.as_deref(), Some(&b"note"[..]));
        assert!(open(&secret(2), "a", &sealed).unwrap().is_none());
        assert!(open(&secret(1), "b", &sealed).unwrap().is_none());
        for length in [0, NONCE, NONCE + TAG - 1] {
            assert!(open(&secret(1), "a", &sealed[..length]).unwrap().is_none());
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&secret(1), "a", &changed).unwrap().is_none(), "{at}");
        }
        assert_ne!(sealed, seal(&secret(1), "a", b"note").unwrap());
    }

    #[test]
    fn a_mark_is_over_all_pieces_and_for_one_use() {
        let made = mark(&secret(1), "a", &[b"one", b"two"]).unwrap();
        assert!(same(&mark(&secret(1), "a", &[b"onetwo"]).unwrap(), &made));
        for (key, r#use, text) in [
            (2, "a", &b"onetwo"[..]),
            (1, "b", b"onetwo"),
            (1, "a", b"onetwo "),
        ] {
            assert!(!same(&mark(&secret(key), r#use, &[text]).unwrap(), &made));
        }
        assert!(!same(&made, &made[1..]) && !same(&made, b""));
    }
}
