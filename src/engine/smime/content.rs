//! The ciphers of content: AES in CBC and GCM mode, and what old mail has, for reading alone.

use openssl::cipher::Cipher as Fetched;
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::provider::Provider;
use std::sync::OnceLock;
use zeroize::Zeroizing;

use super::ber::{self, INTEGER, OCTET_STRING, SEQUENCE};
use super::cms::{Algorithm, Fields};
use super::pkcs8::number;
use crate::base::error::{Error, Result};
use crate::base::{Context, Secret};

/// How much is deciphered before the job is asked whether it still wants to go on.
const CHUNK: usize = 1 << 20;

/// The only nonce and tag that are read: shorter tags can be guessed (CVE-2026-34182).
pub(super) const NONCE: usize = 12;
pub(super) const TAG: usize = 16;

const RC2: &str = "1.2.840.113549.3.2";

/// A content cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// As a verdict names it.
    pub name: &'static str,
    library: &'static str,
    key: usize,
    pub legacy: bool,
}

const CBC: &[(&str, Kind)] = &[
    ("2.16.840.1.101.3.4.1.2", kind("AES128", "AES-128-CBC", 16)),
    ("2.16.840.1.101.3.4.1.22", kind("AES192", "AES-192-CBC", 24)),
    ("2.16.840.1.101.3.4.1.42", kind("AES256", "AES-256-CBC", 32)),
    ("1.2.840.113549.3.7", legacy("3DES", "DES-EDE3-CBC", 24)),
];

const GCM: &[(&str, Kind)] = &[
    ("2.16.840.1.101.3.4.1.6", kind("AES128", "AES-128-GCM", 16)),
    ("2.16.840.1.101.3.4.1.26", kind("AES192", "AES-192-GCM", 24)),
    ("2.16.840.1.101.3.4.1.46", kind("AES256", "AES-256-GCM", 32)),
];

/// RC2 by the odd number that stands for its effective bits (RFC 2268 6).
const RC2_SIZES: &[(u64, Kind)] = &[
    (160, legacy("RC2-40", "RC2-40-CBC", 5)),
    (120, legacy("RC2-64", "RC2-64-CBC", 8)),
    (58, legacy("RC2-128", "RC2-CBC", 16)),
];

const fn kind(name: &'static str, library: &'static str, key: usize) -> Kind {
    Kind {
        name,
        library,
        key,
        legacy: false,
    }
}

const fn legacy(name: &'static str, library: &'static str, key: usize) -> Kind {
    Kind {
        name,
        library,
        key,
        legacy: true,
    }
}

/// A cipher, and what it starts from.
pub(super) struct Chosen {
    pub kind: Kind,
    iv: Vec<u8>,
}

/// The cipher of an EnvelopedData.
///
/// # Errors
/// `message.malformed` for one that is not here.
pub(super) fn cbc(algorithm: &Algorithm) -> Result<Chosen> {
    let parameters = parameters(algorithm)?;
    let text = algorithm.oid.to_string();
    if text == RC2 {
        let mut fields = Fields::of(&parameters, SEQUENCE)?;
        let version = number(&fields.take(INTEGER)?);
        let iv = fields.take(OCTET_STRING)?.octets()?.to_vec();
        let known = RC2_SIZES.iter().find(|(known, _)| *known == version);
        let kind = known.map(|(_, kind)| *kind).ok_or_else(unknown)?;
        return Ok(Chosen { kind, iv });
    }
    let known = CBC.iter().find(|(known, _)| *known == text);
    Ok(Chosen {
        kind: known.map(|(_, kind)| *kind).ok_or_else(unknown)?,
        iv: parameters.octets()?.to_vec(),
    })
}

/// The cipher of an AuthEnvelopedData. The parameters' tag length is what the tag itself has.
///
/// # Errors
/// `message.malformed` for one that is not here.
pub(super) fn gcm(algorithm: &Algorithm) -> Result<Chosen> {
    let text = algorithm.oid.to_string();
    let known = GCM.iter().find(|(known, _)| *known == text);
    let kind = known.map(|(_, kind)| *kind).ok_or_else(unknown)?;
    let mut fields = Fields::of(&parameters(algorithm)?, SEQUENCE)?;
    let iv = fields.take(OCTET_STRING)?.octets()?.to_vec();
    // RFC 5084 3.2: twelve where it is not said.
    let stated = fields.optional(INTEGER).map_or(12, |n| number(&n));
    fields.end()?;
    if iv.len() != NONCE || stated != TAG as u64 {
        return Err(Error::malformed(
            "this is encrypted with a nonce or tag that is not safe to read; ask the sender for another form",
        ));
    }
    Ok(Chosen { kind, iv })
}

