//! RSA private operations with the Chinese remainder theorem, on OpenSSL.
//!
//! Sequoia 2.4.2 hands n, e and d alone to OpenSSL, which makes a signature with RSA-4096 five
//! times slower than it need be. A wrong PKCS #1 padding is answered by OpenSSL's implicit
//! rejection: with a made-up session key, in the time that a right one takes.

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::error::ErrorStack;
use openssl::md::{Md, MdRef};
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};
use sequoia_openpgp::crypto::mpi;
use sequoia_openpgp::types::HashAlgorithm;
use zeroize::Zeroizing;

/// An RSA key pair, its primes known.
pub(super) struct RsaPair(PKey<Private>);

impl RsaPair {
    /// Puts public and secret half together; `None` when they don't belong together.
    pub(super) fn new(public: &mpi::PublicKey, secret: &mpi::SecretKeyMaterial) -> Option<RsaPair> {
        let (mpi::PublicKey::RSA { e, n }, mpi::SecretKeyMaterial::RSA { d, p, q, .. }) =
            (public, secret)
        else {
            return None;
        };
        build(n.value(), e.value(), d.value(), p.value(), q.value())
            .ok()
            .flatten()
            .map(RsaPair)
    }

    /// A PKCS #1 v1.5 signature over a digest.
    pub(super) fn sign(
        &self,
        hash: HashAlgorithm,
        digest: &[u8],
    ) -> Result<mpi::Signature, ErrorStack> {
        let mut ctx = PkeyCtx::new(&self.0)?;
        ctx.sign_init()?;
        ctx.set_rsa_padding(Padding::PKCS1)?;
        if let Some(md) = md(hash) {
            ctx.set_signature_md(md)?;
        }
        let mut signature = Vec::new();
        ctx.sign_to_vec(digest, &mut signature)?;
        Ok(mpi::Signature::RSA {
            s: mpi::MPI::new(&signature),
        })
    }

    /// What PKCS #1 v1.5 hides in a ciphertext, or something of a random length in its stead.
    pub(super) fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
        // OpenPGP's numbers come without leading zeros, OpenSSL wants the modulus' length.
        let size = self.0.size();
        let missing = size.saturating_sub(ciphertext.len());
        let mut padded = vec![0; missing];
        padded.extend_from_slice(ciphertext);
        let mut ctx = PkeyCtx::new(&self.0)?;
        ctx.decrypt_init()?;
        ctx.set_rsa_padding(Padding::PKCS1)?;
        let mut plain = Zeroizing::new(vec![0; size]);
        let length = ctx.decrypt(&padded, Some(&mut plain))?;
        plain.truncate(length);
        Ok(plain)
    }
}

/// The hashes that an RSA signature names within.
fn md(hash: HashAlgorithm) -> Option<&'static MdRef> {
    Some(match hash {
        HashAlgorithm::SHA1 => Md::sha1(),
        HashAlgorithm::SHA224 => Md::sha224(),
        HashAlgorithm::SHA256 => Md::sha256(),
        HashAlgorithm::SHA384 => Md::sha384(),
        HashAlgorithm::SHA512 => Md::sha512(),
        HashAlgorithm::SHA3_256 => Md::sha3_256(),
        HashAlgorithm::SHA3_512 => Md::sha3_512(),
        _ => return None,
    })
}

/// Whether [`RsaPair::sign`] can name a hash.
pub(super) fn names(hash: HashAlgorithm) -> bool {
    md(hash).is_some()
}

/// Checks that n = pq and ed = 1 modulo p-1 and q-1, so that no half of the key is another's
/// (the key overwriting attacks), and computes the rest anew instead of believing it.
fn build(
    n: &[u8],
    e: &[u8],
    d: &[u8],
    p: &[u8],
    q: &[u8],
) -> Result<Option<PKey<Private>>, ErrorStack> {
    let secret = |bytes: &[u8]| -> Result<BigNum, ErrorStack> {
        let mut number = BigNum::new_secure().or_else(|_| BigNum::new())?;
        number.copy_from_slice(bytes)?;
        number.set_const_time();
        Ok(number)
    };
    let (n, e) = (BigNum::from_slice(n)?, BigNum::from_slice(e)?);
    let (d, p, q) = (secret(d)?, secret(p)?, secret(q)?);
    let mut ctx = BigNumContext::new_secure().or_else(|_| BigNumContext::new())?;
    let one = BigNum::from_u32(1)?;
    if p <= one || q <= one || p == q || e <= one || !e.is_bit_set(0) {
        return Ok(None);
    }
    let mut product = secret(&[])?;
    product.checked_mul(&p, &q, &mut ctx)?;
    if product != n {
        return Ok(None);
    }
    let mut exponent = |prime: &BigNumRef| -> Result<Option<BigNum>, ErrorStack> {
        let mut less = secret(&[])?;
        less.checked_sub(prime, &one)?;
        let mut part = secret(&[])?;
        part.nnmod(&d, &less, &mut ctx)?;
        let mut inverse = secret(&[])?;
        inverse.mod_mul(&part, &e, &less, &mut ctx)?;
        Ok((inverse == one).then_some(part))
    };
    let (Some(dp), Some(dq)) = (exponent(&p)?, exponent(&q)?) else {
        return Ok(None);
    };
    let mut coefficient = secret(&[])?;
    coefficient.mod_inverse(&q, &p, &mut ctx)?;
    let rsa = Rsa::from_private_components(n, e, d, p, q, dp, dq, coefficient)?;
    PKey::from_rsa(rsa).map(Some)
}
