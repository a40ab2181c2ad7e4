//! Version 1 of the encrypted container (RFC 9580 5.13.1), opened in one buffer.
//!
//! Its integrity check covers the whole, so the whole is decrypted and checked before one byte
//! of it is parsed. With OpenSSL's own SHA-1 this takes a third of the time that Sequoia's
//! stream takes, which looks for collisions where a collision is worth nothing: whoever could
//! make one would need the session key.

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};
use openssl::memcmp;
use sequoia_openpgp::crypto::SessionKey;
use sequoia_openpgp::types::SymmetricAlgorithm;
use zeroize::Zeroizing;

use crate::base::Context;
use crate::base::error::{Error, Result};

/// The block of every cipher that is opened here.
const BLOCK: usize = 16;

/// Random bytes, the last two of them again: what comes before the packets.
pub(super) const PREFIX: usize = BLOCK + 2;

/// The header of the packet that ends the container, and the SHA-1 in it.
const END: [u8; 2] = [0xD3, 0x14];
const DIGEST: usize = 20;

/// How much is decrypted before the job is asked whether it still wants to go on.
const CHUNK: usize = 1 << 20;

/// The cipher, where it is one of those that are opened here.
pub(super) fn cipher(algorithm: SymmetricAlgorithm) -> Option<&'static CipherRef> {
    match algorithm {
        SymmetricAlgorithm::AES128 => Some(Cipher::aes_128_cfb128()),
        SymmetricAlgorithm::AES192 => Some(Cipher::aes_192_cfb128()),
        SymmetricAlgorithm::AES256 => Some(Cipher::aes_256_cfb128()),
        _ => None,
    }
}

/// Whether a session key may be the one, by the container's first bytes.
pub(super) fn fits(cipher: &CipherRef, session_key: &SessionKey, start: &[u8]) -> bool {
    let Some(start) = start.get(..PREFIX) else {
        return false;
    };
    let mut prefix = Zeroizing::new(start.to_vec());
    session_key.len() == cipher.key_length()
        && decryptor(cipher, session_key)
            .and_then(|mut ctx| ctx.cipher_update_inplace(&mut prefix, PREFIX))
            .is_ok()
        && prefix.get(BLOCK - 2..BLOCK) == prefix.get(BLOCK..)
}

/// Decrypts a container's body in its place, and gives the packets in it.
///
/// # Errors
/// `decrypt.failed`; `cancelled`.
pub(super) fn open(
    mut body: Zeroizing<Vec<u8>>,
    cipher: &CipherRef,
    session_key: &SessionKey,
    cx: &Context,
) -> Result<Plain> {
    let failed = |e: ErrorStack| Error::decrypt_failed().because(e);
    let mut ctx = decryptor(cipher, session_key).map_err(failed)?;
    let mut hasher = Hasher::new(MessageDigest::sha1()).map_err(failed)?;
    let hashed = body
        .len()
        .checked_sub(DIGEST)
        .filter(|hashed| *hashed >= PREFIX + END.len())
        .ok_or_else(Error::decrypt_failed)?;
    let mut left = hashed;
    for chunk in body.chunks_mut(CHUNK) {
        cx.job.check()?;
        let length = chunk.len();
        ctx.cipher_update_inplace(chunk, length).map_err(failed)?;
        let covered = chunk.get(..left.min(length)).unwrap_or_default();
        hasher.update(covered).map_err(failed)?;
        left = left.saturating_sub(length);
        cx.job.advance(length as u64);
    }
    let digest = hasher.finish().map_err(failed)?;
    let (content, claimed) = body.split_at_checked(hashed).unwrap_or((&[], &[]));
    let intact = claimed.len() == digest.len() && memcmp::eq(claimed, &digest);
    if !intact || !content.ends_with(&END) {
        return Err(Error::decrypt_failed());
    }
    Ok(Plain {
        end: hashed - END.len(),
        body,
    })
}

/// A container's content, authenticated.
pub(super) struct Plain {
    body: Zeroizing<Vec<u8>>,
    end: usize,
}

impl Plain {
    /// The packets.
    pub(super) fn packets(&self) -> &[u8] {
        self.body.get(PREFIX..self.end).unwrap_or_default()
    }
}

fn decryptor(
    cipher: &CipherRef,
    session_key: &SessionKey,
) -> std::result::Result<CipherCtx, ErrorStack> {
    let mut ctx = CipherCtx::new()?;
    ctx.decrypt_init(Some(cipher), Some(session_key), Some(&[0; BLOCK]))?;
    ctx.set_padding(false);
    Ok(ctx)
}