fn parameters(algorithm: &Algorithm) -> Result<ber::Element> {
    let parameters = algorithm.parameters.clone().ok_or_else(ber::broken)?;
    ber::one(&parameters.into())
}

fn unknown() -> Error {
    Error::malformed("this is encrypted with a cipher that is not here; ask the sender for another")
}

/// The legacy provider, which has RC2. It stays once it was needed.
fn legacy_provider() -> Result<()> {
    static LOADED: OnceLock<Option<Provider>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| Provider::try_load(None, "legacy", true).ok());
    loaded.as_ref().map(|_| ()).ok_or_else(unknown)
}

impl Chosen {
    /// Deciphers `ciphertext` in one buffer; with `tag` nothing is returned before it fits.
    ///
    /// # Errors
    /// `decrypt.failed`; `cancelled`.
    pub(super) fn open(
        &self,
        key: &Secret,
        ciphertext: &[u8],
        authenticated: Option<(&[u8], &[u8])>,
        cx: &Context,
    ) -> Result<Vec<u8>> {
        if self.kind.library.starts_with("RC2") {
            legacy_provider()?;
        }
        let failed = |e: ErrorStack| Error::decrypt_failed().because(e);
        if key.expose().len() != self.kind.key {
            return Err(Error::decrypt_failed());
        }
        let cipher = Fetched::fetch(None, self.kind.library, None).map_err(failed)?;
        let mut ctx = CipherCtx::new().map_err(failed)?;
        if self.iv.len() != cipher.iv_length() {
            return Err(Error::decrypt_failed());
        }
        ctx.decrypt_init(Some(&cipher), Some(key.expose()), Some(&self.iv))
            .map_err(failed)?;
        if let Some((aad, tag)) = authenticated {
            if tag.len() != TAG {
                return Err(Error::decrypt_failed());
            }
            ctx.set_tag(tag).map_err(failed)?;
            ctx.cipher_update(aad, None).map_err(failed)?;
        }
        let mut plain = Zeroizing::new(Vec::with_capacity(ciphertext.len() + 2 * 16));
        for chunk in ciphertext.chunks(CHUNK) {
            cx.job.check()?;
            ctx.cipher_update_vec(chunk, &mut plain).map_err(failed)?;
            cx.job.advance(chunk.len() as u64);
        }
        ctx.cipher_final_vec(&mut plain).map_err(failed)?;
        Ok(std::mem::take(&mut *plain))
    }
}

/// Enciphers `content` with AES-256; with GCM the tag is given too.
///
/// # Errors
/// `internal`; `cancelled`.
pub(super) fn seal(
    mode: Mode,
    key: &Secret,
    iv: &[u8],
    content: &[u8],
    out: &mut Vec<u8>,
    cx: &Context,
) -> Result<[u8; TAG]> {
    let refused = |e: ErrorStack| Error::internal("the content can't be encrypted").because(e);
    let cipher = match mode {
        Mode::Cbc => Fetched::aes_256_cbc(),
        Mode::Gcm => Fetched::aes_256_gcm(),
    };
    let mut ctx = CipherCtx::new().map_err(refused)?;
    ctx.encrypt_init(Some(cipher), Some(key.expose()), Some(iv))
        .map_err(refused)?;
    for chunk in content.chunks(CHUNK) {
        cx.job.check()?;
        ctx.cipher_update_vec(chunk, out).map_err(refused)?;
        cx.job.advance(chunk.len() as u64);
    }
    ctx.cipher_final_vec(out).map_err(refused)?;
    let mut tag = [0; TAG];
    if mode == Mode::Gcm {
        ctx.tag(&mut tag).map_err(refused)?;
    }
    Ok(tag)
}

/// How content is encrypted by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Cbc,
    Gcm,
}
