//! The secret keys that are unlocked in this process.
//!
//! Here alone a secret key is in the clear, in memory that OpenSSL wipes when it is freed,
//! until its time is over. Not here: asking for passphrases, and files.

use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};
use zeroize::Zeroizing;

use super::{certs, kem, pkcs8, policy};
use crate::base::error::{Error, KeyUse, Kind, Result};
use crate::base::keys::{
    Certs, KeyId, KeyPairId, Lease, Opening, PrivateKeys, Protocol, SecretState, Signing,
};
use crate::base::{Secret, ask};
use crate::engine::private::Held;

/// Private keys in this process, unlocked for a time. A key whose passphrase the store itself
/// keeps opens by itself when it is used first.
pub struct Unlocked {
    certs: Arc<dyn Certs>,
    open: Held<PKey<Private>>,
}

impl Unlocked {
    /// None is unlocked yet.
    pub fn new(certs: Arc<dyn Certs>) -> Unlocked {
        Unlocked {
            certs,
            open: Held::default(),
        }
    }

    fn open_as(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<Arc<PKey<Private>>> {
        let sealed = self.certs.sealed_secret(id)?;
        let key = pkcs8::open(&sealed.sealed, passphrase)?;
        let cert = self.cert(id)?;
        let public = cert.x509.public_key();
        if !public.is_ok_and(|public| public.public_eq(&key)) || !pkcs8::belongs_together(&key) {
            return Err(pkcs8::mismatch(id));
        }
        Ok(self.open.hold(id, key, lease))
    }

    fn cert(&self, id: &KeyId) -> Result<certs::Certificate> {
        let found = self.certs.by_handle(Protocol::Smime, id.fingerprint())?;
        let stored = found.into_iter().find(|stored| stored.id == *id);
        certs::read(&stored.ok_or_else(|| absent(id))?.cert)
    }

    /// An unlocked key.
    fn opened(&self, id: &KeyId) -> Result<Arc<PKey<Private>>> {
        if let Some(key) = self.open.used(id) {
            return Ok(key);
        }
        match self.certs.sealed_secret(id)?.device {
            Some(opener) => self.open_as(id, &*opener.passphrase()?, Lease::FOREVER),
            None => Err(ask::locked(id, &certs::label(&self.cert(id)?))),
        }
    }
}

impl PrivateKeys for Unlocked {
    fn state(&self, id: &KeyId) -> SecretState {
        if id.protocol() != Protocol::Smime {
            return SecretState::None;
        }
        if self.open.has(id) {
            return SecretState::Unlocked;
        }
        match self.certs.sealed_secret(id) {
            Ok(sealed) if sealed.device.is_some() => SecretState::Unlocked,
            Ok(_) => SecretState::Locked,
            Err(error) if matches!(error.kind, Kind::StoreDamaged | Kind::StoreUnavailable) => {
                SecretState::Damaged
            }
            Err(_) => SecretState::None,
        }
    }

    fn sign(&self, key: &KeyPairId, how: Signing, data: &[u8]) -> Result<Vec<u8>> {
        let key = self.opened(&key.cert)?;
        let signed = match how {
            Signing::OpenPgp(_) => {
                return Err(Error::internal("an S/MIME key signs in CMS's way"));
            }
            Signing::Message => Signer::new_without_digest(&key)
                .and_then(|mut signer| signer.sign_oneshot_to_vec(data)),
            digest => over_digest(&key, digest, data),
        };
        signed.map_err(|e| Error::internal("the key can't sign this").because(e))
    }

    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret> {
        let key = self.opened(&key.cert)?;
        let failed = |e: ErrorStack| Error::decrypt_failed().because(e);
        match how {
            Opening::OpenPgp { .. } => Err(Error::internal("an S/MIME key opens in CMS's way")),
            Opening::RsaPkcs1 | Opening::RsaOaep { .. } => {
                transported(&key, how, ciphertext).map_err(failed)
            }
            Opening::Agreement => agreed(&key, ciphertext).map_err(failed),
            Opening::Kem => kem::open(&key, ciphertext),
        }
    }

    fn unlock(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<()> {
        self.open_as(id, passphrase, lease).map(|_| ())
    }

    fn until(&self, id: &KeyId) -> Option<u64> {
        self.open.until(id)
    }

    fn wipe(&self, id: Option<&KeyId>) {
        self.open.wipe(id);
    }

    fn expire(&self, now: u64) {
        self.open.expire(now);
    }
}

fn over_digest(
    key: &PKeyRef<Private>,
    how: Signing,
    digest: &[u8],
) -> std::result::Result<Vec<u8>, ErrorStack> {
    let mut ctx = PkeyCtx::new(key)?;
    ctx.sign_init()?;
    match how {
        Signing::RsaPkcs1(hash) => {
            ctx.set_rsa_padding(Padding::PKCS1)?;
            ctx.set_signature_md(policy::md(hash))?;
        }
        Signing::RsaPss(hash) => {
            ctx.set_rsa_padding(Padding::PKCS1_PSS)?;
            ctx.set_signature_md(policy::md(hash))?;
            ctx.set_rsa_mgf1_md(policy::md(hash))?;
            ctx.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        Signing::Ecdsa | Signing::Message | Signing::OpenPgp(_) => {}
    }
    let mut signature = Vec::new();
    ctx.sign_to_vec(digest, &mut signature)?;
    Ok(signature)
}

/// RSA. OpenSSL answers a wrong PKCS#1 v1.5 padding with made-up bytes, so that nobody learns
/// which it was.
fn transported(
    key: &PKeyRef<Private>,
    how: Opening<'_>,
    ciphertext: &[u8],
) -> std::result::Result<Secret, ErrorStack> {
    let mut ctx = PkeyCtx::new(key)?;
    ctx.decrypt_init()?;
    match how {
        Opening::RsaOaep { digest, mgf, label } => {
            ctx.set_rsa_padding(Padding::PKCS1_OAEP)?;
            ctx.set_rsa_oaep_md(policy::md(digest))?;
            ctx.set_rsa_mgf1_md(policy::md(mgf))?;
            if !label.is_empty() {
                ctx.set_rsa_oaep_label(label)?;
            }
        }
        _ => ctx.set_rsa_padding(Padding::PKCS1)?,
    }
    let mut plain = Zeroizing::new(Vec::new());
    ctx.decrypt_to_vec(ciphertext, &mut plain)?;
    Ok(Secret::new(std::mem::take(&mut *plain)))
}

/// The shared secret with a peer's public key.
fn agreed(key: &PKeyRef<Private>, peer: &[u8]) -> std::result::Result<Secret, ErrorStack> {
    let peer = PKey::public_key_from_der(peer)?;
    // OpenSSL looks whether the point is on the curve when it reads it.
    if peer.id() != key.id() || !matches!(key.id(), Id::EC | Id::X25519 | Id::X448) {
        return Err(ErrorStack::get());
    }
    let mut ctx = PkeyCtx::new(key)?;
    ctx.derive_init()?;
    ctx.derive_set_peer(&peer)?;
    let mut shared = Zeroizing::new(Vec::new());
    ctx.derive_to_vec(&mut shared)?;
    Ok(Secret::new(std::mem::take(&mut *shared)))
}

fn absent(id: &KeyId) -> Error {
    Error::new(
        Kind::KeyMissing {
            r#for: KeyUse::Decrypt,
            addresses: Vec::new(),
            key_ids: vec![id.fingerprint().to_owned()],
        },
        "the certificate of this key is not here; import it",
    )
}
